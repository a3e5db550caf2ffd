"""One stage of a build: from its base on, step by step, each adding a layer or a word to the config."""

from __future__ import annotations

import os
import posixpath
import time
from dataclasses import dataclass, field, replace

from lib.build import copying, settings
from lib.build.changes import Changes
from lib.build.context import Tree
from lib.build.explain import why
from lib.build.filesteps import Files
from lib.build.ignore import IgnoreError
from lib.build.steps import PREDEFINED, BuildError, Cancelled, StepReport, Work, whole_command
from lib.dockerfile import dockerfile, instructions
from lib.images import digests, layers
from lib.images.cache import Record, key
from lib.images.digests import ImageError
from lib.images.layers import Layer
from lib.images.merged import Merged
from lib.images.times import created, epoch

SHELL = ["/bin/sh", "-c"]
COMMENT = "suitcase build"


@dataclass
class State:
    """What a stage has come to: layers, config, history, and the words that only the build itself knows."""

    config: dict = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    args: dict[str, str] = field(default_factory=dict)
    shell: list[str] = field(default_factory=lambda: list(SHELL))
    has_cmd: bool = False  # CMD was said in this very stage
    chains: object = None
    created: str = "1970-01-01T00:00:00Z"  # of the last layer; a word in the config does not make an image younger

    @property
    def chain(self) -> str:
        """The chain id of the top layer: the name of the file system as it is now."""
        return (digests.chain_ids([one.diff_id for one in self.layers]) or [""])[-1]

    @property
    def diff_ids(self) -> list[str]:
        return [one.diff_id for one in self.layers]

    @property
    def env(self) -> dict[str, str]:
        return dict(word.split("=", 1) for word in self.config.get("Env") or [] if "=" in word)

    def folders(self) -> list[str]:
        """The layers as folders, unpacked now if they are not yet."""
        return self.chains.unpack([one.descriptor for one in self.layers], self.diff_ids)

    def path(self, text: str) -> str:
        """A path of an instruction: relative ones begin at WORKDIR."""
        folder = text.endswith(("/", "/."))
        full = posixpath.normpath(posixpath.join("/", self.config.get("WorkingDir") or "/", text))
        return full.replace("//", "/", 1) + ("/" if folder and full != "/" else "")


