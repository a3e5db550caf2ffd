"""The stages of a Dockerfile as a graph: which the target needs, and in which order.

A stage that the target does not need is not built. As in BuildKit, a stage may copy from one that comes later in the file.

A named context (``--build-context``) is a stage, too, that the command line writes: FROM an image, or a folder's files on nothing.
It takes the place of a stage of its name; any other name is looked for among them before it is an image's."""

from __future__ import annotations

from lib.build.options import Options
from lib.build.steps import BuildError
from lib.dockerfile import Dockerfile, Stage, parser
from lib.dockerfile.expansion import LARGEST
from lib.dockerfile.instructions import Copy, Run
from lib.images import image, references

IMAGE = "docker-image://"


class Graph:
    """The stages of a Dockerfile as a build needs them. ``globals`` is what a FROM may use, ``waits`` for which others each stage waits."""

    def __init__(self, file: Dockerfile, options: Options, path: str):
        self.options, self.path = options, path
        self.contexts = {name.lower(): value for name, value in options.contexts.items()}
        named = {name: context_stage(name, value) for name, value in self.contexts.items()}
        self.file = file._replace(stages=tuple(named.get(stage.name, stage)._replace(index=stage.index) for stage in file.stages))
        more = [stage for name, stage in named.items() if name not in {one.name for one in file.stages}]
        self.more = [stage._replace(index=index) for index, stage in enumerate(more, len(file.stages))]
        self.stages = {stage.index: stage for stage in (*self.file.stages, *self.more)}
        self.globals = self.arguments()
        self.waits: dict[int, list[Stage]] = {}

    def stage(self, name: str, before: int | None = None) -> Stage | None:
        """A stage by its name or its number; with ``before``, another's index, of those above that one."""
        stages = self.file.stages[:before]
        found = next((stage for stage in reversed(stages) if stage.name == name.lower()), None)
        found = found or next((stage for stage in stages if str(stage.index) == name), None)
        return found or next((stage for stage in self.more if canonical(stage.name) == canonical(name)), None)

    def base(self, stage: Stage, name: str) -> Stage | None:
        """The stage that this one is built on; None if that is an image, as what the command line names always is."""
        return None if self.folder(stage) is not None else self.stage(name, stage.index)

    def folder(self, stage: Stage) -> str | None:
        """The folder of a stage that is a named context; empty if it is an image, None if it is a stage of the Dockerfile."""
        value = self.contexts.get(stage.name)
        return "" if value and value.startswith(IMAGE) else value

    def target(self) -> Stage:
        if not self.options.target:
            return self.file.stages[-1]
        if found := self.stage(self.options.target):
            return found
        names = ", ".join(stage.name or str(stage.index) for stage in self.file.stages)
        raise BuildError(f"target stage {self.options.target!r} could not be found in {self.path}: there is {names}")

    def arguments(self) -> dict[str, str]:
        """What a FROM may use: the platform, and the ARGs before the first FROM."""
        here = {"linux": "linux", **image.here(), **(self.options.platform or {})}
        platform = image.platform_name(here)
        known = {
            "TARGETPLATFORM": platform, "TARGETOS": here["os"], "TARGETARCH": here["architecture"],
            "TARGETVARIANT": here.get("variant", ""),
            "BUILDPLATFORM": image.platform_name(image.here()), "BUILDOS": "linux", "BUILDARCH": image.here()["architecture"],
        }  # fmt: skip
        size = 0
        for one in self.file.arguments:
            found = parser.declared(one, self.options.build_args, known, {}, self.file.escape)
            known |= {name: value for name, value in found.items() if value is not None}
            if (size := size + sum(map(len, filter(None, found.values())))) > LARGEST:
                raise one.place.error(f"the ARGs up to here come to more than {LARGEST} characters", "what is large is a file: COPY it")
        return known

    def needs(self, stage: Stage) -> list[Stage]:
        """The stages that this one is built on, copies from, or mounts; as in BuildKit, the latter may come later in the file."""
        base = parser.expanded(stage.base, self.globals, self.file.escape)[0].image
        names: list[str] = []
        for one in stage.instructions:
            if isinstance(one, Copy) and one.from_:
                names.append(literal(one))
            if isinstance(one, Run):
                names += [mount.from_ for mount in one.mounts if mount.from_]
        found = [self.base(stage, base), *(self.source(name, stage) for name in dict.fromkeys(names))]
        return [one for one in found if one]

    def source(self, name: str, by: Stage) -> Stage | None:
        """The stage that ``by`` copies from or mounts; None if it is an image. One above goes first, but BuildKit takes later ones, too."""
        return self.stage(name, by.index) or self.stage(name)

    def needed(self, stage: Stage) -> list[Stage]:
        """The stage and all that it needs, each after those that it needs itself. Raises ``DockerfileError`` for a circle of them."""
        from graphlib import CycleError, TopologicalSorter

        found, todo = {}, [stage]
        while todo:
            one = todo.pop()
            if one.index not in found:
                found[one.index] = needs = self.needs(one)
                todo += needs
        self.waits = found
        sorter, order = TopologicalSorter({index: [one.index for one in needs] for index, needs in found.items()}), []
        try:
            order = list(sorter.static_order())
        except CycleError as error:
            circle = [self.stages[index] for index in error.args[1]]
            names = " needs ".join(str(one.name or one.index) for one in reversed(circle))
            first = min(circle, key=lambda one: one.index)
            raise first.base.place.error(
                f"circular dependency detected: {names}", "each waits for the other: one must copy nothing"
            ) from None
        return [self.stages[index] for index in order]


def literal(one: Copy) -> str:
    """Where a COPY takes from. Raises ``DockerfileError`` for a variable: which stages wait for which must be known before all else."""
    if "$" in one.from_:
        hint = "name the image in a stage, FROM $IMAGE AS tools (with an ARG before the first FROM), and write COPY --from=tools"
        raise one.place.error(f"COPY --from={one.from_[:60]}: variables are not replaced here", hint, one.from_)
    return one.from_


def context_stage(name: str, value: str) -> Stage:
    """A named context as a stage. Raises ``BuildError``."""
    what = f"--build-context {name}={value}"
    if not value.startswith(IMAGE):
        if "://" in value or value.startswith("git@"):
            raise BuildError(f"{what}: a folder or {IMAGE}NAME is known here. Fetch the rest into a folder, or load it as an image")
        return parser.parse("FROM scratch\nCOPY . /\n", what).stages[0]._replace(name=name)
    image_name = value.removeprefix(IMAGE)
    try:
        if image_name != "scratch":
            references.parse(image_name)
    except references.BadReference as error:
        raise BuildError(f"{what}: {error}") from None
    return parser.parse(f"FROM {image_name}\n", what).stages[0]._replace(name=name)


def canonical(name: str) -> str:
    """The full name of an image, so that ``alpine`` is ``docker.io/library/alpine:latest``; of another word, the word."""
    try:
        return str(references.parse(name.lower()))
    except references.BadReference:
        return name.lower()
