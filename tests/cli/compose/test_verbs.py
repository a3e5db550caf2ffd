"""Each verb of ``suitcase compose``: what it does, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
import tarfile

import pytest
from helpers.hosts import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

pytestmark = [requires("root", "overlay", "busybox", "nft", "ip"), pytest.mark.timeout(120)]

FILE = f"""
services:
  db:
    image: {BUSYBOX}
    command: sh -c 'trap "echo bye; exit 0" TERM; touch /ok; echo ready; while :; do sleep 0.05; done'
    healthcheck: {{test: test -e /ok, interval: 100ms, retries: 1000}}
    volumes: ["data:/data"]
  web:
    image: {BUSYBOX}
    command: sh -c 'echo hello; trap "exit 3" TERM; while :; do sleep 0.05; done'
    depends_on: {{db: {{condition: service_healthy}}}}
    ports: ["127.0.0.1:18080:80"]
    environment: {{A: b}}
  once:
    image: {BUSYBOX}
    command: sh -c 'echo one; echo two >&2; exit 4'
  tool:
    profiles: [tools]
    image: {BUSYBOX}
    command: echo a tool
volumes: {{data: {{}}}}
"""


@pytest.fixture
def stack(compose):
    compose.write(FILE)
    compose("up -d")
    wait_for(lambda: "exited" in compose("ps -a --format {{.State}} once").out)
    return compose


def names(said) -> list[str]:
    return said.out.split()


def test_what_there_is_of_a_project(stack):
    """``ps ls images volumes port top stats events``, for one stack: it is costly."""
    head, db, web = stack("ps").out.splitlines()
    assert head.split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert db.startswith("demo-db-1") and "(healthy)" in db and web.endswith("127.0.0.1:18080->80/tcp")
    assert names(stack("ps --services")) == ["db", "web"] and names(stack("ps -a --services")) == ["db", "once", "web"]
    assert names(stack("ps --filter status=exited --format {{.Name}}:{{.ExitCode}}:{{.Service}}:{{.Project}}")) == [
        "demo-once-1:4:once:demo"
    ]
    web = json.loads(stack("ps --format json web").out)
    assert web["Publishers"] == [{"URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": 18080, "Protocol": "tcp"}]
    assert all(re.fullmatch("[0-9a-f]{64}", word) for word in names(stack("ps -q")))
    assert json.loads(stack("ls -a --format json").out) == [
        {"Name": "demo", "Status": "exited(1), running(2)", "ConfigFiles": str(stack.file)}
    ]
    assert names(stack("ls -q --filter name=dem")) == ["demo"] and names(stack("ls -q --filter name=x")) == []
    assert len(stack("images").out.splitlines()) == 4 and len(names(stack("images -q"))) == 1
    assert stack("volumes").out.splitlines()[1].split() == ["local", "demo_data"] and names(stack("volumes -q web")) == []
    assert stack("port web 80").out == "127.0.0.1:18080\n" and stack("port web").out == "80/tcp -> 127.0.0.1:18080\n"
    head, *rows = stack("top db").out.splitlines()
    assert head.startswith("SERVICE  #   UID") and rows[0].startswith("db       1   root")
    assert [line.split()[1] for line in stack("stats --no-stream").out.splitlines()[1:]] == ["demo-db-1", "demo-web-1"]
    told = [json.loads(line) for line in stack("events --json --since 1h --until 0s db").out.splitlines()]
    assert [one["action"] for one in told][:2] == ["create", "start"] and {one["service"] for one in told} == {"db"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ps nosuch", "no such service: nosuch"),
        ("ps --filter nope=1", "unknown filter nope"),
        ("ls --filter nope=1", "invalid filter 'nope'"),
        ("ls --format nonsense", 'format value "nonsense" could not be parsed'),
        ("images --format nonsense", 'format value "nonsense" could not be parsed'),
        ("port web 81", 'service "web" is not running'),
        ("exec web true", 'service "web" is not running'),
        ("attach web", 'service "web" is not running'),
        ("export web", 'service "web" is not running'),
        ("commit web", 'service "web" is not running'),
        ("cp nosuch:/x .", 'no container found for service "nosuch"'),
        ("cp a b", "unknown copy direction"),
        ("wait nosuch", 'no containers for project "demo"'),
        ("logs nosuch", "no such service: nosuch"),
        ("events nosuch", "no such service: nosuch"),
        ("stop nosuch", "no such service: nosuch"),
        ("start web", 'service "web" has no container to start'),
        ("restart nosuch", "no such service: nosuch"),
        ("kill nosuch", "no such service: nosuch"),
        ("rm nosuch", "no such service: nosuch"),
        ("pause nosuch", "no such service: nosuch"),
        ("unpause nosuch", "no such service: nosuch"),
        ("run nosuch", "no such service: nosuch"),
        ("build nosuch", "no such service: nosuch"),
        ("pull nosuch", "no such service: nosuch"),
        ("push nosuch", "no such service: nosuch"),
        ("watch nosuch", "no such service: nosuch"),
        ("watch --no-up", "none of the selected services is configured for watch"),
        ("scale once", "invalid scale specifier: once"),
        ("scale nosuch=2", "no such service: nosuch"),
        ("up -d nosuch", "no such service: nosuch"),
        ("up -d --scale nosuch=1", "no such service: nosuch: not found"),
        ("up --force-recreate --no-recreate", "--force-recreate and --no-recreate are incompatible"),
        ("up --build --no-build", "--build and --no-build are incompatible"),
        ("up -d --abort-on-container-exit", "--detach cannot be combined with --abort-on-container-exit"),
        ("up --exit-code-from nosuch", "no such service: nosuch"),
        ("create --force-recreate --no-recreate", "--force-recreate and --no-recreate are incompatible"),
        ("down --rmi nonsense", 'invalid value for --rmi: "nonsense"'),
        ("config nosuch", "no such service: nosuch"),
        ("config --format nonsense", 'unsupported format "nonsense"'),
        ("why nosuch", "no such service: nosuch"),
        ("--progress nonsense stop", 'unsupported --progress value "nonsense"'),
        ("--ansi nonsense stop", 'unsupported --ansi value "nonsense"'),
        ("up --nosuch", "unknown flag: --nosuch"),
        ("up --menu", "--menu is an option of Docker's that is not done here yet"),
        ("nosuch", "unknown command: suitcase compose nosuch"),
        ("stats nosuch --no-stream", ""),
        ("top nosuch", ""),
    ],
)
def test_what_cannot_be_done(compose, line, said):
    """Nothing runs. Of two verbs Docker takes a service that there is not for one without containers."""
    compose.write(FILE)
    found = compose(line, None)
    assert (found.code == 1, said in found.err) == (bool(said), True), found


def test_a_project_by_its_name_alone(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names(stack.host("compose -p demo ps --services")) == ["db", "web"]
    assert stack.host("compose -p other down").err == 'WARN No resource found to remove for project "other".\n'
    assert "no configuration file provided" in stack.host("compose ps", 1).err
    assert stack.host("compose -f nosuch.yaml ps", 1).err.startswith("suitcase: ")
    assert "Container demo-web-1 Stopped" in stack.host("compose -p demo stop -t 0").err
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "demo")
    assert names(stack.host("compose ps -a --services")) == ["db", "once", "web"]


def test_stopping_and_starting(stack):
    assert ends(stack("stop")) == ["web Stopping", "web Stopped", "db Stopping", "db Stopped"], "whoever depends on others first"
    assert ends(stack("start db web")) == ["db Starting", "db Started", "db Waiting", "db Healthy", "web Starting", "web Started"]
    assert names(stack("ps --services --status running")) == ["db", "web"]
    assert "web Paused" in ends(stack("pause web")) and "already paused" in stack("pause web", 1).err
    assert "web Unpaused" in ends(stack("unpause web")) and "is not paused" in stack("unpause web", 1).err
    before = stack("ps -q web").out
    stack("restart -t 0 db")
    assert stack("ps -q web").out == before and names(stack("ps --services")) == ["db", "web"]
    assert ends(stack("kill web")) == ["web Killing", "web Killed"]
    wait_for(lambda: stack("ps -a --format {{.ExitCode}} web").out == "137\n")
    assert stack("kill once").err == "No container to kill\n"
    assert stack("rm", None).out.startswith("Going to remove demo-once-1, demo-web-1")
    assert stack("rm -f").out == "Going to remove demo-once-1, demo-web-1\n"
    assert stack("rm -f").err == "No stopped containers\n"
    assert ends(stack("rm -fsv db"))[-1] == "db Removed" and names(stack("ps -aq")) == []


def ends(said) -> list[str]:
    """The lines of progress, without project and number."""
    return [" ".join(pair) for pair in re.findall(r"Container demo-(\S+)-\d (\w+)", said.err)]


def test_waiting_for_the_end(stack):
    ident = stack("ps -aq once").out.strip()
    said = stack("wait once", 4)
    assert said.out == f'container "{ident}" exited with status code 4\n'
    stack("wait once --down-project", 4)
    assert names(stack("ps -aq")) == []


def test_logs(stack):
    wait_for(lambda: "hello" in stack("logs web").out)
    assert sorted(stack("logs").out.splitlines()) == ["db-1    | ready", "once-1  | one", "once-1  | two", "web-1   | hello"]
    assert stack("logs -n 1 web").out == "web-1  | hello\n" and stack("logs --no-log-prefix db").out == "ready\n"
    assert re.fullmatch(r"web-1  \| \d{4}-\S+Z hello\n", stack("logs -t web").out)
    assert stack("--ansi always logs web").out == "\033[36mweb-1  | \033[0mhello\n"
    assert stack("--ansi always logs --no-color --index 1 web").out == "web-1  | hello\n" and stack("logs --index 2 web").out == ""
    assert stack("logs --since 1h --until 2000-01-01 web").out == ""
    assert sorted(stack("logs -f once").out.splitlines()) == ["once-1  | one", "once-1  | two"], "which has ended, and so has this"


def test_one_container_of_a_service(stack, tmp_path, monkeypatch):
    """``exec cp export commit``."""
    assert stack("exec -T web sh -c 'echo $A; exit 7'", 7).out == "b\n"
    assert stack("exec -u nobody -w /tmp -e X=1 web sh -c 'id -un; pwd; echo $X'").out == "nobody\n/tmp\n1\n"
    assert 'service "web" is not running container #2' in stack("exec --index 2 web true", 1).err
    (tmp_path / "file").write_text("words")
    assert "Copied" in stack(f"cp {tmp_path}/file db:/data/x").err
    stack(f"cp db:/data/x {tmp_path}/back")
    assert (tmp_path / "back").read_text() == "words"
    stack(f"export -o {tmp_path}/db.tar db")
    assert "ok" in tarfile.open(tmp_path / "db.tar").getnames()
    assert re.fullmatch("sha256:[0-9a-f]{64}\n", stack("commit -m why db kept:1").out)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def test_run(stack):
    said = stack("run --rm -T web echo of its own")
    assert said.out == "of its own\n" and re.search(
        r"demo-db-1 Waiting.*demo-db-1 Healthy.*demo-web-run-[0-9a-f]{12} Created", said.err, re.S
    )
    assert (
        stack("run --rm -T --no-deps -e B=2 -l x=y -u nobody -w /tmp web sh -c 'echo $A$B; id -un; pwd; exit 5'", 5).out
        == "b2\nnobody\n/tmp\n"
    )
    assert stack("run --rm -T --entrypoint 'echo of the entrypoint' once").out == "of the entrypoint\n"
    assert stack("run --rm -T tool").out == "a tool\n", "whose profile is on when it is named"
    assert stack("run --rm -T -v data:/srv -v /tmp web sh -c 'ls -d /srv /tmp'").out == "/srv\n/tmp\n"
    stack("run -d --name apart -p 127.0.0.1:18081:80 db")
    assert names(stack("ps --services")) == ["db", "web"] and "apart" in names(stack("ps -a --format {{.Name}} db"))
    assert "18081" in stack.host("port apart").out
    assert stack.host.inside("demo-web-1", "nslookup db | grep -c '^Address.*172'") == "1\n", "nobody finds it by the service's name"
    stack.host("rm -f apart")


def test_up_in_the_foreground(stack):
    """Until all have ended; ``--abort-on-container-exit`` and its kin end the others, and say with which code."""
    stack("stop -t 0")
    said = stack("up once")
    assert said.out == "Attaching to once-1\nonce-1  | one\nonce-1 exited with code 4\n" and "once-1  | two\n" in said.err
    up_with_its_trap(stack)
    said = stack("up --exit-code-from once", 4)
    assert said.out.splitlines()[0] == "Attaching to db-1, once-1, web-1" and "web-1 exited with code 3\n" in said.out
    assert "db-1    | bye\n" in said.out and "Aborting on container exit..." in said.err
    assert names(stack("ps -q")) == []
    assert stack("up --no-log-prefix --abort-on-container-failure --no-attach db --attach once once", 4).out.splitlines()[1] == "one"
    for flag in ("exit", "failure"):  # of who ends the others, not of who ends last
        up_with_its_trap(stack)
        assert "web-1 exited with code 3\n" in stack(f"up --abort-on-container-{flag}", 4).out


def up_with_its_trap(stack):
    """Before its shell has set that, web would not hear that it is to end."""
    stack("up -d web")
    wait_for(lambda: int(stack("exec -T web sed -n 's/^SigCgt:.//p' /proc/1/status").out, 16) >> signal.SIGTERM - 1 & 1)


def test_volumes_are_there_when_no_container_is(stack):
    stack.host("volume create other")
    stack("down -t 0")
    assert names(stack("volumes -q")) == ["demo_data"] and names(stack("volumes -q db")) == []


@pytest.mark.parametrize(("policy", "words"), [("never", "No such image: nosuch:image"), ("always", "cannot pull nosuch:image")])
def test_run_pulls_as_the_file_says(compose, policy, words):
    compose.write(f"services: {{web: {{image: 'nosuch:image', pull_policy: {policy}}}}}")
    assert words in compose("run --rm web", 1).err


def test_up_waits(compose):
    compose.write(FILE)
    compose("up --wait db web")
    assert names(compose("ps --services --filter status=running")) == ["db", "web"]
    compose.write(FILE.replace("touch /ok", "true").replace("interval: 100ms", "interval: 10s"))
    said = compose("up --wait --wait-timeout 1 db", 1)
    assert said.err.endswith("suitcase: application not healthy after 1s\n")


def test_up_changes_what_differs_and_no_more(stack):
    before = stack("ps -q db web").out
    stack("up -d")
    assert stack("ps -q db web").out == before
    stack.write(FILE.replace("A: b", "A: c"))
    assert "create container demo-web-1" in stack("--dry-run up -d").out and stack("ps -q db web").out == before, "only tried"
    stack("up -d --no-recreate")
    assert stack("ps -q db web").out == before
    stack("up -d --quiet-pull")
    now = stack("ps -q db web").out
    assert now.split()[0] == before.split()[0] and now != before and stack("exec -T web sh -c 'echo $A'").out == "c\n"


def test_why(stack):
    assert stack("why db").out.startswith("demo-db-1 stays")
    stack.write(FILE.replace("A: b", "A: c"))
    db, _, web = sorted(stack("why").out.splitlines())
    assert web.startswith("demo-web-1 is made anew: ") and "environment" in web and db.startswith("demo-db-1 stays")


def test_scale_and_create(stack):
    stack("scale db=2 once=0")
    assert names(stack("ps -a --format {{.Name}}")) == ["demo-db-1", "demo-db-2", "demo-web-1"]
    assert stack("exec -T --index 2 db hostname").out != stack("exec -T --index 1 db hostname").out
    stack("up -d --scale db=1 --no-deps db")
    assert names(stack("ps --format {{.Name}}")) == ["demo-db-1", "demo-web-1"]
    stack("down -t 0 --volumes")
    stack("create web")
    assert names(stack("ps -a --format {{.Name}}:{{.State}}")) == ["demo-db-1:created", "demo-web-1:created"]


def test_down(stack):
    assert "demo_data" in stack.host("volume ls -q").out
    stack("down -t 0")
    assert (
        names(stack("ps -aq")) == []
        and "demo_default" not in stack.host("network ls").out
        and "demo_data" in stack.host("volume ls -q").out
    )
    assert "remove volume demo_data" in stack("--dry-run down -v").out
    stack("down -v")
    assert "demo_data" not in stack.host("volume ls -q").out
    assert stack("down").err == 'WARN No resource found to remove for project "demo".\n'


def test_config(compose):
    compose.write(FILE.replace("A: b", 'A: "${LETTER:-b}"'))
    assert names(compose("config --services")) == ["db", "once", "web"] and names(compose("config --volumes")) == ["data"]
    assert names(compose("config --profiles")) == ["tools"] and names(compose("config --networks")) == ["default"]
    assert json.loads(compose("config --format json web").out)["services"].keys() == {"db", "web"}
    assert "${LETTER:-b}" in compose("config --no-interpolate").out and compose("config -q").out == ""
    assert re.search(r"LETTER +false +b", compose("config --variables").out)
    assert re.search(rf"services.web.environment.A +b +{re.escape(str(compose.file))}:\d+:\d+", compose("config --provenance").out)
    compose(f"config -o {compose.file.parent}/told.yaml")
    assert compose.host(f"compose -f {compose.file.parent}/told.yaml config").out.startswith("name: demo\n")
    compose("create web")
    labels = json.loads(compose.host("inspect demo-web-1").out)[0]["Config"]["Labels"]
    assert compose("config --hash web").out == f"web {labels['com.docker.compose.config-hash']}\n"


def test_versions(compose):
    assert compose.host("compose version --short").out.strip() in compose.host("compose version").out
    assert json.loads(compose.host("compose version -f json").out)["version"].startswith("v")


def test_a_label_makes_nobody_a_projects(compose):
    """Not one that the user gives, nor one of the image's."""
    compose.write(FILE)
    compose.host(f"run -d --name stranger -l com.docker.compose.project=demo -l com.docker.compose.service=web {BUSYBOX} sleep 60")
    assert names(compose("ps -aq")) == [] and names(compose("ls -aq")) == []
    compose("down -t 0")
    assert compose.host("inspect -f {{.State.Status}} stranger").out == "running\n"


