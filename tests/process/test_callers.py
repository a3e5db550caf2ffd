"""Whoever calls: many threads, many processes, a running event loop, a real Jupyter kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers.interrupts import interrupted
from helpers.needs import requires
from helpers.waiting import wait_for

import lib
from lib import linux, state
from lib.lab.doctor import leaks
from lib.process import LIVE, Plan, Starter

pytestmark = requires("root", "overlay", "busybox")


def echo(text, **options):
    return lib.run("busybox", ["echo", str(text)], show=False, timeout=60, **options).text.strip()


def in_threads(count, work):
    results, errors = {}, []

    def one(number):
        try:
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results


def test_twenty_threads_at_once():
    assert in_threads(20, lambda number: echo(number, memory="32m")) == {number: str(number) for number in range(20)}


def test_a_thread_that_ends_takes_nothing_with_it():
    """The kernel's PR_SET_PDEATHSIG would fire here: it looks at the thread that asked, not at the process."""
    Starter.close()  # so that a thread starts the starter too
    boxes = in_threads(3, lambda number: lib.start("busybox", ["sleep", "1000"]))
    try:
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("Thread-") and "one" in thread.name]
        for box in boxes.values():
            assert not linux.readable([box.process.pidfd], 0.02)
            assert box.exec(["echo", "alive"], show=False, timeout=20).text == "alive\n"
    finally:
        for box in boxes.values():
            box.remove()


def test_several_threads_wait_for_the_same_one():
    with lib.start("busybox", ["sh", "-c", "sleep 0.2; exit 4"]) as box:
        assert in_threads(5, lambda number: box.wait(20).code) == dict.fromkeys(range(5), 4)


def test_one_thread_removes_what_another_waits_for():
    box = lib.start("busybox", ["sleep", "1000"])
    threading.Timer(0.1, box.remove).start()
    assert box.wait(20).code == 137
    while LIVE:
        time.sleep(0.01)


def test_several_processes_at_once():
    code = "from lib import run; print([run('busybox', ['echo', str(n)], memory='32m', show=False).text.strip() for n in range(5)])"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate(timeout=90)[0] for one in runs] == ["['0', '1', '2', '3', '4']\n"] * 4


def test_inside_a_running_event_loop():
    async def both():
        first = echo("one")
        second, third = await asyncio.gather(asyncio.to_thread(echo, "two"), asyncio.to_thread(echo, "three"))
        done = await asyncio.create_subprocess_exec("true")
        return first, second, third, await done.wait()

    assert asyncio.run(both()) == ("one", "two", "three", 0)


def test_after_a_fork_of_the_caller():
    """multiprocessing's way: the child must not use its parent's starter, nor remove its parent's containers."""
    with lib.start("busybox", ["sleep", "1000"]) as box:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, echo("child").encode())
                lib.process.say_goodbye()
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 100) == b"child"
        os.close(reader)
        os.waitpid(pid, 0)
        assert box.state == "running" and not linux.readable([box.process.pidfd], 0.05)
        assert state.Owner._current.path.exists()


def test_a_script_that_ends_without_cleaning_up():
    """At its end, Python removes what was still there."""
    code = "from lib import start; box = start('busybox', ['sleep', '1000'], memory='32m'); print(box.pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and not os.path.exists(f"/proc/{int(done.stdout)}")
    assert not state.records()


def test_fifty_containers_alive_at_once():
    boxes = [lib.start("busybox", ["sleep", "1000"]) for _ in range(50)]
    assert len(state.records()) == 50
    assert len({box.cgroup.pids()[0] for box in boxes}) == 50
    lib.process.remove_all()
    assert not state.records()


# -- a real Jupyter kernel ----------------------------------------------------------------------


