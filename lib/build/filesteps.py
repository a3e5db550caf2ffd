"""``COPY`` and ``ADD`` as steps: what counts for their keys, and what they do when there is no record of that key."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from lib import state
from lib.build import copying
from lib.build.changes import Changes, Looks
from lib.build.context import Tree
from lib.build.copying import Copying, Source
from lib.build.steps import Work
from lib.dockerfile import modes
from lib.images import ImageError, Merged, digests
from lib.images.cache import key

RULES = 2  # of how files are put into a layer: another number, and no layer made by older rules is taken from a cache


class Files:
    """One COPY or ADD of a stage (``stages.StageBuild``), its variables replaced."""

    def __init__(self, stage, one):
        self.stage, self.build, self.one = stage, stage.build, one
        self.dest = stage.state.path(one.dest)
        self.parts = {"dest": self.dest, "looks": [one.chown, one.chmod], "inline": [[here.name, here.content] for here in one.heredocs]}

    # -- COPY

    def copy(self) -> Work:
        one = self.one
        self.parts["how"] = [RULES, one.parents, list(one.exclude), bool(one.from_)]
        given = [] if one.from_ else self.found(self.stage.context)  # looked for once: what is copied is what the key was made of
        self.parts["content"] = self.content_of() if one.from_ else self.digest(given)

        def do(place: str) -> None:
            found = self.found(self.build.tree(one.from_, one.place, self.stage.stage)) if one.from_ else given
            target = self.target(place, keep_owner=bool(one.from_))
            with beside(place) as folder:
                target.copy([*found, *self.inline(folder)])

        return Work("copy", self.parts, do)

    def found(self, tree: Tree) -> list[Source]:
        find = copying.find_deep if self.one.parents else copying.find
        return self.some(tree, self.one.sources, find(tree, self.one.sources), self.one.heredocs)

    @staticmethod
    def some(tree: Tree, patterns: tuple[str, ...], found: list[Source], others: Sequence) -> list[Source]:
        """A pattern may match nothing (``package-lock.json*``) if there is something else to copy. Raises ``ContextError``."""
        if patterns and not found and not others:
            raise tree.no_match(patterns[0])
        return found

    def digest(self, found: list[Source]) -> str:
        return copying.content(found, self.one.exclude, self.one.parents)

    def content_of(self) -> str:
        """The digest of what an earlier stage or image gives. Chains never change, so it is worked out once for each."""
        one = self.one
        chain = self.build.chain(one.from_, one.place, self.stage.stage)
        fast = key({"rules": RULES, "chain": chain, "sources": one.sources, "exclude": one.exclude, "parents": one.parents})

        def look() -> str:
            if self.build.options.dry:
                raise LookupError("not built yet")
            return self.digest(self.found(self.build.tree(one.from_, one.place, self.stage.stage)))

        try:
            return self.build.cache.once(fast, look)
        except LookupError:
            return fast

    # -- ADD

    def add(self) -> Work:
        """Files like COPY; archives of the context are unpacked; what has a URL is fetched, as it counts by its content."""
        one = self.one
        if any(copying.is_git(source) for source in one.sources):
            raise ImageError("ADD from a Git repository is not known here: RUN git clone, or clone it beside the Dockerfile and COPY it")
        self.check_checksum()
        fetched = [self.fetch(source) for source in one.sources if copying.is_url(source)]
        local = tuple(source for source in one.sources if not copying.is_url(source))
        found = self.some(self.stage.context, local, copying.find(self.stage.context, local), fetched or one.heredocs)
        self.parts["how"] = [RULES, list(one.exclude), one.unpack]
        self.parts["content"] = [copying.content(found, one.exclude), copying.content(fetched)]
        maybe = (found if one.unpack is not False else []) + (fetched if one.unpack else [])  # these may be archives to unpack

        def do(place: str) -> None:
            target = self.target(place)
            packed = [source for source in maybe if self.unpacked(source, target, place)]
            with beside(place) as folder:
                plain = [source for source in [*found, *fetched, *self.inline(folder)] if source not in packed]
                if plain:
                    target.copy(plain)

        return Work("copy", self.parts, do)

    def check_checksum(self) -> None:
        """Before anything is fetched. Raises ``DockerfileError``."""
        one = self.one
        if not one.checksum:
            return
        if len(one.sources) != 1 or not copying.is_url(one.sources[0]):
            raise one.place.error("ADD --checksum is for one http(s) source", "COPY counts files by their content anyway", "--checksum")
        try:
            digests.check(one.checksum, digests.CHECKSUMS)
        except digests.DigestError as error:
            words = f"ADD --checksum: {error}"
            raise one.place.error(words, "sha256sum FILE shows it; sha384: and sha512: will do, too", "--checksum") from None

    def fetch(self, url: str) -> Source:
        """A download, in a folder of its own that the build removes."""
        from tempfile import mkdtemp

        folder = mkdtemp(dir=self.build.scratch)
        path = copying.download(url, folder, self.one.checksum, self.build.stopping)
        return copying.named(copying.as_tree(folder), (os.path.basename(path),))[0]

    def unpacked(self, source: Source, target: Copying, place: str) -> bool:
        """Put what is in an archive where it belongs, with the owners that it tells; False if it is no archive."""
        out = source.is_folder or source.is_excluded("", target.rules, target.parents)
        archive = None if out else copying.extract(source, place, self.build.stopping)
        if archive is None:
            return False
        folder, implied = archive
        try:
            moment = source.file.about.st_mtime_ns
            os.utime(folder, ns=(moment, moment))  # what the archive does not describe is as old as itself
            looks = Looks(target.looks.uid, target.looks.gid, None, keep_owner=True)
            changes = Changes(target.changes.below, place, replaces=True)
            into = Copying(changes, f"{self.dest}/", looks, attributes=True, implied=frozenset(implied), stopping=self.build.stopping)
            into.copy(copying.named(copying.as_tree(folder), ("/",)))
        finally:
            state.rmtree(folder)
        return True

    # -- both

    def target(self, place: str, keep_owner: bool = False) -> Copying:
        merged = self.stage.merged()
        parents = getattr(self.one, "parents", False)
        return Copying(
            Changes(merged, place),
            self.dest,
            self.looks(merged, keep_owner),
            self.one.exclude,
            parents,
            keep_owner,
            stopping=self.build.stopping,
        )

    def looks(self, merged: Merged, keep_owner: bool) -> Looks:
        one, uid, gid = self.one, None, None
        if one.chown:
            from lib.ingredients import users

            name, _, group = one.chown.partition(":")
            who = users.find(name or "0", merged.read)
            uid, gid = who.uid, users.find_group(group, merged.read) if group else (who.uid if users.number(name) is not None else who.gid)
        return Looks(uid, gid, mode_of(one.chmod, one.place), keep_owner)

    def inline(self, folder: str) -> list[Source]:
        """The heredocs, as files to copy."""
        names = tuple(posixpath.basename(here.name) for here in self.one.heredocs)
        for name, here in zip(names, self.one.heredocs, strict=True):
            if name in ("", ".", ".."):
                raise self.one.place.error(f"<<{here.name[:60]} names no file", "the word after << is the file's name: <<app.conf", "<<")
            with open(os.path.join(folder, name), "w") as file:
                file.write(here.content)
            os.chmod(file.name, 0o644)
        return copying.named(copying.as_tree(folder), names)


def beside(place: str):
    """A folder for what is on its way into the layer, to be used by ``with``; gc knows it by its place, should we be killed."""
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix=f"{os.path.basename(place)}.", dir=os.path.dirname(place))


def mode_of(text: str | None, place) -> modes.Mode | None:
    try:
        return modes.parse(text) if text else None
    except modes.BadMode as error:
        raise place.error(f"--chmod: {error}", "write it as for chmod: --chmod=755, or --chmod=u=rwX,go=rX", text) from None
