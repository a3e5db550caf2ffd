"""One stage of a build: from its base on, step by step, each adding a layer or a word to the config."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from lib.build import imageconfig
from lib.build.changes import Changes
from lib.build.explain import why
from lib.build.filesteps import Files
from lib.build.ignore import IgnoreError
from lib.build.runstep import RunStep
from lib.build.steps import SHELL, BuildError, Cancelled, State, StepReport, Work
from lib.dockerfile import instructions, parser
from lib.images import ImageError, Layer, Merged, Record, layers
from lib.images.cache import key
from lib.images.image import parse_platform
from lib.images.sourcedate import created, epoch

COMMENT = "suitcase build"
SAID_AT_MOST = 32 << 20  # characters of all that the steps of a build say, which is kept to its end


class StageBuild:
    """Builds one stage. ``run`` gives its ``State``."""

    def __init__(self, build, stage):
        self.build, self.stage = build, stage
        self.name = str(stage.name or stage.index)
        self.state = State(chains=build.chains)
        self.number = 0
        self.triggers: list = []
        self.of = len(stage.instructions)
        self.context = build.contexts.get(stage.index, build.context)

    def run(self) -> State:
        self.begin()
        self.count(self.stage.base, self.state.config, self.state.history)
        offset = self.build.offsets[self.stage.index]
        for number, instruction in enumerate([*self.triggers, *self.stage.instructions], 1 - len(self.triggers)):
            if self.build.stopping.is_set():
                raise Cancelled("stopped")
            self.number = number
            self.before = self.build.last.get(offset + number - 1) if number > 0 else None
            try:
                self.step(instruction)
            except (parser.DockerfileError, Cancelled):
                raise
            except expected() as error:
                raise self.failed(instruction, error) from None
        return self.state

    def failed(self, instruction, error: Exception) -> BuildError:
        """The error, with the line of the Dockerfile that it belongs to."""
        at = next((word for word in instruction.place.text.split() if repr(word) in str(error)), 0)
        message, _, hint = str(error).partition(". ") if at else (str(error), "", "")
        shown = instruction.place.error(message, hint, at).args[0].rstrip()
        wrapped = BuildError(shown)
        wrapped.exit_code, wrapped.errno = getattr(error, "exit_code", 1), getattr(error, "errno", None)
        return wrapped

    # -- the base

    def begin(self) -> None:
        base = parser.expanded(self.stage.base, self.build.graph.globals, self.build.file.escape)[0]
        self.state.platform = self.platform(base)
        if earlier := self.build.graph.base(self.stage, base.image):
            self.from_stage(self.build.result(earlier), base)
            return
        if base.image != "scratch":
            self.from_image(base)
        if "PATH" not in self.state.env:
            from lib.container import PATH

            self.state.config["Env"] = [*(self.state.config.get("Env") or []), f"PATH={PATH}"]

    def platform(self, base: instructions.From) -> dict[str, str]:
        """What the stage is for. Raises ``DockerfileError``."""
        try:
            return parse_platform(base.platform) if base.platform else self.build.platform
        except ImageError as error:
            raise base.place.error(str(error), "write FROM --platform=linux/arm64, or --platform=$BUILDPLATFORM", "--platform") from None

    def from_stage(self, found: State, base: instructions.From) -> None:
        """Go on where an earlier stage ended, its ARGs included."""
        config = dict(found.config)
        self.take_triggers(config, base)
        copies = {"layers": [*found.layers], "history": [*found.history], "args": {**found.args}}
        self.state = replace(found, config=config, has_cmd=False, **copies)

    def take_triggers(self, config: dict, base: instructions.From) -> None:
        """ONBUILD: what the base wants done first in a build on it; it is not handed on to the next."""
        texts = config.pop("OnBuild", None) or []
        self.triggers = [one for text in texts for one in parser.instructions(text, f"ONBUILD of {base.image}")]
        for one in self.triggers:
            if isinstance(one, instructions.From | instructions.OnBuild):
                hint = "a trigger cannot begin a stage or hold a trigger; who made this image?"
                raise one.place.error(f"{type(one).__name__.upper()} is no trigger", hint)

    def from_image(self, base: instructions.From) -> None:
        if not base.image:
            raise base.place.error("base name is empty", "an ARG before it needs a value: ARG BASE=debian, or --build-arg BASE=debian")
        found = self.build.base(base.image, base.place, self.state.platform)
        self.state.platform = {**self.state.platform, **found.platform}
        both = zip(found.layers, found.diff_ids, strict=True)
        config = {key: value for key, value in found.runtime.items() if value}
        if self.build.graph.folder(self.stage) is None:  # a named context only hands on an image, triggers and all, to who builds on it
            self.take_triggers(config, base)
        self.state.config, self.state.history = config, list(found.history)
        self.state.layers = [Layer({key: one[key] for key in ("mediaType", "digest", "size")}, diff_id) for one, diff_id in both]
        self.state.shell = list(config.get("Shell") or SHELL)
        self.state.created = str(found.config.get("created") or "")
        self.state.author = str(found.config.get("author") or "")

    # -- steps

    def variables(self) -> dict[str, str]:
        """What a ``$NAME`` may be: ARGs that were declared, and over them the ENV."""
        return {**self.state.args, **self.state.env}

    def step(self, instruction) -> None:
        if not isinstance(instruction, instructions.Arg):  # it has its own way with defaults
            instruction, _ = parser.expanded(instruction, self.variables(), self.build.file.escape)
        report = StepReport(self.name, self.number, self.of, " ".join(instruction.place.text.split()), instruction.place.line, "config")
        report.started = time.monotonic() - self.build.begin
        self.report = report
        self.build.steps.append(report)
        if work := self.work(instruction):
            self.layered(work, report)
        report.seconds = time.monotonic() - self.build.begin - report.started
        self.count(instruction, self.state.history[-1], report.parts)
        self.build.tell("done", report, "")

    def count(self, one, *said) -> None:
        """A short Dockerfile says much with a few variables, or with many stages on one wordy image. Raises ``DockerfileError``."""
        self.build.said += sum(len(str(words)) for words in (one, *said))
        if self.build.said > SAID_AT_MOST:
            words = f"the words of this build come to more than {SAID_AT_MOST} characters up to here"
            raise one.place.error(words, "which variable has grown so large? What is large is a file: COPY it")

    def work(self, one) -> Work | None:
        """What a step would do to the files; the other instructions only change words, and that is done at once."""
        match one:
            case instructions.Run():
                return RunStep(self, one).work()
            case instructions.Copy():
                return Files(self, one).copy()
            case instructions.Add():
                return Files(self, one).add()
            case instructions.Workdir():
                return self.workdir(one)
            case instructions.Arg():
                return self.arg(one)
        return self.note(imageconfig.apply(self.state, one))

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

    def workdir(self, one: instructions.Workdir) -> Work:
        """Go there; what is missing on the way is made, and is the USER's."""
        path, user = self.state.path(one.path).rstrip("/") or "/", self.state.config.get("User") or ""
        self.state.config["WorkingDir"] = self.state.path(one.path) if one.path.startswith("/") else path  # Docker, too, keeps /tmp/ so

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
        """A name without any value here may have one before the first FROM; else it keeps the one that the base gave it, if it did."""
        found = parser.declared(one, self.build.options.build_args, self.state.args, self.state.env, self.build.file.escape)
        for name, value in found.items():
            value = self.build.graph.globals.get(name) if value is None else value
            if value is not None:
                self.state.args[name] = value
        self.note("ARG " + " ".join(name if value is None else f"{name}={value}" for name, value in found.items()))


def expected() -> tuple:
    """The errors that a step of a build may end with: each gets its line of the Dockerfile."""
    from lib.ingredients import UnknownUser
    from lib.process import StepError

    return ImageError, IgnoreError, UnknownUser, ValueError, OSError, StepError


def has_changes(folder: str) -> bool:
    return bool(os.listdir(folder))
