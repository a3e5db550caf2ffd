"""The engine block: a plan is an ordered list of steps, and a step is data.

An ingredient is any object with a method ``steps()``. It says *what* it needs and in which
stage; the one list ``STAGES`` below says in which order, and why the kernel wants it so.
Because steps are data, a plan can be printed before it runs, tested without root, broken
at each step, and explained when it fails: the error is the step.
"""

from __future__ import annotations

import atexit
import codecs
import errno
import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib import linux, starter, state
from lib.advice import advise

# -- steps ------------------------------------------------------------------------------

CALLER, BETWEEN, STARTER, CHILD = "caller", "go-between", "starter", "child"


@dataclass(frozen=True)
class Stage:
    """A position in the life of a starting container: in whose shoes, and why just there."""

    name: str
    shoes: str
    why: str


STAGES = {
    stage.name: stage
    for stage in (
        Stage("prepare", CALLER, "before there is a process: descriptors that the clone needs (on v2 of the cgroup to be born in)"),
        Stage("join", BETWEEN, "existing namespaces are joined before the clone: a PID namespace takes only children"),
        Stage("clone", STARTER, "one clone3 makes the process and all its new namespaces at once"),
        Stage("provide", CALLER, "while the kernel is busy with the clone: folders, files, limits; the child waits for them"),
        Stage("map", CALLER, "the uid map is written from outside, by somebody with rights in the parent namespace"),
        Stage("session", CHILD, "a session of its own: the caller's Ctrl-C and terminal are not the container's"),
        Stage("limit", CHILD, "into the v1 cgroups, before anything is used up (on v2 it was born inside)"),
        Stage("unshare", CHILD, "a cgroup namespace has its root where the process is, so only now"),
        Stage("propagation", CHILD, "mounts are made private first, or the host would see every one that follows"),
        Stage("root", CHILD, "the root file system, while the host's paths can still be seen"),
        Stage("mounts", CHILD, "/proc, /sys, /dev: after the namespaces that they show, before the host is out of sight"),
        Stage("mask", CHILD, "what must not be seen or written is covered when all mounts are there"),
        Stage("freeze-root", CHILD, "a read-only root comes after the last mount point was made in it"),
        Stage("pivot", CHILD, "now the host's file system is let go"),
        Stage("names", CHILD, "hostname and network interfaces live in namespaces that are ours by now"),
        Stage("terminal", CHILD, "a terminal is opened in the container's own /dev/pts"),
        Stage("rights", CHILD, "rights are given up last, as everything above needed them"),
        Stage("wait", CHILD, "created: everything is ready, nothing has run; start comes from outside"),
        Stage("init", CHILD, "PID 1 stays behind as init, its child goes on"),
        Stage("exec", CHILD, "the program replaces the process that prepared everything"),
    )
}
ORDER = {name: position for position, name in enumerate(STAGES)}


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, by its name: a descriptor, or the pid."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class Step:
    """One call: its stage, its arguments, why the kernel wants it there, what it gives, how it is undone.

    ``call`` is a name in ``starter.CALLS``; ``gives`` names the result for a later ``Ref``;
    ``undo`` is a list of ``(name in state.UNDOS, argument…)``.
    """

    stage: str
    call: str
    args: tuple = ()
    why: str = ""
    gives: str | None = None
    undo: tuple = ()

    @property
    def shoes(self) -> str:
        return STAGES[self.stage].shoes

    def __str__(self) -> str:
        words = ", ".join(repr(value) for value in self.args)
        return f"{self.call}({words})" + (f" → {self.gives}" if self.gives else "")

    def data(self, index: int) -> list:
        """The step as plain data."""
        return [index, self.stage, self.call, [plain(value) for value in self.args]]


def plain(value):
    return {"ref": value.name} if isinstance(value, Ref) else value


