"""A command line is read as Docker's reader does, down to the small forms that people type every day."""

from __future__ import annotations

import click
import pytest
from helpers.runs import run

from lib.cli.containers import options
from lib.cli.errors import Failed
from lib.cli.flags.kinds import whole
from lib.cli.flags.reading import in_full
from lib.cli.flags.usage import nearest, unknown_verb
from lib.cli.networks.attachments import Attachment


@click.command("stop")
@options.stopping
@click.argument("containers", nargs=-1, required=True, metavar="CONTAINER...")
def stop(**values):
    return values


@click.command("rename")
@click.argument("old", metavar="CONTAINER")
@click.argument("new", metavar="NEW_NAME")
def rename(old, new):
    return old, new


@click.command("port")
@click.argument("container")
@click.argument("private", required=False)
def port(container, private):
    return container, private


@click.command("version")
def version():
    return "1"


def read(*words: str, verb: click.Command = run):
    """What the verb gets."""
    context = click.Context(verb, info_name=verb.name, **verb.context_settings)
    return verb.main(in_full(context, words), prog_name=verb.name, standalone_mode=False)


def refused(*words: str, verb: click.Command = run) -> tuple[int, str]:
    with pytest.raises(Failed) as caught:
        read(*words, verb=verb)
    return caught.value.exit_code, caught.value.message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-itd", {"interactive": True, "tty": True, "detach": True}),
        ("-it --tty=false", {"interactive": True, "tty": False}),
        ("--tty=false -t", {"tty": True}),
        ("-t=false", {"tty": False}),
        ("-it=false", {"interactive": True, "tty": False}),
        ("--tty=true --rm=0 --init=T --read-only=FALSE", {"tty": True, "rm": False, "init": True, "read_only": False}),
        ("--rm=true --rm=false", {"rm": False}),
        ("-e=A=b -eA=c --env=A=d --env A=e -e A=f", {"env": ("A=b", "A=c", "A=d", "A=e", "A=f")}),
        ("-e=", {"error": "invalid environment variable: ="}),
        ("-m64m", {"memory": 64 << 20}),
        ("-m=64m", {"memory": 64 << 20}),
        ("-u1000", {"user": "1000"}),
        ("-itu1000", {"interactive": True, "tty": True, "user": "1000"}),
        ("-itu 1000", {"tty": True, "user": "1000"}),
        ("-itu=1000", {"tty": True, "user": "1000"}),
        ("-w /a -w /b", {"workdir": "/b"}),
        ("--workdir=", {"workdir": ""}),
        ("--entrypoint=", {"entrypoint": ""}),
        ("--name --rm", {"name": "--rm", "rm": False}),
        ("-e -i", {"env": ("-i",), "interactive": False}),
        ("-hthere", {"hostname": "there"}),
        ("--net host", {"networks": (Attachment("host"),)}),
        ("--sig-proxy=false", {"sig_proxy": False}),
        ("", {"sig_proxy": True, "pull": "missing", "rm": False, "detach_keys": "", "stop_timeout": None}),
        ("--stop-timeout -1", {"stop_timeout": -1}),
        ("--stop-timeout=0x10", {"stop_timeout": 16}),
        ("--memory-swap -1", {"memory_swap": -1}),
        ("--cpus 3/2", {"cpus": 1.5}),
        ("-a STDIN -a stdout", {"attach": ("stdin", "stdout")}),
    ],
)
def test_forms(words, expected):
    if "error" in expected:
        assert expected["error"] in refused(*words.split(), "image")[1]
    else:
        found = read(*words.split(), "image")
        assert {name: found[name] for name in expected} == expected and (found["image"], found["command"]) == ("image", ())


@pytest.mark.parametrize(
    ("words", "image", "rest"),
    [
        (["box", "sh", "-c", "-it", "--rm", "--", "--nosuch"], "box", ("sh", "-c", "-it", "--rm", "--", "--nosuch")),
        (["--", "box", "--", "x"], "box", ("--", "x")),
        (["--", "--rm"], "--rm", ()),
        (["-i", "-", "x"], "-", ("x",)),
        (["box", ""], "box", ("",)),
    ],
)
def test_options_end_at_the_image(words, image, rest):
    found = read(*words)
    assert (found["image"], found["command"], found["rm"], found["tty"]) == (image, rest, False, False)


def test_options_may_stand_behind_the_containers():
    assert read("one", "-t", "3", "two", verb=stop) == {"containers": ("one", "two"), "signal": "", "timeout": 3}
    assert read("one", "--", "-t", verb=stop)["containers"] == ("one", "-t")


