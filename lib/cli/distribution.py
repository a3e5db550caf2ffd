"""``pull`` and ``push`` as they look: a bar for each layer on a terminal, a line for each layer elsewhere."""

from __future__ import annotations

import sys

import click

from lib.images import Library, StoreError, references
from lib.registry import transfer
from lib.visible import visible

QUIET = ("Downloading", "Pushing", "Waiting", "Verifying Checksum", "Extracting", "Preparing", "Digest")
HEADS = ("Pulling from", "Warning")


class Lines:
    """One line for each step of a layer that is over, in Docker's words."""

    def __init__(self, tag: str):
        self.tag, self.digest, self.size = tag, "", 0

    def tell(self, word: str, what: str, done: int = 0, total: int = 0) -> None:
        if word == "Digest":
            self.digest, self.size = what, total
        elif word == "Warning":
            click.echo(f"WARNING: {visible(what)}", err=True)
        elif word in HEADS:
            what, _, tag = what.partition(":")  # of all tags, each is named
            click.echo(f"{tag or self.tag}: {word} {what}")
        elif word not in QUIET:
            name, _, more = what.partition(" ")
            click.echo(f"{name}: {word} {more}".rstrip())

    def close(self) -> None:
        """Nothing is open."""


class Bars(Lines):
    """A bar for each layer, which becomes a line when it is over."""

    def __init__(self, tag: str):
        super().__init__(tag)
        self.bars: dict[str, object] = {}

    def tell(self, word: str, what: str, done: int = 0, total: int = 0) -> None:
        from tqdm import tqdm

        if word in HEADS or word == "Digest":
            super().tell(word, what, done, total)
            return
        name = what.split(" ")[0]
        if name not in self.bars:
            form = "{desc} {bar:30} {n_fmt}/{total_fmt}"
            self.bars[name] = tqdm(total=total or 1, unit="B", unit_scale=True, bar_format=form, position=len(self.bars), leave=True)
        bar = self.bars[name]
        if total:
            bar.total, bar.n = total, done
        bar.set_description_str(f"{name}: {word:18}")

    def close(self) -> None:
        for bar in self.bars.values():
            bar.close()


def shown(tag: str, quiet: bool) -> Lines:
    if quiet:
        silent = Lines(tag)
        silent.tell = transfer.silent
        return silent
    return Bars(tag) if sys.stdout.isatty() else Lines(tag)


def pull(library: Library, text: str, every: bool, quiet: bool, platform: str | None, insecure: bool) -> None:
    """``docker pull``. Raises ``ImageError``."""
    wanted = references.parse(text)
    if text == wanted.repository.removeprefix("library/") and not every and not quiet:
        click.echo("Using default tag: latest")
    lines = shown(wanted.tag or str(wanted.digest), quiet)
    before = before_of(library, str(wanted))
    try:
        take = transfer.pull_all if every else transfer.pull
        found = take(library, text, platform, lines.tell, insecure)
    finally:
        lines.close()
    if not quiet and not every:
        newer = "Image is up to date for" if before == found.id else "Downloaded newer image for"
        click.echo(f"Digest: {lines.digest}\nStatus: {newer} {wanted.familiar}")
    click.echo(str(wanted._replace(tag=None) if every else wanted))


def before_of(library: Library, name: str) -> str:
    try:
        return library.find(name).id
    except StoreError:
        return ""


def push(library: Library, text: str, every: bool, quiet: bool, insecure: bool) -> None:
    """``docker push``. Raises ``ImageError``."""
    wanted = references.parse(text)
    if not quiet:
        click.echo(f"The push refers to repository [{wanted._replace(tag=None, digest=None)}]")
    lines = shown(wanted.tag or "", quiet)
    try:
        if every:
            for name, digest in transfer.push_all(library, text, lines.tell, insecure).items():
                click.echo(f"{references.parse(name).tag}: digest: {digest}")
            return
        transfer.push(library, text, lines.tell, insecure)
    finally:
        lines.close()
    click.echo(str(wanted) if quiet else f"{wanted.tag}: digest: {lines.digest} size: {lines.size}")


def login(server: str, username: str | None, password: str | None, from_stdin: bool, insecure: bool) -> None:
    """``docker login``: ask, try, keep. Raises ``ImageError``, ``ValueError``."""
    from lib.registry import Registry, credentials

    if from_stdin and (password or not username):
        raise ValueError("--password-stdin goes with --username, and not with --password")
    username = username or click.prompt("Username", err=True)
    password = sys.stdin.read().strip("\r\n") if from_stdin else password or click.prompt("Password", hide_input=True, err=True)
    Registry(server, insecure, credential=credentials.Credential(username, password)).check()
    if warning := credentials.login(server, username, password):
        click.echo(warning, err=True)
    click.echo("Login Succeeded")


def logout(server: str) -> None:
    from lib.registry import credentials

    click.echo(f"Removing login credentials for {server}" if credentials.logout(server) else f"Not logged in to {server}")
