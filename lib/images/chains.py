"""Unpacked layers, each unpacked once: the folders that overlay takes as ``lowerdir``.

``layers/<eight letters>`` is one; ``chains/<chain id>`` is a link to it. The short names are for mount(2): its options must fit
into one page of memory, so 300 layers may have some ten letters each. A chain's link is made when the folder is
whole: it is there or not, never half. See the OCI image specification, config.md, "Layer ChainID".
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from lib import beneath, linux, state
from lib.images import compression, digests
from lib.images.digests import ImageError
from lib.images.merged import Merged
from lib.images.overlays import xattrs
from lib.images.store import Store
from lib.shield import Shield

MOUNTPOINTS = "mounts"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class Chains:
    """The unpacked layers beside a store of packed ones."""

    def __init__(self, store: Store, stopping=None):
        self.store, self.stopping = store, stopping  # of a build (``pace.Stopping``): it ends every unpacking
        self.layers, self.names = store.place / "layers", store.place / "chains"
        self.verified = store.place / "verified"
        for folder in (self.layers, self.names, self.verified):
            folder.mkdir(exist_ok=True)

    def find(self, chain_id: str) -> str | None:
        """The folder of a chain's top layer, or None if it is not unpacked yet."""
        try:
            return str(self.layers / os.path.basename(os.readlink(self.link(chain_id))))
        except FileNotFoundError:
            return None

    def link(self, chain_id: str) -> Path:
        return self.names / digests.check(chain_id).partition(":")[2]

    def note(self, blob: str, diff_id: str) -> Path:
        """The empty file that is there once the blob was found to unpack to what has that diff_id: an image may pair any two."""
        return self.verified / digests.of(f"{blob} {diff_id}".encode()).partition(":")[2]

    def mountpoints(self) -> str:
        """The lowest layer of every container: what the kernel's file systems and /etc/hosts are mounted on.

        It is no part of any image. Without it these places would be made in the writable layer, and a build would pack them.
        """
        place = self.layers / MOUNTPOINTS
        if not place.is_dir():
            with self.draft() as draft:
                for folder in ("dev", "proc", "sys", "etc"):
                    linux.mkdir(f"{draft.path}/{folder}")
                for name in ("hosts", "hostname", "resolv.conf"):
                    Path(draft.path, "etc", name).touch(0o644)
                with suppress(OSError):  # somebody else was faster
                    os.rename(draft.path, place)
        return str(place)

    def draft(self) -> Place:
        """A new folder among the layers. Hold ``store.using`` meanwhile."""
        return Place(self)

    def unpack(self, layers: list[dict], diff_ids: list[str], told=lambda descriptor: None, ready=lambda descriptor: None,
               stopping: threading.Event | None = None, room=None) -> list[str]:  # fmt: skip
        """The folders of a stack of layers, the lowest first; those that are missing are unpacked side by side.

        One that is there, but perhaps from another blob, is unpacked too, and thrown away: a blob is handed on, so it must be right.
        ``layers`` are descriptors of blobs in the store; for one that is still on the way, ``ready`` waits. Once ``stopping`` is set,
        all ends with ``Stopped``; the first error, or an interrupt, sets it. ``room`` (``unpack.Room``) is what they may take,
        together with others. Raises ``LayerError``, ``DigestError``; then nothing half-made stays.
        """
        chain = digests.chain_ids(diff_ids)
        known = [self.note(one["digest"], diff_id).exists() for one, diff_id in zip(layers, diff_ids, strict=True)]
        missing = [number for number, one in enumerate(chain) if not (known[number] and self.find(one))]
        if not missing:
            return [self.find(one) for one in chain]
        from lib.images.unpack import Room  # mostly all is unpacked already, and no command waits for it

        stopping, room, jobs = stopping or threading.Event(), room or Room(), {}
        if self.stopping:
            self.stopping.calls(stopping.set)
        try:
            for number in missing:
                jobs[number] = Job(self, layers[number], diff_ids[number], told, ready, stopping, room)
            side_by_side(list(jobs.values()), stopping)
            folders: list[str] = []
            for number, one in enumerate(chain):
                folders.append(self.find(one) or jobs[number].settle(folders, one))
            return folders
        finally:
            for job in jobs.values():
                job.close()

    def sweep(self, wanted: set[str]) -> None:
        """Remove the chains that are not wanted, and folders that no chain names and nobody works on. Hold ``Store.alone``."""
        names = {self.link(one).name for one in wanted}
        for name in self.names.iterdir():
            if name.name not in names:
                name.unlink()
        kept = {os.path.basename(os.readlink(name)) for name in self.names.iterdir()}
        for place in self.layers.iterdir():
            if place.name not in kept and place.name != MOUNTPOINTS:
                state.rmtree(str(place))


