"""What the command does before anything else, so that it starts in a few hundredths of a second.

Most of that time goes into modules which click and we import, and which most commands never use: those wait until somebody does.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lib.lazy import put_off, stand_in

# Modules of Python's own, of 0.3 to 3 ms each.
SELDOM_USED = (
    "copy", "fnmatch", "hashlib", "ipaddress", "linecache", "locale", "ntpath", "queue", "random", "secrets", "shutil", "tempfile",
    "tokenize", "traceback",
)  # fmt: skip


@contextmanager
def without_delay() -> Iterator[None]:
    """A command is short and leaves little garbage: within this block that is hardly ever collected.

    At the end, when threads have been waited for and everybody has said goodbye (see ``atexit``), Python would take apart module by module.
    The kernel does that faster.
    """
    gc.set_threshold(200_000)
    codes: list[int] = []
    atexit.register(leave, codes)  # the first one is called last
    try:
        yield
    except SystemExit as end:
        codes += [end.code] if isinstance(end.code, int) else []
        raise


def leave(codes: list[int]) -> None:
    """With the exit code, if there is one: of anything else Python has something to tell, as of what cannot be written."""
    for code in codes:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def travel_light() -> None:
    """Put stand-ins where modules would be imported that few commands use. This is for a process of our own: see ``lib.lazy.put_off``."""
    put_off(SELDOM_USED)
    without_what_click_hardly_uses()
    without_what_only_imports_use()
    without_plugins()


def without_what_click_hardly_uses() -> None:
    """Of some modules (8 ms, with what they import) click wants one thing each: the rest of them comes when somebody asks for it.

    Translations there are none. ``uuid`` asks on which system it is. A help text of several lines is left to the real ``inspect``.
    As long as nobody has asked for more of ``threading``, there is no thread that Python would have to wait for at its end.
    """
    inspect = stand_in("inspect")

    def cleandoc(text: str) -> str:
        if "\n" not in text:
            return text.strip()
        del inspect.cleandoc
        return inspect.cleandoc(text)

    inspect.cleandoc = cleandoc
    sys.modules.setdefault("inspect", inspect)
    sys.modules.setdefault("gettext", stand_in("gettext", gettext=str, ngettext=lambda one, more, count: one if count == 1 else more))
    sys.modules.setdefault("platform", stand_in("platform", system=lambda: "Linux"))
    threading = stand_in("threading", local=_thread._local, get_native_id=_thread.get_native_id, _shutdown=lambda: None)
    sys.modules.setdefault("threading", threading)


def without_what_only_imports_use() -> None:
    """click has options for moments and for UUIDs (we have none), a path can be told as a URL: whoever needs these modules gets them."""

    def quote_from_bytes(path: bytes) -> str:
        from urllib import parse

        return parse.quote_from_bytes(path)

    parse = {"quote_from_bytes": quote_from_bytes}
    with meanwhile({"datetime": {"datetime": object}, "uuid": {"UUID": object}, "urllib.parse": parse}):
        for name in ("click", "pathlib"):
            importlib.import_module(name)


@contextmanager
def meanwhile(stands: dict[str, dict[str, object]]) -> Iterator[None]:
    """Within this block a stand-in is imported in the place of each of these modules; later on, the module."""
    put = {name: stand_in(name, **known) for name, known in stands.items() if name not in sys.modules}
    sys.modules |= put
    try:
        yield
    finally:
        for name, module in put.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def without_plugins() -> None:
    """pydantic asks every package that is installed whether it has a plugin for it. None has, and the asking takes as long as the reading
    of a Compose file. Whoever wants something else of that module gets the real one.
    """
    importlib.metadata = sys.modules.setdefault("importlib.metadata", stand_in("importlib.metadata", entry_points=lambda **which: ()))
