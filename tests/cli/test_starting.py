"""The command starts fast: what a listing of containers may load, and the launcher that leaves out Python's ``site``."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.facts import facts, keep, living
from helpers.layers import member
from helpers.needs import requires

ROOT = Path(__file__).parents[2]
ALWAYS = """
    cli cli.containers cli.errors cli.flags cli.flags.completing cli.flags.groups cli.flags.kinds cli.flags.notyet cli.flags.reading
    cli.flags.usage cli.library cli.main cli.signals cli.standard cli.starting engine images images.digests images.image images.references
    images.store lazy linux processor sizes state state.events state.kept state.places state.removal visible
"""
LISTING = """
    cli.containers.looking cli.listing cli.listing.filters cli.listing.imagenames cli.listing.inspected cli.listing.rows
    cli.listing.templatenodes cli.listing.templatereading
    cli.listing.templates cli.listing.templatewords cli.streams
    cli.text engine.finding engine.naming engine.naming.shortnames engine.vitality
"""
STARTING = """
    advice bases beneath cli.attached cli.attached.inputs cli.attached.outputs cli.attached.relay cli.attached.session cli.attached.sources
    elf cli.attached.staying cli.attached.terminal cli.containers.options cli.containers.rates cli.flags.keyvalues container engine.daemons
    engine.daemons.calling engine.daemons.endings cli.attached.detaching engine.joining engine.lifecycle engine.making
    engine.moments engine.pipes engine.typists engine.vitality images.chains images.compression images.library images.merged
    images.overlays ingredients
    ingredients.capabilities ingredients.cgroups ingredients.cgroups.backends ingredients.cgroups.cgroup ingredients.cgroups.devices
    ingredients.cgroups.oom ingredients.cgroups.v1 ingredients.cgroups.v2 ingredients.files ingredients.init ingredients.namespaces
    ingredients.rootfs ingredients.users ingredients.workdir inside netfilter netfilter.announcing netfilter.rtnetlink process
    process.callers process.calls process.client process.errors process.exit process.handle process.leaving process.line
    process.messages process.output process.plan process.running process.steps process.waiting regularfile sealed shield state.dying
    state.leases state.owner state.reaping state.record state.shared state.undos volumes
"""
RUNNING = """
    cli.attached.following cli.containers.cidfile cli.containers.policies cli.containers.running
    cli.containers.wished cli.networks cli.networks.attachments cli.volumes
    cli.volumes.mounting engine.daemons.settling engine.ending engine.log engine.log.driver engine.log.file engine.log.frames
    engine.log.reader engine.log.tail engine.naming.names engine.pausing engine.plays engine.plays.restarting engine.naming.resolve
    engine.naming engine.naming.shortnames
    engine.plays.stopping engine.wishes engine.networks engine.networks.exposed engine.networks.published
"""
ON_A_BRIDGE = """
    atomicfile engine.finding engine.networks.asked ingredients.nameserver ingredients.veth netfilter.chains
    netfilter.firewalld netfilter.foreign netfilter.forwarding netfilter.iptables netfilter.netlink netfilter.nft netfilter.programs
    network network.alive network.bridges network.connecting network.definitions network.firewall network.firewall.change
    network.firewall.diagnosis network.firewall.network network.firewall.table network.names network.names.changes
    network.names.resolvconf network.names.settings network.netlink network.pools network.possible
"""
# Of Python's own what takes long, or opens a door that such a command has no business behind.
HEAVY = """
    ast asyncio bz2 copy dataclasses datetime decimal difflib dis email fractions gettext hashlib http importlib.metadata inspect ipaddress
    linecache locale logging lzma multiprocessing ntpath platform queue random selectors shutil socket ssl subprocess tarfile tempfile
    textwrap threading tokenize traceback urllib.parse uuid xml zlib
"""
START = """
import sys
file, sys.argv = sys.argv[1], sys.argv[1:]
try:
    exec(compile(open(file).read(), file, "exec"), {"__name__": "__main__", "__file__": file, "__package__": None})
finally:
    LOOK
