"""The batch's workers side by side: started, listened to, shown as one bar, and ended, however the batch ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict

from lib.lab.jupyter.chapterlist import CHAPTERS, ROOT
from lib.lab.jupyter.report import verdict
from lib.lab.jupyter.worker import Job

GRACE = 20  # seconds that a chapter gets to end its kernel after an interrupt


class Stop(BaseException):
    """A signal has asked the batch to end."""

    def __init__(self, number: int):
        self.number = number


class Bar:
    """All cells of all chapters on one line of the terminal; without a terminal, a line for each chapter."""

    def __init__(self, jobs: list[Job]):
        self.jobs, self.began = jobs, time.monotonic()
        self.live = sys.stderr.isatty()
        self.drawn = 0

    def draw(self) -> None:
        if not self.live:
            return
        total, done = sum(job.cells for job in self.jobs) or 1, sum(job.done for job in self.jobs)
        running = " ".join(f"{job.chapter} cell {job.done}/{job.cells}" for job in self.jobs if job.status == "running")
        filled = 30 * done // total
        seconds = int(time.monotonic() - self.began)
        line = f"[{'█' * filled}{'·' * (30 - filled)}] {done}/{total} cells  {seconds // 60}:{seconds % 60:02}  {running}"
        sys.stderr.write("\r" + line.ljust(self.drawn))
        sys.stderr.flush()
        self.drawn = len(line)

    def say(self, text: str) -> None:
        if self.live:
            sys.stderr.write("\r" + " " * self.drawn + "\r")
        print(text, file=sys.stderr, flush=True)
        self.draw()


class Running:
    """A worker, as the parent sees it."""

    def __init__(self, job: Job):
        self.job, self.began, self.tail = job, time.monotonic(), b""
        self.pipe, theirs = os.pipe()
        log = open(job.log, "wb")
        command = [sys.executable, "-m", "lib.lab.jupyter.batch", "--worker", json.dumps(asdict(job)), "--channel", str(theirs)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        # A session of its own: Ctrl-C in the terminal reaches the parent, which passes it on once.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs], env=environment, start_new_session=True
        )
        os.close(theirs)
        log.close()
        job.status = "running"

    def listen(self) -> bool:
        """Take in what the worker says; False once it has hung up."""
        data = os.read(self.pipe, 65536)
        *lines, self.tail = (self.tail + data).split(b"\n")
        for line in lines:
            for word, value in json.loads(line).items():
                setattr(self.job, word, value)
        return bool(data)

    def finish(self) -> None:
        code = self.process.wait()
        os.close(self.pipe)
        job = self.job
        job.seconds = round(time.monotonic() - self.began, 2)
        if job.error is None and (code or job.done < job.cells or not job.cells):
            job.error = {"name": "WorkerDied", "message": f"the chapter's process ended with {code}: see {job.log}", "cell": None}
        if job.status == "running":
            job.status = "failed" if job.error else "ok"
        with contextlib.suppress(OSError):
            if not os.path.getsize(job.log):
                os.unlink(job.log)

    def stop(self, number: int) -> None:
        self.job.status = "interrupted"
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


def may_start(job: Job, running: list[Running], jobs_at_once: int) -> bool:
    """Chapters that measure times run alone."""
    alone = {one.number for one in CHAPTERS if one.alone}
    if running and (job.chapter in alone or any(one.job.chapter in alone for one in running)):
        return False
    return len(running) < jobs_at_once


def run_all(jobs: list[Job], at_once: int, bar: Bar) -> None:
    """Run the jobs; a ``Stop`` ends them all, gently first, and is raised again."""
    waiting, running = list(jobs), []
    try:
        while waiting or running:
            while waiting and may_start(waiting[0], running, at_once):
                running.append(Running(waiting.pop(0)))
            ready, _, _ = select.select([one.pipe for one in running], [], [], 0.5)
            for one in [one for one in running if one.pipe in ready and not one.listen()]:
                running.remove(one)
                one.finish()
                bar.say(verdict(one.job))
            bar.draw()
    except BaseException:
        end(running)
        for one in running:
            bar.say(verdict(one.job))
        raise


def end(running: list[Running]) -> None:
    """End every worker: SIGINT, so that it ends its kernel and saves; after ``GRACE`` seconds, or at a second Ctrl-C, SIGKILL.

    A killed worker's kernel ends by itself: it watches its parent.
    """
    for one in running:
        one.stop(signal.SIGINT)
    deadline = time.monotonic() + GRACE
    try:
        for one in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(max(0.1, deadline - time.monotonic()))
    except Stop:
        pass
    for one in running:
        if one.process.poll() is None:
            one.stop(signal.SIGKILL)
        while one.listen():
            pass
        one.job.status = "interrupted"
        one.finish()
