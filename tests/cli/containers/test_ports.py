"""``--expose``."""

from __future__ import annotations

import pytest

from lib.engine.networks.exposed import exposed


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), []),
        (("80",), ["80/tcp"]),
        (("80/udp", "80/TCP", "80"), ["80/udp", "80/tcp"]),
        (("8000-8003",), ["8000/tcp", "8001/tcp", "8002/tcp", "8003/tcp"]),
        (("53-53/sctp",), ["53/sctp"]),
        (("0", "65535"), ["0/tcp", "65535/tcp"]),
        (("80/",), ["80/tcp"]),
    ],
)
def test_ports_and_ranges(words, found):
    assert exposed(words) == found


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "invalid port range: value is empty"),
        ("http", "invalid start port 'http': invalid syntax"),
        ("-80", "invalid start port '': value is empty"),
        ("80-", "invalid end port '': value is empty"),
        ("65536", "invalid start port '65536': value out of range"),
        ("80-99999", "invalid end port '99999': value out of range"),
        ("9" * 5000, f"invalid start port '{'9' * 5000}': value out of range"),
        ("90-80", "invalid port range: 90-80"),
        ("٣", "invalid start port '٣': invalid syntax"),
        ("80:80", "invalid start port '80:80': invalid syntax"),
    ],
)
def test_what_is_no_port(word, said):
    with pytest.raises(ValueError) as caught:
        exposed((word,))
    assert str(caught.value) == f"invalid range format for --expose: {said}"


def test_all_ports_are_no_burden():
    assert len(exposed(("0-65535", "0-65535"))) == 65536
