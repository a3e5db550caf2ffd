"""What this machine's processor is called, and which variants of images it can do."""

from __future__ import annotations

import pytest

from lib import processor

V2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
V4 = f"{V3} avx512bw avx512cd avx512dq avx512f avx512vl"


@pytest.mark.parametrize(("flags", "level"), [("fpu sse sse2", 1), (V2, 2), (V3, 3), (V3.replace("movbe", ""), 2), (V4, 4), (V4[9:], 1)])
def test_levels_of_amd64(flags, level):
    assert (
        processor.level(f"processor\t: 0\nvendor_id\t: X\nflags\t\t: fpu {flags}\nvmx flags\t: x\n\nprocessor\t: 1\nflags\t\t: fpu\n")
        == level
    )


def test_a_cpuinfo_without_flags():
    assert processor.level("processor\t: 0\n") == 1


def test_this_machine():
    assert processor.rank(processor.architecture(), "") == 0
    assert processor.highest() >= processor.USUAL.get(processor.architecture(), 0)
    assert processor.rank(processor.architecture(), "v99") is None or processor.architecture() not in processor.USUAL


@pytest.mark.parametrize(("machine", "highest"), [("armv7l", 7), ("armv6l", 6), ("aarch64", 8), ("riscv64", 0)])
def test_other_machines(monkeypatch, machine, highest):
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    assert processor.highest.__wrapped__() == highest
