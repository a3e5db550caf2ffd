"""Who reaches whom: one table of nftables for each family, in which a network is a few elements of maps, and a published port is one."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "change": "Change apply family joined",
        "table": "made uplinks",
        "network": "opened",
        "port": "published",
        "diagnosis": "Row doctor repair mend",
    },
)
