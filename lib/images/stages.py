"""One stage of a build: from its base on, step by step, each adding a layer or a word to the config."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace

from lib import users
from lib.container import PATH
from lib.images import copying, digests, dockerfile, instructions, layers
from lib.images.archive import created
from lib.images.cache import Record, key
from lib.images.changes import Changes, Looks
from lib.images.context import ContextError, Tree
from lib.images.digests import ImageError
from lib.images.explain import why
from lib.images.ignore import IgnoreError
from lib.images.layers import Layer
from lib.images.merged import Merged
from lib.images.running import Command, Runner, whole_command
from lib.images.steps import PREDEFINED, BuildError, Cancelled, StepReport
from lib.process import StepError
from lib.users import RunAs, UnknownUser

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


@dataclass
class Work:
    """What a step would do: the parts of its key, and the deed, which gets the folder for its changes."""

    kind: str
    parts: dict
    do: object
    text: str = ""


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
            except (ContextError, IgnoreError, UnknownUser, BuildError, ValueError, StepError) as error:
                if isinstance(error, (dockerfile.DockerfileError, Cancelled)):
                    raise
                raise self.failed(instruction, error) from None
        return self.state

    def failed(self, instruction, error: Exception) -> BuildError:
        """The error, with the line of the Dockerfile that it belongs to."""
        shown = instruction.place.error(f"{error}", "").args[0].rstrip()
        wrapped = BuildError(shown)
        wrapped.exit_code = getattr(error, "exit_code", 1)
        return wrapped

    # -- the base

    def begin(self) -> None:
        base = dockerfile.expanded(self.stage.base, self.build.globals, self.build.file.escape)[0]
        earlier = self.build.stage(base.image)
        if earlier and earlier.index < self.stage.index:
            self.from_stage(self.build.result(earlier), base)
            return
        if base.image != "scratch":
            self.from_image(base)
        if "PATH" not in self.state.env:
            self.state.config["Env"] = [*(self.state.config.get("Env") or []), f"PATH={PATH}"]

    def from_stage(self, found: State, base: instructions.From) -> None:
        """Go on where an earlier stage ended; its ARGs are its own affair."""
        config = dict(found.config)
        self.take_triggers(config, base)
        self.state = replace(found, config=config, layers=[*found.layers], history=[*found.history], args={})

    def take_triggers(self, config: dict, base: instructions.From) -> None:
        """ONBUILD: what the base wants done first in a build on it; it is not handed on to the next."""
        texts = config.pop("OnBuild", None) or []
        self.triggers = [one for text in texts for one in dockerfile.instructions(text, f"ONBUILD of {base.image}")]

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
        work = self.HANDLERS[type(instruction).__name__](self, instruction)
        if work:
            self.layered(work, report)
        report.seconds = time.monotonic() - self.build.begin - report.started
        self.build.tell("done", report, "")

    def layered(self, work: Work, report: StepReport) -> None:
        """A step that may make a layer: taken from the cache if its key is there, else carried out."""
        report.kind, report.parts = work.kind, {"below": self.state.chain, **work.parts}
        wanted = key(report.parts)
        found = None if self.build.options.no_cache else self.build.cache.find(wanted)
        report.cached = found is not None
        if not found:
            report.why = why(report.parts, self.before, self.build.context.memory.changed() if work.kind == "copy" else [])
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
            folders = self.state.folders()
            who = self.who(user)
            below = [self.state.chains.mountpoints(), *folders]
            proxies = {name: value for name, value in self.build.options.build_args.items() if name.upper() in PREDEFINED}
            command = Command(argv, below, {"PATH": PATH, **proxies, **env}, parts["workdir"], who, network, mounts)
            Changes(Merged(folders), place)  # the top folder looks as before
            self.execute(Runner(self.build.store, command, place, self.tree_of, self.build.options.secrets, self.build.options.ssh), argv)

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

    def execute(self, runner: Runner, argv: list[str]) -> None:
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
        words = [mount.type, mount.target, mount.id, mount.read_only, mount.env]
        if mount.type != "bind":
            return words
        if mount.from_:
            return [*words, mount.source, self.build.chain(mount.from_, self.stage.base.place)]
        return [*words, copying.content(copying.find(self.build.context, (mount.source or "/",)))]

    def tree_of(self, mount) -> Tree:
        return self.build.tree(mount.from_, self.stage.base.place) if mount.from_ else self.build.context

    def copy(self, one: instructions.Copy) -> Work:
        dest = self.state.path(one.dest)
        patterns = one.sources
        parts = {"dest": dest, "looks": [one.chown, one.chmod], "how": [one.parents, list(one.exclude), bool(one.from_)]}
        inline = [[here.name, here.content] for here in one.heredocs]
        if one.from_:
            parts["content"] = self.content_of(one)
        elif patterns:
            parts["content"] = copying.content(copying.find(self.build.context, patterns), one.exclude)
        if inline:
            parts["inline"] = inline

        def do(place: str) -> None:
            tree = self.build.tree(one.from_, one.place) if one.from_ else self.build.context
            target = self.target(place, dest, one, keep_owner=bool(one.from_))
            with tempfile.TemporaryDirectory(prefix=f"{os.path.basename(place)}.", dir=os.path.dirname(place)) as folder:
                target.copy([*copying.find(tree, patterns), *heredoc_files(one.heredocs, folder)])

        return Work("copy", parts, do)

    def content_of(self, one: instructions.Copy) -> str:
        """The digest of what an earlier stage or image gives. Chains never change, so it is worked out once for each."""
        fast = key({"chain": self.build.chain(one.from_, one.place), "sources": one.sources, "exclude": one.exclude})

        def look() -> str:
            if self.build.options.dry:
                raise LookupError("not built yet")
            return copying.content(copying.find(self.build.tree(one.from_, one.place), one.sources), one.exclude)

        try:
            return self.build.cache.once(fast, look)
        except LookupError:
            return fast

    def target(self, place: str, dest: str, one, keep_owner: bool = False) -> copying.Copying:
        merged = self.merged()
        looks = self.looks(one, merged, keep_owner)
        return copying.Copying(Changes(merged, place), dest, looks, one.exclude, getattr(one, "parents", False), keep_owner)

    def looks(self, one, merged: Merged, keep_owner: bool) -> Looks:
        uid = gid = None
        if one.chown:
            name, _, group = one.chown.partition(":")
            who = users.find(name or "0", merged.read)
            uid, gid = who.uid, users.find_group(group, merged.read) if group else (who.uid if name.isdigit() else who.gid)
        return Looks(uid, gid, mode_of(one.chmod, one.place), keep_owner)

    def add(self, one: instructions.Add) -> Work:
        """Files like COPY; archives of the context are unpacked; what has a URL is fetched."""
        dest = self.state.path(one.dest)
        local = tuple(source for source in one.sources if not copying.is_url(source) and not copying.is_git(source))
        if any(copying.is_git(source) for source in one.sources):
            raise ImageError("ADD from a Git repository is not known here: RUN git clone, or clone it beside the Dockerfile and COPY it")
        urls = [source for source in one.sources if copying.is_url(source)]
        fetched = self.fetch(urls, one.checksum)
        parts = {
            "dest": dest,
            "looks": [one.chown, one.chmod],
            "how": [list(one.exclude), one.unpack],
            "inline": [[h.name, h.content] for h in one.heredocs],
        }
        found = copying.find(self.build.context, local)
        parts["content"] = [copying.content(found, one.exclude), copying.content(fetched)]

        def do(place: str) -> None:
            target = self.target(place, dest, one)
            with tempfile.TemporaryDirectory(prefix=f"{os.path.basename(place)}.", dir=os.path.dirname(place)) as folder:
                plain = [*(fetched if not one.unpack else []), *heredoc_files(one.heredocs, folder)]
                for source in [*found, *(fetched if one.unpack else [])]:
                    unpacked = None if source.is_folder or one.unpack is False else copying.extract(source.file.real, place)
                    if unpacked is None:
                        plain.append(source)
                        continue
                    try:
                        into = copying.Copying(
                            target.changes, dest + "/", Looks(target.looks.uid, target.looks.gid, None, True), attributes=True
                        )
                        into.copy(copying.find(copying.as_tree(unpacked), ("/",)))
                    finally:
                        shutil.rmtree(unpacked)
                if plain:
                    target.copy(plain)

        return Work("copy", parts, do)

    def fetch(self, urls: list[str], checksum: str | None) -> list[copying.Source]:
        """Downloads count by their content, so they come before the key; each into a folder of its own that the build removes."""
        found = []
        for url in urls:
            folder = tempfile.mkdtemp(dir=self.build.scratch)
            path = copying.download(url, folder, checksum)
            tree = copying.as_tree(folder)
            found += copying.find(tree, (os.path.basename(path),))
        return found

    def workdir(self, one: instructions.Workdir) -> Work:
        """Go there; what is missing on the way is made, and is the USER's."""
        path, user = self.state.path(one.path).rstrip("/") or "/", self.state.config.get("User") or ""
        self.state.config["WorkingDir"] = path

        def do(place: str) -> bool:
            changes, who = Changes(self.merged(), place), self.who(user)
            target = changes.resolve(path)
            return bool(target) and not changes.is_folder(target) and changes.folder(target, (who.uid, who.gid))

        return Work("folder", {"folder": path, "user": user}, do)

    def who(self, user: str) -> RunAs:
        """The ids of a USER, by the files of the image as it is now. Raises ``UnknownUser``."""
        return users.find(user, self.merged().read) if user else RunAs()

    # -- instructions that change words

    def set(self, text: str, **words) -> None:
        self.state.config.update(words)
        self.note(text)

    def env(self, one: instructions.Env) -> None:
        env = {**self.state.env, **dict(one.pairs)}
        self.set("ENV " + " ".join(f"{name}={value}" for name, value in one.pairs), Env=[f"{name}={value}" for name, value in env.items()])

    def arg(self, one: instructions.Arg) -> None:
        for name, default in one.pairs:
            value = self.build.options.build_args.get(name, self.build.globals.get(name, default) if default is None else default)
            if value is not None:
                self.state.args[name] = value
        self.note("ARG " + " ".join(name if default is None else f"{name}={default}" for name, default in one.pairs))

    def label(self, one: instructions.Label) -> None:
        labels = {**(self.state.config.get("Labels") or {}), **dict(one.pairs)}
        self.set("LABEL " + " ".join(f"{name}={value}" for name, value in one.pairs), Labels=labels)

    def cmd(self, one: instructions.Cmd) -> None:
        argv = whole_command(one.command, one.shell_form, self.state.shell)
        self.has_cmd = True
        self.set(f"CMD {as_list(argv)}", Cmd=argv)

    def entrypoint(self, one: instructions.Entrypoint) -> None:
        """A new entrypoint makes the base image's CMD meaningless: those were the arguments of another program."""
        argv = whole_command(one.command, one.shell_form, self.state.shell)
        if not getattr(self, "has_cmd", False):
            self.state.config.pop("Cmd", None)
        self.set(f"ENTRYPOINT {as_list(argv)}", Entrypoint=argv)

    def shell(self, one: instructions.Shell) -> None:
        self.state.shell = list(one.command)
        self.set(f"SHELL {as_list(one.command)}", Shell=list(one.command))

    def expose(self, one: instructions.Expose) -> None:
        ports = {port: {} for text in one.ports for port in ports_of(text, one.place)}
        self.set(f"EXPOSE {' '.join(one.ports)}", ExposedPorts={**(self.state.config.get("ExposedPorts") or {}), **ports})

    def healthcheck(self, one: instructions.Healthcheck) -> None:
        test = {"Test": list(one.test)}
        for name, value in (
            ("Interval", one.interval), ("Timeout", one.timeout), ("StartPeriod", one.start_period),
            ("StartInterval", one.start_interval), ("Retries", one.retries),
        ):  # fmt: skip
            if value:
                test[name] = value
        self.set(f"HEALTHCHECK {' '.join(one.test)}", Healthcheck=test)

    def maintainer(self, one: instructions.Maintainer) -> None:
        self.note(f"MAINTAINER {one.name}")

    def onbuild(self, one: instructions.OnBuild) -> None:
        self.set(f"ONBUILD {one.trigger}", OnBuild=[*(self.state.config.get("OnBuild") or []), one.trigger])

    def stopsignal(self, one: instructions.StopSignal) -> None:
        self.set(f"STOPSIGNAL {one.signal}", StopSignal=one.signal)

    def user(self, one: instructions.User) -> None:
        self.set(f"USER {one.user}", User=one.user)

    def volume(self, one: instructions.Volume) -> None:
        volumes = {**(self.state.config.get("Volumes") or {}), **{path: {} for path in one.paths}}
        self.set(f"VOLUME {as_list(one.paths)}", Volumes=volumes)


