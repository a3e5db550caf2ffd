"""``watch``: look at the files that ``develop.watch`` names, and do what it says when they change."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress

import click

from lib.cli.compose import carrying, images, members, options
from lib.cli.compose.asked import Asked
from lib.cli.compose.progress import Teller
from lib.cli.compose.remote import trust
from lib.cli.errors import Failed, errors
from lib.cli.library import library
from lib.compose.acting import Restart, Up
from lib.visible import visible

PERIOD = 0.3  # seconds between two looks; what has changed is done when nothing more has in the next one
MOST = 100_000  # files that are looked at
Seen = dict[str, tuple]


@click.command()
@click.option("--no-up", is_flag=True, help="Do not build & start services before watching")
@click.option("--prune", type=click.BOOL, default=True, metavar="", help="Prune dangling images on rebuild (default true)")
@click.option("--quiet", is_flag=True, help="hide build output")
@options.services
@click.pass_obj
def watch(asked: Asked, services: tuple[str, ...], no_up: bool, prune: bool, quiet: bool) -> None:
    """Watch build context for service and rebuild/refresh containers when files are updated."""
    with errors():
        watcher = Watcher(asked, services, prune, quiet)
        trust.confirm(asked)
        if not no_up:
            carrying.out(asked, "up", Up(services=services, build=True))
        carrying.in_network()
        with suppress(KeyboardInterrupt):
            watcher.run()
        click.echo("Watch disabled")


class Watcher:
    """``run`` it, until ``over`` is set. Raises ``ValueError`` if there is nothing to be watched. ``tells`` makes who tells of it."""

    def __init__(
        self, asked: Asked, services: Sequence[str], prune: bool = True, quiet: bool = False, tells: Callable[[str], Teller] | None = None
    ):
        from lib.cli.compose.watch.rules import rules

        asked.check(services)
        self.asked, self.prune, self.quiet, self.tells = asked, prune, quiet, tells or asked.teller
        self.over = threading.Event()
        self.names = list(services or asked.project.services)
        self.rules = rules(asked.project, self.names, ignores(asked.project, self.names))
        if not self.rules:
            raise ValueError("none of the selected services is configured for watch, consider setting a 'develop' section")
        self.seen = self.look()

    def run(self) -> None:
        """Until somebody has had enough."""
        self.begin()
        click.echo("Watch enabled")
        while not self.over.wait(PERIOD):
            self.step()

    def begin(self) -> None:
        """``initial_sync``: what is there before anything has changed."""
        from lib.cli.compose.watch.rules import SYNCS, deeds

        first = [one for one in self.rules if one.watch.initial_sync and one.watch.action in SYNCS]
        found = deeds(first, self.seen, ())
        for name, pairs in found.copied.items():
            self.copy(name, pairs)

    def step(self) -> None:
        """One look; and as long as it shows something new, another one: an editor writes several files in a row."""
        from lib.cli.compose.watch.rules import deeds

        before, now = self.seen, self.look()
        if now == before:
            return
        while (later := self.look(after=PERIOD)) != now:
            now = later
        self.seen = now
        changed = [path for path in now if now[path] != before.get(path)]
        found = deeds(self.rules, changed, [path for path in before if path not in now])
        if found.any:
            self.do(found)

    def look(self, after: float = 0) -> Seen:
        """Each file below the paths, and what tells that it is another one now."""
        time.sleep(after)
        return dict(files(dict.fromkeys(one.watch.path for one in self.rules)))

    # -- deeds

    def do(self, found) -> None:
        for name, pairs in found.copied.items():
            self.tried(name, lambda name=name, pairs=pairs: self.copy(name, pairs))
        for name, pairs in found.removed.items():
            self.tried(name, lambda name=name, pairs=pairs: self.remove(name, pairs))
        for name, lines in found.told.items():
            self.tried(name, lambda name=name, lines=lines: self.tell(name, lines))
        for name in found.restarted:
            self.tried(name, lambda name=name: self.restart(name))
        for name in found.rebuilt:
            self.tried(name, lambda name=name: self.rebuild(name))

    def tried(self, name: str, do) -> None:
        """What goes wrong once need not the next time: it is told, and the watch goes on."""
        try:
            with errors():
                do()
        except Failed as error:
            click.echo(visible(f"service {name}: {error.message}"), err=True)

    def there(self, name: str) -> list[dict]:
        return members.going_on(members.meant(self.asked, (name,)))

    def copy(self, name: str, pairs: Iterable[tuple[str, str]]) -> None:
        from lib.engine.transfer import deed

        pairs, there = list(pairs), self.there(name)
        for facts in there:
            for path, place in pairs:
                self.folder(facts, os.path.dirname(place))
                if os.path.isdir(path) and not os.path.islink(path):
                    continue  # its files come one by one
                with suppress(FileNotFoundError):  # it has gone again
                    deed.into(library(), facts, facts["name"], path, place)
        if there:
            click.echo(f'Syncing service "{name}" after {len(pairs)} changes were detected')

    def folder(self, facts: dict, place: str) -> None:
        """The folders down to there, as the container's own program makes them."""
        within(facts, ["mkdir", "-p", place], user="0")

    def remove(self, name: str, pairs: Iterable[tuple[str, str]]) -> None:
        for facts in self.there(name):
            within(facts, ["rm", "-rf", *(place for _, place in pairs)], user="0")

    def tell(self, name: str, lines: Iterable) -> None:
        for facts in self.there(name):
            for line in lines:
                if line.exec:
                    hook = line.exec
                    known = {name: value for name, value in hook.environment.items() if value is not None}
                    within(
                        facts, hook.command, env=known, workdir=hook.working_dir or None, user=hook.user or None, privileged=hook.privileged
                    )

    def restart(self, name: str) -> None:
        click.echo(f'Restarting service "{name}"')
        carrying.out(self.asked, "restart", Restart(services=(name,), no_deps=True), teller=self.tells("restart"))

    def rebuild(self, name: str) -> None:
        click.echo(f'Rebuilding service "{name}" after changes were detected...')
        with self.tells("watch") as teller:
            images.built(self.asked, teller, self.asked.project.services[name], self.quiet)
        carrying.out(self.asked, "watch", Up(services=(name,), no_deps=True), teller=self.tells("watch"))
        if self.prune:
            from lib.cli.system import prunes

            prunes.remove_images(False)
        click.echo(f'service(s) ["{name}"] successfully built')


