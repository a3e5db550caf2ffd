"""Plans as text: what the file wants and what is there, and what has to be done. Nothing here touches the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.projects import container, observed, project, service, up

from lib.compose.acting import Down, Observed, Remove, Restart, Start, Stop, Up, plan, why
from lib.compose.model import Build, Dependency, Deploy, Hook, Mount, Network, Port, PreStart, Volume
from lib.compose.planning.observing import Thing
from lib.compose.services import naming

NOTHING = Observed("demo", images={"localhost/busybox:static": "sha256:1"})
NO_IMAGES = Observed("demo")
CHECK = {"test": ["CMD", "true"]}
TWO = project(service("db"), service("web", depends_on={"db": Dependency()}))
TWO_TIED = project(service("db"), service("web", depends_on={"db": Dependency(restart=True)}))
CHANGED = project(service("db", environment={"A": "1"}), service("web", depends_on={"db": Dependency()}))
CHANGED_TIED = project(service("db", environment={"A": "1"}), service("web", depends_on={"db": Dependency(restart=True)}))
THREE = project(service("web", scale=3))
NETWORK = {"demo_default": Thing("demo_default", "demo", "default", "other")}
FORMER = {"former": Thing("former", "demo", "default", naming.of_shared(Network(name="former")))}
VOLUME = {"demo_data": Thing("demo_data", "demo", "data", "other")}
DATA = project(service("db", volumes=[Mount(type="volume", source="data", target="/data")]), volumes={"data": Volume(name="demo_data")})
SHARING = project(service("db"), service("web", network_mode="service:db"))
SHARING_CHANGED = project(service("db", environment={"A": "1"}), service("web", network_mode="service:db"))
HOOKS = project(
    service(
        "web", scale=2, pre_start=[PreStart(command=["a"]), PreStart(command=["b"], per_replica=True)],
        post_start=[Hook(command=["c"]), Hook(command=["d"])], pre_stop=[Hook(command=["e"])],
    )
)  # fmt: skip
CONDITIONS = project(
    service("db", healthcheck=CHECK),
    service("job"),
    service(
        "web",
        depends_on={
            "db": Dependency(condition="service_healthy"),
            "job": Dependency(condition="service_completed_successfully", required=False),
        },
    ),
)
FIRST = Deploy(update_config={"order": "start-first"})
START_FIRST = project(service("web", deploy=FIRST, healthcheck=CHECK))
START_FIRST_CHANGED = project(service("web", deploy=FIRST, healthcheck=CHECK, environment={"A": "1"}))
DB, WEB = TWO.services["db"], TWO.services["web"]
SAME = "its configuration and image localhost/busybox:static are those that it was made from"
BEFORE = "web-1-00_demo-web-1"  # what one is called that is to replace another


SECOND = container(TWO, DB, 2)
STALE = {1: {"image": "sha256:0"}, 2: {}, 3: {}}


def on_former(wanted) -> tuple:
    return tuple(replace(one, networks=("former",)) for one in up(wanted).containers)


def ended(code: int) -> Observed:
    return observed(TWO, container(TWO, DB, status="exited", exit_code=code), container(TWO, WEB))


ALL_ENDED = observed(CONDITIONS, *(container(CONDITIONS, one, status="exited") for one in CONDITIONS.services.values()))


def interrupted(*more) -> Observed:
    """Somebody was to make web anew, and was interrupted when the new one was made."""
    return observed(TWO, container(TWO, DB), *more, container(TWO, WEB, id="e" * 64, name=BEFORE, status="created"))


CASES = {
    "nothing is there yet": (
        lambda: plan(TWO, NOTHING, Up()),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. create container demo-web-1 (after 1) – there is none yet
        4. start container demo-db-1 (after 2)
        5. start container demo-web-1 (after 3, 4)
        """,
    ),
    "all is as it is to be": (
        lambda: plan(TWO, up(TWO), Up()),
        "",
    ),
    "no image is here": (
        lambda: plan(TWO, NO_IMAGES, Up()),
        """
        1. pull image localhost/busybox:static – it is not here
        2. create network demo_default – it is not there yet
        3. create container demo-db-1 (after 1, 2) – there is none yet
        4. create container demo-web-1 (after 1, 2) – there is none yet
        5. start container demo-db-1 (after 3)
        6. start container demo-web-1 (after 4, 5)
        """,
    ),
    "created only": (
        lambda: plan(TWO, NOTHING, Up(start=False)),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. create container demo-web-1 (after 1) – there is none yet
        """,
    ),
    "one only, with what it needs": (
        lambda: plan(TWO, NOTHING, Up(services=["web"])),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. create container demo-web-1 (after 1) – there is none yet
        4. start container demo-db-1 (after 2)
        5. start container demo-web-1 (after 3, 4)
        """,
    ),
    "one only, without what it needs": (
        lambda: plan(TWO, NOTHING, Up(services=["web"], no_deps=True)),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-web-1 (after 1) – there is none yet
        3. start container demo-web-1 (after 2)
        """,
    ),
    "a changed key": (
        lambda: plan(CHANGED, up(TWO), Up()),
        """
        1. create container demo-db-1, beside the one that it replaces – its configuration has changed: environment.A
        2. stop container demo-db-1 (after 1) – its configuration has changed: environment.A
        3. remove container demo-db-1 (after 2) – its configuration has changed: environment.A
        4. rename container demo-db-1 (after 3) – the name is free now
        5. start container demo-db-1 (after 4)
        """,
    ),
    "a changed key, and nothing is to be made anew": (
        lambda: plan(CHANGED, up(TWO), Up(no_recreate=True)),
        "",
    ),
    "a changed key, and another one wants to be started again": (
        lambda: plan(CHANGED_TIED, up(TWO_TIED), Up()),
        """
        1. create container demo-db-1, beside the one that it replaces – its configuration has changed: environment.A
        2. stop container demo-web-1 (after 1) – db, which it depends on, is made anew
        3. stop container demo-db-1 (after 2) – its configuration has changed: environment.A
        4. remove container demo-db-1 (after 3) – its configuration has changed: environment.A
        5. rename container demo-db-1 (after 4) – the name is free now
        6. start container demo-db-1 (after 5)
        7. start container demo-web-1 (after 6) – db, which it depends on, is made anew
        """,
    ),
    "forced, with one that it needs": (
        lambda: plan(TWO, up(TWO), Up(services=["web"], force_recreate=True)),
        """
        1. create container demo-web-1, beside the one that it replaces – that was asked for
        2. stop container demo-web-1 (after 1) – that was asked for
        3. remove container demo-web-1 (after 2) – that was asked for
        4. rename container demo-web-1 (after 3) – the name is free now
        5. start container demo-web-1 (after 4)
        """,
    ),
    "forced, all that it needs too": (
        lambda: plan(TWO, up(TWO), Up(services=["web"], force_recreate=True, always_recreate_deps=True)),
        """
        1. create container demo-db-1, beside the one that it replaces – that was asked for
        2. create container demo-web-1, beside the one that it replaces – that was asked for
        3. stop container demo-db-1 (after 1) – that was asked for
        4. stop container demo-web-1 (after 2) – that was asked for
        5. remove container demo-db-1 (after 3) – that was asked for
        6. remove container demo-web-1 (after 4) – that was asked for
        7. rename container demo-db-1 (after 5) – the name is free now
        8. rename container demo-web-1 (after 6) – the name is free now
        9. start container demo-db-1 (after 7)
        10. start container demo-web-1 (after 8, 9)
        """,
    ),
    "another image under the name": (
        lambda: plan(TWO, replace(up(TWO), images={"localhost/busybox:static": "sha256:2"}), Up()),
        """
        1. create container demo-db-1, beside the one that it replaces – image localhost/busybox:static is another one now
        2. create container demo-web-1, beside the one that it replaces – image localhost/busybox:static is another one now
        3. stop container demo-db-1 (after 1) – image localhost/busybox:static is another one now
        4. stop container demo-web-1 (after 2) – image localhost/busybox:static is another one now
        5. remove container demo-db-1 (after 3) – image localhost/busybox:static is another one now
        6. remove container demo-web-1 (after 4) – image localhost/busybox:static is another one now
        7. rename container demo-db-1 (after 5) – the name is free now
        8. rename container demo-web-1 (after 6) – the name is free now
        9. start container demo-db-1 (after 7)
        10. start container demo-web-1 (after 8, 9)
        """,
    ),
    "there may be a newer image": (
        lambda: plan(TWO, up(TWO), Up(pull="always")),
        """
        1. pull image localhost/busybox:static – there may be a newer one
        """,
    ),
    "an image that is never pulled": (
        lambda: plan(TWO, NO_IMAGES, Up(pull="never", services=["db"])),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. start container demo-db-1 (after 2)
        """,
    ),
    "built": (
        lambda: plan(project(service("web", image="", build=Build(context="/x"))), NO_IMAGES, Up()),
        """
        1. build image demo-web – it is not here
        2. create network demo_default – it is not there yet
        3. create container demo-web-1 (after 1, 2) – there is none yet
        4. start container demo-web-1 (after 3)
        """,
    ),
    "built again": (
        lambda: plan(
            project(service("web", image="", build=Build(context="/x"))), Observed("demo", images={"demo-web": "sha256:1"}), Up(build=True)
        ),
        """
        1. build image demo-web – it is to be built anew
        2. create network demo_default – it is not there yet
        3. create container demo-web-1 (after 1, 2) – there is none yet
        4. start container demo-web-1 (after 3)
        """,
    ),
    "scaled up": (
        lambda: plan(TWO, up(TWO), Up(scale={"web": 3})),
        """
        1. create container demo-web-2 – web is scaled up to 3
        2. create container demo-web-3 – web is scaled up to 3
        3. start container demo-web-2 (after 1)
        4. start container demo-web-3 (after 2)
        """,
    ),
    "scaled down": (
        lambda: plan(THREE, up(THREE), Up(scale={"web": 1})),
        """
        1. stop container demo-web-2 – web is scaled down to 1
        2. stop container demo-web-3 – web is scaled down to 1
        3. remove container demo-web-2 (after 1) – web is scaled down to 1
        4. remove container demo-web-3 (after 2) – web is scaled down to 1
        """,
    ),
    "scaled up beside a gap": (
        lambda: plan(TWO, observed(TWO, container(TWO, DB), container(TWO, WEB, 3)), Up(scale={"web": 2})),
        """
        1. create container demo-web-4 – web is scaled up to 2
        2. start container demo-web-4 (after 1)
        """,
    ),
    "scaled down, and the first is out of date": (
        lambda: plan(
            THREE,
            observed(THREE, *(container(THREE, THREE.services["web"], number, **STALE[number]) for number in (1, 2, 3))),
            Up(scale={"web": 2}),
        ),
        """
        1. stop container demo-web-1 – web is scaled down to 2
        2. remove container demo-web-1 (after 1) – web is scaled down to 2
        """,
    ),
    "scaled to nothing": (
        lambda: plan(THREE, up(THREE), Up(scale={"web": 0})),
        """
        1. stop container demo-web-1 – web is scaled down to 0
        2. stop container demo-web-2 – web is scaled down to 0
        3. stop container demo-web-3 – web is scaled down to 0
        4. remove container demo-web-1 (after 1) – web is scaled down to 0
        5. remove container demo-web-2 (after 2) – web is scaled down to 0
        6. remove container demo-web-3 (after 3) – web is scaled down to 0
        """,
    ),
    "orphans are told": (
        lambda: plan(project(service("web")), up(TWO), Up()),
        """
        warning: Found orphan containers (demo-db-1) for this project: the file names their services no more; \
--remove-orphans takes them away
        """,
    ),
    "orphans go": (
        lambda: plan(project(service("web")), up(TWO), Up(remove_orphans=True)),
        """
        1. stop container demo-db-1 – the file names its service no more
        2. remove container demo-db-1 (after 1) – the file names its service no more
        """,
    ),
    "the new one first": (
        lambda: plan(START_FIRST_CHANGED, up(START_FIRST), Up()),
        """
        1. create container demo-web-1, beside the one that it replaces – its configuration has changed: environment.A
        2. start container demo-web-1 (after 1)
        3. wait for web: service_healthy (after 2) – start-first
        4. stop container demo-web-1 (after 3) – its configuration has changed: environment.A
        5. remove container demo-web-1 (after 4) – its configuration has changed: environment.A
        6. rename container demo-web-1 (after 5) – the name is free now
        """,
    ),
    "conditions": (
        lambda: plan(CONDITIONS, NOTHING, Up(wait=True)),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. create container demo-job-1 (after 1) – there is none yet
        4. create container demo-web-1 (after 1) – there is none yet
        5. start container demo-db-1 (after 2)
        6. start container demo-job-1 (after 3)
        7. wait for db: service_healthy (after 5) – web depends on it
        8. wait for job: service_completed_successfully (after 6) – web depends on it
        9. wait for db: running_or_healthy (after 5) – --wait
        10. wait for job: service_completed_successfully (after 6) – --wait
        11. start container demo-web-1 (after 4, 7, 8)
        12. wait for web: running_or_healthy (after 11) – --wait
        """,
    ),
    "conditions that are fulfilled": (
        lambda: plan(
            CONDITIONS,
            observed(
                CONDITIONS,
                container(CONDITIONS, CONDITIONS.services["db"], health="healthy"),
                container(CONDITIONS, CONDITIONS.services["job"]),
            ),
            Up(),
        ),
        """
        1. create container demo-web-1 – there is none yet
        2. wait for job: service_completed_successfully – web depends on it
        3. start container demo-web-1 (after 1, 2)
        """,
    ),
    "hooks": (
        lambda: plan(HOOKS, NOTHING, Up()),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-web-1 (after 1) – there is none yet
        3. create container demo-web-2 (after 1) – there is none yet
        4. run pre_start[0] of demo-web-1 (after 2)
        5. run pre_start[1] of demo-web-2 (after 3)
        6. run pre_start[1] of demo-web-1 (after 4)
        7. start container demo-web-1 (after 6)
        8. start container demo-web-2 (after 5, 6)
        9. run post_start[0] of demo-web-1 (after 7)
        10. run post_start[0] of demo-web-2 (after 8)
        11. run post_start[1] of demo-web-1 (after 9)
        12. run post_start[1] of demo-web-2 (after 10)
        """,
    ),
    "a hook before one that is there": (
        lambda: plan(HOOKS, observed(HOOKS, *(container(HOOKS, HOOKS.services["web"], one, status="created") for one in (1, 2))), Up()),
        """
        1. run pre_start[0] of demo-web-1
        2. run pre_start[1] of demo-web-2
        3. run pre_start[1] of demo-web-1 (after 1)
        4. start container demo-web-1 (after 3) – it was not started
        5. start container demo-web-2 (after 2, 3) – it was not started
        6. run post_start[0] of demo-web-1 (after 4)
        7. run post_start[0] of demo-web-2 (after 5)
        8. run post_start[1] of demo-web-1 (after 6)
        9. run post_start[1] of demo-web-2 (after 7)
        """,
    ),
    "hooks before the end": (
        lambda: plan(HOOKS, up(HOOKS), Down()),
        """
        1. run pre_stop[0] of demo-web-1
        2. run pre_stop[0] of demo-web-2
        3. stop container demo-web-1 (after 1)
        4. stop container demo-web-2 (after 2)
        5. remove container demo-web-1 (after 3)
        6. remove container demo-web-2 (after 4)
        7. remove network demo_default (after 5, 6)
        """,
    ),
    "another network under the name": (
        lambda: plan(TWO, replace(up(TWO), networks=NETWORK), Up()),
        """
        1. stop container demo-db-1 – network default is described otherwise now
        2. stop container demo-web-1 – network default is described otherwise now
        3. remove network demo_default (after 1, 2) – network default is described otherwise now
        4. create network demo_default (after 3) – network default is described otherwise now
        5. start container demo-db-1 (after 4) – network default is described otherwise now
        6. start container demo-web-1 (after 5) – network default is described otherwise now
        """,
    ),
    "another network under the name, and a key has changed": (
        lambda: plan(CHANGED, replace(up(TWO), networks=NETWORK), Up()),
        """
        1. stop container demo-db-1 – its configuration has changed: environment.A
        2. stop container demo-web-1 – network default is described otherwise now
        3. remove network demo_default (after 1, 2) – network default is described otherwise now
        4. create network demo_default (after 3) – network default is described otherwise now
        5. create container demo-db-1, beside the one that it replaces (after 4) – its configuration has changed: environment.A
        6. remove container demo-db-1 (after 5) – its configuration has changed: environment.A
        7. rename container demo-db-1 (after 6) – the name is free now
        8. start container demo-db-1 (after 7)
        9. start container demo-web-1 (after 8) – network default is described otherwise now
        """,
    ),
    "another network under the name, of which one is not named, and one goes": (
        lambda: plan(TWO, replace(up(TWO), networks=NETWORK, containers=(*up(TWO).containers, SECOND)), Up(services=["db"])),
        """
        1. stop container demo-db-2 – db is scaled down to 1
        2. stop container demo-db-1 – network default is described otherwise now
        3. stop container demo-web-1 – network default is described otherwise now
        4. remove network demo_default (after 1, 2, 3) – network default is described otherwise now
        5. remove container demo-db-2 (after 1) – db is scaled down to 1
        6. create network demo_default (after 4) – network default is described otherwise now
        7. start container demo-db-1 (after 6) – network default is described otherwise now
        8. start container demo-web-1 (after 6) – network default is described otherwise now
        """,
    ),
    "another network under the name, and one lives in another one's": (
        lambda: plan(SHARING, replace(up(SHARING), networks=NETWORK), Up()),
        """
        1. stop container demo-web-1 – it lives in a namespace of db, which is started again
        2. stop container demo-db-1 (after 1) – network default is described otherwise now
        3. remove network demo_default (after 2) – network default is described otherwise now
        4. create network demo_default (after 3) – network default is described otherwise now
        5. start container demo-db-1 (after 4) – network default is described otherwise now
        6. start container demo-web-1 (after 5) – it lives in a namespace of db, which is started again
        """,
    ),
    "another network under the name, and nothing is to be started": (
        lambda: plan(TWO, replace(up(TWO), networks=NETWORK), Up(services=["db"], start=False)),
        """
        1. stop container demo-db-1 – network default is described otherwise now
        2. stop container demo-web-1 – network default is described otherwise now
        3. remove network demo_default (after 1, 2) – network default is described otherwise now
        4. create network demo_default (after 3) – network default is described otherwise now
        5. start container demo-web-1 (after 4) – network default is described otherwise now
        """,
    ),
    "a network of another name": (
        lambda: plan(TWO, replace(up(TWO), networks=FORMER, containers=on_former(TWO)), Up()),
        """
        1. create network demo_default – it is not there yet
        2. stop container demo-db-1 – network default is called demo_default now
        3. stop container demo-web-1 – network default is called demo_default now
        4. reconnect container demo-db-1 to network demo_default (after 1, 2) – network default is called demo_default now
        5. reconnect container demo-web-1 to network demo_default (after 1, 3) – network default is called demo_default now
        6. remove network former (after 4, 5) – network default is called demo_default now
        7. start container demo-db-1 (after 4) – network default is called demo_default now
        8. start container demo-web-1 (after 5, 7) – network default is called demo_default now
        """,
    ),
    "a network of another name, and whoever is on it has ended": (
        lambda: plan(
            TWO,
            replace(up(TWO), networks=FORMER, containers=[replace(one, status="exited") for one in on_former(TWO)]),
            Up(services=["db"]),
        ),
        """
        1. create network demo_default – it is not there yet
        2. reconnect container demo-db-1 to network demo_default (after 1) – network default is called demo_default now
        3. reconnect container demo-web-1 to network demo_default (after 1) – network default is called demo_default now
        4. remove network former (after 2, 3) – network default is called demo_default now
        5. start container demo-db-1 (after 2) – network default is called demo_default now
        """,
    ),
    "a network that it was taken off": (
        lambda: plan(TWO, observed(TWO, container(TWO, DB), container(TWO, WEB, networks=())), Up()),
        """
        1. create container demo-web-1, beside the one that it replaces – it is not on network demo_default
        2. stop container demo-web-1 (after 1) – it is not on network demo_default
        3. remove container demo-web-1 (after 2) – it is not on network demo_default
        4. rename container demo-web-1 (after 3) – the name is free now
        5. start container demo-web-1 (after 4)
        """,
    ),
    "a network that has gone under one that had ended": (
        lambda: plan(TWO, replace(ended(0), networks={}), Up(services=["db"])),
        """
        1. create network demo_default – it is not there yet
        2. start container demo-db-1 (after 1) – it has ended, with exit code 0
        """,
    ),
    "somebody else's network": (
        lambda: plan(TWO, Observed("demo", networks={"demo_default": Thing("demo_default")}, images=NOTHING.images), Up()),
        """
        warning: a network with name demo_default exists but was not created for project "demo": with external: true that is meant
        1. create container demo-db-1 – there is none yet
        2. create container demo-web-1 – there is none yet
        3. start container demo-db-1 (after 1)
        4. start container demo-web-1 (after 2, 3)
        """,
    ),
    "a volume": (
        lambda: plan(DATA, NOTHING, Up()),
        """
        1. create volume demo_data – it is not there yet
        2. create network demo_default – it is not there yet
        3. create container demo-db-1 (after 1, 2) – there is none yet
        4. start container demo-db-1 (after 3)
        """,
    ),
    "a volume that is described otherwise": (
        lambda: plan(DATA, replace(up(DATA), volumes=VOLUME), Up()),
        """
        warning: volume demo_data is described otherwise than when it was made: it stays as it is, as does what is in it
        """,
    ),
    "a volume of another name": (
        lambda: plan(DATA, replace(up(DATA), volumes={}, containers=[replace(up(DATA).containers[0], volumes={"/data": "former"})]), Up()),
        """
        1. create volume demo_data – it is not there yet
        2. create container demo-db-1, beside the one that it replaces (after 1) – it does not have volume demo_data
        3. stop container demo-db-1 (after 2) – it does not have volume demo_data
        4. remove container demo-db-1 (after 3) – it does not have volume demo_data
        5. rename container demo-db-1 (after 4) – the name is free now
        6. start container demo-db-1 (after 5)
        """,
    ),
    "a volume that is to be made anew": (
        lambda: plan(DATA, replace(up(DATA), volumes=VOLUME), Up(recreate_volumes=True)),
        """
        1. stop container demo-db-1 – volume data is described otherwise now
        2. remove container demo-db-1 (after 1) – volume data is described otherwise now
        3. remove volume demo_data (after 2) – volume data is described otherwise now
        4. create volume demo_data (after 3) – volume data is described otherwise now
        5. create container demo-db-1 (after 4) – volume data is described otherwise now
        6. start container demo-db-1 (after 5)
        """,
    ),
    "one in another one's network": (
        lambda: plan(SHARING, NOTHING, Up()),
        """
        1. create network demo_default – it is not there yet
        2. create container demo-db-1 (after 1) – there is none yet
        3. create container demo-web-1 (after 2) – there is none yet
        4. start container demo-db-1 (after 2)
        5. start container demo-web-1 (after 3, 4)
        """,
    ),
    "one in the network of one that is made anew": (
        lambda: plan(SHARING_CHANGED, up(SHARING), Up()),
        """
        1. create container demo-db-1, beside the one that it replaces – its configuration has changed: environment.A
        2. stop container demo-db-1 (after 1) – its configuration has changed: environment.A
        3. remove container demo-db-1 (after 2) – its configuration has changed: environment.A
        4. rename container demo-db-1 (after 3) – the name is free now
        5. create container demo-web-1, beside the one that it replaces (after 4) – it lives in a namespace of db, which is made anew
        6. start container demo-db-1 (after 4)
        7. stop container demo-web-1 (after 5) – it lives in a namespace of db, which is made anew
        8. remove container demo-web-1 (after 7) – it lives in a namespace of db, which is made anew
        9. rename container demo-web-1 (after 8) – the name is free now
        10. start container demo-web-1 (after 6, 9)
        """,
    ),
    "it has ended": (
        lambda: plan(TWO, ended(1), Up()),
        """
        1. start container demo-db-1 – it has ended, with exit code 1
        """,
    ),
    "an interrupted command has left one": (
        lambda: plan(TWO, interrupted(container(TWO, WEB)), Up()),
        """
        1. remove container web-1-00_demo-web-1 – an interrupted command has left it
        """,
    ),
    "a killed one has left half of one that it removed": (
        lambda: plan(TWO, interrupted(container(TWO, WEB, status="removing")), Up()),
        """
        1. remove container demo-web-1 – it was being removed
        2. start container web-1-00_demo-web-1 – it was not started
        3. rename container web-1-00_demo-web-1 (after 1) – that is its name
        """,
    ),
    "a killed one has left half of one and nothing in its place": (
        lambda: plan(TWO, observed(TWO, container(TWO, DB, status="removing"), container(TWO, WEB)), Up()),
        """
        1. remove container demo-db-1 – it was being removed
        2. create container demo-db-1 (after 1) – there is none yet
        3. start container demo-db-1 (after 2)
        """,
    ),
    "start leaves alone what was being removed": (
        lambda: plan(TWO, observed(TWO, container(TWO, DB, status="removing"), container(TWO, WEB, status="exited")), Start()),
        """
        1. start container demo-web-1
        """,
    ),
    "a killed one has left the container of a hook": (
        lambda: plan(
            TWO, observed(TWO, container(TWO, DB), container(TWO, WEB), container(TWO, WEB, 7, oneoff=True, abandoned=True)), Up()
        ),
        """
        1. stop container demo-web-7 – a hook has left it, which failed or was broken off
        2. remove container demo-web-7 (after 1) – a hook has left it, which failed or was broken off
        """,
    ),
    "an interrupted command has left it without its name": (
        lambda: plan(TWO, interrupted(), Up()),
        """
        1. rename container web-1-00_demo-web-1 – that is its name
        2. start container web-1-00_demo-web-1 – it was not started
        """,
    ),
    "down": (
        lambda: plan(CONDITIONS, up(CONDITIONS), Down(images="all")),
        """
        1. stop container demo-web-1
        2. stop container demo-job-1 (after 1)
        3. stop container demo-db-1 (after 1)
        4. remove container demo-web-1 (after 1)
        5. remove container demo-job-1 (after 2)
        6. remove container demo-db-1 (after 3)
        7. remove network demo_default (after 4, 5, 6)
        8. remove image localhost/busybox:static (after 4, 5, 6) – --rmi all
        """,
    ),
    "down, with its volumes": (
        lambda: plan(DATA, up(DATA), Down(volumes=True)),
        """
        1. stop container demo-db-1
        2. remove container demo-db-1 (after 1)
        3. remove network demo_default (after 2)
        4. remove volume demo_data (after 2) – -v: what is in it is lost
        """,
    ),
    "down of one only": (
        lambda: plan(TWO, up(TWO), Down(services=["web"])),
        """
        1. stop container demo-web-1
        2. remove container demo-web-1 (after 1)
        """,
    ),
    "down, and orphans": (
        lambda: plan(project(service("web")), up(TWO), Down(remove_orphans=True)),
        """
        1. stop container demo-web-1
        2. stop container demo-db-1 – the file names its service no more
        3. remove container demo-web-1 (after 1)
        4. remove container demo-db-1 (after 2) – the file names its service no more
        5. remove network demo_default (after 3, 4)
        """,
    ),
    "down without a file": (
        lambda: plan(project(name="demo"), up(TWO), Down(volumes=True)),
        """
        1. stop container demo-web-1
        2. stop container demo-db-1 (after 1)
        3. remove container demo-web-1 (after 1)
        4. remove container demo-db-1 (after 2)
        5. remove network demo_default (after 3, 4)
        """,
    ),
    "stop": (
        lambda: plan(TWO, up(TWO), Stop(timeout=3)),
        """
        1. stop container demo-web-1
        2. stop container demo-db-1 (after 1)
        """,
    ),
    "start": (
        lambda: plan(
            CONDITIONS,
            observed(CONDITIONS, *[container(CONDITIONS, one, status="exited") for one in CONDITIONS.services.values()]),
            Start(wait=True),
        ),
        """
        1. start container demo-db-1
        2. start container demo-job-1
        3. wait for db: running_or_healthy (after 1) – --wait
        4. wait for job: service_completed_successfully (after 2) – --wait
        5. wait for db: service_healthy (after 1) – web depends on it
        6. wait for job: service_completed_successfully (after 2) – web depends on it
        7. start container demo-web-1 (after 5, 6)
        8. wait for web: running_or_healthy (after 7) – --wait
        """,
    ),
    "restart": (
        lambda: plan(TWO, up(TWO), Restart()),
        """
        1. stop container demo-web-1
        2. stop container demo-db-1 (after 1)
        3. start container demo-db-1 (after 2)
        4. start container demo-web-1 (after 3)
        """,
    ),
    "restart of one that another is tied to": (
        lambda: plan(TWO_TIED, up(TWO_TIED), Restart(services=["db"])),
        """
        1. stop container demo-web-1
        2. stop container demo-db-1 (after 1)
        3. start container demo-db-1 (after 2)
        4. start container demo-web-1 (after 3)
        """,
    ),
    "rm": (
        lambda: plan(TWO, ended(1), Remove()),
        """
        1. remove container demo-db-1
        """,
    ),
    "rm, and stop": (
        lambda: plan(TWO, ended(1), Remove(stop=True, volumes=True)),
        """
        1. stop container demo-web-1
        2. remove container demo-db-1
        3. remove container demo-web-1 (after 1)
        """,
    ),
}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_plan(name):
    made, expected = CASES[name]
    assert lines(str(made())) == lines(expected)


