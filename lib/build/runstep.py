"""``RUN`` as a step: what counts for its key, and what it does when there is no record of that key."""

from __future__ import annotations

from lib.build import copying
from lib.build.changes import Changes
from lib.build.context import Tree
from lib.build.steps import PREDEFINED, BuildError, Cancelled, Work, whole_command
from lib.dockerfile import instructions
from lib.images import Merged

HIDDEN = {
    *PREDEFINED,
    *(name.lower() for name in PREDEFINED),
}  # ARGs that are given to the command, but neither in the key nor in the history


class RunStep:
    """One RUN of a stage (``stages.StageBuild``), its variables replaced."""

    def __init__(self, stage, one: instructions.Run):
        self.stage, self.build, self.state, self.one = stage, stage.build, stage.state, one
        self.user, self.mounts = self.state.config.get("User") or "", self.with_targets()
        self.args = {name: value for name, value in self.state.args.items() if name not in HIDDEN}
        self.env = {**self.args, **self.state.env}
        self.network = self.build.options.network if one.network == "default" else one.network
        self.workdir = self.state.config.get("WorkingDir") or "/"

    def work(self) -> Work:
        argv, text = self.command()
        parts = {
            "command": argv, "env": self.env, "user": self.user, "workdir": self.workdir, "network": self.network,
            "mounts": [self.mount_part(mount) for mount in self.mounts],
        }  # fmt: skip
        words = [f"{name}={value}" for name, value in self.args.items()]
        shown = f"|{len(words)} {' '.join(words)} {' '.join(argv)}" if words else f"RUN {text}"
        return Work("run", parts, lambda place: self.do(place, argv), shown)

    def do(self, place: str, argv: list[str]) -> None:
        from lib.build.runner import Command, Runner
        from lib.container import PATH  # what starts containers is loaded when the first one starts

        folders, options = self.state.folders(), self.build.options
        who = self.stage.who(self.user)
        below = [self.state.chains.mountpoints(), *folders]
        proxies = {name: value for name, value in options.build_args.items() if name.upper() in PREDEFINED}
        command = Command(argv, below, {"PATH": PATH, **proxies, **self.env}, self.workdir, who, self.network, self.mounts)
        Changes(Merged(folders), place)  # the top folder looks as before
        self.execute(Runner(self.build.store, command, place, self.tree_of, options.secrets, options.ssh, self.build.stopping), argv)

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
        """With targets that begin at the root, and the id that a cache has if none is given."""
        return tuple(mount._replace(target=self.state.path(mount.target)) if mount.target else mount for mount in self.one.mounts)

    def mount_part(self, mount) -> list:
        """What of a mount counts for the key: not what is in a cache or a secret, but what a bind shows."""
        words = [mount.type, mount.target, mount.id, mount.read_only, mount.env, mount.mode, mount.uid, mount.gid, mount.size]
        if mount.type != "bind":
            return words
        if mount.from_:
            return [*words, mount.source, self.build.chain(mount.from_, self.stage.stage.base.place, self.stage.stage)]
        return [*words, copying.content(copying.find(self.build.context, (mount.source or "/",)))]

    def tree_of(self, mount) -> Tree:
        if not mount.from_:
            return self.build.context
        return self.build.tree(mount.from_, self.stage.stage.base.place, self.stage.stage)


def as_script(script: str) -> str:
    """A heredoc with an interpreter of its own, as a command for the shell: written to a file, made executable, run, removed."""
    mark = "SUITCASE_HEREDOC"
    while mark in script:
        mark += "_"
    return f'f=$(mktemp) && cat > "$f" <<\'{mark}\' && chmod 700 "$f" && "$f"; c=$?; rm -f "$f"; exit $c\n{script}{mark}\n'
