"""What tests share. Their place on this machine is made first, before anything of ``lib`` is imported."""

from helpers import place as place