@pytest.mark.parametrize(
    ("policy", "hours", "pulls"),
    [("daily", 23, False), ("daily", 25, True), ("weekly", 25, False), ("weekly", 169, True), ("every_1d12h", 35, False),
     ("every_1d12h", 37, True), ("missing", 10**6, False), ("never", 10**6, False), ("always", 0, True)],
)  # fmt: skip
def test_an_image_may_be_as_old_as_its_policy_says(policy, hours, pulls):
    wanted = project(service("web", pull_policy=policy))
    there = replace(up(wanted), ages={"localhost/busybox:static": hours * 3600})
    assert ("pull image localhost/busybox:static" in str(plan(wanted, there, Up()))) == pulls


@pytest.mark.parametrize(
    ("wanted", "there", "wishes", "service", "sentences"),
    [
        (CHANGED, up(TWO), Up(), "db", ["demo-db-1 is made anew: its configuration has changed: environment.A"]),
        (CHANGED, up(TWO), Up(), "web", [f"demo-web-1 stays as it is: {SAME}"]),
        (TWO, NOTHING, Up(), "db", ["demo-db-1 is made: there is none yet"]),
        (TWO, ended(1), Up(), "db", [f"demo-db-1 stays as it is: {SAME}; it is started: it has ended, with exit code 1"]),
        (THREE, up(THREE), Up(scale={"web": 2}), "web", [
            f"demo-web-1 stays as it is: {SAME}", f"demo-web-2 stays as it is: {SAME}", "demo-web-3 is removed: web is scaled down to 2",
        ]),
        (CHANGED_TIED, up(TWO_TIED), Up(), "web", [
            f"demo-web-1 stays as it is: {SAME}; it is started: db, which it depends on, is made anew",
        ]),
    ],
)  # fmt: skip
def test_why(wanted, there, wishes, service, sentences):
    assert why(plan(wanted, there, wishes), service) == sentences


