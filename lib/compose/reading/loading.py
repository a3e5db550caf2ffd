"""From files to the project: the phases, in the specification's order.

1. YAML, 2. keys are texts, 3. variables, 7. include, 6. extends, 8. merging, 9. what is unique, 5. the schema, 11. long forms; that for
each file. Then 12. defaults, 10. what can't be together, 14. paths; names, networks and dependencies that nobody wrote down; 15. types.
The model is made when somebody asks for it.
See https://github.com/compose-spec/compose-go/blob/main/parsing.md
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lib.compose.outline import Outline
from lib.compose.reading import environment, finding
from lib.compose.reading.binding import bound, origins, typed
from lib.compose.reading.consistency import check_consistency
from lib.compose.reading.extending import Source, extended
from lib.compose.reading.finding import Request
from lib.compose.reading.including import Inclusion, include
from lib.compose.reading.interpolation import Variables, interpolate
from lib.compose.reading.keys import told
from lib.compose.reading.longforms import check_together, long, with_defaults
from lib.compose.reading.merging import merged, unique, without
from lib.compose.reading.nodes import ComposeError, Node, Place, Problem, as_text, clone
from lib.compose.reading.normal import normalised, unnamed
from lib.compose.reading.outlining import outlined
from lib.compose.reading.paths import absolute
from lib.compose.reading.schema import FILE, SERVICE, check
from lib.compose.reading.yaml import Document, documents

if TYPE_CHECKING:
    from lib.compose.model import Project

MOST_FILES = 500  # with all that is included and extended
MOST_VALUES = 300_000  # of all of them


@dataclass(frozen=True)
class Loaded:
    """What ``load`` found. Without interpolation there is only the tree; outline and project are empty.

    Args:
        outline: The names of things, and which service needs which.
        warnings: What its author should hear of.
        variables: All variables that the files could use.
        tree: The file in its long forms, with places; texts are as they were written.
        typed: The same when its values have their types.
        about: Fields of the project that no key of the file is.
    """

    outline: Outline
    warnings: list[Problem]
    variables: Variables
    tree: Node
    typed: Node
    about: dict[str, Any]

    @cached_property
    def project(self) -> Project:
        """All of it. Raises: ComposeError."""
        return bound(self.typed, self.outline.services, self.about)

    @cached_property
    def origins(self) -> dict[str, Place]:
        """Paths in the model, like ``services.web.image``, and where each value comes from."""
        return origins(self.typed)


@dataclass(slots=True)
class _Loading:
    """One ``load``, whose project lies in the folder ``top``. ``chain`` are the files that include each other, down to the present one."""

    request: Request
    variables: Variables
    folder: str
    top: str
    warnings: list[Problem] = field(default_factory=list)
    chain: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    count: list[int] = field(default_factory=lambda: [0, 0])  # files and values up to now

    @property
    def home(self) -> str:
        return self.request.environ.get("HOME", "")

    def resolved(self, root: Node, folder: str) -> Node:
        """All paths that begin at the folder are absolute; if that is not wanted, those of other files begin at the project's folder."""
        if self.request.paths:
            return absolute(root, folder, self.home)
        return absolute(root, os.path.relpath(folder, self.top), self.home) if self.chain else root


def load(request: Request) -> Loaded:
    """The project that the files describe. Raises: ComposeError, whose text begins with the place."""
    found = finding.find(request)
    loading = _Loading(request, found.variables, found.folder, found.folder, found.warnings)
    read = [(file, _documents(loading, file, None)) for file in found.files]
    name = finding.named(request, found, _name_in(read, loading))
    loading.variables.values["COMPOSE_PROJECT_NAME"] = name
    loading.variables.sources["COMPOSE_PROJECT_NAME"] = "the project's name"
    root = _model(loading, read)
    if not root.value:
        raise ComposeError("empty compose file", Place(found.files[0]))
    if "services" not in root.value:
        root.value["services"] = root.like({})
    root = normalised(root, name) if request.normalize else unnamed(root) if request.interpolate else root
    about = {"name": name, "working_dir": found.folder, "files": found.files}
    if not request.interpolate:
        return Loaded(Outline(name), loading.warnings, loading.variables, root, root.like({}), about)
    profiles = _profiles(root, found.profiles, request.services)
    enabled = {key for key, service in root["services"].map.items() if _is_on(service, profiles)}
    for key in enabled:
        environment.resolved(root["services"][key], loading.variables, f"services.{key}", request, found.folder)
    platform = {name: value for name, value in loading.variables.values.items() if name == "DOCKER_DEFAULT_PLATFORM"}
    about |= {"profiles": list(profiles), "variables": loading.variables.used | platform}
    tree = clone(root)
    root = typed(root)
    if request.consistency:
        check_consistency(root, enabled)
    warnings = dict.fromkeys(loading.warnings + told(tree, enabled))
    return Loaded(outlined(root, name, enabled), list(warnings), loading.variables, tree, root, about)