class StepError(OSError):
    """A step failed: which one, with what errno, and what that means here.

    ``exit_code`` is Docker's: 127 for a command that was not found, 126 for one that cannot be run, else 125.
    """

    def __init__(self, step: Step, number: int, path: str | None, advice: str, words: str = ""):
        super().__init__(number, words or os.strerror(number), path)
        self.step, self.advice = step, advice

    @property
    def exit_code(self) -> int:
        if self.step.call != "execve":
            return 125
        return 127 if self.errno in (errno.ENOENT, errno.ENOTDIR) else 126

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        if self.step.call == "execve":
            text = f"cannot run {self.step.args[0][0]!r}: {self.advice or os.strerror(self.errno)}"
            return f"{text} ({name})"
        told = [*map(str, self.step.args), "/proc/self/fd"]
        where = f" on {self.filename!r}" if self.filename and not any(self.filename.startswith(one) for one in told) else ""
        text = f"step '{self.step.stage}' ({self.shoes_of}): {self.step}{where} failed: {name}, {self.strerror}"
        return text + (f"\n  {self.advice}" if self.advice else "")

    @property
    def shoes_of(self) -> str:
        return f"in the {self.step.shoes}"


class TimeLimit(TimeoutError):
    """A time limit passed; what ran was killed. ``output`` is what it had written by then."""

    def __init__(self, seconds: float, output: bytes = b"", words: str = ""):
        super().__init__(words or f"still running after {seconds:g} s: killed")
        self.output = output


# -- how it ended -------------------------------------------------------------------------


@dataclass(frozen=True)
class Exit:
    """How a process ended: Docker's exit code, the reason in words, and what it wrote."""

    code: int
    reason: str = ""
    output: bytes = b""
    errors: bytes = b""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")

    @property
    def signal(self) -> int | None:
        return self.code - 128 if self.code > 128 and in_words(self.code) else None

    def __repr__(self) -> str:
        return f"exit {self.code}" + (f": {self.reason}" if self.reason else "")


def in_words(code: int) -> str:
    """What Docker's and the shell's codes above 124 mean, as far as the number alone can tell."""
    if code <= 128:
        return ""
    try:
        return f"ended by signal {code - 128} ({signal.Signals(code - 128).name})"
    except ValueError:
        return ""


# -- interrupts -----------------------------------------------------------------------------


class Shield:
    """Ctrl-C may come between any two instructions; within a shield it comes only where ``opened`` allows it.

    Only the main thread ever gets a KeyboardInterrupt, so in any other thread this does nothing.
    """

    def __enter__(self) -> Shield:
        self.pending = self.open = False
        self.active = threading.current_thread() is threading.main_thread()
        if self.active:
            self.before = signal.signal(signal.SIGINT, self.handle)
        return self

    def handle(self, number, frame) -> None:
        if not self.open:
            self.pending = True
            return
        self.open = False  # a second one must not disturb the clean-up after the first
        self.deliver(number, frame)
        self.open = True  # the handler only took note (asyncio's does, the first time): stay open for the next

    def deliver(self, number: int = signal.SIGINT, frame=None) -> None:
        """What an interrupt means is for the caller's own handler to say; Python's raises KeyboardInterrupt."""
        if callable(self.before):
            self.before(number, frame)

    @contextmanager
    def opened(self):
        """Within this block an interrupt is delivered at once, one that came before included."""
        self.open = True
        try:
            if self.pending:
                self.pending = False
                self.handle(signal.SIGINT, None)
            yield
        finally:
            self.open = False

    def __exit__(self, *error) -> None:
        if self.active:
            signal.signal(signal.SIGINT, self.before)
            if self.pending and error[0] is None:
                self.deliver()


def completed(argv: Sequence[str], timeout: float | None = None, stdin=subprocess.DEVNULL, cwd=None) -> subprocess.CompletedProcess:
    """``subprocess.run`` with its output as text, for another's program. ``timeout`` in seconds.

    There an interrupt may come when the child is started and not yet noted, or it is not waited for: it stays, as a zombie. Not here.
    """
    how = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": cwd}
    with Shield() as shield, subprocess.Popen(argv, **how) as child:
        try:
            with shield.opened():
                out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            child.wait()
            raise
    return subprocess.CompletedProcess(argv, child.returncode, out, err)


@contextmanager
def scratch(kind: str, parent: str | os.PathLike | None = None) -> Iterator[str]:
    """A temporary folder, in ``parent`` if that is given. Its removal cannot be cut in half by an interrupt, nor its making be missed.

    What cannot be removed stays, and the leak check tells it.
    """
    with Shield() as shield:
        place = tempfile.mkdtemp(prefix=state.temporary(kind), dir=parent)
        try:
            with shield.opened():
                yield place
        finally:
            with suppress(OSError):
                state.rmtree(place)


