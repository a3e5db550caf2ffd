"""A program that stands for the command: a session between its own 0, 1 and 2 and a shell of this machine, instead of a container.

    attached.py [-i] [-t] [--keys WORDS] [--no-proxy] SHELL-COMMAND

It ends with the shell's exit code, and says on stderr how the session ended.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import termios
from contextlib import suppress

from lib.cli.attached import terminal
from lib.cli.attached.detaching import DetachKeys
from lib.cli.attached.inputs import Input
from lib.cli.attached.relay import Relay
from lib.cli.attached.session import Session
from lib.cli.attached.sources import PipeSource
from lib.cli.standard import fill_gaps


def started(words, tty: bool) -> tuple:
    """The shell, its pidfd, our end of its stdin, where its output is read, and its terminal."""
    argv = ["/bin/sh", "-c", words]
    if not tty:
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        sources = [PipeSource(child.stdout.fileno()), PipeSource(child.stderr.fileno(), "stderr")]
        return child, os.dup(child.stdin.fileno()), sources, -1
    master, slave = os.openpty()
    terminal.resize(master)
    control = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=control)
    os.close(slave)
    return child, os.dup(master), [PipeSource(master)], master


def main() -> int:
    parser = argparse.ArgumentParser()
    for flag in ("-i", "-t", "--no-proxy"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--keys", default="")
    parser.add_argument("words")
    said = parser.parse_args()
    fill_gaps()
    terminal.check(said.i, said.t)
    with Relay(not said.no_proxy) as relay:
        child, sink, sources, master = started(said.words, said.t)
        if child.stdin:
            child.stdin.close()
        typed = Input(sink, DetachKeys(said.keys) if said.t else None) if said.i else None
        if not typed:
            os.close(sink)
        ended = Session(sources, relay, child.send_signal, typed, master, os.pidfd_open(child.pid)).run()
    with suppress(OSError):
        os.write(2, f"{ended}\n".encode())
    if ended == "detached":
        child.kill()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
