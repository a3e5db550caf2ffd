"""Registries for tests: real ones with TLS, passwords and tokens, and one that does whatever a test wants."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from lib.images import Library, Store, image
from lib.lab.registry import LocalRegistry

USER, PASSWORD = "ada", "secret"
HTPASSWD = "ada:$2b$05$KBCwKxOzLha2MUDgW0PjXeGy8zDyKFegpVV4y0qPBUgij10WNyKY6"  # bcrypt of the password above
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def library(folder: Path) -> Library:
    """An empty one. Without fsync: no test pulls the plug."""
    return Library(Store(folder, durable=False))


def leaves_nothing(one: Library, names: int = 0) -> None:
    """No half blob, no half layer, no name."""
    place = one.store.place
    assert list((place / "ingest").iterdir()) == []
    assert len(one.store.names()) == names
    assert {path.name for path in one.chains.layers.iterdir()} == {path.readlink().name for path in one.chains.names.iterdir()}
    with one.store.locked("use"):  # nobody holds it any more
        pass


# -- images made by hand ------------------------------------------------------------------------


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(name: str, content: bytes) -> tuple[bytes, str]:
    """A packed layer of one file, and its diff_id."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0), digest_of(buffer.getvalue())


def descriptor(data: bytes, kind: str, **more) -> dict:
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data), **more}


