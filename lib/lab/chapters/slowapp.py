"""What chapter 3 builds with: a shop whose build is slow, the image ``toy`` that it starts from, and the tiny package index of that."""

from __future__ import annotations

import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lib.build import build
from lib.images import Library
from lib.lab.chapters import tempfolder

# A package manager in fifteen lines: `update` fetches the list, `install` fetches, "compiles" (that is what takes time), unpacks.
PKG = """#!/bin/sh
set -e
list=/var/lib/pkg/list cache=/var/cache/pkg
case $1 in
update)
    mkdir -p /var/lib/pkg && wget -q -O $list http://127.0.0.1:$PKG_PORT/list ;;
install)
    shift; mkdir -p $cache /opt
    for name; do
        file=$(grep "^$name-" $list) || { echo "pkg: there is no package $name" >&2; exit 1; }
        if [ ! -e $cache/$file ]; then
            wget -q -O $cache/part http://127.0.0.1:$PKG_PORT/$file || { echo "pkg: $file: not found on the server" >&2; exit 4; }
            dd if=/dev/zero bs=1M count=WORK 2>/dev/null | sha256sum > /dev/null
            mv $cache/part $cache/$file
        fi
        tar -x -C /opt -f $cache/$file && echo "installed $file"
    done ;;
esac
"""


class Index:
    """A package index on a free port of the loopback: ``/list`` and one tar file for each package. ``asked`` is what was fetched."""

    def __init__(self, **versions: str):
        self.versions, self.asked = dict(versions), []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.asked.append(self.path)
                body = index.content(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def content(self, name: str) -> bytes | None:
        if name == "list":
            return "".join(f"{package}-{version}.tar\n" for package, version in self.versions.items()).encode()
        package, _, version = name.removesuffix(".tar").rpartition("-")
        return package_of(package, version) if self.versions.get(package) == version else None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def package_of(name: str, version: str) -> bytes:
    """A package: one file that says what it is, and half a megabyte of weight."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in ((f"{name}/version", f"{version}\n".encode()), (f"{name}/code", bytes(range(256)) * 2048)):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def toy(library: Library, index: Index, work: int) -> None:
    """A toy distribution, the image ``toy``: the base, its package manager ``pkg``, a large compiler.

    ``work`` are the MiB that compiling a package hashes.
    """
    place = tempfolder.folder() / "toy"
    place.mkdir(exist_ok=True)
    (place / "pkg").write_text(PKG.replace("WORK", str(work)))
    (place / "pkg").chmod(0o755)
    with open(place / "compiler", "wb") as file:
        file.truncate(30 << 20)
    recipe = f"FROM localhost/busybox:static\nCOPY pkg compiler /bin/\nENV PKG_PORT={index.port}\n"
    build(str(place), library, text=recipe, tags=("toy",))


APP = {
    "shop.sh": "#!/bin/sh\necho the shop is open, with $(ls /opt | wc -l) packages\n",
    "needs.txt": "json\nlog\nweb\n",
    "README.md": "# The shop\n",
    "test/check.sh": "#!/bin/sh\n./shop.sh | grep -q open\n",
    ".git/HEAD": "ref: refs/heads/main\n",
    ".git/index": "\0binary\n" * 100,
}

# The shop's newsletter: two things take time here, the packages of needs.lock and the pictures of art/.
LETTER = {
    "letter.sh": "#!/bin/sh\necho Dear customer, all $(ls /opt | wc -l) shelves are full\n",
    "needs.lock": "json\nlog\n",
    "art/logo.txt": "THE SHOP\nopen all night\n",
    "art/shrink.sh": '#!/bin/sh\nset -e\nmkdir -p small\nfor one in art/*.txt; do head -n 1 "$one" > "small/$(basename "$one")"; done\n',
    "README.md": "# The newsletter\n",
    "test/check.sh": "#!/bin/sh\n./letter.sh | grep -q Dear\n",
}


def app(name: str = "shop", files: dict[str, str] = APP) -> Path:
    """The shop (or what else ``files`` are) in a folder of its own."""
    place = tempfolder.folder() / name
    for path, text in files.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if path.endswith(".sh") else 0o644)
    return place


def edit(place: Path, name: str, text: str = "# edited\n") -> None:
    """Change a file of the app, as its author would: something is added at the end."""
    with open(place / name, "a") as file:
        file.write(text)
