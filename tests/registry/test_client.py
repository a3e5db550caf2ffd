"""A connection to a registry: how it is reached, who we are there, and what it may not do to us."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.needs import requires
from helpers.registries import BASIC, PASSWORD, USER, Fake, certificate, digest_of, make, with_password, with_tokens

from lib import state
from lib.images import DigestError, ImageError, image
from lib.lab.registry import LocalRegistry
from lib.registry import Registry, RegistryError, Unreachable, Upload, certificates, client, credentials, pace, repository, transport
from lib.registry.credentials import Credential
from lib.registry.pulling import ACCEPT
from lib.registry.repository import Repository

ADA = Credential(USER, PASSWORD)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No passwords of this machine's user, no proxy, no long pauses."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(transport, "PAUSE", 0.01)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake():
    with Fake() as one:
        yield one


def shelf(fake: Fake, actions: str = "pull", **how):
    return Repository(Registry(fake.name, **how), "app", actions)


# -- how it is reached


def test_nobody_there_is_told_at_once(monkeypatch):
    monkeypatch.setattr(transport, "pause", lambda *_: pytest.fail("it waits for a second try"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="Connection refused"):
        Registry(f"127.0.0.1:{port}").base()
    with pytest.raises(Unreachable, match=r"no host 'nosuch\.invalid'"):
        Registry("nosuch.invalid").base()


def test_a_host_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(transport, "CONNECT", 0.3)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (first, second):  # nobody accepts: the queue is full, and the kernel answers nobody any more
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        with pytest.raises(Unreachable, match=r"no connection within 0\.3 s"):
            Registry(f"127.0.0.1:{full.getsockname()[1]}").base()


def test_who_answers_is_not_unreachable(fake):
    fake.on["GET /v2/app"] = lambda handler: handler.say(500)
    with pytest.raises(RegistryError) as caught:
        shelf(fake).manifest("latest", ACCEPT)
    assert not isinstance(caught.value, Unreachable) and "status 500" in str(caught.value)


def test_the_hub_is_served_elsewhere():
    assert (Registry("docker.io").host, Registry("localhost:5000").host) == ("registry-1.docker.io", "localhost:5000")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("localhost", 1), ("localhost:5000", 1), ("127.8.0.1:80", 1), ("[::1]:5000", 1), ("10.0.0.1:5000", 0), ("localhost.example:5000", 0)],
)
def test_plain_http_is_for_the_loopback_address(name, is_one):
    assert client.loopback(name) == bool(is_one)


def test_plain_http_elsewhere_must_be_asked_for(fake, monkeypatch):
    monkeypatch.setattr(client, "loopback", lambda name: False)
    fake.on["GET /v2/"] = lambda handler: handler.say(200)
    with pytest.raises(RegistryError):
        Registry(fake.name).base()
    assert fake.seen == []  # not a word in plain text
    told = []
    assert Registry(fake.name, insecure=True, tell=told.append).base() == f"http://{fake.name}"
    assert "nothing is encrypted" in told[0]


@requires("docker-registry")
def test_plain_http_is_named_as_docker_names_it(monkeypatch):
    monkeypatch.setattr(client, "loopback", lambda name: False)
    with LocalRegistry() as local, pytest.raises(RegistryError, match=r"server gave HTTP response to HTTPS client.*--insecure"):
        Registry(local.name).base()


@pytest.fixture
def certs(tmp_path, monkeypatch):
    """Makes the folder of a registry's address in a certs.d of the test's own."""
    monkeypatch.setattr(certificates, "places", lambda: [tmp_path / "certs.d"])

    def folder(name: str) -> Path:
        (tmp_path / "certs.d" / name).mkdir(parents=True)
        return tmp_path / "certs.d" / name

    return folder


@requires("docker-registry", "openssl")
def test_tls(tmp_path, monkeypatch, certs):
    cert, key = certificate(tmp_path, "registry")
    with LocalRegistry(http={"tls": {"certificate": cert, "key": key}}) as local:
        with pytest.raises(RegistryError, match=r"/etc/docker/certs\.d"):
            Registry(local.name).base()  # and not plain http, though it is a loopback address
        assert Registry(local.name, insecure=True).base() == f"https://{local.name}"
        with monkeypatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", cert)
            Registry(local.name).check()
        Path(certs(local.name), "ca.crt").write_bytes(Path(cert).read_bytes())
        Registry(local.name).check()


@requires("docker-registry", "openssl")
def test_a_registry_that_asks_who_calls(tmp_path, certs):
    """With a client's certificate, and with the authority's beside it; another address gets neither."""
    cert, key = certificate(tmp_path, "registry")
    mine, my_key = certificate(tmp_path, "client")
    with LocalRegistry(http={"tls": {"certificate": cert, "key": key, "clientcas": [mine]}}) as local:
        folder = certs(local.name)
        Path(folder, "ca.crt").write_bytes(Path(cert).read_bytes())
        with pytest.raises(RegistryError):
            Registry(local.name).check()
        Path(folder, "client.cert").write_bytes(Path(mine).read_bytes())
        with pytest.raises(ImageError, match=r"client\.cert: client\.key is missing beside it"):
            Registry(local.name).check()
        Path(folder, "client.key").write_bytes(Path(my_key).read_bytes())
        Registry(local.name).check()
        assert certificates.context("127.0.0.1", 1) is None
        Path(folder, "ca.crt").write_text("no certificate")
        with pytest.raises(ImageError, match=r"ca\.crt: of no use"):
            Registry(local.name).check()


def test_whose_folder_in_certs_d(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("one.example", "two.example:5000", "[::1]:5000"):
        (tmp_path / "docker/certs.d" / name).mkdir(parents=True)
    asked = {("one.example", 443): 1, ("one.example", 5000): 0, ("two.example", 5000): 1, ("two.example", 443): 0, ("::1", 5000): 1}
    assert {one: len(certificates.folders(*one)) for one in asked} == asked
    assert certificates.places()[0] == Path("/etc/docker/certs.d")


# -- who we are


@requires("docker-registry")
def test_a_password(tmp_path):
    with with_password(tmp_path) as local:
        with pytest.raises(RegistryError, match=f"suitcase login {local.name}"):
            Registry(local.name).check()
        with pytest.raises(RegistryError, match="status 401"):
            Registry(local.name, credential=Credential(USER, "wrong")).check()
        Registry(local.name, credential=ADA).check()
        credentials.login(local.name, USER, PASSWORD)
        Registry(local.name).check()


@requires("docker-registry", "openssl")
def test_tokens(tmp_path):
    with with_tokens(tmp_path) as (local, _):
        nobody = Registry(local.name)
        with pytest.raises(RegistryError, match="MANIFEST_UNKNOWN"):
            Repository(nobody, "app").manifest("latest", ACCEPT)  # anybody may look
        with pytest.raises(RegistryError, match=r"suitcase login"):
            Repository(nobody, "app", "pull,push").put_manifest("latest", make().manifest, image.MANIFEST)
        for known in (ADA, Credential(identity_token="pass")):
            with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):  # it may, and the blobs are missing
                Repository(Registry(local.name, credential=known), "app", "pull,push").put_manifest(
                    "latest", make().manifest, image.MANIFEST
                )
        with pytest.raises(RegistryError, match=r"token.*wrong.*suitcase login"):
            Repository(Registry(local.name, credential=Credential(USER, "wrong")), "app").tags()


@requires("docker-registry", "openssl")
def test_a_token_is_bought_once_for_a_scope(tmp_path):
    with with_tokens(tmp_path) as (local, tokens):
        one = Registry(local.name)
        for _ in range(3):
            assert Repository(one, "app").has_blob(digest_of(b"")) is False
        assert tokens.sold == 1
        assert Repository(one, "other").has_blob(digest_of(b"")) is False
        assert tokens.sold == 2


def test_a_token_that_has_expired_is_replaced(fake):
    fake.keep(make())
    sold = []

    def sell(handler):
        sold.append(f"token{len(sold)}")
        handler.say(200, json.dumps({"token": sold[-1]}).encode())

    def manifest(handler):
        if handler.headers.get("Authorization") != f"Bearer token{len(requests)}":
            return handler.say(401, **{"WWW-Authenticate": f'Bearer realm="http://{fake.name}/token",service="x"'})
        requests.append(1)
        return handler.usual("/v2/app/manifests/latest")

    requests = []
    fake.on |= {"GET /token": sell, "GET /v2/app/manifests": manifest}
    one = shelf(fake)
    one.manifest("latest", ACCEPT)
    one.manifest("latest", ACCEPT)  # the first token does not do any more
    assert sold == ["token0", "token1"]


def test_a_refusal_without_end_ends(fake):
    asked = []

    def refuse(handler):
        asked.append(handler.headers.get("Authorization"))
        handler.say(401, **{"WWW-Authenticate": f'Bearer realm="http://{fake.name}/token",service="x"'})

    fake.on |= {"GET /v2/app": refuse, "GET /token": lambda handler: handler.say(200, b'{"token":"t"}')}
    with pytest.raises(RegistryError, match=r"the manifest latest of app.*401.*suitcase login"):
        shelf(fake).manifest("latest", ACCEPT)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("realm", "words"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("http://192.0.2.1/token", "plain http on another host"),
        ("", "is no address"),
        ("http://[", "is no address"),
        ("gopher://127.0.0.1/", "only http and https"),
    ],
)
def test_a_token_is_not_bought_anywhere(fake, realm, words):
    fake.on["GET /v2/app"] = lambda handler: handler.say(401, **{"WWW-Authenticate": f'Bearer realm="{realm}"'})
    with pytest.raises(RegistryError, match=words):
        shelf(fake, credential=ADA).manifest("latest", ACCEPT)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"{", b'{"token": 7}', b'{"token": "a\\nb"}', b"[" * 100_000])
def test_a_token_that_is_none(fake, answer):
    fake.on["GET /v2/app"] = lambda handler: handler.say(401, **{"WWW-Authenticate": f'Bearer realm="http://{fake.name}/token"'})
    fake.on["GET /token"] = lambda handler: handler.say(200, answer)
    with pytest.raises(ImageError, match="token"):
        shelf(fake).manifest("latest", ACCEPT)


def test_an_endless_token(fake):
    fake.on["GET /v2/app"] = lambda handler: handler.say(401, **{"WWW-Authenticate": f'Bearer realm="http://{fake.name}/token"'})
    fake.on["GET /token"] = lambda handler: handler.endless()
    with pytest.raises(RegistryError, match="larger than 1048576 bytes"):
        shelf(fake).manifest("latest", ACCEPT)


# -- redirects


def test_a_redirect_is_followed_without_our_password(fake):
    made = make()
    digest, data = digest_of(made.layers[0]), made.layers[0]
    with Fake() as other:
        other.blobs[digest] = data

        def send_away(handler):
            if handler.headers.get("Authorization") != BASIC:
                return handler.say(401, **{"WWW-Authenticate": 'Basic realm="x"'})
            return handler.say(307, Location=f"http://{other.name}/v2/x/blobs/{digest}?secret=1")

        fake.on["GET /v2/app/blobs"] = send_away
        with shelf(fake, credential=ADA).blob(digest, len(data)) as reader:
            assert reader.read() == data
        assert all("Authorization" not in headers for _, _, headers in other.seen) and other.seen


def test_another_host_may_not_ask_for_our_password(fake):
    with Fake() as other:
        other.on["GET /"] = lambda handler: handler.say(401, **{"WWW-Authenticate": 'Basic realm="x"'})
        fake.on["GET /v2/app"] = lambda handler: handler.say(302, Location=f"http://{other.name}/")
        with pytest.raises(RegistryError, match="status 401"):
            shelf(fake, credential=ADA).manifest("latest", ACCEPT)
        assert [headers.get("Authorization") for _, _, headers in other.seen] == [None]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("/v2/app/manifests/latest", "more than 5 redirects"),
        ("ftp://127.0.0.1/", "only http"),
        ("", "without the address"),
    ],
)
def test_a_redirect_that_is_not_followed(fake, location, words):
    fake.on["GET /v2/app"] = lambda handler: handler.say(302, Location=location)
    with pytest.raises(RegistryError, match=words):
        shelf(fake).manifest("latest", ACCEPT)
    assert len(fake.asked("GET", "manifests")) <= 6


def test_an_address_that_two_readers_read_differently(fake):
    with Fake() as thief:
        need = {"WWW-Authenticate": 'Basic realm="x"'}
        to = {"Location": f"http://{thief.name}\\@{fake.name}/v2/x"}  # the thief's for urllib3, ours for urllib.parse
        fake.on["GET /v2/a"] = lambda ask: ask.say(307, **to) if ask.headers.get("Authorization") else ask.say(401, **need)
        thief.on["GET /"] = lambda ask: ask.say(200, b"{}")
        Repository(Registry(fake.name, credential=ADA), "a").manifest("x", ())
        assert len(thief.seen) == 1 and "Authorization" not in thief.seen[0][2]
    assert transport.origin("http://[::1]:5000/x") == ("http", "::1", 5000)


@pytest.mark.parametrize("where", ["http://[::1/", "http://\x01/", "http://a b/", "http://a:99999/"])
def test_addresses_that_are_none(where):
    with pytest.raises(RegistryError, match="no address"):
        transport.origin(transport.follow("http://localhost/", where))


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000])
def test_lengths_that_are_no_numbers(fake, length):
    fake.on["HEAD /v2/a"] = fake.on["GET /v2/a"] = lambda ask: ask.say(200, length=length)
    assert Repository(Registry(fake.name), "a").head("x", ())[2] == 0
    with pytest.raises(RegistryError, match="announced"):
        Repository(Registry(fake.name), "a").blob("sha256:" + "0" * 64, 5)


def test_no_way_leads_from_https_to_http():
    assert transport.follow("https://a/v2/", "/x") == "https://a/x"
    assert transport.follow("http://a/v2/", "https://b/x") == "https://b/x"
    with pytest.raises(RegistryError, match="from https to http"):
        transport.follow("https://a/v2/x?token=secret", "http://a/x")


# -- second tries


def failing(times: int, status: int, **headers):
    """An answer that fails some times first."""
    left = [times]

    def answer(handler):
        if left[0]:
            left[0] -= 1
            return handler.say(status, **headers)
        return handler.usual(handler.path)

    return answer


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_registry_is_asked_again(fake, status):
    fake.keep(make())
    fake.on["GET /v2/app"] = failing(2, status)
    shelf(fake).manifest("latest", ACCEPT)
    assert len(fake.asked("GET", "manifests")) == 3


def test_but_not_for_ever(fake):
    fake.on["GET /v2/app"] = failing(99, 503)
    with pytest.raises(RegistryError, match="status 503"):
        shelf(fake).manifest("latest", ACCEPT)
    assert len(fake.asked("GET", "manifests")) == transport.TRIES


def test_retry_after_is_kept(fake):
    fake.keep(make())
    fake.on["GET /v2/app"] = failing(1, 429, **{"Retry-After": "1"})
    began = time.monotonic()
    shelf(fake).manifest("latest", ACCEPT)
    assert time.monotonic() - began >= 1


def test_whoever_wants_us_to_wait_an_hour_is_not_waited_for(fake):
    fake.on["GET /v2/app"] = failing(1, 429, **{"Retry-After": "3600"})
    with pytest.raises(RegistryError, match=r"status 429.*wait"):
        shelf(fake).manifest("latest", ACCEPT)


def test_a_broken_connection_is_made_anew(fake):
    fake.keep(make())
    left = [2]

    def hang_up(handler):
        if left[0]:
            left[0] -= 1
            handler.close_connection = True
            return None
        return handler.usual(handler.path)

    fake.on["GET /v2/app"] = hang_up
    shelf(fake).manifest("latest", ACCEPT)
    assert len(fake.asked("GET", "manifests")) == 3


def test_connections_are_kept(fake):
    fake.keep(made := make())
    ports = set()

    def note(handler):
        ports.add(handler.client_address)
        handler.usual(handler.path)

    fake.on |= {"HEAD /v2/app": note, "GET /v2/app": note}
    one = shelf(fake)
    for _ in range(3):
        one.manifest("latest", ACCEPT)
        assert one.has_blob(digest_of(made.config)) and not one.has_blob(digest_of(b"no"))
    assert len(ports) == 1


# -- what comes


def test_a_manifest(fake):
    made = fake.keep(make())
    assert shelf(fake).manifest("latest", ACCEPT) == (made.manifest, image.MANIFEST, digest_of(made.manifest))
    assert shelf(fake).head("latest", ACCEPT) == (image.MANIFEST, digest_of(made.manifest), len(made.manifest))
    assert image.INDEX in fake.asked("GET", "manifests")[0]["Accept"]


@pytest.mark.parametrize("header", [digest_of(b"another"), "sha512:" + "0" * 128])
def test_a_manifest_must_be_what_its_header_says(fake, header):
    fake.keep(make())
    fake.on["GET /v2/app"] = lambda handler: handler.say(200, b"{}", **{"Docker-Content-Digest": header})
    with pytest.raises(DigestError, match="the manifest latest of app"):
        shelf(fake).manifest("latest", ACCEPT)


def test_a_manifest_must_be_what_was_asked_for(fake):
    fake.on["GET /v2/app"] = lambda handler: handler.say(200, b"{}")
    with pytest.raises(DigestError, match="damaged or exchanged"):
        shelf(fake).manifest(digest_of(b"another"), ACCEPT)


def test_a_huge_manifest(fake):
    fake.on["GET /v2/app"] = lambda handler: handler.endless()
    with pytest.raises(RegistryError, match="larger than 4194304 bytes"):
        shelf(fake).manifest("latest", ACCEPT)


def test_an_endless_error(fake):
    def refuse(handler):
        handler.send_response(404)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    fake.on["GET /v2/app"] = refuse
    with pytest.raises(RegistryError, match="status 404"):
        shelf(fake).manifest(digest_of(b""), ACCEPT)


def forever(handler, begin: bytes, more: bytes) -> None:
    """It begins well, and then the rest comes and comes."""
    handler.close_connection = True
    handler.wfile.write(begin)
    while True:
        handler.wfile.write(more)
        time.sleep(0.01)


OK, LONG, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 70000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
SLOW = {
    "a head": (b"HTTP/1.1 200 ", b"O"),
    "headers": (OK + b"A: ", b"b"),
    "no news": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": (OK + LONG, b" "),
    "chunks": (OK + CHUNKED, b"1\r\n \r\n"),
    "a chunk's size": (OK + CHUNKED, b"0"),
    "trailers": (OK + CHUNKED + b"0\r\n", b"A: b\r\n" * 100),
    "an error": (b"HTTP/1.1 404 no\r\n" + LONG, b" "),
    "a redirect": (b"HTTP/1.1 307 there\r\nLocation: /v2/app/there\r\n" + LONG, b" "),
}


@pytest.mark.parametrize("begin, more", SLOW.values(), ids=SLOW)
def test_an_answer_that_never_ends_keeps_nobody(fake, monkeypatch, begin, more):
    """Each piece of it comes in time: there is a limit for the whole."""
    for module, name in ((pace, "SILENCE"), (pace, "DOCUMENT"), (transport, "CONNECT")):
        monkeypatch.setattr(module, name, 0.2)
    fake.on["GET /v2/app"] = lambda handler: forever(handler, begin, more)
    with pytest.raises(RegistryError):
        shelf(fake).manifest("latest", ACCEPT)
    with pytest.raises(RegistryError), shelf(fake).blob(digest_of(b"x" * 70_000), 70_000) as reader:
        while reader.read():
            pass


def test_what_comes_slowly_but_comes_is_taken(fake, monkeypatch):
    """A part of a blob has its time, not the whole."""
    monkeypatch.setattr(pace, "SLICE", 1000)
    clock = count(0, 10)
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # each look at it takes ten seconds
    fake.on["GET /v2/app"] = lambda handler: handler.say(200, b"x" * 10_000)
    with shelf(fake).blob(digest_of(b"x" * 10_000), 10_000) as reader:
        assert b"".join(iter(reader.read, b"")) == b"x" * 10_000
    assert next(clock) > pace.SILENCE


def test_an_error_cannot_write_to_the_terminal(fake):
    text = json.dumps({"errors": [{"code": "DENIED\x1b[2J", "message": "\x1b]0;title\x07no " + "x" * 9999}]}).encode()
    fake.on["GET /v2/app"] = lambda handler: handler.say(403, text)
    with pytest.raises(RegistryError, match="DENIED") as caught:
        shelf(fake).manifest("latest", ACCEPT)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_a_tag_that_is_not_there_says_which_are(fake):
    fake.on["GET /v2/app/tags"] = lambda handler: handler.say(200, b'{"tags": ["1", "2", "\\u001b[2J", 7]}')
    with pytest.raises(RegistryError, match=r"MANIFEST_UNKNOWN.*There are the tags 1, 2$"):
        shelf(fake).manifest("latest", ACCEPT)


def test_tags_come_in_pages(fake):
    def page(handler):
        if "last=" in handler.path:
            return handler.say(200, b'{"tags": ["c"]}')
        return handler.say(200, b'{"tags": ["a", "b"]}', Link='</v2/app/tags/list?n=2&last=b>; rel="next"')

    fake.on["GET /v2/app/tags"] = page
    assert shelf(fake).tags() == ["a", "b", "c"]


def test_pages_without_end(fake, monkeypatch):
    monkeypatch.setattr(repository, "PAGES", 7)
    fake.on["GET /v2/app/tags"] = lambda handler: handler.say(200, b'{"tags": ["a"]}', Link="</v2/app/tags/list?x>")
    assert shelf(fake).tags(repository.PAGES) == ["a"] and len(fake.seen) <= 8


def test_a_digest_that_is_a_path(fake):
    for deed in ("has_blob", "delete"):
        with pytest.raises(DigestError):
            getattr(shelf(fake), deed)("sha256:../../../etc/passwd")
    with pytest.raises(DigestError):
        shelf(fake).blob("sha256:../x", 7)
    assert fake.asked("GET", "etc") == []


@requires("docker-registry")
def test_delete(tmp_path):
    made = make()
    with LocalRegistry() as local:
        one = Repository(Registry(local.name), "app", "pull,push,delete")
        for data in made.blobs:
            path = tmp_path / "blob"
            path.write_bytes(data)
            with open(path, "rb") as file:
                Upload(one, file, digest_of(data), len(data)).run()
        digest = one.put_manifest("1", made.manifest, made.kind)
        assert one.tags() == ["1"] and one.head("1", ACCEPT)[1] == digest
        one.delete(digest)
        with pytest.raises(RegistryError, match="MANIFEST_UNKNOWN"):
            one.manifest("1", ACCEPT)


# -- the machine


def test_a_proxy_is_used_but_not_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("NO_PROXY", "near.example")
    one = transport.Transport()
    assert one.pool_for("https://far.example/v2/").proxy.host == "192.0.2.1"
    assert one.pool_for("https://near.example/v2/").proxy is None
    assert one.pool_for("https://127.0.0.1:5000/v2/").proxy is None


def test_http_is_imported_when_it_is_needed():
    script = "import sys; from lib.registry import transfer; print('urllib3' in sys.modules, 'http.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "False False\n", done.stderr


def test_nothing_is_deleted_where_a_registry_leads_us(fake):
    """Whoever pushes may reach hosts that it cannot. Reading is another matter: blobs lie elsewhere, as a rule."""
    with Fake() as victim:
        victim.on["DELETE /"] = victim.on["POST /"] = lambda handler: handler.say(202)
        fake.on |= {
            "POST /v2/app": lambda handler: handler.say(202, Location=f"http://{victim.name}/customers"),
            "DELETE /v2/app": lambda handler: handler.say(307, Location=f"http://{victim.name}/customers"),
        }
        assert shelf(fake).mount(digest_of(b""), "other") is False
        with pytest.raises(RegistryError, match="which is somebody else's"):
            shelf(fake).delete(digest_of(b""))
        fake.on["POST /v2/app"] = fake.on.pop("DELETE /v2/app")
        with pytest.raises(RegistryError, match="which is somebody else's"):
            shelf(fake).mount(digest_of(b""), "other")
        assert victim.seen == []
        fake.on["POST /v2/app"] = lambda handler: handler.say(202, Location="/v2/app/blobs/uploads/1")
        assert shelf(fake).mount(digest_of(b""), "other") is False
        assert [path for verb, path, _ in fake.seen if verb == "DELETE"][-1] == "/v2/app/blobs/uploads/1"


@requires("docker-registry")
def test_a_registry_whose_kernel_was_killed_is_removed():
    script = "from lib.lab.registry import LocalRegistry\nwith LocalRegistry() as one: print(one.name, one.place, flush=True); input()"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    with process:
        name, place = process.stdout.readline().split()
        Registry(name).check()
        process.kill()
    state.gc()
    assert not Path(place).exists()
    with pytest.raises(Unreachable):
        Registry(name).check()
