"""``python -m lib.cli``: the command ``suitcase``. Its launcher (tools/setup.sh writes it) starts this file without Python's ``site``.

That reads every .pth file of the packages, and one of them maps an editable install: together more time than listing containers takes.
All that we need of it are two folders, that of ``lib`` and that of the packages. This file is short because Python compiles it each time.
"""

import sys

if not __package__:  # behind Python's own library, so that nothing can stand in for a module of that
    packages = "lib/python{}.{}/site-packages".format(*sys.version_info)
    sys.path += [__file__.removesuffix("/lib/cli/__main__.py"), f"{sys.executable.removesuffix('/bin/python')}/{packages}"]

from lib.cli.starting import travel_light, without_delay

with without_delay():
    travel_light()
    from lib.cli.main import main

    main(prog_name="suitcase")