class StageBuild:
    """Builds one stage. ``run`` gives its ``State``."""

    def __init__(self, build, stage):
        self.build, self.stage = build, stage
        self.name = str(stage.name or stage.index)
        self.state = State(chains=build.library.chains)
        self.number = 0
        self.triggers: list = []
        self.of = len(stage.instructions)

    def run(self) -> State:
        self.begin()
        offset = self.build.offsets[self.stage.index]
        for number, instruction in enumerate([*self.triggers, *self.stage.instructions], 1 - len(self.triggers)):
            if self.build.stopping.is_set():
                raise Cancelled("stopped")
            self.number = number
            self.before = self.build.last.get(offset + number - 1) if number > 0 else None
            try:
                self.step(instruction)
            except (dockerfile.DockerfileError, Cancelled):
                raise
            except expected() as error:
                raise self.failed(instruction, error) from None
        return self.state

    def failed(self, instruction, error: Exception) -> BuildError:
        """The error, with the line of the Dockerfile that it belongs to."""
        shown = instruction.place.error(f"{error}", "").args[0].rstrip()
        wrapped = BuildError(shown)
        wrapped.exit_code, wrapped.errno = getattr(error, "exit_code", 1), getattr(error, "errno", None)
        return wrapped

    # -- the base

    def begin(self) -> None:
        base = dockerfile.expanded(self.stage.base, self.build.globals, self.build.file.escape)[0]
        if earlier := self.build.stage(base.image, self.stage.index):
            self.from_stage(self.build.result(earlier), base)
            return
        if base.image != "scratch":
            self.from_image(base)
        if "PATH" not in self.state.env:
            from lib.container import PATH

            self.state.config["Env"] = [*(self.state.config.get("Env") or []), f"PATH={PATH}"]

    def from_stage(self, found: State, base: instructions.From) -> None:
        """Go on where an earlier stage ended; its ARGs are its own affair."""
        config = dict(found.config)
        self.take_triggers(config, base)
        self.state = replace(found, config=config, layers=[*found.layers], history=[*found.history], args={}, has_cmd=False)

    def take_triggers(self, config: dict, base: instructions.From) -> None:
        """ONBUILD: what the base wants done first in a build on it; it is not handed on to the next."""
        texts = config.pop("OnBuild", None) or []
        self.triggers = [one for text in texts for one in dockerfile.instructions(text, f"ONBUILD of {base.image}")]
        for one in self.triggers:
            if isinstance(one, instructions.From | instructions.OnBuild):
                hint = "a trigger cannot begin a stage or hold a trigger; who made this image?"
                raise one.place.error(f"{type(one).__name__.upper()} is no trigger", hint)

    def from_image(self, base: instructions.From) -> None:
        if not base.image:
            raise base.place.error("base name is empty", "an ARG before it needs a value: ARG BASE=debian, or --build-arg BASE=debian")
        found = self.build.base(base.image, base.place)
        both = zip(found.layers, found.diff_ids, strict=True)
        config = {key: value for key, value in found.runtime.items() if value}
        self.take_triggers(config, base)
        self.state.config, self.state.history = config, list(found.history)
        self.state.layers = [Layer({key: one[key] for key in ("mediaType", "digest", "size")}, diff_id) for one, diff_id in both]
        self.state.shell = list(config.get("Shell") or SHELL)
        self.state.created = str(found.config.get("created") or self.state.created)

    # -- steps

    def variables(self) -> dict[str, str]:
        """What a ``$NAME`` may be: ARGs that were declared, and over them the ENV."""
        return {**self.state.args, **self.state.env}

    def step(self, instruction) -> None:
        instruction, _ = dockerfile.expanded(instruction, self.variables(), self.build.file.escape)
        report = StepReport(self.name, self.number, self.of, " ".join(instruction.place.text.split()), instruction.place.line, "config")
        report.started = time.monotonic() - self.build.begin
        self.report = report
        self.build.steps.append(report)
        if work := self.work(instruction):
            self.layered(work, report)
        report.seconds = time.monotonic() - self.build.begin - report.started
        self.build.tell("done", report, "")

    def work(self, one) -> Work | None:
        """What a step would do to the files; the other instructions only change words, and that is done at once."""
        match one:
            case instructions.Run():
                return self.run_step(one)
            case instructions.Copy():
                return Files(self, one).copy()
            case instructions.Add():
                return Files(self, one).add()
            case instructions.Workdir():
                return self.workdir(one)
            case instructions.Arg():
                return self.arg(one)
        return self.note(settings.apply(self.state, one))

    def layered(self, work: Work, report: StepReport) -> None:
        """A step that may make a layer: taken from the cache if its key is there, else carried out."""
        report.kind, report.parts = work.kind, {"below": self.state.chain, **work.parts, **({} if epoch() is None else {"epoch": epoch()})}
        wanted = key(report.parts)
        found = None if self.build.options.no_cache else self.build.cache.find(wanted)
        report.cached = found is not None
        if not found:
            changed = self.build.context.memory.changed() if work.kind == "copy" else []
            report.why = why(report.parts, self.before, changed, first=not self.build.last)
            self.build.tell("start", report, "")
            found = self.imagined(report, wanted) if self.build.options.dry else self.carry_out(work, report, wanted)
        layer = found.as_layer()
        if layer:
            self.state.layers.append(layer)
            report.size = layer.descriptor["size"]
            self.state.created = found.created
        self.note(work.text or report.text, empty=layer is None)

    def imagined(self, report: StepReport, wanted: str) -> Record:
        """In a dry run: a layer that nobody has seen yet, so that no later step can be cached on top of it."""
        layer = {"descriptor": {"mediaType": "", "digest": f"sha256:{wanted}", "size": 0}, "diff_id": f"sha256:{wanted}"}
        return Record(wanted, report.text, report.parts, layer, self.state.diff_ids, self.state.created)

    def carry_out(self, work: Work, report: StepReport, wanted: str) -> Record:
        started = time.monotonic()
        if any(isinstance(one, instructions.Run) for one in self.stage.instructions):
            from lib.process import Starter

            Starter.prepare()
        with self.state.chains.draft() as place:
            if work.do(place.path) is False or not has_changes(place.path):
                layer = None
            else:
                layer, _ = layers.adopt(self.state.chains, place, self.state.diff_ids)
        seconds = time.monotonic() - started
        record = Record(wanted, report.text, report.parts, layer.data() if layer else None, self.state.diff_ids, created(), seconds)
        self.build.cache.keep(record)
        return record

    def note(self, text: str, empty: bool = True) -> None:
        one = {"created": self.state.created, "created_by": text, "comment": COMMENT}
        self.state.history.append({**one, "empty_layer": True} if empty else one)

    def merged(self) -> Merged:
        return Merged(self.state.folders())

    # -- instructions that change files

    def run_step(self, one: instructions.Run) -> Work:
        argv, text = self.command(one)
        user, mounts = self.state.config.get("User") or "", self.mounts(one)
        env = {**{name: value for name, value in self.state.args.items() if name not in self.hidden()}, **self.state.env}
        network = self.build.options.network if one.network == "default" else one.network
        parts = {
            "command": argv, "env": env, "user": user, "workdir": self.state.config.get("WorkingDir") or "/", "network": network,
            "mounts": [self.mount_part(mount) for mount in mounts],
        }  # fmt: skip

        def do(place: str) -> None:
            from lib.build.running import Command, Runner
            from lib.container import PATH  # what starts containers is loaded when the first one starts

            folders = self.state.folders()
            who = self.who(user)
            below = [self.state.chains.mountpoints(), *folders]
            proxies = {name: value for name, value in self.build.options.build_args.items() if name.upper() in PREDEFINED}
            command = Command(argv, below, {"PATH": PATH, **proxies, **env}, parts["workdir"], who, network, mounts)
            Changes(Merged(folders), place)  # the top folder looks as before
            secrets, ssh = self.build.options.secrets, self.build.options.ssh
            self.execute(Runner(self.build.store, command, place, self.tree_of, secrets, ssh, self.build.stopping), argv)

        words = [f"{name}={value}" for name, value in self.state.args.items() if name not in self.hidden()]
        shown = f"|{len(words)} {' '.join(words)} {' '.join(argv)}" if words else f"RUN {text}"
        return Work("run", parts, do, shown)

    def command(self, one: instructions.Run) -> tuple[list[str], str]:
        """What is run, and how the history tells it. A heredoc alone is the script itself."""
        words, shell = one.command, self.state.shell
        if one.heredocs and one.shell_form:
            script = one.heredocs[0].content
            if len(one.heredocs) == 1 and " ".join(words).strip().startswith("<<") and len(" ".join(words).split()) == 1:
                if script.startswith("#!"):
                    return ["/bin/sh", "-c", as_script(script)], f"{' '.join(words)}"
                return [*shell, script], f"{' '.join(shell)} {script}"
            text = " ".join(words) + "".join(f"\n{here.body}{here.name}" for here in one.heredocs)
            return [*shell, text], f"{' '.join(shell)} {text}"
        argv = whole_command(words, one.shell_form, shell)
        return argv, " ".join(argv)

    def hidden(self) -> set[str]:
        """Predefined ARGs: given to the command, but neither in the key nor in the history."""
        return {*PREDEFINED, *(name.lower() for name in PREDEFINED)}

    def execute(self, runner, argv: list[str]) -> None:
        tail: list[str] = []

        def show(text: str) -> None:
            tail.append(text)
            del tail[:-200]
            self.build.tell("output", self.report, text)

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

    def mounts(self, one: instructions.Run) -> tuple:
        """With targets that begin at the root, and the id that a cache has if none is given."""
        return tuple(mount._replace(target=self.state.path(mount.target)) if mount.target else mount for mount in one.mounts)

    def mount_part(self, mount) -> list:
        """What of a mount counts for the key: not what is in a cache or a secret, but what a bind shows."""
        words = [mount.type, mount.target, mount.id, mount.read_only, mount.env, mount.mode, mount.uid, mount.gid, mount.size]
        if mount.type != "bind":
            return words
        if mount.from_:
            return [*words, mount.source, self.build.chain(mount.from_, self.stage.base.place, self.stage)]
        return [*words, copying.content(copying.find(self.build.context, (mount.source or "/",)))]

    def tree_of(self, mount) -> Tree:
        return self.build.tree(mount.from_, self.stage.base.place, self.stage) if mount.from_ else self.build.context

    def workdir(self, one: instructions.Workdir) -> Work:
        """Go there; what is missing on the way is made, and is the USER's."""
        path, user = self.state.path(one.path).rstrip("/") or "/", self.state.config.get("User") or ""
        self.state.config["WorkingDir"] = path

        def do(place: str) -> bool:
            changes, who = Changes(self.merged(), place), self.who(user)
            target = changes.resolve(path)
            return bool(target) and not changes.is_folder(target) and changes.folder(target, (who.uid, who.gid))

        return Work("folder", {"folder": path, "user": user}, do)

    def who(self, user: str):
        """The ids of a USER, by the files of the image as it is now. Raises ``UnknownUser``."""
        from lib.ingredients import users

        return users.find(user, self.merged().read) if user else users.RunAs()

    def arg(self, one: instructions.Arg) -> None:
        for name, default in one.pairs:
            value = self.build.options.build_args.get(name, self.build.globals.get(name, default) if default is None else default)
            if value is not None:
                self.state.args[name] = value
        self.note("ARG " + " ".join(name if default is None else f"{name}={default}" for name, default in one.pairs))


