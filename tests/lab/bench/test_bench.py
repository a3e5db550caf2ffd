"""The bench's own tests: its arithmetic, its report, and that it runs whole beside its peers. No time is asserted anywhere."""

import json

import pytest
from helpers.needs import requires

from lib.lab.bench import bench, table, timing
from lib.lab.bench.table import Row


def test_a_reach_is_a_ratio_with_a_peer_and_a_value_without():
    assert Row("x", "02", 10, "ms", peer=40, reach=0.25).holds is True
    assert Row("x", "02", 11, "ms", peer=40, reach=0.25).holds is False
    assert Row("x", "02", 3, "ms", reach=3).holds is True
    assert Row("x", "02", 0, "lines", reach=0).holds is True
    assert Row("x", "02", 1, "lines", reach=0).holds is False
    assert Row("x", "02", 3, "ms", peer=1).holds is None


def test_the_works_are_interleaved_and_the_first_round_only_warms_up():
    calls = []
    times = timing.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 4 and len(times["a"]) == len(times["b"]) == 3


def test_the_table_names_what_was_missed():
    text = table.table([Row("start", "02", 10, "ms", 1, 20, "runc run", 0.25), Row("lines", "02", 0, "lines", reach=0)])
    start, lines = text.splitlines()[1:]
    assert "runc run" in start and "0.500" in start and start.endswith("MISSED") and lines.endswith("holds")


def test_a_missing_peer_is_an_error_with_a_name(monkeypatch, capsys):
    monkeypatch.setattr(bench, "PEERS", ("runc", "no-such-peer"))
    assert bench.main(["--quick"]) == 3
    assert "no-such-peer" in capsys.readouterr().err


@requires("root", "overlay", "vm", "compose", *(name for name in bench.PEERS if name != "dockerd"))
@pytest.mark.timeout(900)
def test_it_runs_whole_and_writes_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "OUT", tmp_path)
    assert bench.main(["--quick"]) == 0
    report = json.loads((tmp_path / "bench.json").read_text())
    names = {row["peer_name"] for row in report["rows"]}
    assert {"runc run", "bwrap --unshare-all", "docker run -d", "docker rm -f", "Docker Compose"} <= names
    assert {name.split(" (")[0] for name in names} >= {"tiny VM", "Debian in a VM"}
    assert set(report["rows"][0]) == {"name", "chapter", "ours", "unit", "spread", "peer", "peer_name", "reach", "ratio", "holds", "claim"}
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "measured" in capsys.readouterr().out
