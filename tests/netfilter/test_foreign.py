"""Beside iptables: one rule of ours in each back end in use, first where it has to be, and nothing of it afterwards."""

from __future__ import annotations

import pytest
from helpers.needs import requires

from lib import state
from lib.netfilter import foreign, iptables, nft

pytestmark = requires("root", "nft", "ip", "iptables")
PROGRAMS = [f"{name}-{back_end}" for name in ("iptables", "ip6tables") for back_end in ("nft", "legacy")]
OURS = f"-A {{}} {' '.join(iptables.RULE)}"
DOCKERS = ("-N DOCKER-USER", "-I FORWARD -j DOCKER-USER", "-A DOCKER-USER -s 10.9.9.9 -j DROP")
UFWS = ("-N ufw-before-forward", "-A FORWARD -j ufw-before-forward", "-P FORWARD DROP")


def rules(host, program: str) -> list[str]:
    return [line.strip().replace('"', "") for line in host.run(program, "-w", "-S").splitlines()]


def add(host, program: str, *lines: str) -> None:
    for line in lines:
        host.run(program, "-w", *line.replace("10.9.9.9", "fd99::9" if program.startswith("ip6") else "10.9.9.9").split())


def all_rules(host) -> list[str]:
    return [host.run("nft", "-s", "list", "ruleset"), *(host.run(one) for one in ("iptables-legacy-save", "ip6tables-legacy-save"))]


def test_where_nobody_uses_iptables_nobody_begins_to(host):
    host(nft.carry_out, "add table inet mine; add chain inet mine forward { type filter hook forward priority 0; policy drop; }")
    before = all_rules(host)
    for call in (foreign.in_use, foreign.let_pass, foreign.withdraw):
        assert not host(call)
    assert all_rules(host) == before


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("theirs, chain", [(DOCKERS, "DOCKER-USER"), (UFWS, "FORWARD"), (["-N DOCKER-USER", *UFWS], "FORWARD")])
def test_one_rule_at_the_head_of_the_right_chain(host, program, theirs, chain):
    add(host, program, *theirs)
    before = rules(host, program)
    assert list(host(foreign.in_use)) == [program]
    for _ in range(2):
        host(foreign.let_pass)
        now = rules(host, program)
        assert [line for line in now if "suitcase" in line] == [OURS.format(chain)]
        assert next(line for line in now if line.startswith(f"-A {chain} ")) == OURS.format(chain)
        assert [line for line in now if "suitcase" not in line] == before
    for _ in range(2):
        host(state.undo_all, [["withdraw_exception"]])
        assert rules(host, program) == before


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_made_again_after_a_reload(host, program):
    add(host, program, *UFWS)
    host(foreign.let_pass)
    for reload in (["-F"], ["-I FORWARD -j REJECT"], [*DOCKERS[:2]]):
        add(host, program, *reload)
        host(foreign.let_pass)
    assert [line for line in rules(host, program) if "suitcase" in line] == [OURS.format("FORWARD"), OURS.format("DOCKER-USER")]
    host(foreign.withdraw)
    assert not any("suitcase" in line for line in rules(host, program))


def test_all_back_ends_at_once(host):
    for program in PROGRAMS:
        add(host, program, *UFWS)
    before = all_rules(host)
    host(foreign.let_pass)
    assert all(OURS.format("FORWARD") in rules(host, program) for program in PROGRAMS)
    host(foreign.withdraw)
    strip = lambda text: [line for line in text.splitlines() if not line.startswith(("#", ":"))]  # dates and counters
    assert [strip(text) for text in all_rules(host)] == [strip(text) for text in before]


def test_who_cannot_even_look_does_not_say_that_nothing_is_there(host, monkeypatch):
    add(host, "iptables-legacy", *UFWS)
    monkeypatch.setattr(iptables, "run", lambda argv: (4, "Another app is currently holding the xtables lock."))
    for call in (foreign.let_pass, foreign.withdraw):
        with pytest.raises(OSError, match="xtables lock"):
            host(call)


def test_a_back_end_whose_program_has_gone(host, monkeypatch):
    add(host, "iptables-legacy", *UFWS)
    monkeypatch.setattr(foreign, "find", lambda name: None)
    host(foreign.let_pass)
    host(foreign.withdraw)
    assert list(host(foreign.in_use)) == ["iptables-legacy"]


FIREWALLD = """
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority 10
        ct status dnat accept
        reject
    }
}
"""
# A stand-in that keeps a zone in a file, and answers as the real one.
FIREWALL_CMD = """#!/bin/sh
case "$*" in
    "--zone=trusted --query-interface=suitcase+") grep -q suitcase {0};;
    "--zone=trusted --add-interface=suitcase+") echo suitcase >> {0};;
    "--zone=trusted --remove-interface=suitcase+") : > {0};;
    *) exit 2;;
esac
"""


def test_firewalld_is_told_by_its_own_command(host, monkeypatch, tmp_path):
    zone, program = tmp_path / "zone", tmp_path / "firewall-cmd"
    program.write_text(FIREWALL_CMD.format(zone))
    program.chmod(0o755)
    zone.touch()
    monkeypatch.setattr(foreign, "find", {"firewall-cmd": str(program)}.get)
    host(foreign.let_pass)
    assert zone.read_text() == ""  # it is not in use here
    host(nft.carry_out, FIREWALLD)
    assert list(host(foreign.in_use)) == ["firewall-cmd"]
    for _ in range(2):
        host(foreign.let_pass)
        assert zone.read_text() == "suitcase\n"
    for _ in range(2):
        host(foreign.withdraw)
        assert zone.read_text() == ""
    program.write_text("#!/bin/sh\necho FirewallD is not running; exit 252\n")
    with pytest.raises(OSError, match="FirewallD is not running"):
        host(foreign.let_pass)
