"""The seven chapters as files: their numbers, titles and names, and which are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Chapter:
    """One chapter. ``about`` tells in three sentences what it is; ``alone``: it measures times, so nothing else should run beside it."""

    number: str
    slug: str
    title: str
    about: str = ""
    alone: bool = False

    @property
    def file(self) -> str:
        return f"{self.number}-{self.slug}.ipynb"

    def path(self, folder: Path) -> Path:
        return folder / self.file


CHAPTERS = (
    Chapter(
        "01", "why-docker-exists", "Why Docker Exists (And Why VMs Weren't Enough)",
        "A shop that runs on Ann's laptop falls over on the server. You put it into a virtual machine and into a container and weigh them: "
        "seconds, megabytes, how many fit. Then you make a container by hand, in ten lines.",
        alone=True,
    ),
    Chapter(
        "02", "what-happens-when-you-run-a-container", "What's Actually Happening When You Run a Container",
        "You start with an ordinary process and add one ingredient at a time: its own process list, its own name, files, network, limits. "
        "On the way you find out what exit 137 means, why stopping takes ten seconds, and why the log is empty. "
        "What you have at the end is docker run.",
    ),
    Chapter(
        "03", "images-layers-and-slow-builds", "Images, Layers, and Why Your Builds Are Slow",
        "You take an image apart down to the last tar file, put it together again, and build one. "
        "Then you watch a build cache miss, see why, and mend it by moving one line. "
        "You also play the thief who finds the deleted password.",
        alone=True,
    ),
    Chapter(
        "04", "networking", "Docker Networking: How Containers Actually Find Each Other",
        "You lay a cable between two containers, and add whatever it turns out to lack: a switch, a way out, a phone book, a door. "
        "You follow a packet to the hop where it dies, and see why the firewall never saw the burglar. "
        "At the end you make a black hole, and find it.",
        alone=True,
    ),
    Chapter(
        "05", "compose", "Docker Compose: Reading the File You've Been Copy-Pasting",
        "You shoot whoever looks after a container, and it runs on; you shoot whoever reads its output, and not a line is missing. "
        "You draw a health check along the clock, and watch a crashing shop being picked up, later and later. "
        "You lose some orders, and find out in which volume they were. "
        "Then you read the file aloud, with the plan that comes of it, and write your own Compose.",
        alone=True,
    ),
    Chapter("06", "security", "Securing Your Docker Setup (Most People Skip This)"),
    Chapter("07", "ci-cd", "From Laptop to Production: CI/CD with Docker"),
)  # fmt: skip


def home() -> Path:
    """The folder with the notebooks."""
    return ROOT / "notebooks"


def there(folder: Path | None = None) -> list[Chapter]:
    """The chapters that are written."""
    return [one for one in CHAPTERS if one.path(folder or home()).is_file()]


def choose(only: str, folder: Path | None = None) -> list[Chapter]:
    """The chapters named in ``"02,03"`` (all that are there, if empty). Raises ``ValueError`` for one that is not there."""
    written = there(folder)
    known = {one.number: one for one in written}
    names = [word.zfill(2) for word in re.split(r"[,\s]+", only.strip()) if word]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no chapter {', '.join(unknown)}: there are {', '.join(known) or 'none yet'}")
    return [known[name] for name in dict.fromkeys(names)] if names else written
