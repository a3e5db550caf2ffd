"""``docker build``: a Dockerfile becomes a graph of stages, a stage a chain of steps, a step a layer or a word in the config.

Stages that the target does not need are not built; those that do not need each other are built side by side. A step whose key
is in the cache is not carried out: its layer is taken. Nothing is even unpacked as long as every step is cached."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection

from lib.beneath import FOLDER, Folder, Outside
from lib.build.context import Context, ContextError, Tree
from lib.build.explain import advice, align
from lib.build.graph import Graph
from lib.build.options import Built, Options
from lib.build.stages import StageBuild
from lib.build.steps import PREDEFINED, BuildError, Cancelled, StepReport
from lib.dockerfile import Dockerfile, Stage, parser
from lib.dockerfile.instructions import Arg
from lib.images import Cache, Image, ImageError, Library, Merged, Record, Store, image, references
from lib.images.cache import key
from lib.images.chains import Chains
from lib.images.sourcedate import created, dated
from lib.registry.pace import Stopping
from lib.regularfile import open_regular
from lib.shield import Shield

TICK, AT_ONCE = 0.05, 16  # seconds; stages that are built side by side, of which each waits only for those that began before it


class Build:
    """One build. ``tell`` gets a word (``start``, ``done``, ``output``), the step, and a text."""

    def __init__(self, library: Library, options: Options, tell: Callable[[str, StepReport, str], object] = lambda *words: None):
        self.library, self.options, self.tell = library, options, tell
        self.store, self.cache = library.store, Cache(library.store)
        self.names = tuple(str(references.parse(tag)) for tag in options.tags)  # a name that is none is refused now, not after the work
        self.top = opened(options.context)
        file = self.read()
        self.context = Context(self.top, None if options.passing else self.store, self.place())
        self.graph = Graph(file, options, self.path)
        self.file = self.graph.file
        self.contexts: dict[int, Context] = {}  # of stages that are folders (``--build-context``)
        self.bases: dict[tuple, Image] = {}  # by name and platform
        self.asking: dict[tuple, threading.Lock] = {}
        self.futures: dict[int, object] = {}
        self.stopping = Stopping()
        self.chains = Chains(library.store, self.stopping)
        self.first: BaseException | None = None  # of the stages' errors: others may follow from it
        self.running: set[str] = set()  # names of the RUNs that run now
        self.steps: list[StepReport] = []
        self.warnings: list[str] = []
        self.said = 0  # characters of all steps so far
        self.begin = time.monotonic()

    # -- the Dockerfile

    @property
    def path(self) -> str:
        return self.options.file or f"{self.options.context}/Dockerfile"

    @property
    def name(self) -> str:
        """Which build this is, so that the next one can say what has changed since."""
        return f"{os.path.realpath(self.options.context)}\n{os.path.realpath(self.path)}\n{self.options.target or ''}"

    def read(self) -> Dockerfile:
        if self.options.text is not None:
            return parser.parse(self.options.text)
        try:
            folder, name = self.place()
            with folder.open(name) if folder is self.top else open_regular(self.path) as file:
                return parser.read_from(file, self.path)
        except FileNotFoundError:
            raise BuildError(f"failed to read dockerfile: open {self.path}: no such file or directory (-f names another)") from None
        except Outside as error:  # an error would show lines of it, and whoever made the context chose the link
            words = f"{self.path} leads out of the build context. If {error.real} is meant, name it with -f"
            raise BuildError(f"failed to read dockerfile: {words}") from None

    def place(self) -> tuple[Folder, str]:
        """The folder of the Dockerfile, and its name there: the context, if it lies in there by its name or really; else one of our own."""
        folder, name = os.path.split(self.path)
        real = os.path.join(os.path.realpath(folder), name)
        for top, path in ((os.path.abspath(self.options.context), os.path.abspath(self.path)), (self.top.path, real)):
            if os.path.commonpath([top, path]) == top:
                return self.top, os.path.relpath(path, top)
        return Folder(os.open(folder or ".", FOLDER)), name

    # -- the build

    def run(self) -> Built:
        """Build the target. Raises ``BuildError`` and other ``ImageError``, ``DockerfileError``; what is cached by then stays so."""
        target = self.graph.target()
        with self.store.using(), self.library.chains.draft() as place:
            self.scratch = place.path  # for downloads
            needed = self.graph.needed(target)
            self.contexts = {stage.index: Context(opened(folder), self.store) for stage in needed if (folder := self.graph.folder(stage))}
            self.check_arguments()
            self.look_back(sorted(needed, key=lambda stage: stage.index))
            if self.options.cache_from and not self.options.dry:
                self.ask_elsewhere()
            try:
                state = self.all(needed)[target.index]
            finally:
                for context in (self.context, *self.contexts.values()):
                    context.memory.save()
                    context.merged.way.close()  # an open folder keeps a disk from being unmounted
            places = {str(stage.name or stage.index): stage.index for stage in needed}
            self.steps.sort(key=lambda one: (places[one.stage], one.number))
            found = None if self.options.dry else self.finish(state)
        return Built(found, self.steps, time.monotonic() - self.begin, advice(self.steps))

    def look_back(self, needed: list[Stage]) -> None:
        """Which step of the last build is which of this one, so that a miss can be explained."""
        self.last = align(self.cache.recall(self.name), [self.text(stage, one) for stage in needed for one in stage.instructions])
        self.offsets, total = {}, 0
        for stage in needed:
            self.offsets[stage.index] = total
            total += len(stage.instructions)

    def text(self, stage: Stage, instruction) -> str:
        return f"{stage.name or stage.index} {' '.join(instruction.place.text.split())}"

    def all(self, needed: list[Stage]) -> dict[int, object]:
        """Every stage that is needed: alone in this thread, several side by side. The first error ends them all."""
        if len(needed) == 1:
            return {needed[0].index: StageBuild(self, needed[0]).run()}
        from concurrent.futures import Future, ThreadPoolExecutor

        self.futures = {stage.index: Future() for stage in needed}
        with ThreadPoolExecutor(min(len(needed), AT_ONCE)) as pool:
            jobs: list[Future] = []
            try:
                with Shield():  # a thread that an interrupt leaves half begun is one that nobody waits for
                    jobs.extend(pool.submit(self.one, StageBuild(self, stage)) for stage in needed)  # each is noted as it begins
                self.watch(jobs)
            except BaseException:
                self.stopping.set()
                self.watch(jobs)
                raise
        if self.first:
            raise self.first
        return {index: future.result() for index, future in self.futures.items()}

    def one(self, stage: StageBuild) -> None:
        future = self.futures[stage.stage.index]
        try:
            future.set_result(stage.run())
        except BaseException as error:
            self.first = self.first or error
            future.set_exception(error)
            self.stopping.set()

    def watch(self, jobs: Collection) -> None:
        """Wait for all. When it is to stop, end what runs, again and again: a RUN may be just about to begin."""
        from concurrent.futures import FIRST_COMPLETED, wait

        while jobs:
            _, jobs = wait(jobs, TICK if self.stopping.is_set() else None, FIRST_COMPLETED)
            if self.stopping.is_set():
                self.end_what_runs()

    def end_what_runs(self) -> None:
        """It is to stop. Whoever calls this does so again and again, until ``run`` has ended."""
        from lib.build.runner import kill

        self.stopping.set()
        kill(self.running)

    def result(self, stage: Stage):
        """What an earlier stage came to; waits for it."""
        try:
            return self.futures[stage.index].result()
        except ImageError as error:
            raise Cancelled(str(error)) from None

    @property
    def platform(self) -> dict[str, str]:
        """What the image is for."""
        return self.options.platform or image.here()

    def base(self, name: str, place, platform: dict[str, str] | None = None) -> Image:
        """An image of the library, or (where ``resolve`` can) of a registry. Raises ``DockerfileError`` that points at the line.

        An image for another platform is none: the result would call itself what its programs are not.
        """
        wanted = platform or self.platform
        try:
            found = self.resolved(name, wanted)
        except (ImageError, references.BadReference) as error:
            raise place.error(str(error), self.hint(name), name) from None
        if not image.suits(found.platform, wanted):
            words = f"{name} is for {image.platform_name(found.platform)}, and {image.platform_name(wanted)} is wanted"
            raise place.error(words, "FROM --platform=$BUILDPLATFORM takes this machine's, for a stage whose programs only run here", name)
        return found

    def resolved(self, name: str, platform: dict[str, str]) -> Image:
        """A name is one image for the length of a build, whoever moves it meanwhile: what is copied is what the key was made of."""
        asked = name, *sorted(platform.items())
        with self.asking.setdefault(asked, threading.Lock()):
            if asked not in self.bases:
                resolve = self.options.resolve
                self.bases[asked] = resolve(name, platform=platform, stopping=self.stopping) if resolve else self.library.find(name)
            return self.bases[asked]

    def hint(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, [stage.name for stage in self.file.stages if stage.name], 1)
        return f"did you mean the stage {near[0]!r}?" if near else "build it, load it or pull it first: suitcase images lists what is here"

    def awaited(self, name: str, by: Stage) -> Stage | None:
        """The stage, if it is one that ``by`` is known to wait for. An ONBUILD's COPY is not: it could wait for what waits for it."""
        stage = self.graph.source(name, by)
        return stage if stage and stage in self.graph.waits[by.index] else None

    def tree(self, name: str, place, by: Stage) -> Tree:
        """A stage or an image to copy from, into the stage ``by``."""
        if stage := self.awaited(name, by):
            state = self.result(stage)
            tree = Tree(Merged(state.folders()))
        else:
            tree = Tree(Merged(self.chains.unpack(*(lambda one: (one.layers, one.diff_ids))(self.base(name, place)))))
        tree.name, tree.owned = f"the stage or image {name!r}", True
        return tree

    def chain(self, name: str, place, by: Stage) -> str:
        """The chain id of a stage or image: a fast way to say that it is the same as last time."""
        if stage := self.awaited(name, by):
            return self.result(stage).chain
        return (self.base(name, place).chain_ids or [""])[-1]

    def check_arguments(self) -> None:
        """A --build-arg that no ARG asks for is a typing mistake. Docker warns only; so do we."""
        asked = {name for one in self.file.arguments for name, _ in one.pairs}
        asked |= {name for stage in self.file.stages for one in stage.instructions if isinstance(one, Arg) for name, _ in one.pairs}
        known = {*asked, *PREDEFINED, *(name.lower() for name in PREDEFINED), "SOURCE_DATE_EPOCH"}
        self.unused = sorted(set(self.options.build_args) - known)

    def finish(self, state) -> Image:
        """Write config and manifest, give the image its names, and hand the cache on to other machines."""
        labels = {**(state.config.get("Labels") or {}), **self.options.labels}
        runtime = {**state.config, **({"Labels": labels} if labels else {})}
        moment = state.created or created()  # an image of words alone is as old as they are
        config = {
            "created": moment, **({"author": state.author} if state.author else {}), **state.platform, "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in state.layers]}, "history": dated(state.history, moment),
        }  # fmt: skip
        found = image.save(self.store, config, [one.descriptor for one in state.layers])
        for name in self.names or (None,):
            self.store.tag(name, found.descriptor)
        if not self.options.passing:
            self.cache.remember(self.name, [{"text": f"{one.stage} {one.text}", "parts": one.parts} for one in self.steps])
        if self.options.cache_to:
            self.export_cache()
        return image.load(self.store, found.descriptor, self.names)

    def ask_elsewhere(self) -> None:
        """``--cache-from``: what is not in our cache may be in one of these."""
        from lib.build.sharedcache import Elsewhere

        self.cache.others = [Elsewhere(text, self.store, self.warnings.append, self.stopping) for text in self.options.cache_from]

    def export_cache(self) -> None:
        """``--cache-to``."""
        from lib.build import sharedcache

        for text in self.options.cache_to:
            sharedcache.export(text, self.store, self.records(), self.cache.facts)

    def records(self) -> list[Record]:
        """What the cache has of the steps of this build."""
        found = [self.cache.find(key(one.parts)) for one in self.steps if one.kind != "config"]
        return [one for one in found if one]


def opened(folder: str) -> Folder:
    """A context: from here on it is this folder, whatever its path comes to mean. Raises ``ContextError``."""
    try:
        return Folder(os.open(folder, FOLDER))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ContextError(f"unable to prepare context: path {folder!r} not found: {error.strerror.lower()}") from None


def build(context: str = ".", library: Library | None = None, tell=lambda *words: None, **options) -> Built:
    """Build an image from a folder with a Dockerfile in it. The keywords are those of ``Options``."""
    return Build(library or Library(Store()), Options(context, **options), tell).run()


def plan(context: str = ".", library: Library | None = None, **options) -> list[StepReport]:
    """What ``build`` would do now: every step, and whether it is cached; nothing is run. The keywords are those of ``Options``."""
    return build(context, library, dry=True, **options).steps
