"""Files that nobody has thought of, read by us and by the real Compose: many keys in a file, so that a process reads many cases."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from helpers.composing import Case, difference, ours, theirs
from helpers.needs import requires
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = requires("compose")
QUICK = settings(
    max_examples=20, deadline=None, database=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def some(of, most=3, **more):
    return st.lists(of, max_size=most, **more)


def made(form: str, *parts):
    return st.builds(form.format, *parts)


def keys(required: dict, **optional):
    return st.fixed_dictionaries(required, optional=optional)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
WORDS = st.text(st.sampled_from("ab -_=:,#.'\"\\{}[]<>&|;()é\t"), max_size=12)
SCALARS = st.one_of(st.integers(-(1 << 40), 1 << 70), st.booleans(), WORDS, st.floats(allow_nan=False, allow_infinity=False))
PAIRS = st.one_of(
    st.dictionaries(NAMES, st.one_of(st.none(), SCALARS), max_size=4),
    some(made("{}={}", NAMES, WORDS), unique=True),
)
NUMBERS = st.integers(1, 60000)
PORTS = st.one_of(
    NUMBERS,
    NUMBERS.map(str),
    made("{}:{}", NUMBERS, NUMBERS),
    made("127.0.0.1:{}:{}/udp", NUMBERS, NUMBERS),
    st.builds(lambda low, more, at: f"{low}-{low + more}:{at}-{at + more}", NUMBERS, st.integers(0, 3), NUMBERS),
    keys({"target": NUMBERS}, published=st.one_of(NUMBERS, NUMBERS.map(str)), protocol=st.just("udp")),
)
PATHS = st.from_regex(r"(/|\./|\.\./|~/)[a-z.]{1,4}(/[a-z.]{1,3}){0,2}/?", fullmatch=True)
MOUNTS = made("{}:/{}{}", PATHS, NAMES, st.sampled_from(["", ":ro", ":rw,z"]))
TIMES = made("{}{}", st.integers(0, 5000), st.sampled_from(["ms", "s", "m", "h", "d", "us"]))
SIZES = made("{}{}", st.integers(0, 5000), st.sampled_from(["", "b", "k", "kb", "m", "MB", "g", "GiB"]))
SHELL = st.from_regex(r"[a-z]{1,4}( ([a-z]{1,3}|'[a-z ]{0,4}'|\"[a-z ']{0,4}\"|\\[a-z ])){0,3}", fullmatch=True)
COMMANDS = st.one_of(some(WORDS), SHELL)
SERVICES = keys(
    {"image": NAMES},
    annotations=PAIRS,
    build=keys({"context": PATHS}, args=PAIRS, target=NAMES, tags=some(NAMES)),
    cap_add=some(NAMES),
    command=COMMANDS,
    cpus=st.floats(0.01, 64),
    deploy=keys({}, replicas=st.integers(0, 3), labels=PAIRS),
    dns=st.one_of(NAMES, some(NAMES, unique=True)),
    entrypoint=COMMANDS,
    environment=PAIRS,
    expose=some(st.one_of(NUMBERS, NUMBERS.map(str)), unique_by=str),
    extra_hosts=st.one_of(st.dictionaries(NAMES, st.just("1.2.3.4")), some(made("{}:::1", NAMES), unique=True)),
    healthcheck=keys({"test": st.one_of(WORDS, st.just(["CMD", "x"]))}, interval=TIMES, retries=NUMBERS),
    labels=PAIRS,
    logging=keys({"driver": NAMES}, options=st.dictionaries(NAMES, st.one_of(NUMBERS, WORDS), max_size=2)),
    mem_limit=SIZES,
    ports=some(PORTS),
    shm_size=st.one_of(SIZES, st.integers(0, 1 << 40)),
    stop_grace_period=TIMES,
    sysctls=PAIRS,
    tty=st.booleans(),
    ulimits=st.dictionaries(NAMES, st.one_of(NUMBERS, keys({"soft": NUMBERS, "hard": NUMBERS})), max_size=2),
    volumes=some(MOUNTS),
)


def compared(*files: dict, variables: tuple[str, ...] = ()) -> str:
    with tempfile.TemporaryDirectory() as folder:
        options = []
        for index, file in enumerate(files):
            (Path(folder) / f"{index}.yaml").write_text(json.dumps(file))
            options += ["-f", f"{index}.yaml"]
        return difference(Case("generated", Path(folder), tuple(options), variables))


@QUICK
@given(st.dictionaries(NAMES, SERVICES, min_size=1, max_size=4))
def test_a_file_is_read_alike(services):
    assert compared({"services": services}) == ""


@QUICK
@given(SERVICES, SERVICES)
def test_two_files_are_merged_alike(base, over):
    assert compared({"services": {"web": base}}, {"services": {"web": over}}) == ""


def nested(inner):
    return st.builds("${{{}{}{}}}".format, st.sampled_from("VUE"), st.sampled_from(["-", ":-", "+", ":+", "?", ":?"]), inner)


PLAIN = st.sampled_from(["$V", "${V}", "$U", "${U}", "$$", "a", "-", ":", "x y", "$1", "$.", "?+"])
TEXTS = st.recursive(PLAIN, lambda inner: some(st.one_of(inner, nested(inner)), 4).map("".join), max_leaves=8)


@QUICK
@given(TEXTS)
def test_variables_are_filled_in_alike(text):
    assert compared({"services": {"a": {"image": "x", "labels": {"a": text}}}}, variables=("V=value", "E=")) == ""


LINES = (
    "A=1", "A", "export B=2", "B: 3", "C='x", 'C="x', "'", '"', "D=$A", 'D="${A}\\n"', "# c", "E=a #b", "E='a' #b", "F=\\n", "", " G = 1",
    "H=",
)  # fmt: skip


@QUICK
@given(some(st.sampled_from(LINES), 6).map("\n".join))
def test_files_of_variables_are_read_alike(text):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.env").write_text(text + "\n")
        (Path(folder) / "compose.yaml").write_text("services: {a: {image: x, env_file: x.env}}")
        case = Case("generated", Path(folder))
        their, our = theirs(case), ours(case)
        assert bool(their.error) == bool(our.error), (their.error, our.error)
        assert our.document == their.document
