"""``suitcase build``: the builder with the command line's words, and what it shows while it works."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial

import click

from lib.build import Build, StepReport
from lib.build.builder import Built, Options
from lib.cli.variables import pairs
from lib.engine.naming import resolve
from lib.images import Library, image
from lib.visible import visible


class Progress:
    """One line for each step when it is done; with ``plain`` also what the commands print, each line with its step's number."""

    def __init__(self, plain: bool, explain: bool):
        self.plain, self.explain = plain, explain
        self.lock, self.halves = threading.Lock(), {}

    def tell(self, what: str, step: StepReport, text: str) -> None:
        with self.lock:
            if what == "output" and self.plain:
                self.output(step, text)
            elif what == "start" and self.plain:
                say(f" => {place(step)} {step.text}")
            elif what == "done" and step.number >= 0 and step.kind != "config":
                self.done(step)

    def output(self, step: StepReport, text: str) -> None:
        """Whole lines only; the rest waits for more."""
        *lines, rest = (self.halves.get(id(step), "") + text).split("\n")
        self.halves[id(step)] = rest
        for line in lines:
            printed(step, line)

    def done(self, step: StepReport) -> None:
        if self.plain and (rest := self.halves.pop(id(step), "")):
            printed(step, rest)
        how = "CACHED " if step.cached else ""
        took = "" if step.cached else f"   {step.seconds:.1f}s"
        say(f" => {how}{place(step)} {step.text[:100]}{took}")
        if self.explain and not step.cached:
            for reason in step.why:
                say(f"      not cached, {reason}")


def place(step: StepReport) -> str:
    return visible(f"[{step.stage} {step.number}/{step.of}]")


def say(text: str) -> None:
    """Whatever is told has a stranger's words in it: of a Dockerfile, of a registry."""
    click.echo(visible(text), err=True)


def printed(step: StepReport, line: str) -> None:
    """What a command printed. Into a file it goes as it came, colours left out."""
    shown = visible(line.rstrip("\r")) if sys.stderr.isatty() else line
    click.echo(f"    {place(step)} | {shown}", err=True)


def words(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """``id=a,src=/b`` as a dictionary. Raises ``ValueError`` for a key that is not ``known``."""
    given = dict(word.partition("=")[::2] for word in text.split(","))
    for key in given.keys() - set(known):
        raise ValueError(f"unexpected key '{key}' in '{text}': there are {', '.join(known)}")
    return given


def secret(text: str) -> tuple[str, str]:
    """A secret's id and file; ``env=NAME`` takes it from a variable, by way of a file in memory. Raises ``ValueError``."""
    given = words(text, ("id", "src", "source", "env", "type"))
    name = given.get("id", "")
    path = given.get("src") or given.get("source")
    if given.get("type") == "env" or "env" in given:
        variable = given.get("env") or path or name
        if variable not in os.environ:
            raise ValueError(f"secret {name}: there is no variable {variable}")
        path = f"/proc/{os.getpid()}/fd/{in_memory(os.environ[variable])}"
    if not name or not path:
        raise ValueError(f"invalid secret {text!r}: --secret id=NAME,src=FILE, or id=NAME,env=VARIABLE")
    if not os.path.isfile(path):
        raise ValueError(f"secret {name}: there is no file {path}")
    return name, path


def in_memory(text: str) -> int:
    """A descriptor of a file that only this process has."""
    fd = os.memfd_create("secret")
    os.write(fd, text.encode())
    return fd


def agent(text: str) -> tuple[str, str]:
    """An ``--ssh``: the name by which a RUN asks for it, and the agent's socket. Raises ``ValueError``."""
    name, _, path = text.partition("=")
    path = path or os.environ.get("SSH_AUTH_SOCK", "")
    if not path or not os.path.exists(path):
        raise ValueError(f"--ssh {name} needs a running agent: " + (f"there is no {path}" if path else "SSH_AUTH_SOCK names no socket"))
    return name or "default", path


def named(text: str) -> tuple[str, str]:
    """A ``--build-context``: name and folder, or image. Raises ``ValueError``."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise ValueError(f"invalid value {text}, expected key=value: --build-context NAME=FOLDER")
    if "://" not in value and not os.path.isdir(value):
        raise ValueError(f"failed to get build context path {name}={value}: there is no such folder")
    return name, value


def default_network():
    """Of RUN, as of ``run``. Where there can be no bridge it is the machine's: without any network most RUNs are of no use."""
    from lib.cli.networks import attachments
    from lib.network import on

    name = attachments.default()
    return "host" if name == "none" else on(name)


def build(library: Library, context: str, file, text, passing, tags, target, contexts, build_args, labels, secrets, ssh, no_cache, pull,
          platform, network, allow, cache_from, cache_to, progress, quiet, explain, iidfile) -> Built:  # fmt: skip
    """Build, show, and print what Docker prints at the end. Raises ``ImageError``, ``ValueError``."""
    shown = Progress(progress == "plain" or (progress == "auto" and not sys.stderr.isatty()), explain)
    options = Options(
        context,
        file=file,
        text=text,
        passing=passing,
        tags=tags,
        target=target,
        contexts=dict(map(named, contexts)),
        build_args=pairs(build_args),
        labels=dict(word.partition("=")[::2] for word in labels),
        secrets=dict(map(secret, secrets)),
        ssh=dict(map(agent, ssh)),
        no_cache=no_cache,
        network=network or "default",
        default_network=default_network,
        allow=allow,
        platform=image.parse_platform(platform) if platform else None,
        resolve=partial(resolve.image, library, pull="always" if pull else "missing"),
        cache_from=cache_from,
        cache_to=cache_to,
    )
    silent = quiet or progress == "quiet"
    job = Build(library, options, (lambda *words: None) if silent else shown.tell)
    done = job.run()
    if not silent:
        conclude(job, done, explain)
    if iidfile:
        with open(iidfile, "w") as out:
            out.write(done.id)
    if quiet:
        click.echo(done.id)
    return done


def conclude(job: Build, done: Built, explain: bool) -> None:
    for line in done.advice if explain else ():
        say(f"hint: {line}")
    for text in job.warnings:
        say(f"[Warning] {text}")
    if job.unused:
        say(f"[Warning] One or more build-args {job.unused} were not consumed")
    for one in job.file.warnings:
        say(f"[Warning] line {one.line}: {one.message}")
    cached = sum(one.cached for one in done.steps)
    layers = [one for one in done.steps if one.kind != "config"]
    say(f"built {done.id} in {done.seconds:.2f} s, {cached} of {len(layers)} steps cached")
    for tag in job.options.tags:
        say(f"named {tag}")