"""
LOOK = 'print(*[name for name, module in sys.modules.items() if getattr(module, "__spec__", None)], file=sys.stderr)'


def loaded(words: list[str]) -> set[str]:
    """The modules that a command loads, as the launcher starts it. A stand-in (see lib.lazy) has no spec, and counts as none."""
    command = [sys.executable, "-ISX", "utf8", "-c", START.replace("LOOK", LOOK), str(ROOT / "lib/cli/__main__.py"), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def check(found: set[str], ours: str, heavy: str = "") -> None:
    """Of ours no others, of others' packages click alone, of what is heavy only what is named."""
    assert {name.removeprefix("lib.") for name in found if name.startswith("lib.")} - set(f"{ALWAYS}{ours}".split()) == set(), (
        "a module comes in: can it wait until it is needed?"
    )
    assert {name.partition(".")[0] for name in found} - sys.stdlib_module_names == {"click", "lib"}
    assert found & {*HEAVY.split()} == {*heavy.split()}


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A store with an image and a container that runs."""
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "store/images"))
    image = make.image(make.library(tmp_path / "store/images"), make.tar(member("x")), name="shop:1")
    keep(facts(image=image.id, chains=image.chain_ids, state=living("2026-11-29T03:20:02.000000001Z")))


def test_what_ps_loads(box):
    """No netlink, no HTTP, nothing that builds, pulls or runs; of others' packages click alone."""
    found = loaded(["ps"])
    assert "lib.cli.listing.imagenames" in found, "it has listed the container"
    check(found, LISTING, "datetime")


@requires("root", "overlay", "busybox")
def test_what_run_and_exec_load(suitcase):
    """Nothing that packs, unpacks, pulls or builds; no log for ``exec``; and the two daemons are there already."""
    suitcase("run -d --name box1 localhost/busybox:static sleep 60")
    usual = "dataclasses selectors socket subprocess threading zlib"
    try:
        check(
            loaded(["exec", "box1", "true"]),
            f"{STARTING} cli.containers.joining cli.networks cli.networks.attachments cli.volumes cli.volumes.mounting engine.finding",
            usual,
        )
        run = ["run", "--rm", "--network"]
        check(loaded([*run, "none", "localhost/busybox:static", "true"]), STARTING + RUNNING, f"{usual} hashlib random")
        found = loaded([*run, "bridge", "localhost/busybox:static", "true"])
        check(found, STARTING + RUNNING + ON_A_BRIDGE, f"{usual} datetime hashlib ipaddress random")
    finally:
        suitcase("rm -f box1")


@pytest.mark.parametrize("words", [["ps", "--help"], ["--version"], ["version"], ["logs", "box1"], ["inspect", "box1"]])
def test_what_others_load(box, tmp_path, words):
    """None of them waits for the starter, for the network or for what builds."""
    (tmp_path / "store/containers").mkdir(exist_ok=True)
    found = loaded(words)
    assert not [name for name in found if re.match(r"lib\.(build|registry|show|lab|process\.(starter|client|handle))\b", name)]
    assert not found & {"urllib3", "pyroute2", "ssl", "http.client", "asyncio"}


@requires("root", "overlay", "busybox")
def test_only_what_makes_something_of_a_project_loads_the_model(suitcase, tmp_path):
    """And pydantic with it, which takes as long as all the rest; nobody asks then which packages have plugins for it."""
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: localhost/busybox:static, command: sleep 60, stop_signal: KILL}}")
    model = {"pydantic", "lib.compose.model"}
    try:
        up, again = (loaded(["compose", "-f", str(file), "--progress", "quiet", "up", "-d"]) for _ in range(2))
        assert up > model and again > model and "importlib.metadata" not in again
        for verb in ("ps", "stop", "down"):
            found = loaded(["compose", "-f", str(file), "--progress", "quiet", verb])
            assert not found & {*model, "ast", "decimal", "difflib", "hashlib", "inspect", "logging", "queue", "random", "uuid"}, verb
    finally:
        suitcase(f"compose -f {file} down")


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["run", "--help"], ["ps", "-n", "x"], ["rm"], ["nosuch"], ["version"]])
def test_stand_ins_say_the_same(words):
    """What a command says does not tell whether it has the modules that click hardly uses, or something in their place."""
    said = []
    for before in ("", "import gettext, inspect, platform"):
        command = [sys.executable, "-ISX", "utf8", "-c", before + START.replace("LOOK", "pass"), str(ROOT / "lib/cli/__main__.py"), *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1] and any(said[0][1:])


LAST_WORDS = """
class Last:
    def __del__(self):
        print("taken apart")
last = Last()
"""


