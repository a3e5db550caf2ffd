"""nftables: whole transactions as text, for ``nft -f -``. See nft(8).

A text is carried out as a whole or not at all, and packets see all of it at once. Nothing is ever decided by reading rules back: how they
are printed differs from version to version.
"""

from __future__ import annotations

import errno
import os

from lib.netfilter.programs import find, run

MISSING = "nft is not installed, and without it containers get no network: apt-get install nftables (dnf, apk, pacman: the same name)"
GONE = {errno.ENOENT, errno.EEXIST}  # it is not there any more; or it is, but is another's by now


def carry_out(*texts: str) -> None:
    """As one transaction. Raises ``OSError``, with what nft said and the line that it did not like; then nothing was done."""
    code, said = run([program(), "-f", "-"], "".join(texts))
    if code:
        raise refusal(code, said)


def would_carry_out(text: str) -> bool:
    """The kernel looks at all of it, and forgets it."""
    return find("nft") is not None and run([program(), "-c", "-f", "-"], text)[0] == 0


def take_back(*texts: str) -> None:
    """The same for undos: what is not there any more (its table has been flushed, say) need not be taken away, and keeps no other back."""
    code, said = run([program(), "-f", "-"], "".join(texts))
    if code and len(texts) > 1:
        for text in texts:
            take_back(text)
    elif code and (not complaints(said) or {number(line) for line in complaints(said)} - GONE):
        raise refusal(code, said)


def program() -> str:
    path = find("nft")
    if path is None:
        raise FileNotFoundError(errno.ENOENT, MISSING)
    return path


def refusal(code: int, said: str) -> OSError:
    """Its first complaint, with the line of ours that it is about."""
    first = next(iter(complaints(said)), said.strip() or f"it ended with {code}")
    reason = first.rpartition("Error: ")[2].removeprefix("Could not process rule: ")
    line = said.partition(first)[2].strip().partition("\n")[0]
    return OSError(number(first), f"nft: {reason}" + f", in the line: {line}" * bool(line))


def complaints(said: str) -> list[str]:
    return [line for line in said.splitlines() if "Error: " in line]


def number(complaint: str) -> int:
    """The errno of it: nft prints only its text, and perhaps what else one may have meant."""
    fitting = [one for one in errno.errorcode if f": {os.strerror(one)}" in complaint]
    return max(fitting, key=lambda one: len(os.strerror(one)), default=errno.EINVAL)
