"""Virtual machines beside containers, drawn from the live system: how many kernels there are, and who stands on which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, Picture, box, label, svg

WIDTH, GAP = 120, 14


@dataclass(frozen=True)
class Tower:
    """One isolated app: its name, and the kernel that answered from inside (its release and its boot)."""

    app: str
    release: str
    boot_id: str


def towers(host: Tower, machines: Sequence[Tower], boxes: Sequence[Tower]) -> Picture:
    """On the left what runs on kernels of its own, on the right what runs on the host's; both on the host.

    Which kernel a tower stands on is decided by the boot id that it told, not by its kind.
    """
    left = [draw(tower, 20 + number * (WIDTH + GAP), host) for number, tower in enumerate(machines)]
    start = 20 + len(machines) * (WIDTH + GAP) + 30
    right = [draw(tower, start + number * (WIDTH + GAP), host) for number, tower in enumerate(boxes)]
    width = start + len(boxes) * (WIDTH + GAP) + 6
    everybody = [*machines, *boxes]
    kernels = len({tower.boot_id for tower in [host, *everybody]})
    parts = [part for tower in left + right for part in tower]
    if machines:
        wide = len(machines) * (WIDTH + GAP) - GAP
        parts += [box(20, 164, wide, 34, RED), label(20 + wide // 2, 186, "QEMU plays the hardware", "#ffffff", "middle")]
        parts += [label(20, 20, "virtual machines", INK, weight="bold")]
    parts += [box(20, 208, width - 40, 40, GREY)]
    parts += [label(width // 2, 233, f"the host's kernel: Linux {host.release}", "#ffffff", "middle", "bold")]
    parts += [label(start, 20, "containers", INK, weight="bold")]
    shared = sum(tower.boot_id == host.boot_id for tower in everybody)
    alt = f"{len(everybody)} apps on one machine. {len(everybody) - shared} of them carry a kernel of their own, {shared} use the host's. "
    return svg(width, 262, parts, alt + f"Kernels in all: {kernels}.")


def draw(tower: Tower, x: int, host: Tower) -> list[str]:
    """The app on top; below it its own kernel, or nothing but the way down to the host's."""
    own = tower.boot_id != host.boot_id
    parts = [box(x, 32, WIDTH, 46, BLUE), label(x + WIDTH // 2, 60, tower.app, "#ffffff", "middle")]
    if own:
        parts += [box(x, 84, WIDTH, 34, GREEN), label(x + WIDTH // 2, 106, "its own system", "#ffffff", "middle")]
        parts += [box(x, 124, WIDTH, 34, ORANGE), label(x + WIDTH // 2, 146, short(tower.release), "#ffffff", "middle", size=11)]
    else:
        parts += [box(x, 84, WIDTH, 34, GREEN), label(x + WIDTH // 2, 106, "its libraries", "#ffffff", "middle")]
        middle = x + WIDTH // 2
        parts += [f'<line x1="{middle}" y1="118" x2="{middle}" y2="208" stroke="{GREY}" stroke-width="2" stroke-dasharray="4 3"/>']
    return parts


def short(release: str) -> str:
    """A kernel's release without its many suffixes: 6.1.0-56-cloud-amd64 → kernel 6.1.0-56."""
    return "kernel " + "-".join(release.split("-")[:2])[:14]
