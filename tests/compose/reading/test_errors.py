"""What the author of a broken file reads: the place, what is wrong, and the way out."""

from __future__ import annotations

import pytest

from lib.compose.reading import ComposeError, Request, load

ERRORS = {
    "services:\n  web:\n    image: x\n    port: 80\n": "4:5: services.web: `port` is not known; did you mean `ports`?",
    "services:\n  web:\n    enviroment: {A: 1}\n": "3:5: services.web: `enviroment` is not known; did you mean `environment`?",
    "services:\n  web:\n    image: x\n    Mem-Limit: 1\n": "4:5: services.web: `Mem-Limit` is not known; did you mean `mem_limit`?",
    "web:\n  image: x\n": "1:1: `web` is not known; a service belongs below `services:`",
    "services:\n  web:\n    image: x\nports: [80]\n": "4:1: `ports` is not known; it is a key of a service, below `services:`",
    "services:\n  web: {image: x, user: 1000}\n": "2:19: services.web.user must be a text, not the number 1000; put it in quotes",
    "services:\n  web: {image: x, ports: 80}\n": "2:19: services.web.ports must be a list (`- …`), not the number 80",
    "services:\n  web: {image: x, pull_policy: often}\n": (
        "2:19: services.web.pull_policy must be always, never, build, missing, daily, weekly or every_12h, not 'often'"
    ),
    "services:\n  web: {image: x, cgroup: hosts}\n": "2:19: services.web.cgroup must be host or private, not 'hosts'; did you mean `host`?",
    "services:\n  web: {image: x, depends_on: {db: {condition: healthy}}}\n": (
        "2:37: services.web.depends_on.db.condition must be service_started, service_healthy or service_completed_successfully, "
        "not 'healthy'; did you mean `service_healthy`?"
    ),
    "services:\n  web: {image: x, depends_on: [dbb]}\n  db: {image: y}\n": (
        "2:32: services.web.depends_on.dbb: there is no service dbb in the file; did you mean `db`?"
    ),
    "services:\n  web: {image: x, networks: [front]}\nnetworks: {fron: }\n": (
        "2:30: services.web.networks.front: there is no network front in the file; did you mean `fron`?"
    ),
    "services:\n  web: {image: x, volumes: ['data:/d']}\n": (
        "2:29: services.web.volumes[0]: there is no volume data in the file; a folder of this machine begins with ./ or /"
    ),
    "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n": "3:30: dependency cycle detected: a -> b -> a",
    "services:\n  a: {command: x}\n": "2:3: services.a: it has neither an image nor a build context",
    "services:\n  a: {image: 'x:${TAG:?say which}'}\n": "2:7: services.a.image: required variable TAG is missing a value: say which",
    "services:\n  a: {image: 'x:${TAG'}\n": "2:7: services.a.image: '${TAG' is no variable; write ${NAME}, or $$ for a dollar sign",
    "services:\n  a: {image: x, mem_limit: lots}\n": (
        "2:17: services.a.mem_limit: invalid size: 'lots' (a number and one of b, k, m, g, e.g. 64m)"
    ),
    "services:\n\ta: {image: x}\n": "2:1: a tab can't indent in YAML; use spaces",
    "services:\n  a: {image: x}\n  a: {image: y}\n": "3:3: `a` is here a second time; it was set at line 2",
    "services:\n  a: {image: x, ports: ['8080:x']}\n": (
        "2:25: '8080:x' is no port: 'x' is neither a port in the container nor a range; ports are numbers from 0 to 65535"
    ),
    "services:\n  a: {image: x, scale: 2, container_name: one}\n": (
        "2:27: services.a.container_name: 2 containers can't have one name; leave it out, or let there be one container"
    ),
    'services:\n  a: {image: x, command: "echo \'hi"}\n': (
        "2:17: services.a.command can't be taken apart: a ' is not closed; write it as a list"
    ),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_says_where_and_what_and_how(text, tmp_path):
    (tmp_path / "compose.yaml").write_text(text)
    with pytest.raises(ComposeError) as error:
        load(Request(cwd=str(tmp_path), environ={}))
    assert str(error.value) == f"{tmp_path}/compose.yaml:{ERRORS[text]}"
    assert str(error.value.place) == str(error.value).rpartition(f": {error.value.message}")[0]


def test_what_can_be_read_but_should_be_heard_of(tmp_path):
    (tmp_path / "compose.yaml").write_text(
        "version: '3'\nservices: {a: {image: 'x:$TAG', command: '$TAG'}}\nvolumes: {v: {external: {name: w}}}\n"
    )
    told = [str(problem).removeprefix(f"{tmp_path}/compose.yaml:") for problem in load(Request(cwd=str(tmp_path), environ={})).warnings]
    assert told == [
        "2:16: the variable TAG is not set; an empty text takes its place in services.a.image",
        "2:33: the variable TAG is not set; an empty text takes its place in services.a.command",
        "1:1: `version` is obsolete: it has no effect and can go",
        "3:26: volumes.v: external.name is old; write name: w and external: true",
    ]
