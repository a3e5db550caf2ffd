"""``RUN`` as a step: what counts for its key, and what it does when there is no record of that key."""

from __future__ import annotations

from functools import cached_property

from lib.build import copying
from lib.build.changes import Changes
from lib.build.copying import Source
from lib.build.steps import PREDEFINED, BuildError, Cancelled, Work, whole_command
from lib.dockerfile import instructions
from lib.images import ImageError, Merged

HIDDEN = {
    *PREDEFINED,
    *(name.lower() for name in PREDEFINED),
}  # what a --build-arg gives to the command without an ARG: it is neither in the key nor in the history. What an ARG declares, is


class RunStep:
    """One RUN of a stage (``stages.StageBuild``), its variables replaced."""

    def __init__(self, stage, one: instructions.Run):
        self.stage, self.build, self.state, self.one = stage, stage.build, stage.state, one
        self.user, self.mounts = self.state.config.get("User") or "", self.with_targets()
        self.env = {**self.state.args, **self.state.env}
        self.network = self.build.options.network if one.network == "default" else one.network
        self.workdir = self.state.config.get("WorkingDir") or "/"

    def work(self) -> Work:
        self.check()
        argv, text = self.command()
        parts = {
            "command": argv, "env": self.env, "user": self.user, "workdir": self.workdir, "network": self.network,
            "mounts": [self.mount_part(mount) for mount in self.mounts],
        } | ({"hosts": [list(one) for one in hosts]} if (hosts := self.build.options.hosts) else {})  # fmt: skip
        words = [f"{name}={value}" for name, value in self.state.args.items()]
        shown = f"|{len(words)} {' '.join(words)} {' '.join(argv)}" if words else f"RUN {text}"
        return Work("run", parts, lambda place: self.do(place, argv), shown)

    def check(self) -> None:
        """What is asked for and cannot be had."""
        if self.one.security == "insecure":
            hint = "a RUN has the rights of an ordinary container; what needs more is done outside of a build"
            raise self.one.place.error("RUN --security=insecure is not allowed", hint, "--security")
        if self.one.network == "host" and not self.build.options.host_is_allowed:
            none = self.build.options.network == "none"
            change = "leave out build's --network none" if none else "build with --allow network.host"
            hint = f"whoever builds decides, not the Dockerfile: {change} if this command may be in the machine's network"
            why = ": the build was started with --network none" if none else ""
            raise self.one.place.error(f"RUN --network=host is not allowed{why}", hint, "--network")
        if any(mount.type == "ssh" and (mount.mode, mount.uid, mount.gid) != (None, None, None) for mount in self.mounts):
            words = "--mount=type=ssh: mode, uid and gid do not count: the agent's socket is shown as it is on this machine"
            self.build.warnings.append(f"line {self.one.place.line}: {words}")

    def do(self, place: str, argv: list[str]) -> None:
        from lib.build.runner import Command, Runner
        from lib.container import PATH  # what starts containers is loaded when the first one starts

        folders, options = self.state.folders(), self.build.options
        who = self.stage.who(self.user)
        below = [self.state.chains.mountpoints(), *folders]
        command = Command(
            argv,
            below,
            {"PATH": PATH, **proxies({**self.state.args, **options.build_args}), **self.env},
            self.workdir,
            who,
            self.where(),
            self.mounts,
            options.hosts,
        )
        Changes(Merged(folders), place)  # the top folder looks as before
        secrets, ssh = self.entrusted()
        self.execute(Runner(self.build.store, command, place, self.source, secrets, ssh, self.build.stopping), argv)

    def where(self):
        """The network, as ``Container`` takes it. The key has only the word: wherever ``default`` leads, a command does the same there."""
        return self.build.options.default_network() if self.network == "default" else self.network

    def entrusted(self) -> tuple[dict[str, str], dict[str, str]]:
        """The secrets and the agents. A trigger (ONBUILD) of a stranger's base gets only what the Dockerfile itself names, too."""
        given = {"secret": self.build.options.secrets, "ssh": self.build.options.agents}
        if self.stage.number > 0:
            return given["secret"], given["ssh"]
        named = {asked(mount) for stage in self.build.file.stages for one in stage.instructions for mount in mounts_of(one)}
        for mount in self.mounts:
            wanted = asked(mount)
            if wanted and wanted[1] in given[wanted[0]] and not {wanted, ("secret", "")} & named:
                self.refused(mount)
        secrets = {name: file for name, file in given["secret"].items() if {("secret", name), ("secret", "")} & named}
        return secrets, {name: socket for name, socket in given["ssh"].items() if ("ssh", name) in named}

    def refused(self, mount) -> None:
        what = " ".join(asked(mount)).replace("ssh default", "ssh agent")
        words = f"ONBUILD in the base image asks for the {what}: it gets none that the Dockerfile does not name in a RUN --mount of its own"
        if mount.required:
            raise ImageError(words)
        self.build.warnings.append(words)

    def command(self) -> tuple[list[str], str]:
        """What is run, and how the history tells it. A heredoc alone is the script itself."""
        words, shell, heredocs = self.one.command, self.state.shell, self.one.heredocs
        if heredocs and self.one.shell_form:
            script = heredocs[0].content
            if len(heredocs) == 1 and " ".join(words).strip().startswith("<<") and len(" ".join(words).split()) == 1:
                if script.startswith("#!"):
                    return ["/bin/sh", "-c", as_script(script)], f"{' '.join(words)}"
                return [*shell, script], f"{' '.join(shell)} {script}"
            text = " ".join(words) + "".join(f"\n{here.body}{here.name}" for here in heredocs)
            return [*shell, text], f"{' '.join(shell)} {text}"
        argv = whole_command(words, self.one.shell_form, shell)
        return argv, " ".join(argv)

    def execute(self, runner, argv: list[str]) -> None:
        tail: list[str] = []

        def show(text: str) -> None:
            tail.append(text)
            del tail[:-200]
            self.build.tell("output", self.stage.report, text)

        done = runner.run(show, self.build.running)
        if self.build.stopping.is_set():
            raise Cancelled("stopped")
        if done.code:
            reason = f" ({done.reason})" if done.reason else ""
            last = "".join(tail).splitlines()[-10:]
            error = BuildError(
                f"The command '{' '.join(argv)}' returned a non-zero code: {done.code}{reason}"
                + "".join(f"\n    | {line}" for line in last)
            )
            error.exit_code = done.code
            raise error

    # -- mounts

    def with_targets(self) -> tuple:
        """With targets that begin at the root; a cache that begins as a copy of something is another one when that is."""
        return tuple(self.seeded(mount._replace(target=mount.target and self.state.path(mount.target))) for mount in self.one.mounts)

    def seeded(self, mount):
        if mount.type != "cache" or not mount.from_:
            return mount
        seed = f"{self.build.chain(mount.from_, self.one.place, self.stage.stage)} {mount.source or '/'}"
        return mount._replace(id=f"{mount.id or mount.target} {seed}")

    def mount_part(self, mount) -> list:
        """What of a mount counts for the key: not what is in a cache or a secret, but what a bind shows."""
        words = [mount.type, mount.target, mount.id, mount.read_only, mount.env, mount.mode, mount.uid, mount.gid, mount.size]
        if mount.type != "bind":
            return words
        if mount.from_:
            return [*words, mount.source, self.build.chain(mount.from_, self.one.place, self.stage.stage)]
        return [*words, copying.content([self.source(mount)])]

    def source(self, mount) -> Source:
        """What a mount shows, or a cache begins as."""
        if not mount.from_:
            return self.shown[mount]
        return copying.named(self.build.tree(mount.from_, self.one.place, self.stage.stage), (mount.source or "/",))[0]

    @cached_property
    def shown(self) -> dict:
        """What of the context is shown. It is looked for once: what is copied then is what the key was made of."""
        mounts = [mount for mount in self.mounts if mount.type == "bind" and not mount.from_]
        return {mount: copying.named(self.build.context, (mount.source or "/",))[0] for mount in mounts}