StageBuild.HANDLERS = {
    "Run": StageBuild.run_step, "Copy": StageBuild.copy, "Add": StageBuild.add, "Workdir": StageBuild.workdir,
    "Env": StageBuild.env, "Arg": StageBuild.arg, "Label": StageBuild.label, "Cmd": StageBuild.cmd,
    "Entrypoint": StageBuild.entrypoint, "Shell": StageBuild.shell, "Expose": StageBuild.expose,
    "Healthcheck": StageBuild.healthcheck, "Maintainer": StageBuild.maintainer, "OnBuild": StageBuild.onbuild,
    "StopSignal": StageBuild.stopsignal, "User": StageBuild.user, "Volume": StageBuild.volume,
}  # fmt: skip


def config_of(changes: tuple[str, ...]) -> dict:
    """The runtime part of a config that some instructions make (``import --change "CMD sh"``). Raises ``DockerfileError``."""
    stage = StageBuild.__new__(StageBuild)
    stage.state, stage.build = State(), None
    for text in changes:
        for one in dockerfile.instructions(text, "--change"):
            kind = type(one).__name__
            if kind not in CHANGES:
                raise one.place.error(f"{kind.upper()} is no change to an image's config", f"there are {' '.join(CHANGES).upper()}")
            StageBuild.HANDLERS[kind](stage, dockerfile.expanded(one, stage.variables())[0])
    return stage.state.config


