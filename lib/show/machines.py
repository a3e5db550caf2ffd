"""Virtual machines beside containers, drawn from the live system: how many kernels there are, and who stands on which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.show.picture import BLUE, GREEN, GREY, INK, RED, Picture, box, label, svg

WIDTH, GAP, BETWEEN = 104, 10, 44
KERNEL, LOWEST = "#9a4f0b", "#5b6773"  # dark enough for white letters


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
    left = [draw(tower, 14 + number * (WIDTH + GAP), host) for number, tower in enumerate(machines)]
    wide = max(0, len(machines) * (WIDTH + GAP) - GAP)
    start = 14 + wide + (BETWEEN if machines else 0)
    right = [draw(tower, start + number * (WIDTH + GAP), host) for number, tower in enumerate(boxes)]
    end = start + len(boxes) * (WIDTH + GAP) - GAP
    everybody = [*machines, *boxes]
    parts = [f'<rect x="0" y="120" width="{end + 14}" height="42" fill="#f1e4d3"/>']  # whose kernel? one row for all
    parts += [part for tower in left + right for part in tower]
    if machines:
        parts += [box(14, 166, wide, 34, RED), white(14 + wide // 2, 188, "QEMU plays hardware")]
        parts += [label(14, 20, "virtual machines", INK, weight="bold", size=14)]
    if all(tower.boot_id == host.boot_id for tower in boxes):
        parts += [label((start + end) // 2, 146, "no kernel of their own", INK, "middle", size=13)]
    parts += [box(14, 208, end - 14, 40, LOWEST)]
    parts += [label((14 + end) // 2, 233, f"the host's kernel: Linux {host.release}", "#ffffff", "middle", "bold", 13)]
    parts += [label(start, 20, "containers", INK, weight="bold", size=14)]
    kernels = len({tower.boot_id for tower in [host, *everybody]})
    shared = sum(tower.boot_id == host.boot_id for tower in everybody)
    alt = f"{len(everybody)} apps on one machine. {len(everybody) - shared} of them carry a kernel of their own, {shared} use the host's. "
    return svg(end + 14, 262, parts, alt + f"Kernels in all: {kernels}.")


def white(x: int, y: int, text: str) -> str:
    return label(x, y, text, "#ffffff", "middle", size=13)


def draw(tower: Tower, x: int, host: Tower) -> list[str]:
    """The app on top; below it its own kernel, or nothing but the way down to the host's."""
    middle = x + WIDTH // 2
    if tower.boot_id != host.boot_id:
        below = [box(x, 84, WIDTH, 32, GREEN), white(middle, 105, "its system")]
        below += [box(x, 124, WIDTH, 34, KERNEL), white(middle, 146, short(tower.release))]
    else:
        below = [dash(middle, y) for y in (118, 164, 180, 194)]
        below += [box(x, 84, WIDTH, 32, GREEN), white(middle, 105, "its libraries")]
    return [box(x, 32, WIDTH, 46, BLUE), label(middle, 60, tower.app, "#ffffff", "middle", "bold", 14), *below]


def dash(x: int, y: int) -> str:
    return f'<line x1="{x}" y1="{y}" x2="{x}" y2="{y + 10}" stroke="{GREY}" stroke-width="2"/>'


def short(release: str) -> str:
    """A kernel's release without its suffixes: 6.1.0-56-cloud-amd64 → Linux 6.1.0."""
    return f"Linux {release.split('-')[0][:8]}"