def within(facts: dict, command: Sequence[str], **how) -> None:
    """One command in a container. Raises ``ValueError`` if it fails."""
    from lib.engine.joining import Exec, Joined, plan

    with closing(Exec(plan(library(), facts, Joined(command, **how)))) as run:
        if code := run.wait():
            raise ValueError(f"{facts['name']}: {' '.join(command)} ended with exit code {code}")


def ignores(project, names: Iterable[str]) -> dict:
    """What the ``.dockerignore`` of each build context says."""
    from lib.beneath import FOLDER, Folder
    from lib.build.ignore import open_ignore

    found = {}
    for name in names:
        build = project.services[name].build
        if build and os.path.isdir(build.context):
            found[build.context] = open_ignore(Folder(os.open(build.context, FOLDER)))
    return found


def files(paths: Iterable[str]) -> Iterator[tuple[str, tuple]]:
    """Those below the paths. Links are what they are: nobody follows them. Raises ``ValueError`` if they are too many."""
    count = 0
    for path in paths:
        for one in walk(path):
            with suppress(OSError):
                about = os.lstat(one)
                count += 1
                if count > MOST:
                    raise ValueError(f"more than {MOST} files below {path}: name fewer of them in develop.watch")
                yield one, (about.st_ino, about.st_mode, about.st_size if not stat.S_ISDIR(about.st_mode) else 0,
                            about.st_mtime_ns if not stat.S_ISDIR(about.st_mode) else 0)  # fmt: skip


def walk(path: str) -> Iterator[str]:
    yield path
    for folder, folders, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in (*folders, *names))