def expected() -> tuple:
    """The errors that a step of a build may end with: each gets its line of the Dockerfile."""
    from lib.ingredients.users import UnknownUser
    from lib.process import StepError

    return ImageError, IgnoreError, UnknownUser, ValueError, OSError, StepError


def config_of(changes: tuple[str, ...]) -> dict:
    """The runtime part of a config that some instructions make (``import --change "CMD sh"``). Raises ``DockerfileError``."""
    state = State()
    for text in changes:
        for one in dockerfile.instructions(text, "--change"):
            if type(one) not in CHANGES:
                names = " ".join(kind.__name__.upper() for kind in CHANGES)
                raise one.place.error(f"{type(one).__name__.upper()} is no change to an image's config", f"there are {names}")
            settings.apply(state, dockerfile.expanded(one, state.env)[0])
    return state.config


# What ``import --change`` knows: the others would need a build.
CHANGES = tuple(kind for kind in settings.SETTINGS if kind not in (instructions.Maintainer, instructions.Shell))


def has_changes(folder: str) -> bool:
    return bool(os.listdir(folder))


def as_script(script: str) -> str:
    """A heredoc with an interpreter of its own, as a command for the shell: written to a file, made executable, run, removed."""
    mark = "SUITCASE_HEREDOC"
    while mark in script:
        mark += "_"
    return f'f=$(mktemp) && cat > "$f" <<\'{mark}\' && chmod 700 "$f" && "$f"; c=$?; rm -f "$f"; exit $c\n{script}{mark}\n'
