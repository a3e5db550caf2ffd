"""Ctrl-C ends a build of several stages, whatever a stranger keeps one of them busy with; and the first error ends the others."""

from __future__ import annotations

import os
import signal
import tarfile
import threading
import time
from concurrent.futures.thread import _worker
from contextlib import contextmanager
from functools import partial

import pytest
from helpers import interrupts
from helpers import layers as make
from helpers.layers import member
from helpers.registries import Fake, digest_of
from helpers.registries import make as made
from helpers.sites import Site

from lib.build import changes, copying
from lib.build.steps import BuildError
from lib.engine.naming import resolve
from lib.images import compression
from lib.images.layers import Sink
from lib.registry import transfer

LAST = "FROM scratch\nCOPY --from=a / /\n"
FILES = 1000


class Busy(threading.Event):
    """Something begins that does not end by itself; ``times`` counts its turns."""

    times = 0

    def turn(self, *words) -> None:
        self.times += 1
        self.set()
        time.sleep(0.02)


@pytest.fixture
def busy():
    return Busy()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return Site(tmp_path)


@pytest.fixture
def server():
    with Fake() as one:
        yield one


def interrupted(site: Site, busy: Busy, text: str, **options) -> None:
    """One Ctrl-C, as soon as a stage is busy: it must do."""
    interrupts.interrupted(lambda: site.build(text, **options), lambda: busy.wait(60))
    assert site.leftovers() == []


@contextmanager
def interrupted_while_a_thread_begins(monkeypatch):
    """Ctrl-C comes when a thread of a pool has just begun, and nobody has noted it yet. Afterwards none of them may still run."""
    start, before = threading.Thread.start, set(threading.enumerate())

    def begin(thread: threading.Thread) -> None:
        start(thread)
        if threading.current_thread() is threading.main_thread() and thread._target is _worker:
            monkeypatch.setattr(threading.Thread, "start", start)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading.Thread, "start", begin)
    with pytest.raises(KeyboardInterrupt):
        yield
    assert {one for one in set(threading.enumerate()) - before if one._target is _worker} == set()


def slowly(busy: Busy, handler, size: int = 1_000_000) -> None:
    """A byte now and then, each in time."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    while True:
        handler.wfile.write(b" ")
        busy.turn()


def slow_layer(server: Fake, busy: Busy) -> None:
    """An image whose layer comes slowly, and has the size that was announced: else the pull would end by itself, at once."""
    (layer,) = server.keep(made(os.urandom(100_000))).layers
    server.on[f"GET /v2/app/blobs/{digest_of(layer)}"] = partial(slowly, busy, size=len(layer))


class Endless:
    """A tar file of the same folder, again and again."""

    def __init__(self, busy: Busy):
        info = tarfile.TarInfo("d")
        info.type = tarfile.DIRTYPE
        self.block, self.busy = info.tobuf(), busy

    def read(self, size: int) -> bytes:
        self.busy.turn()
        return (self.block * (size // 512 + 1))[:size]


def test_while_it_adds_a_download(site, busy, server):
    server.on["GET /f"] = partial(slowly, busy)
    interrupted(site, busy, f"FROM scratch AS a\nADD http://{server.name}/f /f\n{LAST}")


@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_while_it_pulls(site, busy, server, what):
    slow_layer(server, busy)
    if what == "manifest":
        server.on["GET /v2/app/manifests"] = partial(slowly, busy)
    interrupted(site, busy, f"FROM {server.name}/app AS a\n{LAST}", resolve=partial(resolve.image, site.library))


@pytest.mark.parametrize("how", ["pulled", "here"])
def test_while_it_unpacks_an_image(site, busy, server, monkeypatch, how):
    server.keep(made())
    make.image(site.library, make.tar(member("x")), name="strange:1")
    name = {"pulled": f"{server.name}/app", "here": "strange:1"}[how]
    monkeypatch.setattr(compression, "unpacked", lambda file: Endless(busy))
    interrupted(site, busy, f"FROM {name} AS a\n{LAST}", resolve=partial(resolve.image, site.library))


def test_while_it_unpacks_an_archive(site, busy, monkeypatch):
    site.write("f.tar", make.tar(member("x")))
    monkeypatch.setattr(copying, "reader", lambda *words: Endless(busy))
    interrupted(site, busy, f"FROM scratch AS a\nADD f.tar /\n{LAST}")


def test_while_it_copies_many_files(site, busy, monkeypatch):
    for number in range(FILES):
        site.write(f"d/{number}")
    copy_file = changes.copy_file
    monkeypatch.setattr(changes, "copy_file", lambda *words: (busy.turn(), copy_file(*words)))
    interrupted(site, busy, f"FROM scratch AS a\nCOPY d /d/\n{LAST}")
    assert busy.times < FILES


def test_while_it_packs_a_layer(site, busy, monkeypatch):
    os.truncate(site.write("f"), 100 << 20)
    write = Sink.write
    monkeypatch.setattr(Sink, "write", lambda self, data: (busy.turn(), write(self, data))[1])
    interrupted(site, busy, f"FROM scratch AS a\nCOPY f /f\n{LAST}")
    assert busy.times < 400


def test_while_a_thread_begins_to_build(site, busy, monkeypatch):
    """Nobody waited for that one: it went on, in a folder that stayed."""
    site.write("f.tar", make.tar(member("x")))
    monkeypatch.setattr(copying, "reader", lambda *words: Endless(busy))
    with interrupted_while_a_thread_begins(monkeypatch):
        site.build(f"FROM scratch AS a\nADD f.tar /\n{LAST}")
    assert site.leftovers() == []


def test_while_a_thread_begins_to_pull(site, busy, server, monkeypatch):
    slow_layer(server, busy)
    with interrupted_while_a_thread_begins(monkeypatch):
        transfer.pull(site.library, f"{server.name}/app")
    assert site.leftovers() == []


def test_while_a_thread_begins_to_unpack(site, busy, monkeypatch):
    image = make.image(site.library, make.tar(member("x")), name="strange:1")
    site.library.chains.sweep(set())
    monkeypatch.setattr(compression, "unpacked", lambda file: Endless(busy))
    with interrupted_while_a_thread_begins(monkeypatch):
        site.library.folders(image)
    assert site.leftovers() == []


def test_while_a_thread_begins_to_push(site, busy, server, monkeypatch):
    make.image(site.library, make.tar(member("x")), name=f"{server.name}/app:1")
    server.on["HEAD /v2/app/blobs"] = lambda handler: (busy.turn(), handler.say(404))
    with interrupted_while_a_thread_begins(monkeypatch):
        transfer.push(site.library, f"{server.name}/app:1")


def test_the_first_error_ends_the_others_and_is_told(site, busy, server):
    """And not what it made of them."""
    server.on["GET /f"] = partial(slowly, busy)

    def wait(handler):
        busy.wait(30)
        handler.say(404)

    server.on["GET /none"] = wait
    text = f"FROM scratch AS a\nADD http://{server.name}/f /f\nFROM scratch AS b\nADD http://{server.name}/none /f\n"
    with pytest.raises(BuildError, match="the server answers 404"):
        site.build(f"{text}FROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n")
    assert site.leftovers() == []