# -- the starter's client ---------------------------------------------------------------------


class Starter:
    """This process's connection to its starter, which is made when it is first needed."""

    _current: Starter | None = None
    _making = threading.Lock()

    def __init__(self):
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)  # for a starter that stands still while its buffer is full
        self.pid, self.sock, self.lock = os.getpid(), ours, threading.Lock()
        python = getattr(sys, "_base_executable", None) or sys.executable
        with theirs:
            self.process = subprocess.Popen(
                [python, "-I", "-S", starter.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True, cwd="/",
                env=os.environ | {"LD_BIND_NOW": "1"},  # C functions looked up once, here, and not again in each child
            )  # fmt: skip

    @classmethod
    def current(cls) -> Starter:
        with cls._making:
            own = cls._current
            if own is None or own.pid != os.getpid() or own.process.poll() is not None:
                cls._current = own = cls()
            return own

    @classmethod
    def prepare(cls) -> None:
        """Start it now, so that it is ready when it is needed: that takes it some hundredths of a second, on another processor."""
        with Shield():
            cls.current()

    @classmethod
    def ask(cls, request: dict, fds: Sequence[int]) -> Starter:
        """Send a request to the starter; if that one has been killed or stands still, to a new one. Returns the one that has it."""
        own = cls.current()
        try:
            own.send(request, fds)
        except (ConnectionError, TimeoutError):
            own = cls.current()
            own.send(request, fds)
        return own

    def send(self, request: dict, fds: Sequence[int]) -> None:
        """Hand over one request; several threads may do so at once, each waits for its answer on its own line."""
        body = marshal.dumps(request)  # both ends are the same Python, and marshal costs no import there
        try:
            with self.lock:
                socket.send_fds(self.sock, [struct.pack("!I", len(body))], list(fds))
                self.sock.sendall(body)
        except (ConnectionError, TimeoutError):  # it may have half of the request, and would take the next one for the rest
            self.process.kill()
            self.process.wait()
            raise

    @classmethod
    def close(cls) -> None:
        own, cls._current = cls._current, None
        if own and own.pid == os.getpid():
            own.sock.close()
            try:
                own.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                own.process.kill()
                own.process.wait()


# -- plans ----------------------------------------------------------------------------------


@dataclass
class Plan:
    """A process and its list of ingredients, not started yet.

    ``argv`` and ``env`` are what the program gets; ``ingredients`` is anything with a ``steps()``;
    ``tty`` gives it a terminal; ``gate`` names a named pipe to wait at for ``start`` other than the caller (see ``Child.wait_for_start``).
    Raises ``StepError`` for the step that failed, after everything done so far was undone.
    """

    argv: Sequence[str]
    ingredients: Sequence = ()
    env: dict[str, str] | None = None
    tty: bool = False
    gate: str | None = None
    name: str = field(default_factory=state.new_id)
    about: dict = field(default_factory=dict)  # what else shall be on its record: which image, which layers

    def own_steps(self) -> list[Step]:
        """What every process needs, with or without ingredients."""
        env = dict(os.environ) if self.env is None else dict(self.env)
        steps = [Step("session", "setsid", (), "Ctrl-C at the caller's terminal is not for the container")]
        if self.tty:
            steps.append(Step("terminal", "terminal", (24, 80), "a pty of the container's own devpts"))
        else:
            steps.append(Step("session", "stdio", (), "0, 1 and 2 are the pipes or files that the caller gave"))
        return [
            *steps,
            Step("clone", "clone3", ([], None)),
            Step("wait", "wait_for_start", (self.gate,) if self.gate else (), "created; the caller says start"),
            Step("exec", "execve", ([os.fspath(word) for word in self.argv], env), "becomes the program"),
        ]

    @property
    def steps(self) -> list[Step]:
        """All steps, in the order of ``STAGES``; what the ingredients want of clone3 becomes one call."""
        steps = self.own_steps() + [step for one in self.ingredients for step in one.steps()]
        clones = [step for step in steps if step.call == "clone3"]
        kinds = sorted({kind for step in clones for kind in step.args[0]})
        cgroup = next((step.args[1] for step in clones if step.args[1]), None)
        why = "; ".join(step.why for step in clones if step.why)
        one = Step("clone", "clone3", (kinds, cgroup), why or "a child of the caller", gives="pid")
        return sorted([one, *(step for step in steps if step.call != "clone3")], key=lambda step: ORDER[step.stage])

    def __str__(self) -> str:
        lines, last = [], None
        for step in self.steps:
            if step.stage != last:
                lines.append(f"{step.stage}  [{step.shoes}]  {STAGES[step.stage].why}")
                last = step.stage
            lines.append(f"    {shorten(step)}" + (f"   # {step.why}" if step.why else ""))
        return "\n".join(lines)

    def create(self, stdin=subprocess.DEVNULL, stdout=None, stderr=None) -> Process:
        """Carry out everything up to the exec; the process then waits for ``start()``."""
        process = None
        try:
            with Shield() as shield:
                process = Process(self, stdin, stdout, stderr, shield)
        except BaseException:
            if process:  # the interrupt came when it was ready: nobody would ever hold it
                process.remove()
            raise
        return process

    def start(self) -> Process:
        """Create and start in the background; what it writes goes to a file, see ``Process.logs``."""
        process = self.create()
        try:
            process.start()
        except BaseException:
            process.remove()
            raise
        return process

    def run(self, stdin: bytes = b"", timeout: float | None = None, show: bool | Callable[[str], object] = True) -> Exit:
        """Run in the foreground until it ends: its output appears live, and comes back in the ``Exit``.

        ``show`` may be a function: it gets each piece of the output as text.

        ``timeout`` in seconds; a process that runs longer is killed and ``TimeLimit`` raised. An interrupt (Ctrl-C, the
        notebook's stop button) kills it too. In every case nothing is left when this returns or raises.
        """
        if self.tty and len(stdin) >= TYPED_AT_MOST:
            raise ValueError(f"stdin has {len(stdin)} bytes: nobody can type more than {TYPED_AT_MOST - 1} at a terminal before it is read")
        with Shield() as shield, memory_file(stdin) as source:
            pipes = Pipes(self.tty)
            try:
                process = Process(self, source, *pipes.given, shield, min(timeout or PATIENCE, PATIENCE))
                try:
                    process.start(shield)
                    pipes.attach(process, stdin)
                    return process.follow(pipes, timeout, show, shield)
                finally:
                    process.remove()
            finally:
                pipes.close()


def pid_of(pidfd: int) -> int:
    """The pid behind a pidfd, as this process sees it. See pidfd_open(2), /proc/PID/fdinfo."""
    rows = dict(line.split(":", 1) for line in linux.read(f"/proc/self/fdinfo/{pidfd}").splitlines())
    return int(rows["Pid"])


def shorten(step: Step, width: int = 150) -> str:
    """A step in one line; a long environment or argument list is cut."""
    text = str(step)
    return text if len(text) <= width else text[: width - 2] + "…)"


@contextmanager
def memory_file(content: bytes):
    """A file in memory that holds ``content``, ready to be read as somebody's standard input."""
    with open(os.memfd_create("stdin"), "r+b") as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


# -- the handle -------------------------------------------------------------------------------

LIVE: dict[int, Process] = {}
PATIENCE = 60  # seconds that a process may take from one message to the next while it is created
TYPED_AT_MOST = 4096  # bytes that a terminal keeps for a reader (termios(3), canonical mode)


class Process:
    """A process that a plan made: created, running or stopped.

    Made by ``Plan.create``. Use it as a context manager to have it removed at the block's end.
    """

    def __init__(self, plan: Plan, stdin, stdout, stderr, shield: Shield, patience: float = PATIENCE):
        self.plan, self.steps, self.patience = plan, plan.steps, patience
        self.state, self.pid, self.pidfd, self.master = "creating", 0, -1, -1
        self.exit: Exit | None = None
        self.killed_by_us = False
        self.refs: dict[str, int] = {}
        self.lock = threading.RLock()
        self.line: socket.socket | None = None
        self.log = tempfile.TemporaryFile(prefix="suitcase-") if stdout is None and not plan.tty else None
        self.undos: list[tuple] = []  # grows with each deed; the record names all of them before the first one
        self.created_at = time.monotonic()
        self.refuse_what_is_there()
        self.record: state.Record | None = None
        LIVE[id(self)] = self
        try:
            with self.lock:  # whoever wants to remove it meanwhile, in another thread, waits until it is whole
                self.create(stdin, stdout, stderr, shield)
        except BaseException:
            self.remove()
            raise

    # creating

    def refuse_what_is_there(self) -> None:
        """A folder that is there already is not ours: whoever cleans up after us, ``gc`` included, must not remove it."""
        for step in self.steps:
            if step.call == "mkdir" and step.undo and os.path.lexists(step.args[0]):
                raise self.failed(step, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), step.args[0]), step.args)

    def create(self, stdin, stdout, stderr, shield: Shield) -> None:
        self.do("prepare")
        self.undos += [undo for step in self.steps if step.shoes != CALLER for undo in step.undo]
        streams = (stdin, stdout, stderr)
        asked = self.ask(streams)
        try:
            self.write_record()
            self.do("provide")
        finally:
            self.be_born(asked, streams)
        self.do("map")
        self.tell(b"mapped")
        self.record.born(self.pid)  # while the process prepares itself: should we die now, it ends by itself
        self.close_refs()
        self.hear("created", shield)
        self.state, self.created_at = "created", time.monotonic()

    def write_record(self) -> None:
        """Name all undos on paper, before the first deed that has one. (A child that nobody answers any more ends by itself.)"""
        if self.record is None:
            undos = [undo for step in self.steps for undo in step.undo]
            self.record = state.Record(self.plan.name, undos, argv=list(self.plan.argv), **self.plan.about)

    def ask(self, streams) -> Starter:
        """Ask a starter for the process; the answer comes on a new line."""
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            return self.request(theirs, *streams)

    def be_born(self, asked: Starter, streams) -> None:
        """Wait until the process's pid is known; if the starter was killed meanwhile, ask once more."""
        try:
            self.meet(asked)
        except ConnectionError:
            self.line.close()
            self.meet(self.ask(streams))

    def meet(self, asked: Starter) -> None:
        """Hear the pid from the starter, or (it was killed after the clone) from the child itself."""
        dead = asked.sock.fileno()
        if linux.readable([self.line.fileno(), dead], self.patience) == [dead]:
            with suppress(OSError):
                self.line.send(b"who")  # a child that it had cloned already answers, else the line ends
        self.hear("pid")

    def do(self, *stages: str) -> None:
        """Carry out the caller's own steps of these stages."""
        for step in self.steps:
            if step.stage in stages:
                args = [plain(value) for value in step.args]
                if step.undo:
                    self.write_record()
                try:
                    result = starter.execute(step.call, args, self.refs)
                except OSError as error:
                    raise self.failed(step, error, args) from None
                self.undos += step.undo
                if step.gives:
                    self.refs[step.gives] = result

    def failed(self, step: Step, error: OSError, args) -> StepError:
        path = os.fsdecode(error.filename) if error.filename else None
        return StepError(step, error.errno, path, advise(step.call, args, error), error.strerror)

    def request(self, theirs: socket.socket, stdin, stdout, stderr) -> Starter:
        """Send the steps of go-between, starter and child to the starter, with every descriptor they refer to."""
        out = self.log if stdout is None else stdout
        with open(os.devnull, "r+b") as null:
            streams = [null if stream in (subprocess.DEVNULL, None) else stream for stream in (stdin, out)]
            streams.append(streams[1] if stderr is None else stderr)
            given = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True)) | {"line": theirs} | self.refs
            rows = [step.data(index) for index, step in enumerate(self.steps)]
            clone = next(row for row in rows if row[1] == "clone")
            request = {
                "fds": list(given),
                "join": [row for row in rows if row[1] == "join"],
                "clone": [clone[0], clone[2], clone[3]],
                "steps": [row for row in rows if STAGES[row[1]].shoes == CHILD],
            }
            fds = [stream if isinstance(stream, int) else stream.fileno() for stream in given.values()]
            return Starter.ask(request, fds)

    def hear(self, word: str, shield: Shield | None = None) -> None:
        """Take messages from the line until ``word`` comes; an error raises, the end of the line is one too."""
        while True:
            with shield.opened() if shield else nullcontext():  # an interrupt may end the waiting, never the taking
                if not linux.readable([self.line.fileno()], self.patience):
                    raise TimeLimit(self.patience, words=self.where_it_hangs())
            try:
                message, fds, flags, _ = socket.recv_fds(self.line, starter.MESSAGE, 4)
            except ConnectionResetError:  # it ended without reading what we had told it
                message, fds, flags = b"", [], 0
            if flags & socket.MSG_CTRUNC:
                raise self.too_many_open_files(marshal.loads(message))
            if not message and word == "exec":
                return  # exec cuts the line: that is the good end
            if not message:
                raise ConnectionError(f"the process ended before it said '{word}'{self.how_it_died(word)}")
            if self.understand(marshal.loads(message), fds) == word:
                return

    def too_many_open_files(self, message: dict) -> OSError:
        """A descriptor came and there was no place for it. A process that we cannot hold must not be left as a zombie either."""
        self.line.close()  # it ends by itself then
        if message.get("pid"):
            os.waitpid(message["pid"], 0)
        return OSError(errno.EMFILE, "no descriptor is left for the new process: close some, or raise the limit (ulimit -n)")

    def tell(self, word: bytes) -> None:
        """Say a word to the process; if it has died meanwhile, the next ``hear`` says so, and of what."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.line.send(word)

    def where_it_hangs(self) -> str:
        """The stage, from the title that the process gives itself."""
        with suppress(OSError):
            title = linux.read(f"/proc/{self.pid}/comm").strip()
            return f"the process stood still for {self.patience:g} s in stage '{title.removeprefix('suitcase:')}': killed"
        return f"no process was made within {self.patience:g} s"

    def how_it_died(self, word: str) -> str:
        """If it was killed while it prepared itself, by what."""
        if self.pidfd < 0:
            return ": was the starter killed? (dmesg tells if the machine ran out of memory)"
        return f": {reason}" if (reason := self.wait(5).reason) else ""

    def understand(self, message: dict, fds: list[int]) -> str:
        if "error" in message:
            step = next((one for one in self.steps if one.call == message["call"]), None)
            if message["step"] is not None:
                step = self.steps[message["step"]]
            raise StepError(step, message["error"], message["path"], message["advice"], message["words"])
        if "go_between" in message:
            os.waitid(os.P_PIDFD, fds[0], os.WEXITED)
            os.close(fds[0])
        if "pid" in message and self.pidfd >= 0:
            os.close(fds[0])  # both the starter and the child told it
        elif "pid" in message:
            self.pid, self.pidfd = message["pid"] or pid_of(fds[0]), fds[0]
            self.refs["pid"] = self.pid
        if "terminal" in message:
            self.master = fds[0]
        return next(iter(message))

    def close_refs(self) -> None:
        """Close the descriptors that ``prepare`` opened; the child has its own by now."""
        for name, fd in self.refs.items():
            if name != "pid":
                os.close(fd)
        self.refs = {"pid": self.pid}

    # running

    def start(self, shield: Shield | None = None) -> None:
        """Let the waiting process exec its program; raises ``StepError`` if it cannot."""
        with self.lock:
            if self.state != "created":
                raise RuntimeError(f"cannot start: the process is {self.state}")
            self.tell(b"start")
            self.state = "running"
            self.hear("exec", shield)
            self.line.close()

    def poll(self) -> Exit | None:
        """How it ended, or None if it has not."""
        return self._reap(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> Exit:
        """Wait until it has ended; ``TimeoutError`` (and nothing killed) if that takes longer than ``timeout`` seconds."""
        with Shield() as shield, self.watched() as pidfd, shield.opened():
            if pidfd is not None and not linux.readable([pidfd], timeout):
                raise TimeoutError(f"still running after {timeout:g} s")
        return self._reap(0)

    @contextmanager
    def watched(self):
        """A pidfd to wait at, or None if it has ended: one's own, as another thread may remove the process meanwhile."""
        with self.lock:
            pidfd = os.dup(self.pidfd) if self.exit is None else None
        try:
            yield pidfd
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def _reap(self, flags: int) -> Exit | None:
        with self.lock:
            if self.exit is not None:
                return self.exit
            try:
                found = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | flags)
            except ChildProcessError:  # e.g. os.wait() in a notebook cell
                code, reason = 255, "exit code unknown: another part of this program waited for it"
            else:
                if found is None:
                    return None
                killed = found.si_code != os.CLD_EXITED  # a program may also *say* 137 (a shell does, of its child)
                code = 128 + found.si_status if killed else found.si_status
                reason = self.explain(code) if killed else self.hint()
            self.state = "stopped"
            self.exit = Exit(code, reason, seconds=time.monotonic() - self.created_at)
            return self.exit

    def explain(self, code: int) -> str:
        """Why a signal ended it: we sent it, or an ingredient knows (a limit), else what the number says."""
        if code == 128 + signal.SIGKILL and self.killed_by_us:
            return "; ".join(filter(None, [in_words(code), self.hint()]))
        return self.ask_ingredients("why_killed", code) or in_words(code)

    def hint(self) -> str:
        """What an ingredient knows about the time before the end, e.g. that a limit struck a child of it."""
        return self.ask_ingredients("what_happened")

    def ask_ingredients(self, question: str, *words) -> str:
        answers = (getattr(one, question)(*words) for one in self.plan.ingredients if hasattr(one, question))
        return next(filter(None, answers), "")

    def follow(self, pipes: Pipes, timeout: float | None, show: bool, shield: Shield) -> Exit:
        """Copy the output live until the process ends, then take what is still in the pipes."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.watched() as pidfd:
            while pidfd is not None:
                left = None if deadline is None else max(0, deadline - time.monotonic())
                with shield.opened():  # not around the whole: what ``watched`` has just opened would be left open
                    ready = pipes.wait(pidfd, left)
                    pipes.copy(show)
                if pidfd in ready:
                    break
                if left == 0:
                    raise TimeLimit(timeout, pipes.content(0))
        self.kill_group()
        pipes.finish(show)
        return replace(self.wait(), output=pipes.content(0), errors=pipes.content(1))

    def signal(self, number: int) -> None:
        """Send a signal; one that comes too late is no error."""
        with self.lock, suppress(ProcessLookupError):
            if self.exit is None and self.pidfd >= 0:
                self.killed_by_us |= number == signal.SIGKILL and self.poll() is None
                signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> Exit:
        """SIGKILL, and wait; then for all that is left in its cgroup. A frozen process dies only after a thaw."""
        with self.lock:
            self.signal(signal.SIGKILL)
            if self.exit is None and not linux.readable([self.pidfd], 0.05):
                state.kill_groups(self.undos)
            ended = self._reap(0)
        state.kill_groups(self.undos)
        return ended

    def kill_group(self) -> None:
        """What it started in the background goes with it, also where no PID namespace sees to that.

        Only while nobody has waited for it: until then no other group can have got its number.
        """
        with self.lock, suppress(ProcessLookupError, PermissionError):
            if self.exit is None and self.pid:
                os.killpg(self.pid, signal.SIGKILL)

    def stop(self, timeout: float = 10) -> Exit:
        """As ``docker stop``: SIGTERM, then after ``timeout`` seconds SIGKILL."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except TimeoutError:
            ended = self.kill()
            if ended.code == 128 + signal.SIGKILL:
                self.exit = replace(ended, reason=f"did not end within {timeout:g} s of SIGTERM, so SIGKILL followed")
            return self.exit

    def logs(self) -> bytes:
        """What it has written so far (processes made by ``start``)."""
        if self.log is None:
            raise RuntimeError("the output of this process went elsewhere")
        return os.pread(self.log.fileno(), os.fstat(self.log.fileno()).st_size, 0)

    # the end

    def let_go(self) -> None:
        """Forget it without ending it: somebody else (an OCI caller) looks after it from now on, and has its undos."""
        with self.lock:
            LIVE.pop(id(self), None)
            self.record.save(owner=None)
            os.close(self.pidfd)
            self.line.close()
            self.pidfd, self.state = -1, "let go"

    def remove(self) -> None:
        """Kill it if it still runs, wait for it, undo every step that has an undo; errors are raised together at the end.

        An interrupt waits until that is done: half a removal would never be finished, as nobody holds the process any more.
        """
        with Shield(), self.lock:
            if LIVE.pop(id(self), None) is not None:
                self.take_apart()

    def take_apart(self) -> None:
        if self.line:
            self.line.close()
        if self.pidfd >= 0:
            self.kill_group()
            self.kill()
            os.close(self.pidfd)
        self.close_refs()
        if self.log:
            self.log.close()
        if self.master >= 0:
            os.close(self.master)
        self.pidfd = self.master = -1
        self.state = "removed"
        state.undo_all(self.undos)
        if self.record:  # what could not be undone stays on record: gc tries again when we have ended
            self.record.remove()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<{self.plan.name} {self.state}: {' '.join(self.plan.argv)}>"


