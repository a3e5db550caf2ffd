"""A database in a volume, while somebody writes into it: whoever is killed, what it has said to be written stays written."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX, shoot
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import bases, linux
from lib.engine import ending
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox", "mmdebstrap")

# The programs are those of chapter 5's Debian; to mount them takes no time, to make an image of them would.
FILE = """
name: data
x-programs: &programs
  image: {busybox}
  stop_signal: SIGKILL
  environment: &env {{LC_ALL: C, PATH: "{postgres}:/usr/bin:/bin"}}
services:
  db:
    <<: *programs
    command: sh /files/start.sh
    stop_signal: SIGINT
    volumes: &volumes [{mounts}, "orders:/data"]
    healthcheck: {{test: "psql -h /tmp -U nobody -d postgres -c 'select n from orders limit 1'", interval: 100ms, retries: 200}}
  writer:
    <<: *programs
    command: python3 /files/writer.py
    volumes: [{mounts}]
    depends_on: {{db: {{condition: service_healthy}}}}
volumes:
  orders:
"""
START = """
nobody="/usr/bin/setpriv --reuid nobody --regid nogroup --clear-groups"
if [ ! -e /data/pg/PG_VERSION ]; then
    install -d -o nobody -g nogroup -m 700 /data/pg
    $nobody initdb -D /data/pg -A trust --no-sync
    echo 'host all all all trust' >> /data/pg/pg_hba.conf
    echo 'create table orders (n integer)' | $nobody postgres --single -D /data/pg postgres
fi
exec $nobody postgres -D /data/pg -k /tmp -c 'listen_addresses=*'
"""
WRITER = """
import itertools, os, threading, time
import psycopg2

numbers = itertools.count()

def write():
    while True:
        try:
            line = psycopg2.connect("host=db user=nobody dbname=postgres")
            line.autocommit = True
            for number in numbers:
                line.cursor().execute("insert into orders values (%s)", (number,))
                os.write(1, b"%d\\n" % number)
                time.sleep(0.01)
        except psycopg2.Error:
            time.sleep(0.02)

for _ in range(3):
    threading.Thread(target=write).start()
"""


class Shop:
    """The database, and its writer, who prints the number of each row as soon as he is told that it is written."""

    def __init__(self, base: Path, compose):
        files = compose.file.parent
        mounts = [f"{base}/usr:/usr:ro", f"{base}/usr/lib:/lib:ro", f"{base}/usr/lib64:/lib64:ro", f"{files}:/files:ro"]
        (postgres,) = (path.relative_to(base) for path in base.glob("usr/lib/postgresql/*/bin"))
        (files / "start.sh").write_text(START)
        (files / "writer.py").write_text(WRITER)
        compose.write(FILE.format(busybox=BUSYBOX, postgres=f"/{postgres}", mounts=", ".join(f'"{one}"' for one in mounts)))
        self.compose = compose

    def written(self) -> set[str]:
        return set(self.compose("logs --no-log-prefix writer").out.split())

    def there(self) -> set[str]:
        return set(self.compose("exec -T db psql -h /tmp -U nobody -d postgres -Atc 'select n from orders'").out.split())

    def goes_on(self) -> None:
        """More is written, and all that was written is there."""
        before = len(self.written())
        wait_for(lambda: len(self.written()) > before + 20)
        written = self.written()
        assert written <= self.there(), "a row is lost that was said to be written"

    def database(self) -> dict:
        return next(one for one in kept.every() if one["name"] == "data-db-1")


@pytest.fixture(scope="module")
def debian() -> Path:
    """Looked for before the host has a store of its own, where there is none."""
    return Path(bases.find("shop"))


@pytest.mark.timeout(120)
def test_no_row_is_lost_whoever_is_killed(debian, compose):
    shop = Shop(debian, compose)
    compose("up -d --wait")
    shop.goes_on()
    compose("stop db")
    compose("start --wait db")
    shop.goes_on()
    with ending.watching(shop.database()) as pidfd:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert linux.readable([pidfd], 20)
        shoot("keeper", "manager")
    compose("up -d --wait")
    shop.goes_on()
    shoot("keeper")
    shop.goes_on()
    shoot("manager")
    shop.goes_on()

    before, rows = shop.database()["id"], shop.written()
    compose.write(compose.file.read_text().replace("&env {", "&env {CHANGED: 1, "))
    compose("up -d --wait")
    assert shop.database()["id"] != before and rows <= shop.there(), "made anew, it has the volume of the one before"
    rows = shop.there()
    compose("down")
    compose("up -d --wait db")
    assert rows <= shop.there(), "down leaves what is in a volume"