@dataclass
class Made:
    """An image as bytes."""

    layers: list[bytes]
    diff_ids: list[str]
    architecture: str = ""
    docker: bool = False
    config: bytes = b""
    document: dict = field(default_factory=dict)

    def __post_init__(self):
        here = image.here() | ({"architecture": self.architecture} if self.architecture else {})
        self.config = json.dumps({**here, "config": {}, "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}).encode()
        kinds = (image.MANIFEST, image.CONFIG, image.OCI + "layer.v1.tar+gzip")
        docker = (image.DOCKER_MANIFEST, image.CONFIGS[1], image.DOCKER + "image.rootfs.diff.tar.gzip")
        self.kind, config, layers = docker if self.docker else kinds
        self.document = {
            "schemaVersion": 2,
            "mediaType": self.kind,
            "config": descriptor(self.config, config),
            "layers": [descriptor(one, layers) for one in self.layers],
        }

    @property
    def manifest(self) -> bytes:
        return json.dumps(self.document).encode()

    @property
    def blobs(self) -> list[bytes]:
        return [self.config, *self.layers]


def make(*contents: bytes, **how) -> Made:
    made = [layer(f"file{number}", content) for number, content in enumerate(contents or (b"hello",))]
    return Made([data for data, _ in made], [diff_id for _, diff_id in made], **how)


# -- a registry that does what a test wants -----------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """One request. ``server.fake.on`` may take it; else it is served from what ``server.fake`` has."""

    protocol_version = "HTTP/1.1"
    fake: Fake

    def handle(self):
        if self.connection.recv(1, 2) != b"\x16":  # MSG_PEEK: whoever begins with TLS is hung up on
            super().handle()

    def log_message(self, *words):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        self.fake.seen.append((self.command, self.path, dict(self.headers)))
        for beginning, answer in self.fake.on.items():
            if f"{self.command} {path}".startswith(beginning):
                return answer(self)
        return self.usual(path)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def usual(self, path: str):
        kind, _, name = path.rpartition("/")
        if path == "/v2/":
            return self.say(200, b"{}")
        if kind.endswith("/manifests") and name in self.fake.manifests:
            data, media_type = self.fake.manifests[name]
            return self.say(200, data, **{"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)})
        if kind.endswith("/blobs") and name in self.fake.blobs:
            return self.blob(self.fake.blobs[name])
        return self.say(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}')

    def blob(self, data: bytes):
        start = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        if not start:
            return self.say(200, data)
        return self.say(206, data[int(start) :], **{"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def say(self, status: int, body: bytes = b"", length: int | None = None, **headers: str):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = self.close_connection or length not in (None, len(body))

    def endless(self, **headers: str):
        """A body without an end."""
        self.send_response(200)
        for key, value in {"Transfer-Encoding": "chunked", **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        with_size = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        self.close_connection = True
        while True:
            self.wfile.write(with_size)


class Quiet(ThreadingHTTPServer):
    """A client that hangs up is no error here."""

    def handle_error(self, request, client_address):
        pass


class Fake:
    """A tiny registry on the loopback address."""

    def __init__(self):
        self.on, self.seen, self.blobs, self.manifests = {}, [], {}, {}
        self.server = Quiet(("127.0.0.1", 0), type("Handling", (Handler,), {"fake": self}))
        self.name = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def keep(self, made: Made, tag: str = "latest") -> Made:
        self.blobs |= {digest_of(data): data for data in made.blobs}
        self.document(made.manifest, made.kind, tag)
        return made

    def document(self, data: bytes, kind: str, tag: str = "latest") -> dict:
        self.manifests |= {tag: (data, kind), digest_of(data): (data, kind)}
        return descriptor(data, kind)

    def asked(self, method: str, part: str) -> list[dict]:
        """The headers of every request of a kind."""
        return [headers for verb, path, headers in self.seen if verb == method and part in path]

    def __enter__(self) -> Fake:
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# -- real ones ----------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A certificate that vouches for itself and for 127.0.0.1, and its key."""
    cert, key = f"{folder}/{name}.crt", f"{folder}/{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def with_password(folder: Path, **sections: dict) -> LocalRegistry:
    Path(folder, "htpasswd").write_text(HTPASSWD + "\n")
    return LocalRegistry(auth={"htpasswd": {"realm": "test", "path": f"{folder}/htpasswd"}}, **sections)


class TokenServer(Fake):
    """Sells tokens: to pull for nothing, to push for a password or the identity token ``pass``. See token.md and oauth.md."""

    def __init__(self, folder: Path):
        super().__init__()
        self.cert, self.key = certificate(folder, "tokens")
        self.on = {"GET /token": self.get, "POST /token": self.post}
        self.sold = 0

    def get(self, handler: Handler):
        words = parse_qs(urlsplit(handler.path).query)
        header = handler.headers.get("Authorization")
        if header not in (None, BASIC):
            return handler.say(401, b"{}")
        return self.sell(handler, words.get("scope", []), words["service"][0], header == BASIC)

    def post(self, handler: Handler):
        words = parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode())
        if words["grant_type"] != ["refresh_token"] or words["refresh_token"] != ["pass"]:
            return handler.say(401, b"{}")
        return self.sell(handler, words["scope"][0].split(), words["service"][0], True)

    def sell(self, handler: Handler, scopes: list[str], service: str, known: bool):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": [one for one in actions.split(",") if known or one == "pull"]})
        self.sold += 1
        return handler.say(200, json.dumps({"token": self.sign(service, access), "expires_in": 300}).encode())

    def sign(self, service: str, access: list[dict]) -> str:
        """A JSON Web Token (RFC 7519), signed with the key whose certificate the registry trusts."""
        chain = [
            base64.b64encode(subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "DER"], capture_output=True).stdout).decode()
        ]
        now = int(time.time())
        claims = {
            "iss": "tests",
            "sub": USER,
            "aud": service,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": str(now),
            "access": access,
        }
        words = ".".join(url64(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "RS256", "x5c": chain}, claims))
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=words.encode(), capture_output=True, check=True)
        return f"{words}.{url64(signed.stdout)}"


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def with_tokens(folder: Path):
    """A registry, and the server that sells its tokens."""
    with TokenServer(folder) as tokens:
        realm = f"http://{tokens.name}/token"
        about = {"realm": realm, "service": "tests", "issuer": "tests", "rootcertbundle": tokens.cert}
        with LocalRegistry(auth={"token": about}) as registry:
            yield registry, tokens
