"""The words of --chmod, beside the real chmod(1)."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess

import pytest

from lib.dockerfile import modes

TEXTS = [
    "755",
    "0",
    "4711",
    "u=rwX,go=rX",
    "+x",
    "+w",
    "=r",
    "-rwx",
    "a+rx",
    "ug+s",
    "+s",
    "+t",
    "o+t",
    "u-s,g-s",
    "g=u",
    "o=g",
    "a=u",
    "u=o",
    "go-rwx",
    "u+",
    "u=rwx,g=rx,o=",
    "u+r-w+x",
    "=",
    "a=",
    "u=,g=",
    "+X",
    "g+X",
    "a=X",
    "u=s",
    "g=s",
    "=s",
    "o=rwxt",
    "uo+w",
    "ugo=rw,+X",
    "g-w,o=g",
]
OLD = [0o600, 0o644, 0o700, 0o4755, 0o2775, 0o1777, 0o070, 0o6000, 0]
NO_MODE = ["X", "", "x+", "u", "u=rwy", "8", "12345", "u=rw,", ",u=r", "u=r g=r", "b+r", "u=ug"]


def test_as_chmod_has_them(tmp_path):
    """Every text for every old mode, on a file and on a folder."""
    wrong = []
    for text in TEXTS:
        places = {}
        for old, folder in itertools.product(OLD, (False, True)):
            place = tmp_path / f"{text}-{old:o}-{folder}"
            place.mkdir() if folder else place.touch()
            place.chmod(old)
            places[place] = old, folder
        # digits leave a folder's set-ID bits alone in GNU's; in a Dockerfile they say all of it
        text_for_chmod = f"{int(text, 8):05o}" if text.isdigit() else text
        subprocess.run(["chmod", "--", text_for_chmod, *places], check=True, umask=0o022, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        for place, (old, folder) in places.items():
            if (found := modes.parse(text)(old, folder)) != (real := stat.S_IMODE(place.stat().st_mode)):
                wrong.append((text, oct(old), folder, oct(found), oct(real)))
    assert wrong == []


@pytest.mark.parametrize("text", NO_MODE)
def test_no_mode(text):
    with pytest.raises(modes.BadMode):
        modes.parse(text)