def test_why_of_nobody():
    with pytest.raises(ValueError, match="no such service: x"):
        why(plan(TWO, NOTHING, Up()), "x")


@pytest.mark.parametrize(
    ("wanted", "wishes", "words"),
    [
        (project(service("a", depends_on={"b": {}}), service("b", depends_on={"a": {}})), Up(), "in a circle: a -> b -> a"),
        (project(service("a", depends_on={"b": {}})), Up(), "service a depends on b: there is no service of that name"),
        (TWO, Up(services=["wbe"]), "no such service: wbe (there is web: is that meant?)"),
        (TWO, Stop(services=["wbe"]), "no such service: wbe (there is web: is that meant?)"),
        (project(service("a", container_name="x")), Up(scale={"a": 2}), "2 containers cannot have one name"),
        (project(service("a", scale=10**11)), Up(), "100000000000 containers are more than this machine could have, 10000 at most"),
        (
            project(service("a"), networks={"default": Network(name="x", external=True)}),
            Up(),
            "network x declared as external, but could not be found",
        ),
        (
            project(service("a", volumes=[Mount(type="volume", source="v", target="/v")]), volumes={"v": Volume(name="x", external=True)}),
            Up(),
            'external volume "x" not found',
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(wanted, wishes, words):
    with pytest.raises(ValueError) as error:
        plan(wanted, NOTHING, wishes)
    assert words in str(error.value)


def test_a_port_that_not_all_replicas_can_have_is_told_with_both_keys():
    def warned(published: str) -> list[str]:
        wanted = project(service("web", ports=[Port(target=80, published=published)], scale=2))
        return list(plan(wanted, Observed("demo"), Up()).warnings)

    (words,) = warned("8080")
    assert "8080 (ports)" in words and "(scale, deploy.replicas)" in words and words.endswith("give a range: 8080-8081:80")
    assert warned("8080-8081") == warned("") == []


def test_down_takes_away_nothing_that_others_have_made_nor_what_the_file_does_not_name():
    data = Mount(type="volume", source="data", target="/data")
    wanted = project(service(volumes=[data]), volumes={"data": Volume(name="demo_data")})
    networks = {one.name: one for one in (Thing("demo_default"), Thing("others", "other", "default"))}
    volumes = {one.name: one for one in (Thing("demo_data", "other", "data"), Thing("demo_old", "demo", "old"))}
    assert str(plan(wanted, Observed("demo", (), networks, volumes), Down(volumes=True, remove_orphans=True))) == ""


def test_what_run_has_made_is_no_orphan():
    wanted = project(service())
    there = observed(wanted, container(wanted, service()), container(wanted, service("gone"), oneoff=True))
    assert str(plan(wanted, there, Up(remove_orphans=True))) == ""


def test_a_network_that_somebody_else_is_on_cannot_be_made_anew():
    guest = {"demo_default": replace(NETWORK["demo_default"], guests=("guest",))}
    with pytest.raises(ValueError, match=r"network default is described otherwise .* \(guest\).* network disconnect demo_default guest"):
        plan(TWO, replace(up(TWO), networks=guest), Up())