@pytest.mark.parametrize(("words", "code", "told"), [(["--version"], 0, "suitcase, version"), (["nosuch"], 1, "unknown command")])
def test_the_end_is_left_to_the_kernel(words, code, told):
    """All that was said is written, the exit code is the command's, and nothing is taken apart one by one."""
    command = [sys.executable, "-ISX", "utf8", "-c", LAST_WORDS + START.replace("LOOK", "pass"), str(ROOT / "lib/cli/__main__.py"), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == code and told in done.stdout + done.stderr and "taken apart" not in done.stdout


def test_a_stand_in_for_a_while():
    """Whoever imports it meanwhile gets the stand-in; what it does not have, and all that comes later, is the module's."""
    from lib.cli.starting import meanwhile

    before = sys.modules.pop("colorsys", None)
    try:
        with meanwhile({"colorsys": {"rgb_to_hsv": None}}):
            from colorsys import rgb_to_hsv, rgb_to_yiq
        import colorsys

        assert rgb_to_hsv is None and colorsys.rgb_to_hsv and rgb_to_yiq is colorsys.rgb_to_yiq
    finally:
        sys.modules.pop("colorsys", None)
        sys.modules |= {"colorsys": before} if before else {}


# -- the launcher -------------------------------------------------------------------------------

LAUNCHER = re.search(r"^launcher\(\) \{.*?^\}", (ROOT / "tools/setup.sh").read_text(), re.MULTILINE | re.DOTALL)[0]
STRANGE = 'a "house" of $HOME, `my` \\own'


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose folder has a name that a shell stumbles over; in the place of Python something that tells its words."""

    def made(venv: str) -> Path:
        root = tmp_path / STRANGE
        (root / venv / "bin").mkdir(parents=True)
        python = root / venv / "bin/python"
        python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        python.chmod(0o755)
        line = f"{LAUNCHER}\nVENV={shlex.quote(venv)} launcher"
        said = subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, check=True).stdout
        (root / venv / "bin/suitcase").write_text(said)
        (root / venv / "bin/suitcase").chmod(0o755)
        return root

    return made


def told(command: str | Path, cwd: Path, **env: str) -> tuple[str, list[str]]:
    """The program that Python is to start, and its words."""
    done = subprocess.run([str(command), "ps", "a b"], cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=True)
    flags, utf8, program, *words = done.stdout.splitlines()
    assert (flags, utf8, done.stderr) == ("-ISX", "utf8", "")
    return os.path.realpath(program), words


@pytest.mark.parametrize("venv", [".venv", "other/venv", "../venv outside"])
def test_the_launcher_finds_its_checkout(checkout, tmp_path, venv):
    root = checkout(venv)
    command, program = root / venv / "bin/suitcase", os.path.realpath(root / "lib/cli/__main__.py")
    (tmp_path / "link").symlink_to(command)
    (tmp_path / "elsewhere" / venv.removeprefix("../") / "bin").mkdir(parents=True)
    for how in (command, tmp_path / "link", os.path.relpath(command, root)):
        assert told(how, root, CDPATH=str(tmp_path / "elsewhere")) == (program, ["ps", "a b"])
    path = f"{command.parent}:{os.environ['PATH']}"
    assert told("suitcase", root, PATH=path)[0] == program


def test_a_checkout_with_its_packages_may_be_moved(checkout, tmp_path):
    checkout(".venv").rename(tmp_path / "moved")
    assert told(tmp_path / "moved/.venv/bin/suitcase", tmp_path)[0] == os.path.realpath(tmp_path / "moved/lib/cli/__main__.py")


@pytest.mark.parametrize("how", [["-m", "lib.cli"], ["-ISX", "utf8", str(ROOT / "lib/cli/__main__.py")]])
def test_as_a_module_and_as_a_file(how):
    done = subprocess.run([sys.executable, *how, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("suitcase, version ")


STOPPED = """
import sys, click
del sys.modules["click"]  # as Python does with a package whose import is stopped; its parts stay, and are not looked for again
from lib.cli import suitcase
for line in ("ps -a -q", "run --rm", "images -q", "nosuch"):
    suitcase(line)
"""


def test_an_import_that_was_stopped_half_way_spoils_no_command(tmp_path):
    """The stop button, pressed in a notebook's very first command."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "SUITCASE_STORE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", STOPPED], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
