"""``python -m lib.lab``: what this machine has, what it lacks, and what that costs."""

import sys

from lib.lab.machine import main

sys.exit(main())
