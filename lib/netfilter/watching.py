"""Has somebody changed the rules? The kernel tells whoever asks it to, as long as he keeps the socket.

So a daemon of ours notices that dockerd, ufw or firewalld has made its rules anew, or that ours have been flushed. Of changes made by the
older back end of iptables (``iptables-legacy``) the kernel tells nobody.
"""

from __future__ import annotations

import errno
import socket

from lib.netfilter import netlink

MANY = 1000  # messages that are read at a time: if there are more, there will be a next time
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES = 270, 1, 7


def watch() -> socket.socket:
    """It can be read when somebody (we, too) has changed a rule of this network namespace."""
    kernel = netlink.opened()
    kernel.bind((0, 0))
    kernel.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
    kernel.setblocking(False)
    return kernel


def has_changed(kernel: socket.socket) -> bool:
    """Since the last question. What it was, nobody keeps: it may have been more than the socket holds, and then that is what it says."""
    for told in range(MANY):
        try:
            kernel.recv(netlink.LARGEST)
        except BlockingIOError:
            return told > 0
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
    return True