def _name_in(read: list[tuple[str, list[Document]]], loading: _Loading) -> Node | None:
    """What the files say of the name; the last one that says something wins."""
    names = [document.root.get("name") for _, several in read for document in several]
    given = [clone(name) for name in names if name and isinstance(name.value, str) and name.value]
    if not given or not loading.request.interpolate:
        return given[-1] if given else None
    return interpolate(given[-1], loading.variables, [], ("name",))


def _profiles(root: Node, given: tuple[str, ...], services: tuple[str, ...]) -> tuple[str, ...]:
    named = (root["services"].get(name) for name in services)
    more = (as_text(one.value) for service in named if service for one in getattr(service.get("profiles"), "items", []))
    return tuple(dict.fromkeys((*given, *more)))


def _is_on(service: Node, profiles: tuple[str, ...]) -> bool:
    wanted = [as_text(one.value) for one in getattr(service.get("profiles"), "items", [])]
    return not wanted or "*" in profiles or bool(set(wanted) & set(profiles))


def _documents(loading: _Loading, file: str, node: Node | None) -> list[Document]:
    loading.count[0] += 1
    if loading.count[0] > MOST_FILES:
        raise ComposeError(f"more than {MOST_FILES} files are read for this project", node.place if node else Place(file))
    if file not in loading.texts:
        loading.texts[file] = finding.text_of(file, loading.request.stdin, node)
    found = documents(loading.texts[file], file)
    for document in found:
        loading.count[1] += document.size
        if loading.count[1] > MOST_VALUES:
            raise ComposeError(f"the files of this project have more than {MOST_VALUES} values", node.place if node else Place(file))
        if not isinstance(document.root.value, dict):
            raise ComposeError("the file must be a mapping (`key: value`)", document.root.place)
    return found


def _model(loading: _Loading, read: list[tuple[str, list[Document]]]) -> Node:
    """Some files, one laid over the other, in their long forms, with absolute paths."""
    root = Node({}, Place(read[0][0]))
    for file, several in read:
        for document in several:
            root = _laid_over(replace(loading, chain=(*loading.chain, file)), root, document, file)
    root = with_defaults(root)
    check_together(root)
    root = loading.resolved(root, loading.folder)
    if loading.request.interpolate:
        environment.from_outside(root, loading.variables)
    return root


def _laid_over(loading: _Loading, root: Node, document: Document, file: str) -> Node:
    """A document, through the phases that each file goes through on its own."""
    tree = _interpolated(loading, document)
    include(tree, loading.folder, document.marks, lambda one: _included(loading, one))
    root = without(root, document.marks)
    if services := tree.get("services"):
        if not isinstance(services.value, dict):
            raise ComposeError("services must be a mapping (`key: value`)", services.place)
        source = Source(services.map, file, loading.folder, tuple(document.marks))
        extended(source, lambda path, node: _extends_source(loading, path, node))
    root = merged(root, tree)
    root = unique(root)
    check(root, FILE)
    if version := root.value.pop("version", None):
        loading.warnings.append(Problem("`version` is obsolete: it has no effect and can go", version.place))
    return unique(long(root, loading.warnings, lenient=not loading.request.interpolate))


def _interpolated(loading: _Loading, document: Document) -> Node:
    if not loading.request.interpolate:
        return document.root
    return interpolate(document.root, loading.variables, loading.warnings)


def _included(loading: _Loading, one: Inclusion) -> Node:
    """The files of an ``include``: a project of its own."""
    if one.files[0] in loading.chain:
        way = " → ".join(os.path.basename(file) for file in (*loading.chain, one.files[0]))
        raise ComposeError(f"include goes round in a circle: {way}", one.node.place)
    variables = finding.read_env_files(one.env_files, loading.variables, one.node)
    inner = replace(loading, variables=variables, folder=one.folder)
    return _model(inner, [(file, _documents(inner, file, one.node)) for file in one.files])


def _extends_source(loading: _Loading, path: str, node: Node) -> Source:
    """Another file's services, for ``extends``: in their long forms, their paths absolute; not extended yet themselves."""
    several = _documents(loading, path, node)
    root = Node({}, Place(path))
    marks = []
    for document in several:
        root = unique(merged(without(root, document.marks), _interpolated(loading, document)))
        marks += document.marks
    if not (services := root.get("services")) or not services.map:
        raise ComposeError(f"there are no services in {path}", node.place)
    broken: dict[str, ComposeError] = {}
    for name, service in services.map.items():
        try:
            check(service, SERVICE, ("services", name))
        except ComposeError as error:
            broken[name] = error
    root = services.like({"services": services.like({key: one for key, one in services.map.items() if key not in broken})})
    root = loading.resolved(unique(long(root, loading.warnings)), os.path.dirname(path))
    own = os.path.dirname(path) if loading.request.paths else loading.top  # where the paths begin that are in there now
    return Source(root["services"].map, path, own, tuple(marks), broken)