def proxies(given: dict[str, str]) -> dict[str, str]:
    """In capitals and in small letters, whichever was given: some programs read the one, some the other."""
    found = {name.upper(): value for name, value in given.items() if name.upper() in PREDEFINED}
    return found | {name.lower(): value for name, value in found.items()} | {name: given[name] for name in HIDDEN & given.keys()}


def asked(mount) -> tuple[str, str] | None:
    """What is not for everybody, as a mount names it. A secret without a name has a variable for one: it may be any."""
    if mount.type == "ssh":
        return "ssh", mount.id or "default"
    return ("secret", mount.secret) if mount.type == "secret" else None


def mounts_of(one) -> tuple:
    """The mounts of a RUN, also of one that is to be handed on as a trigger."""
    one = one.instruction if isinstance(one, instructions.OnBuild) else one
    return one.mounts if isinstance(one, instructions.Run) else ()


def as_script(script: str) -> str:
    """A heredoc with an interpreter of its own, as a command for the shell: written to a file, made executable, run, removed."""
    mark = "SUITCASE_HEREDOC"
    while mark in script:
        mark += "_"
    return f'f=$(mktemp) && cat > "$f" <<\'{mark}\' && chmod 700 "$f" && "$f"; c=$?; rm -f "$f"; exit $c\n{script}{mark}\n'
