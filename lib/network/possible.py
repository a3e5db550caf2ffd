"""Can there be a bridge with a way out? Asked of the kernel itself, once after each start of the machine."""

from __future__ import annotations

import os

from lib import linux, state
from lib.ingredients.capabilities import NAMES

# What a network needs least. A kernel may know nftables, and yet no addresses to be translated (user-mode Linux's, say).
TRIED = """\
add table ip suitcase-trial
add chain ip suitcase-trial in { type nat hook prerouting priority dstnat; }
add rule ip suitcase-trial in fib daddr type local dnat to 192.0.2.1
"""


hindrance = ""  # what keeps a user out of a network namespace of his own


def why_not() -> str:
    """What to tell whoever asks for a network where ``bridges`` says no."""
    if os.geteuid():
        return f"without root, networks live in a namespace of your own, and there is none here: {hindrance or 'nobody has made it yet'}"
    return "this kernel cannot translate addresses for a network (no nftables, or none with NAT): --network none or host"


def bridges() -> bool:
    """Root can make them, and who is in a network namespace of his own, if the kernel has what it takes."""
    if os.geteuid() and not linux.own_capabilities("Eff") >> NAMES.index("NET_ADMIN") & 1:
        return False
    noted = state.our_runtime_dir() / "bridges"
    try:
        return noted.read_text() == "yes"
    except FileNotFoundError:
        from lib.netfilter import nft

        answer = nft.would_carry_out(TRIED)
        state.make_folder(noted.parent)
        noted.write_text("yes" if answer else "no")
        return answer