class Place:
    """A folder that may become a layer; what is not published in time is removed."""

    def __init__(self, chains: Chains):
        self.chains = chains
        self.path = str(chains.layers / "".join(LETTERS[byte % len(LETTERS)] for byte in os.urandom(8)))
        self.chain_id: str | None = None  # once it is to be published
        linux.mkdir(self.path)

    def publish(self, chain_id: str) -> str:
        """Give the folder its chain's name; if somebody was faster, theirs is taken. Returns the folder that counts."""
        self.chain_id = chain_id
        with suppress(FileExistsError):
            os.symlink(f"../layers/{os.path.basename(self.path)}", self.chains.link(chain_id))
        return self.chains.find(chain_id)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *error) -> None:
        # What the disk says counts: an interrupt may have come right after the link was made.
        if self.chain_id is None or self.chains.find(self.chain_id) != self.path:
            state.rmtree(self.path)


def side_by_side(jobs: list[Job], stopping: threading.Event) -> None:
    """Run them all; the first error, or an interrupt, ends the others too."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
        try:
            with Shield():  # a thread that an interrupt leaves half begun is one that nobody waits for
                tasks = [pool.submit(job.run) for job in jobs]
            for task in as_completed(tasks):
                task.result()
        except BaseException:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Job:
    """One layer that is being unpacked, in a thread of its own; it does not wait for the layers below it."""

    def __init__(self, chains: Chains, descriptor: dict, diff_id: str, told, ready, stopping: threading.Event, room):
        self.chains, self.descriptor, self.diff_id, self.told, self.ready = chains, descriptor, diff_id, told, ready
        self.stopping, self.room, self.place = stopping, room, chains.draft()

    def run(self) -> None:
        digest = self.descriptor["digest"]
        self.ready(self.descriptor)
        with self.chains.store.open(digest) as file:
            packed = digests.Hashed(compression.Until(file, self.stopping), digest, what=f"layer {digest}")
            try:
                self.unpack(packed)
            except ImageError:
                packed.drain()
                packed.verify()  # damaged on the way? Then that is the error, and not what came of it
                raise
        self.told(self.descriptor)

    def unpack(self, packed: digests.Hashed) -> None:
        """Unpack and verify both digests: of the blob as it came, and of the tar file in it."""
        from lib.images.unpack import unpack

        counted = compression.Counted(compression.unpacked(packed), packed.what, self.room.passing)
        plain = digests.Hashed(counted, self.diff_id, what=f"{packed.what}, unpacked,")
        with compression.Ahead(plain) as ahead:
            tar = compression.Until(ahead, self.stopping)
            self.implied = unpack(tar, self.place.path, self.room).implied
            while tar.read():  # a tar file's end is not the file's, and the digest is of the whole
                pass
        packed.drain()
        packed.verify()
        plain.verify()
        self.chains.note(packed.digest, self.diff_id).touch()

    def settle(self, below: list[str], chain_id: str) -> str:
        """Now that the layers below are there: folders that this one only implied look as they do down there.

        A path that leads through a link of this layer is left alone: followed here, the link would lead to the host's files.
        """
        merged, way = Merged(below), beneath.Way()
        for path in self.implied if below else ():
            found, here = merged.find(path), beneath.Place(way, self.place.path, path).look()
            if found and here and stat.S_ISDIR(found[1].st_mode) and stat.S_ISDIR(here.st_mode):
                folder = way.folder(self.place.path, path)
                found[0].call(copy_looks, f"/proc/self/fd/{folder.fd}")
        return self.place.publish(chain_id)

    def close(self) -> None:
        self.place.__exit__()


def copy_looks(source: str, target: str) -> None:
    """Owner, mode, attributes and times of a folder. ``target`` is followed to its end: no link of a stranger's may be in it."""
    about = os.lstat(source)
    if os.geteuid() == 0:
        os.chown(target, about.st_uid, about.st_gid)
    for name, value in xattrs(source).items():
        os.setxattr(target, name, value)
    os.chmod(target, stat.S_IMODE(about.st_mode))
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
