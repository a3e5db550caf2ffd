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
IN_LAB = ("01", "02", "03", "04", "05")  # the chapters that run whole in the lab VM
NO_NFT = (
    "It needs nftables' families ip and inet, which this kernel was built without. QEMU's has them: python -m lib.lab install fetches it, "
    "and JupyterLab then takes it for this chapter (without JupyterLab: python -m lib.lab install --backend qemu)"
)
LEFT_OUT = {  # of these, not in a lab VM by such a name: why
    "(TCG)": {"01": "It compares times, and in here the processor is emulated"},
    "user-mode-linux": {"04": NO_NFT, "05": NO_NFT},
}
MINUTES = {"04": 4, "05": 9}  # that the whole of a chapter takes where the processor is emulated
PREPARED = {
    "01": ("nodejs", "python3", "nginx-light"),
    "05": ("shop",),
}  # root file systems that a chapter wants; they are made outside, as root
LAB_HAS = {"root", "namespaces", "overlay", "cgroup", "experiments"}  # what the lab VM does not take from this machine


def runs_in(lab: str) -> tuple[str, ...]:
    """The chapters that run whole in a lab VM, by what it is called and what set-up has prepared for it."""
    from lib.lab.vm import host

    there = {name.partition("-")[2] for name in host.prepared()}
    left_out = {chapter for chapter, wanted in PREPARED.items() if not there.issuperset(wanted)} | left_out_in(lab).keys()
    return tuple(chapter for chapter in IN_LAB if chapter not in left_out)


def left_out_in(lab: str) -> dict[str, str]:
    """The chapters that this kind of lab VM does not run whole, whatever is prepared: why."""
    return {chapter: why for kind, some in LEFT_OUT.items() if kind in lab for chapter, why in some.items()}


def who_boots(chapter: str, usual: str) -> str:
    """The back end that runs a chapter whole: the usual one, or else QEMU, if its kernel is here; "" if neither does."""
    from lib.lab.vm.backends import BACKENDS

    def here(name: str) -> bool:
        return name == usual or not (BACKENDS[name].unfetched() or BACKENDS[name].lacks())

    return next((name for name in (usual, "qemu") if here(name) and chapter in runs_in(BACKENDS[name].title())), "")