@pytest.fixture
def kernel():
    from lib.lab.jupyter.kernelmanager import OwnSockets

    manager = OwnSockets(kernel_cmd=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    manager.shutdown_wait_time = 60  # a kernel that is killed cannot clean up
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    if manager.has_kernel:
        manager.shutdown_kernel(now=False)
    manager.cleanup_resources()


def cell(client, code, until=None, timeout=60):
    """Run a cell; ``(what it printed, the error's name or None)``. With ``until``, return as soon as that was printed."""
    message = client.execute(code)
    return collect(client, message, until, timeout)


def collect(client, message, until=None, timeout=60):
    text, error = "", None
    while True:
        answer = client.get_iopub_msg(timeout=timeout)
        if answer["parent_header"].get("msg_id") != message:
            continue
        kind, content = answer["msg_type"], answer["content"]
        if kind == "stream":
            text += content["text"]
            if until and until in text:
                return message
        elif kind == "error":
            error = content["ename"]
        elif kind == "status" and content["execution_state"] == "idle":
            return text, error


def test_a_kernel_starts_where_jupyter_has_never_run(tmp_path, monkeypatch):
    """Nobody has made its runtime folder there, nor the home folder that it lies in."""
    from lib.lab.jupyter.kernelmanager import OwnSockets

    for name in [name for name in os.environ if name.startswith(("XDG_", "JUPYTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    manager = OwnSockets()
    assert stat.S_IMODE(Path(manager.ip).parent.stat().st_mode) == 0o700 and manager.ip.startswith(str(tmp_path))


RUN = "from lib import run; print(run('busybox', ['sh', '-c', {!r}], memory='32m'))"


def test_a_cell_runs_a_container(kernel):
    _, client = kernel
    text, error = cell(client, RUN.format("echo out; echo err >&2; exit 3"))
    assert error is None and sorted(text.split("\n")) == ["", "err", "exit 3", "out"]


def test_the_stop_button_during_a_run(kernel):
    manager, client = kernel
    message = cell(client, RUN.format("echo up; sleep 1000"), until="up")
    assert len(state.records()) == 1
    manager.interrupt_kernel()
    _, error = collect(client, message)
    assert error == "KeyboardInterrupt"
    assert not state.records()
    assert cell(client, RUN.format("echo again")) == ("again\nexit 0\n", None), "the kernel goes on"


def test_a_killed_kernel_is_reaped_by_the_next_start(kernel):
    manager, client = kernel
    cell(client, RUN.format("echo up; sleep 1000"), until="up")
    (facts,) = state.records()
    manager.signal_kernel(9)
    manager.shutdown_kernel(now=True)
    assert state.start_time(facts["pid"]) == facts["start_time"], "it runs on: nobody was there to end it"
    assert echo("next") == "next"
    state.gc()  # `echo` was this process's next start, and this process did not start now: so once by hand
    assert not state.records()


def test_starts_from_a_thread_of_a_kernel(kernel):
    _, client = kernel
    code = """
import threading
from lib import start
boxes = []
thread = threading.Thread(target=lambda: boxes.append(start('busybox', ['sleep', '1000'])))
thread.start(); thread.join()
with boxes[0] as box:
    print(box.state, box.exec(['echo', 'hi'], show=False).text)
"""
    assert cell(client, code) == ("running hi\n\n", None)


@pytest.mark.parametrize(
    "source",
    [
        "from lib import start; box = start('busybox', ['sleep', '1000'])",
        pytest.param("from lib.lab.chapters import ch03; registry = ch03.registry()", marks=requires("docker-registry")),
    ],
)
def test_a_kernel_that_shuts_down_leaves_nothing(kernel, source):
    manager, client = kernel
    cell(client, source)
    assert state.records()
    manager.shutdown_kernel(now=False)
    assert not state.records()


def test_a_plan_without_root_privileges_for_anything_still_runs():
    assert Plan(["echo", "plain"]).run(show=False).text == "plain\n"


def test_a_program_that_a_stopped_cell_has_torn_from_subprocess_run_is_ended_and_waited_for():
    """It does not hear the interrupt, so ``subprocess.run`` kills it and goes away without waiting: a zombie, held by the traceback."""
    from types import SimpleNamespace

    from lib.lab.chapters.cellmagic import end_what_was_torn

    def it_is_waited_for() -> bool:
        wait_for(lambda: "sh" in leaks.ours().values())
        time.sleep(0.3)
        return True

    error = interrupted(lambda: subprocess.run(["sh", "-c", "trap '' INT; sleep 600"]), it_is_waited_for)
    stopped = SimpleNamespace(error_in_exec=error)
    wait_for(lambda: "sh (zombie)" in leaks.ours().values())
    end_what_was_torn(stopped)
    assert not any("zombie" in one for one in leaks.ours().values())
    end_what_was_torn(SimpleNamespace(error_in_exec=None))


MINI = """
import subprocess
def run():
    done = subprocess.Popen(["sleep", "60"])
    try: raise KeyboardInterrupt
    finally: done.kill()
    return done.wait()
"""


def test_what_a_stopped_cell_has_torn_from_mini_is_ended_and_waited_for():
    """``run`` kills it, and is gone before it waits; and who is in the middle of a list of two has the first one in no variable."""
    from types import ModuleType, SimpleNamespace

    from lib.lab.chapters.cellmagic import end_what_was_torn

    mini = ModuleType("mini")
    exec(MINI, mini.__dict__)
    try:
        [subprocess.Popen(["true"]), mini.run()]
    except KeyboardInterrupt as error:
        stopped = SimpleNamespace(error_in_exec=error)
    wait_for(lambda: "sleep (zombie)" in leaks.ours().values())
    end_what_was_torn(stopped)
    assert not any("sleep" in one for one in leaks.ours().values())
    subprocess.run(["true"])
    assert not any("zombie" in one for one in leaks.ours().values())


def test_a_program_that_is_just_being_started_when_a_cell_is_stopped_is_ended_and_waited_for(monkeypatch):
    """The interrupt comes in the middle of ``fork`` and ``execve``: Python raises it before it has noted the child's number."""
    from types import SimpleNamespace

    from lib.lab.chapters import cellmagic

    fork = subprocess._fork_exec

    def fork_and_stop(*args):
        pid = fork(*args)
        os.kill(os.getpid(), signal.SIGINT)
        return pid

    monkeypatch.setattr(subprocess, "_fork_exec", fork_and_stop)
    monkeypatch.setattr(subprocess.Popen, "_execute_child", subprocess.Popen._execute_child)  # as it was, at the end
    cellmagic.shield_starts()
    with pytest.raises(KeyboardInterrupt) as stopped:
        subprocess.run(["sleep", "60"])
    assert any("sleep" in one for one in leaks.ours().values())
    cellmagic.end_what_was_torn(SimpleNamespace(error_in_exec=stopped.value))
    assert not any("sleep" in one for one in leaks.ours().values())
