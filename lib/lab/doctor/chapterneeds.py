"""What each chapter cannot go without, by the names of the doctor's rows, and what of it the lab VM has."""

from __future__ import annotations

# What a chapter cannot go without, by the name of a row.
BASIC = ("linux", "python", "root", "namespaces")
NEEDS = {
    "01": (*BASIC, "overlay", "cgroup", "busybox"),
    "02": (*BASIC, "overlay", "cgroup", "busybox"),
    "03": (*BASIC, "overlay", "busybox", "docker-registry"),
    "04": (*BASIC, "overlay", "busybox", "nft"),
    "05": (*BASIC, "overlay", "cgroup", "busybox", "nft"),
    "06": (*BASIC, "overlay", "cgroup", "busybox"),
    "07": (*BASIC, "overlay", "cgroup", "busybox", "nft"),
}
IN_LAB = ("01", "02", "03")  # the chapters that run whole in the lab VM
COMPARES = ("01",)  # of these, not where the lab VM's processor is emulated: what compares times finds other ones there
PREPARED = {"01": ("nodejs", "python3", "nginx-light")}  # root file systems that a chapter wants; they are made outside, as root
LAB_HAS = {"root", "namespaces", "overlay", "cgroup", "experiments"}  # what the lab VM does not take from this machine


def runs_in(lab: str) -> tuple[str, ...]:
    """The chapters that run whole in a lab VM, by what it is called and what set-up has prepared for it."""
    from lib.lab.vm import host

    there = {name.partition("-")[2] for name in host.prepared()}
    left_out = {chapter for chapter, wanted in PREPARED.items() if not there.issuperset(wanted)} | set(COMPARES if "(TCG)" in lab else ())
    return tuple(chapter for chapter in IN_LAB if chapter not in left_out)
