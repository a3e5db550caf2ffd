from __future__ import annotations

import pytest
from helpers import layers as make
from helpers.commands import Command
from helpers.layers import folder, link, member
from helpers.lives import Lives

from lib.engine import volumes


@pytest.fixture
def lives():
    """A busybox in the store that keeper and manager have; all containers and volumes of the test go at its end."""
    one = Lives()
    yield one
    one.clean()
    volumes.prune(every=True)
    for left in volumes.every():
        volumes.remove(left.name)


@pytest.fixture
def suitcase(lives, capfd):
    """Call the command in this process."""
    return Command(capfd)


@pytest.fixture
def shop(lives):
    """An image on a busybox that has something at /data, and a VOLUME at /var/db."""
    import gzip

    from lib.images import image, references

    base = lives.image
    layer = make.tar(
        folder("data", 0o2750, uid=7, gid=8), member("data/a", b"of the image\n", uid=1000, gid=50, mode=0o640),
        folder("data/sub", 0o700), link("data/sub/link", "../a"), make.hard("data/b", "data/a"), link("short", "/data/sub"),
        folder("var"), folder("var/db"), member("var/db/rows", b"1\n"), member("file", b""),
    )  # fmt: skip
    packed = gzip.compress(layer)
    from lib.images import digests

    blob = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": lives.library.store.put(packed), "size": len(packed)}
    config = dict(base.config)
    config["config"] = {**base.runtime, "Volumes": {"/var/db": {}}}
    config["rootfs"] = {"type": "layers", "diff_ids": [*base.diff_ids, digests.of(layer)]}
    found = image.save(lives.library.store, config, [*base.layers, blob])
    lives.library.store.tag(str(references.parse("shop:1")), found.descriptor)
    return "shop:1"