def test_the_older_name_of_a_flag(capsys):
    assert read("--time", "3", "one", verb=stop)["timeout"] == 3
    assert capsys.readouterr().err == "Flag --time has been deprecated, use --timeout instead\n"
    assert refused("--time", "3", "-t", "3", "one", verb=stop) == (1, "conflicting options: cannot specify both --timeout and --time")


USAGE = "\n\nUsage:  suitcase run [OPTIONS] IMAGE [COMMAND]...\n\nRun 'suitcase run --help' for more information"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--nmae x image", "unknown flag: --nmae (do you mean --name?)"),
        ("--interactve image", "unknown flag: --interactve (do you mean --interactive?)"),
        ("--zzzzzz image", "unknown flag: --zzzzzz"),
        ("-rm image", "unknown shorthand flag: 'r' in -rm (do you mean --rm?)"),
        ("-iz image", "unknown shorthand flag: 'z' in -z"),
        ("---x image", "bad flag syntax: ---x"),
        ("--=x image", "bad flag syntax: --=x"),
        ("--name", "flag needs an argument: --name"),
        ("-e", "flag needs an argument: 'e' in -e"),
        ("-ie", "flag needs an argument: 'e' in -e"),
        ("--rm=maybe image", 'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("-t=2 image", 'invalid argument "2" for "-t, --tty" flag: strconv.ParseBool: parsing "2": invalid syntax'),
        ("--stop-timeout x image", 'invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        ("--pids-limit 1e99 image", 'invalid argument "1e99" for "--pids-limit" flag: strconv.ParseInt: parsing "1e99": invalid syntax'),
        ("--cpus inf image", 'invalid argument "inf" for "--cpus" flag: failed to parse inf as a rational number'),
        ("-m x image", "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x' (a number and one of b, k, m, g, e.g. 64m)"),
        ("-l a\tb=c image", "invalid argument \"a\tb=c\" for \"-l, --label\" flag: label 'a\tb' contains whitespaces"),
        ("-e =A image", 'invalid argument "=A" for "-e, --env" flag: invalid environment variable: =A'),
        ("-l =x image", 'invalid argument "=x" for "-l, --label" flag: invalid label \'=x\': empty name'),
        ("--net name=a,ip=x image", 'invalid argument "name=a,ip=x" for "--network" flag: failed to parse IP: "x"'),
        ("-a tty image", 'invalid argument "tty" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
    ],
)  # fmt: skip
def test_a_wrong_flag(words, said):
    assert refused(*words.split(" ")) == (125, said + USAGE)


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        (run, "", "'suitcase run' requires at least 1 argument"),
        (stop, "", "'suitcase stop' requires at least 1 argument"),
        (rename, "one", "'suitcase rename' requires 2 arguments"),
        (rename, "one two three", "'suitcase rename' requires 2 arguments"),
        (port, "", "'suitcase port' requires at least 1 and at most 2 arguments"),
        (version, "x", "'suitcase version' accepts no arguments"),
    ],
)
def test_too_few_or_too_many_words(verb, words, said):
    """Exit code 1, where a wrong flag has 125: so it is in Docker."""
    code, message = refused(*words.split(), verb=verb)
    first, usage, last = message.split("\n\n")
    assert (code, first) == (1, said) and usage.startswith(f"Usage:  suitcase {verb.name}")
    see = "See" if "at least 1 argument" in said else "Run"
    assert last == f"{see} 'suitcase {verb.name} --help' for more information"


def test_help_needs_no_image():
    context = click.Context(run, info_name="run", **run.context_settings)
    assert in_full(context, ["--help"]) == ["--help"]


def test_an_unknown_verb():
    said = unknown_verb("pss", ["ps", "run"])
    assert (said.message, said.exit_code) == (
        "unknown command: suitcase pss (do you mean suitcase ps?)\n\nRun 'suitcase --help' for more information",
        1,
    )
    assert nearest("zzz", ["name", "tty"]) == ""


@pytest.mark.parametrize(
    ("text", "number"), [("10", 10), ("-1", -1), ("+5", 5), ("0x1F", 31), ("010", 8), ("0o17", 15), ("0b11", 3), ("0", 0), ("-0x10", -16)]
)
def test_whole_numbers_as_go_reads_them(text, number):
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "x", "1.5", "1e3", "08", "0x", "--1", "٣", " 1", "1_0_", "9" * 99])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match=r"strconv\.ParseInt: parsing .*: invalid syntax"):
        whole(text)
    with pytest.raises(ValueError, match='parsing "9223372036854775808": value out of range'):
        whole(str(1 << 63))
