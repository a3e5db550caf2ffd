"""The command called in this process, and what it printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lib.cli.main import main

T = TypeVar("T")


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


class Command:
    """``suitcase``, in this process; ``capfd`` is the fixture."""

    def __init__(self, capfd):
        self.capfd = capfd

    def __call__(self, line: str) -> Said:
        self.capfd.readouterr()
        try:
            main.main(shlex.split(line), prog_name="suitcase")
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        return Said(code, *self.capfd.readouterr())


class Docker:
    """``docker``, with the same words and answers as ``suitcase``."""

    def __init__(self, docker):
        self.docker = docker

    def __call__(self, line: str):
        command = f"docker -H {self.docker.socket} {line}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
        return type("Said", (), {"code": done.returncode, "out": done.stdout, "err": done.stderr})


def given_to(docker, suitcase, tmp_path, name: str) -> None:
    """The image, from our store into Docker's."""
    assert suitcase(f"save -o {tmp_path}/given.tar {name}").code == 0
    docker.call("load", "-i", f"{tmp_path}/given.tar")


def at_once(ours: Callable[[], T], theirs: Callable[[], T]) -> tuple[T, T]:
    """What each side finds, at the same time: in theirs, that of another thread, programs do all the work."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(theirs)
        return ours(), other.result()


def columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def told(line: str) -> list[str]:
    """The words of a line of a table, less ids, ages and sizes."""
    line = re.sub("Up (About a minute|Less than a second|\\d+ seconds?)", "Up", line)
    return [word for word in columns(line) if not re.fullmatch(r"[0-9a-f]{12,64}|.* ago|\d\S*B \(virtual .*\)|0B", word)]


def first_words(said: str) -> str:
    """Of the first line, in lower case: who says it is left out, and what we add in brackets or after a colon of ours."""
    line = said.strip().splitlines()[0].replace("'docker ", "'suitcase ")
    for who in ("suitcase: ", "docker: ", "Error response from daemon: ", "Error: "):
        line = line.removeprefix(who)
    return re.sub(r" \(do you mean .*|: there is .*| \(42m .*", "", line).rstrip(".").lower()