CHANGES = ("Cmd", "Entrypoint", "Env", "Expose", "Healthcheck", "Label", "OnBuild", "StopSignal", "User", "Volume")


def has_changes(folder: str) -> bool:
    return bool(os.listdir(folder))


def as_list(words) -> str:
    import json

    return json.dumps(list(words), ensure_ascii=False)


def as_script(script: str) -> str:
    """A heredoc with an interpreter of its own, as a command for the shell: written to a file, made executable, run, removed."""
    mark = "SUITCASE_HEREDOC"
    while mark in script:
        mark += "_"
    return f'f=$(mktemp) && cat > "$f" <<\'{mark}\' && chmod 700 "$f" && "$f"; c=$?; rm -f "$f"; exit $c\n{script}{mark}\n'


def heredoc_files(heredocs, folder: str) -> list[copying.Source]:
    """The inline files of a COPY or ADD, as sources."""
    for here in heredocs:
        with open(os.path.join(folder, posixpath.basename(here.name)), "w") as file:
            file.write(here.content)
        os.chmod(file.name, 0o644)
    return copying.find(copying.as_tree(folder), tuple(posixpath.basename(here.name) for here in heredocs))


def mode_of(text: str | None, place) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise place.error(f"--chmod={text[:20]} is not an octal mode", "write --chmod=755", text)
    return int(text, 8)


def ports_of(text: str, place) -> list[str]:
    """``80``, ``80/udp``, ``8000-8002``: as the config has them. Raises ``DockerfileError``."""
    ports, _, kind = text.partition("/")
    first, _, last = ports.rpartition(":")[2].partition("-")
    kind = (kind or "tcp").lower()
    if not first.isdigit() or not (last or "0").isdigit() or kind not in ("tcp", "udp", "sctp") or int(last or first) > 65535:
        raise place.error(f"EXPOSE {text[:40]} is not a port", "write EXPOSE 80, 80/udp or 8000-8002", text)
    return [f"{port}/{kind}" for port in range(int(first), int(last or first) + 1)]