def test_one_at_a_time(compose, monkeypatch):
    """``--parallel``, or the variable: each thing is done before the next one begins."""
    compose.write(f"services: {{web: {{image: {BUSYBOX}, command: sleep 60, scale: 4, stop_grace_period: 0s}}}}")
    started = re.findall(r"demo-web-\d (\w+)", compose("--parallel 1 up -d").err)
    pairs = list(zip(started[::2], started[1::2], strict=True))
    assert pairs == [("Creating", "Created")] * 4 + [("Starting", "Started")] * 4
    monkeypatch.setenv("COMPOSE_PARALLEL_LIMIT", "x")
    assert "COMPOSE_PARALLEL_LIMIT must be an integer" in compose("ps", 1).err


def test_what_stands_before_the_verb(compose, tmp_path, monkeypatch):
    compose.write(FILE.replace("A: b", 'A: "${LETTER-none}"'))
    (tmp_path / "letters").write_text("LETTER=x\n")
    (tmp_path / "more.yaml").write_text(f"services: {{more: {{image: {BUSYBOX}, volumes: ['./here:/here']}}}}\n")

    def config(before: str) -> dict:
        return json.loads(compose.host(f"compose -f {compose.file} {before} config --format json").out)

    assert config("")["services"]["web"]["environment"]["A"] == "none" and config("")["name"] == "demo"
    assert config(f"--env-file {tmp_path}/letters")["services"]["web"]["environment"]["A"] == "x"
    assert (
        config("-p other")["name"] == "other" and "tool" not in config("")["services"] and "tool" in config("--profile tools")["services"]
    )
    more = config(f"-f {tmp_path}/more.yaml --project-directory {tmp_path}/apart")["services"]["more"]
    assert more["volumes"][0]["source"] == f"{tmp_path}/apart/here"
    for name, value in (("COMPOSE_PROFILES", "tools"), ("COMPOSE_PROJECT_NAME", "named"), ("COMPOSE_PROGRESS", "quiet")):
        monkeypatch.setenv(name, value)
    assert config("")["name"] == "named" and "tool" in config("")["services"]
    assert compose("create tool").err == "" and names(compose("ps -a --format {{.Name}}")) == ["named-tool-1"]
    compose("down")
    monkeypatch.setenv("COMPOSE_FILE", f"{compose.file}:{tmp_path}/more.yaml")
    assert "more" in names(compose.host("compose config --services"))
    assert "no configuration file" not in compose.host("compose config -q").err
