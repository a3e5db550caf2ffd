"""``develop.watch``: which file's change does what, as a play without a disk."""

from __future__ import annotations

import pytest

from lib.build.ignore import Ignore
from lib.cli.compose.watch.rules import Deeds, deeds, rules
from lib.compose.model import Build, Develop, Project, Service
from lib.compose.model.life import Hook, Watch

HOME = "/home/me/shop"


def project(*lines: dict, **service) -> Project:
    watch = [Watch(**{"path": HOME, "target": "/app", "action": "sync", **line}) for line in lines]
    return Project(name="demo", services={"web": Service(name="web", develop=Develop(watch=watch), **service)})


def done(changed: list[str], *lines: dict, gone: tuple = (), ignores: dict | None = None, **service) -> Deeds:
    found = rules(project(*lines, **service), ["web"], ignores or {})
    return deeds(found, [f"{HOME}/{one}" for one in changed], [f"{HOME}/{one}" for one in gone])


def test_a_file_is_copied_to_its_place():
    found = done(["a.py", "lib/b.py"], {}, gone=("old.py",))
    assert found.copied == {"web": [(f"{HOME}/a.py", "/app/a.py"), (f"{HOME}/lib/b.py", "/app/lib/b.py")]}
    assert found.removed == {"web": [(f"{HOME}/old.py", "/app/old.py")]} and not found.restarted and not found.rebuilt


def test_a_path_may_be_a_file():
    assert done(["a.py", "a.python"], {"path": f"{HOME}/a.py", "target": "/b.py"}).copied == {"web": [(f"{HOME}/a.py", "/b.py")]}


@pytest.mark.parametrize("name", [".git/index", "sub/.git/HEAD", "a.py~", ".a.py.swp", "sub/.#a.py", "__pycache__/a.pyc"])
def test_what_editors_and_version_control_leave_is_nobodys_business(name):
    assert not done([name], {}).any


def test_ignored_and_included():
    assert not done(["node_modules/x/y.js", "a.log"], {"ignore": ["node_modules/", "*.log"]}).any
    assert done(["a.py", "a.txt", "sub/b.py"], {"include": ["**/*.py"]}).copied["web"] == [
        (f"{HOME}/a.py", "/app/a.py"), (f"{HOME}/sub/b.py", "/app/sub/b.py")
    ]  # fmt: skip


def test_what_a_build_does_not_see_changes_nothing():
    found = done(["a.md", "a.py"], {"action": "rebuild"}, ignores={HOME: Ignore(["*.md"])}, build=Build(context=HOME))
    assert found.rebuilt == ["web"]
    assert not done(["a.md"], {"action": "rebuild"}, ignores={HOME: Ignore(["*.md"])}, build=Build(context=HOME)).any


def test_several_actions():
    assert done(["x"], {"action": "restart"}) == Deeds({}, {}, ["web"], {}, [])
    assert done(["x", "y"], {"action": "sync+restart"}).restarted == ["web"], "once, however many files"
    found = done(["x"], {"action": "sync+exec", "exec": Hook(command=["make"])})
    assert [line.exec.command for line in found.told["web"]] == [["make"]] and found.copied["web"]


def test_what_is_rebuilt_need_not_be_copied_to_or_restarted():
    lines = ({}, {"action": "sync+restart"}, {"action": "rebuild", "path": f"{HOME}/Dockerfile"})
    assert done(["a.py", "Dockerfile"], *lines, build=Build(context=HOME)) == Deeds({}, {}, [], {}, ["web"])


def test_what_cannot_be_meant():
    with pytest.raises(ValueError, match='can\'t watch service "web" with action rebuild without a build context'):
        done([], {"action": "rebuild"})
    with pytest.raises(ValueError, match="needs a target"):
        done([], {"target": ""})
