"""What a disk does for a container: ``--device-read-bps`` and its like say how much a second, ``--blkio-weight-device`` how readily.

The words are Docker's.
"""

from __future__ import annotations

import re

from lib import sizes
from lib.cli.flags.kinds import Kind

FLAGS = {"device_read_bps": "rbps", "device_read_iops": "riops", "device_write_bps": "wbps", "device_write_iops": "wiops"}  # as in io.max
WRONG = "invalid rate for device: {}. The correct format is <device-path>:<number>{}. Number must be a positive integer"
UNITS = ". Unit is optional and can be kb, mb, or gb"


def parts(text: str) -> tuple[str, str]:
    path, colon, rate = text.partition(":")
    if not colon or ":" in rate:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, rate


def bytes_a_second(text: str) -> tuple[str, int]:
    """``/dev/sda:1mb``. Raises ``ValueError``."""
    path, rate = parts(text)
    try:
        return path, sizes.in_bytes(rate)
    except ValueError:
        raise ValueError(WRONG.format(text, "[<unit>]") + UNITS) from None


def times_a_second(text: str) -> tuple[str, int]:
    """``/dev/sda:100``. Raises ``ValueError``."""
    path, rate = parts(text)
    if not re.fullmatch("[0-9]{1,19}", rate):
        raise ValueError(WRONG.format(text, ""))
    return path, int(rate)


def weight(text: str) -> tuple[str, int]:
    """``/dev/sda:500``, of 10 to 1000, or 0. Raises ``ValueError``."""
    path, number = parts(text)
    if not re.fullmatch("[0-9]{1,9}", number) or not (int(number) == 0 or 10 <= int(number) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return path, int(number)


BPS, IOPS, WEIGHT = Kind("list", bytes_a_second), Kind("list", times_a_second), Kind("list", weight)


def asked(values: dict) -> list[list]:
    """As ``Container`` takes them; 0 is no limit."""
    return [[path, word, rate] for flag, word in FLAGS.items() for path, rate in values[flag] if rate]


def weights(values: dict) -> list[list]:
    """As ``Container`` takes them; 0 is none."""
    return [[path, number] for path, number in values["blkio_weight_device"] if number]
