"""``python -m lib.lab``: what this machine has, what it lacks, and what that costs. With ``install`` or ``uninstall``: its kernels."""

import sys

if sys.argv[1:2] in (["install"], ["uninstall"]):
    from lib.lab.jupyter.kernelspecs import main
else:
    from lib.lab.doctor.report import main

sys.exit(main(sys.argv[1:]))