# -- output ---------------------------------------------------------------------------------

PIPE_AT_MOST = 1 << 20  # bytes that a pipe can hold (pipe(7), pipe-max-size)
KEEP = 16 << 20  # bytes of output that an Exit holds at most: the last ones


class Pipes:
    """The caller's ends of a foreground process's output: two pipes, or one terminal."""

    def __init__(self, tty: bool):
        self.readers, self.given, self.tty = [], [None, None], tty
        self.kept = [bytearray(), bytearray()]
        self.decoders = [codecs.getincrementaldecoder("utf-8")(errors="replace") for _ in range(2)]
        for number in range(0 if tty else 2):
            try:
                reader, self.given[number] = os.pipe2(os.O_CLOEXEC)
            except OSError:  # too many open files
                self.close()
                raise
            self.readers.append(reader)
        self.open = list(self.readers)

    def attach(self, process: Process, typed: bytes) -> None:
        """After the start: close the process's ends of the pipes, or take over its terminal and type ``typed``."""
        for number in range(2):
            if self.given[number] is not None:
                os.close(self.given[number])
                self.given[number] = None
        if self.tty:
            self.readers = [os.dup(process.master)]
            self.open = list(self.readers)
            os.write(process.master, typed)

    def wait(self, pidfd: int, timeout: float | None) -> list[int]:
        return linux.readable([pidfd, *self.open], timeout)

    def copy(self, show: bool) -> bool:
        """Take what is in the pipes right now; False if there was nothing."""
        some = False
        for reader in linux.readable(self.open, 0):
            try:
                data = os.read(reader, 1 << 16)
            except OSError:  # EIO: the last user of the terminal has gone
                data = b""
            if not data:
                self.open.remove(reader)
                continue
            some = True
            self.take(self.readers.index(reader), data, show)
        return some

    def take(self, number: int, data: bytes, show: bool, final: bool = False) -> None:
        kept = self.kept[number]
        kept += data
        del kept[: max(0, len(kept) - KEEP)]
        if show and (text := self.decoders[number].decode(data, final)):
            if callable(show):
                show(text)
                return
            stream = (sys.stdout, sys.stderr)[number]
            stream.write(text)
            stream.flush()

    def finish(self, show: bool) -> None:
        """Empty the pipes, but do not wait for their end: a process left behind may hold them open, and write, for ever."""
        for _ in range(PIPE_AT_MOST >> 16):
            if not self.copy(show):
                break
        for number in range(len(self.readers)):
            self.take(number, b"", show, final=True)  # half a character may be left

    def content(self, number: int) -> bytes:
        return bytes(self.kept[number])

    def close(self) -> None:
        for fd in [*self.readers, *self.given]:
            if fd is not None:
                os.close(fd)
        self.readers, self.given, self.open = [], [], []


def ours() -> list[Process]:
    """Every process that this Python still holds; not those of a parent that we were forked from."""
    own = state.Owner._current
    if own is None or own.pid != os.getpid():
        return []
    return [one for one in list(LIVE.values()) if one.record and one.record.facts["maker"] == own.name]


def remove_all() -> None:
    """Remove every process that this Python still holds; go on after an error, and raise all errors together.

    All are killed before the first is waited for: the kernel takes one apart while we clean up after another.
    """
    errors, processes = [], ours()
    for process in processes:
        process.signal(signal.SIGKILL)
    for process in processes:
        try:
            process.remove()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some processes could not be removed", errors)


def say_goodbye() -> None:
    """At the end of this Python: nothing of ours outlives it."""
    remove_all()
    Starter.close()
    own = state.Owner._current
    if own and own.pid == os.getpid():
        Path(own.path).unlink(missing_ok=True)


def after_fork() -> None:
    """In a forked child: a lock that another thread of the parent held just then would stay locked here for ever."""
    Starter._making, state.Owner._making, state.Record._naming = threading.Lock(), threading.Lock(), threading.Lock()


atexit.register(say_goodbye)
os.register_at_fork(after_in_child=after_fork)
