"""``python -m lib.cli``: the command ``suitcase``. Its launcher (tools/setup.sh writes it) starts this file without Python's ``site``.

That reads every .pth file of the packages, and one of them maps an editable install: together more time than listing containers takes.
All that we need of it are two folders, that of ``lib`` and that of the packages.
"""

import atexit
import gc
import sys

# Modules of Python's own that click and ours import, and most commands never use. Each costs 1 to 3 ms.
SELDOM_USED = ("hashlib", "ipaddress", "linecache", "random", "secrets", "shutil", "tempfile", "tokenize", "traceback")


def find_ours_and_the_packages() -> None:
    """Behind Python's own library, so that nothing can stand in for a module of that."""
    packages = "lib/python{}.{}/site-packages".format(*sys.version_info)
    sys.path += [__file__.removesuffix("/lib/cli/__main__.py"), f"{sys.executable.removesuffix('/bin/python')}/{packages}"]


def hurry() -> None:
    """A command is short and leaves little garbage: collect it seldom, and at the end leave all that is there to the kernel."""
    gc.set_threshold(200_000)
    atexit.register(gc.freeze)


def without_what_click_hardly_uses() -> None:
    """Of three modules (8 ms, with what they import) click wants one thing each: the rest of them comes when somebody asks for it.

    Translations there are none. ``uuid`` asks on which system it is. A help text of several lines is left to the real ``inspect``.
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


def without_plugins() -> None:
    """pydantic asks every package that is installed whether it has a plugin for it. None has, and the asking takes as long as the reading
    of a Compose file. Whoever wants something else of that module gets the real one.
    """
    import importlib

    importlib.metadata = sys.modules.setdefault("importlib.metadata", stand_in("importlib.metadata", entry_points=lambda **which: ()))


hurry()
if not __package__:
    find_ours_and_the_packages()

from lib.lazy import put_off, stand_in  # noqa: E402

put_off(SELDOM_USED)
without_what_click_hardly_uses()
without_plugins()

from lib.cli.main import main  # noqa: E402

main(prog_name="suitcase")
