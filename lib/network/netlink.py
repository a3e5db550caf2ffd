"""Reading the kernel's tables of links, addresses and routes, through pyroute2."""

from __future__ import annotations

from collections.abc import Callable

from lib.shield import Shield


def asked(question: Callable):
    """What ``question`` makes of an ``IPRoute``, of the network that we are in.

    In a thread of its own: pyroute2 runs an event loop for each call, and a notebook's thread is in one already.
    """
    from concurrent.futures import ThreadPoolExecutor  # it takes its time to load, and few ask

    with Shield(), ThreadPoolExecutor(1) as thread:  # half waited for, it would stand still for ever
        return thread.submit(answered, question).result()


def answered(question: Callable):
    from pyroute2 import IPRoute

    with IPRoute() as kernel:
        return question(kernel)
