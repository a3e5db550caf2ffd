"""``--log-driver`` and ``--log-opt``."""

from __future__ import annotations

import pytest

from lib.engine.log.driver import log


@pytest.mark.parametrize(
    ("driver", "words", "found"),
    [
        ("", (), ("json-file", None, 1)),
        ("json-file", ("max-size=10m", "max-file=3"), ("json-file", 10_000_000, 3)),
        ("", ("max-size=10m", "max-size=1k"), ("json-file", 1000, 1)),
        ("json-file", ("max-size=1.5g",), ("json-file", 1_500_000_000, 1)),
        ("json-file", ("max-size=100", "max-file=1"), ("json-file", 100, 1)),
        ("local", (), ("json-file", 20 << 20, 5)),
        ("local", ("max-file=2",), ("json-file", 20 << 20, 2)),
        ("none", (), ("none", None, 1)),
    ],
)
def test_what_is_kept(driver, words, found):
    assert tuple(log(driver, words).values()) == found


@pytest.mark.parametrize(
    ("driver", "words", "said"),
    [
        ("", ("max-sizes=1",), "unknown log opt 'max-sizes' for json-file log driver (there are max-size and max-file)"),
        ("local", ("x",), "unknown log opt 'x' for log driver local (there are max-size and max-file)"),
        ("", ("tag={{.ID}}",), "--log-opt tag is an option of Docker's that is not done here yet"),
        ("", ("max-size=0",), "max-size must be a positive number"),
        ("", ("max-size=lots",), "invalid size: 'lots'"),
        ("", ("max-size=-1",), "invalid size: '-1'"),
        ("", ("max-size",), "invalid size: ''"),
        ("", ("max-file=0",), "max-file cannot be less than 1"),
        ("", ("max-file=-3",), "max-file cannot be less than 1"),
        ("", ("max-file=many",), "invalid value for max-file: many (a whole number, e.g. 3)"),
        ("", ("max-file=٣",), "invalid value for max-file: ٣"),
        ("none", ("max-size=1m",), "invalid logging opts for driver none"),
        ("journald", (), "error looking up logging plugin journald: of Docker's, json-file, local, none are done here"),
    ],
)
def test_what_cannot_be_meant(driver, words, said):
    with pytest.raises(ValueError) as caught:
        log(driver, words)
    assert str(caught.value).startswith(said)
