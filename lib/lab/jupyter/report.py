"""What came of a batch: a line for each chapter, ``report.json`` for programs, ``index.html`` for people."""

from __future__ import annotations

import html
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from lib.atomicfile import atomic_file
from lib.lab.jupyter.chapterlist import CHAPTERS
from lib.lab.jupyter.page import cover, picture_of
from lib.lab.jupyter.worker import Job


def verdict(job: Job) -> str:
    """One line for one chapter; the failing cell is named."""
    line = f"{job.chapter}  {job.status:<11} {job.seconds:6.1f} s"
    if not job.error or job.status == "interrupted":
        return line
    cell = job.error["cell"]
    where = f"cell {cell['index']} (id {cell['id']}): " if cell else ""
    return f"{line}  {where}{job.error['name']}: {job.error['message'].strip().splitlines()[0] if job.error['message'].strip() else ''}"


def write_report(folder: Path, jobs: list[Job], seconds: float, code: int) -> None:
    """``report.json`` for programs, ``index.html`` for people."""
    rows = [{key: value for key, value in asdict(job).items() if key != "done"} for job in jobs]
    report = {"exit_code": code, "seconds": round(seconds, 2), "python": sys.version.split()[0], "chapters": rows}
    with atomic_file(folder / "report.json") as file:
        file.write(f"{json.dumps(report, indent=1)}\n".encode())
    (folder / "index.html").write_text(cover([row(job) for job in jobs]))


def row(job: Job) -> tuple[str, str, str, str]:
    """What the first page says of a chapter."""
    chapter = next(one for one in CHAPTERS if one.number == job.chapter)
    words, page = f"{int(chapter.number)}. {html.escape(chapter.title)}", html.escape(os.path.basename(job.page))
    heading = f'<a href="{page}">{words}</a>' if os.path.exists(job.page) else words
    picture = picture_of(job.executed) if os.path.exists(job.executed) else ""
    return heading, chapter.about, f"This run: {job.status}, {job.seconds:.0f} s.", picture


def summary(folder: Path, jobs: list[Job], seconds: float) -> str:
    lines = ["", f"{sum(job.status == 'ok' for job in jobs)} of {len(jobs)} chapters ran whole, {seconds:.0f} s in all. Look here:"]
    for job in jobs:
        lines.append(f"  {verdict(job)}")
        if job.status != "not run":
            lines += [f"      {path}" for path in (job.executed, job.page, job.log) if os.path.exists(path)]
    places = [f"  all pages: {folder / 'index.html'}   (browser on another machine? USING.md tells the way)"]
    return "\n".join([*lines, *places, f"  as JSON:   {folder / 'report.json'}"])
