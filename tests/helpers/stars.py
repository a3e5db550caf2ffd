"""The ★ table: what READERS stumble over, where the chapter shows it, and what breaks the showing.

Each row: the ★ (chapter.row), its cells' tag, the feature that is switched off (a file of ``lib`` and a change of its text),
and what the cells then print or raise instead. ``test_stars.py`` goes through it: with the feature the cells print what
the notebook holds, without it they do not, for the stated reason.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Star:
    """One row: without ``old`` (replaced by ``new`` in ``lib/<module>``) the cells must show ``symptom``."""

    name: str
    question: str
    module: str
    old: str
    new: str
    symptom: str
    needs: tuple[str, ...] = ("root", "overlay", "memory", "cpu", "pids")

    @property
    def tag(self) -> str:
        return f"star:{self.name}"

    @property
    def chapter(self) -> str:
        return self.name.split(".")[0].zfill(2)


NETWORK = ("root", "overlay", "nft", "ip")
COMPOSED = (*NETWORK, "busybox")

STARS = (
    Star(
        "1.1", "is a container a small virtual machine?", "container.py",
        'kind in ("pid", "ipc", "cgroup") if', 'kind in ("ipc", "cgroup") if',
        "AssertionError: the container's first process is as old as the machine", needs=("root", "overlay", "vm"),
    ),
    Star(
        "1.2", "containers need no virtual machine; on a Mac they do", "lab/vm/footprint.py",
        "            guest += share\n", "            pass\n",
        "of it the guest:    0.0 MB", needs=("root", "overlay", "vm"),
    ),
    Star(
        "1.4", "exec format error", "advice.py",
        '    ("execve", "ENOEXEC"): why_not_executable,\n', "",
        "Exec format error → \n", needs=("root", "overlay"),
    ),
    Star(
        "2.1", "why does stop take ten seconds?", "container.py",
        "extras = [Init()] if init else []", "extras = []",
        "deaf, but --init     no             SIGKILL",
    ),
    Star(
        "2.2", "zombies that nobody reaps", "ingredients/init.py",
        '        return [\n            Step("prepare", "sealed_copy"', '        return [] and [\n            Step("prepare", "sealed_copy"',
        "zombies with --init:  1",
    ),
    Star(
        "2.3", "what do the exit codes mean?", "process/handle.py",
        "code = 128 + found.si_status if killed", "code = found.si_status if killed",
        "9     128 + 9, SIGKILL",
    ),
    Star(
        "2.4", "three ways to 137", "ingredients/cgroups/cgroup.py",
        "return self.oom_kills > 0", "return False",
        "oom_killed       exit 137: ended by signal 9 (SIGKILL)",
    ),
    Star(
        "2.5", "free and nproc show the host", "ingredients/cgroups/cgroup.py",
        '"memory.max": str(self.memory)', '"memory.max": str(2 * self.memory)',
        "memory.max: 256 MiB",
    ),
    Star(
        "2.7", "v1 or v2, the same words", "ingredients/cgroups/v1.py",
        '"memory.max": ("memory", "memory.limit_in_bytes"),\n', "",
        "KeyError", needs=("root", "overlay", "cgroup1"),
    ),
    Star(
        "2.8", "pivot_root: Invalid argument, which of five?", "advice.py",
        '("pivot_root", "EINVAL"): why_no_pivot,', "",
        "pivot_root: Invalid argument → \n",
    ),
    Star(
        "2.11", "docker logs is empty", "process/child.py",
        "        for number in (0, 1, 2):\n            os.dup2(slave, number)", "        os.dup2(slave, 0)",
        "a terminal (-t)     only when it ended",
    ),
    Star(
        "3.1", "every change installs everything again", "images/cache.py",
        "            os.utime(self.place / name)\n            return record\n", "            return None\n",
        "better order: packages installed again", needs=("root", "overlay"),
    ),
    Star(
        "3.2", "RUN apt-get update is months old", "build/runstep.py",
        '"command": argv,', '"command": [*argv, str(__import__("time").time())],',
        "on the server: 5.0 · in the image: 5.0", needs=("root", "overlay"),
    ),
    Star(
        "3.3", "chmod in a later RUN doubles the image", "cli/reports.py",
        "    return sum(seen.values())\n", "    return 0\n",
        "dd 0 MiB · chmod 0 MiB", needs=("root", "overlay"),
    ),
    Star(
        "3.4", "the secret that was deleted", "build/runner.py",
        'place = f"{self.private}/{hashlib', 'place = f"{self.upper}/{hashlib',
        "the thief finds it in: layer 2", needs=("root", "overlay"),
    ),
    Star(
        "3.5", "what does .dockerignore let in?", "build/ignore.py",
        "        for rule in self.rules:\n", "        for rule in sorted(self.rules, key=lambda rule: rule.takes_back):\n",
        "src/main.go    goes  goes     goes      goes", needs=("root", "overlay"),
    ),
    Star(
        "3.6", "COPY failed", "build/context.py",
        "if self.merged.find(path) and (rule := self.ignore.match(path)):", "if rule := None:",
        "'README.md' is not in the build context; there is README.md", needs=("root", "overlay"),
    ),
    Star(
        "3.8", "the same Dockerfile, another digest", "images/sourcedate.py",
        "return int(text) if text else None", "return None",
        "with an agreed time: different", needs=("root", "overlay"),
    ),
    Star(
        "4.1", "a published port refuses: the app listens on 127.0.0.1", "network/firewall/network.py",
        "ct status dnat goto pass\ndrop\n", "drop\n",
        "no answer: last seen at host: lan", needs=NETWORK,
    ),
    Star(
        "4.2", "names do not resolve on the default bridge", "network/connecting.py",
        "if any(one.user_defined for one in networks):", "if not networks:",
        "AssertionError: nobody in there knows a name", needs=NETWORK,
    ),
    Star(
        "4.3", "a published port walks round the firewall", "network/firewall/port.py",
        'return Change(name, "", "")', 'at = ipaddress.ip_address(ANY[ip])',
        "AssertionError: the whole office gets in", needs=NETWORK,
    ),
    Star(
        "4.4", "FORWARD's policy DROP silences others' machines", "network/firewall/table.py",
        "type filter hook forward priority filter - 1; }}", "type filter hook forward priority filter - 1; policy drop; }}",
        "AssertionError: the machines beside us fell silent", needs=NETWORK,
    ),
    Star(
        "4.5", "small pages come, large ones hang", "network/bridges.py",
        "return linux.link_mtu(link)", "return ETHERNET",
        "backyard  100 bytes       no answer", needs=NETWORK,
    ),
    Star(
        "4.6", "could not find an available, non-overlapping address pool", "network/definitions.py",
        "return pools.routed() | ours", "return ours",
        "network with name stock already exists", needs=NETWORK,
    ),
    Star(
        "4.9", "how do I reach the host from a container?", "network/connecting.py",
        'gateway if address == "host-gateway" else address', '"127.0.0.1" if address == "host-gateway" else address',
        "AssertionError: the host is out of reach", needs=NETWORK,
    ),
    Star(
        "5.2", "the health check never passes", "engine/daemons/checking.py",
        '"ExitCode": code, "Output": output}', '"ExitCode": code, "Output": ""}',
        "the last probe: exit code 127, \n", needs=("root", "overlay", "busybox"),
    ),
    Star(
        "5.1", "depends_on does not wait for ready", "compose/acting/waiting.py",
        'return found["Status"] == "healthy"', "return True",
        "db is starting", needs=COMPOSED,
    ),
    Star(
        "5.3", ".env against env_file against shell: which one wins?", "compose/reading/environment.py",
        "Node({**from_files, **given}", "Node({**given, **from_files}",
        "environment: {COLOUR: file}  .env     shell             env_file", needs=COMPOSED,
    ),
    Star(
        "5.4", "where has the data gone?", "compose/planning/downward.py",
        "if wishes.volumes else ()", "if True else ()",
        "three orders; down, and up           0", needs=(*COMPOSED, "mmdebstrap"),
    ),
    Star(
        "5.5", "a mount hides the image's files", "engine/volumes/filling.py",
        "            copy(image, path, volume.data)", "            pass",
        "./src:/app and /app/modules        main.py\n", needs=COMPOSED,
    ),
    Star(
        "5.6", "an override's lists are appended", "compose/reading/merging.py",
        "    return UNIQUE.apply(node)", "    return node",
        "/srv is mounted already", needs=COMPOSED,
    ),
    Star(
        "5.8", "up does not rebuild, up does not recreate", "compose/planning/reasons.py",
        "and here != one.image", "and not here",
        "up -d --build  yesterday's news", needs=COMPOSED,
    ),
)  # fmt: skip
