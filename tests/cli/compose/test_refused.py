"""A value that means nothing is found before anything is made, whatever verb would have made it."""

from __future__ import annotations

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires

pytestmark = requires("root", "overlay", "busybox")
FILE = f"""
services:
  db: &box {{image: {BUSYBOX}, command: sleep 1000, stop_signal: SIGKILL}}
  web:
    <<: *box
    depends_on: [db]
    mac_address: zz
"""


@pytest.mark.parametrize("line", ["up -d", "create", "run web", "--dry-run up"])
def test_nothing_is_made(compose, line):
    compose.write(FILE)
    assert compose("config").code == 0, "as with Compose, whose daemon would say it"
    assert f"{compose.file}:7:5: services.web.mac_address: zz is not a valid mac address" in compose(line, 1).err
    assert compose.host("ps -aq").out == compose.host("network ls -q --filter type=custom").out == ""
    compose("up -d db")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("user: nosuch", "compose.yaml:5:5: services.web.user: unable to find user nosuch:"),
        ("user: '0:nosuch'", "compose.yaml:5:5: services.web.user: unable to find group nosuch"),
        ("group_add: [nosuch]", "compose.yaml:5:5: services.web.group_add: unable to find group nosuch"),
    ],
)
def test_a_user_whom_the_image_does_not_have_is_told_with_the_place(compose, keys, words):
    compose.write(f"services:\n  web:\n    image: {BUSYBOX}\n    network_mode: none\n    {keys}\n")
    assert words in compose("up -d", 1).err
