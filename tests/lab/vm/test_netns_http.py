"""Requests into a container's network, and what a thing costs."""

import os

import pytest
from helpers.needs import requires

from lib import start
from lib.ingredients.namespaces import identity
from lib.lab.bench.vmbench import SERVE
from lib.lab.vm import footprint, netns_http
from lib.process import TimeLimit


@requires("root", "overlay")
def test_a_page_comes_out_of_a_container_and_we_stay_where_we_are():
    own = identity("self", "net")
    with start("busybox", SERVE) as one, start("busybox", ["sh", "-c", "sleep 60"]) as other:
        netns_http.first_byte(one.pid, 80)
        assert netns_http.ask(one.pid, 80) == "hello\n"
        with pytest.raises(ConnectionRefusedError):
            netns_http.connect(other.pid, 80)  # the same port, another network
        with pytest.raises(OSError, match="404"):
            netns_http.ask(one.pid, 80, "/nothing")
    assert identity("self", "net") == own


@requires("root", "overlay")
def test_waiting_for_the_first_byte_ends_with_the_container():
    with start("busybox", ["true"]) as box, pytest.raises(RuntimeError, match="ended before it answered at port 80"):
        netns_http.first_byte(box.pid, 80, lambda: box.process.poll() is None)


def test_and_after_a_time_limit():
    with pytest.raises(TimeLimit, match=r"nothing answered at port 1 within 0\.05 s"):
        netns_http.first_byte(None, 1, timeout=0.05)


def test_a_process_that_has_ended_has_no_network():
    with pytest.raises(OSError):
        netns_http.socket_in(1 << 22)


@requires("root", "overlay")
def test_shared_pages_count_once_for_all_or_once_for_each():
    boxes = [start("busybox", ["sleep", "60"]) for _ in range(8)]
    try:
        pids = [box.pid for box in boxes]
        assert footprint.resident(*pids) > 2 * footprint.proportional(*pids) > 0
    finally:
        for box in boxes:
            box.remove()


def test_the_disk_is_counted_in_blocks_once(tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    os.link(tmp_path / "file", tmp_path / "same")
    (tmp_path / "link").symlink_to("file")
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(1 << 30)
    assert 1 << 20 <= footprint.on_disk(tmp_path) < (1 << 20) + (64 << 10)
