"""For ``pytest -p lib.lab.jupyter.nbval_sockets --nbval``: kernels that listen in files and not at TCP ports.

nbval's manager looks for free ports, closes them, and the kernel binds them a second later. What binds one meanwhile (whatever else
is tested at the same time) makes a dead kernel and a red notebook.
"""

import nbval.kernel

from lib.lab.jupyter.kernelmanager import OwnSockets

nbval.kernel.KernelManager = OwnSockets
