"""Root file systems to start from: busybox without any network, a real Debian by mmdebstrap; each made once."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.needs import requires

from lib import bases, run, state


@requires("root", "busybox")
def test_busybox_is_made_once_also_when_many_ask_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        (place,) = set(pool.map(lambda _: bases.busybox(), range(8)))
    assert os.readlink(f"{place}/bin/sh") == "busybox" and os.listdir(tmp_path / "bases") == [os.path.basename(place)]


def test_a_machine_without_busybox_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    with pytest.raises(FileNotFoundError, match="apt-get install busybox-static"):
        bases.busybox()


def test_a_half_made_base_is_never_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path))

    def breaks(root):
        (root / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bases.cached("broken", breaks)
    assert os.listdir(state.folder("bases")) == []


@requires("root", "overlay", "mmdebstrap")
@pytest.mark.timeout(400)
def test_a_real_debian_is_cached_and_runs():
    place = bases.debian()
    made = os.stat(place).st_mtime_ns
    assert bases.debian() == place and os.stat(place).st_mtime_ns == made
    done = run("debian", ["python3", "-c", "import platform; print(platform.freedesktop_os_release()['ID'])"], show=False)
    assert done.text.strip() in ("debian", "ubuntu")
