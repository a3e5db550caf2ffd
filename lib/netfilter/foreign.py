"""Beside the firewalls of others: our packets past the policy DROP of dockerd, ufw or firewalld.

An accept of ours ends only our own chain. A packet must pass every other chain of the forward hook too, and theirs often drop what they do
not know. So each of them that is in use is told of us, once, and forgets us at the end; nothing else of theirs is ever touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

from lib.netfilter import firewalld, iptables
from lib.netfilter.chains import chains
from lib.netfilter.programs import find


def in_use() -> dict[str, ModuleType]:
    """The programs that tell those in use, and the modules that know how. Found without changing anything.

    Who is not root has a network namespace of his own, in which nobody else keeps rules.
    """
    if os.geteuid():
        return {}
    every = chains()
    return {name: module for module in (iptables, firewalld) for name in module.in_use(every)}


def let_pass() -> None:
    """Tell those who do not know of us. Needed again when dockerd, ufw or firewalld has made its rules anew."""
    for module, path in there():
        module.let_pass(path)


def withdraw() -> None:
    """Let all of them forget us; who cannot be told now does not keep the others from it."""
    errors = []
    for module, path in there():
        try:
            module.withdraw(path)
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def there() -> Iterator[tuple[ModuleType, str]]:
    """Who has removed the program of a firewall in use is told by the network's doctor."""
    return ((module, path) for name, module in in_use().items() if (path := find(name)))
