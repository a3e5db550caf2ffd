from __future__ import annotations

from helpers.needs import requires
from helpers.projects import project, service

from lib.compose.acting import Down

pytestmark = requires("root", "overlay", "busybox")


def test_up_and_down(bench):
    wanted = project(service("db"), service("web", depends_on={"db": {}}))
    bench.do(wanted)
    assert bench.seen() == {"demo-db-1": "running", "demo-web-1": "running"}
    assert str(bench.do(wanted).those("began")) == "[]"
    bench.do(wanted, Down())
    assert bench.seen() == {}
