"""Who we are to a registry: Docker's file, and Docker's helpers."""

from __future__ import annotations

import base64
import json
import os
import stat
from contextlib import contextmanager

import pytest
from helpers.registries import Fake, make

from lib.images import image
from lib.registry import Registry, credentials
from lib.registry.credentials import Credential, CredentialError
from lib.registry.repository import Repository


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """A config.json of the test's own: read with no words, written with some."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    path = tmp_path / "docker/config.json"

    def change(value=None):
        if value is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_text(value if isinstance(value, str) else json.dumps(value))
        return json.loads(path.read_text())

    return change


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_without_a_file_nobody_is_known():
    assert credentials.find("docker.io") is None
    assert credentials.logout("docker.io") is False


def test_login_writes_what_docker_reads(config):
    warning = credentials.login("docker.io", "ada", "pa:ss")
    assert "unencrypted" in warning and "config.json" in warning
    assert config() == {"auths": {"https://index.docker.io/v1/": {"auth": auth("ada:pa:ss")}}}
    assert credentials.find("docker.io") == Credential("ada", "pa:ss")
    assert credentials.find("localhost:5000") is None


def test_the_file_is_for_its_owner_only_and_never_half_written(config, monkeypatch):
    credentials.login("localhost:5000", "ada", "secret")
    path = credentials.path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        credentials.login("localhost:5000", "ada", "other")
    assert os.listdir(path.parent) == ["config.json"]
    assert credentials.find("localhost:5000").password == "secret"


def test_what_is_not_known_is_kept(config):
    config({"psFormat": "x", "auths": {"other:5000": {"auth": auth("a:b"), "note": 1}}, "HttpHeaders": {"X": "y"}})
    credentials.login("localhost:5000", "ada", "secret")
    credentials.logout("localhost:5000")
    assert config() == {"psFormat": "x", "auths": {"other:5000": {"auth": auth("a:b"), "note": 1}}, "HttpHeaders": {"X": "y"}}


def test_a_link_stays_a_link(config, tmp_path):
    config({})
    path = credentials.path()
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    credentials.login("localhost:5000", "ada", "secret")
    assert path.is_symlink() and "localhost:5000" in (tmp_path / "elsewhere.json").read_text()


def test_identity_tokens_and_old_addresses(config):
    config({"auths": {"docker.io": {}, "https://old:5000/v1/": {"auth": auth("ada:x"), "identitytoken": "tok"}}})
    assert credentials.find("old:5000") == Credential("ada", "x", "tok")
    assert credentials.logout("old:5000") is True and "old" not in str(config())


def test_a_secret_is_never_shown():
    assert "secret" not in repr(Credential("ada", "secret", "secret2"))


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', '{"credHelpers": 1}', "[" * 100_000])
def test_a_damaged_file_is_not_overwritten(config, text):
    credentials.path().parent.mkdir()
    credentials.path().write_text(text)
    for deed in (lambda: credentials.find("docker.io"), lambda: credentials.login("docker.io", "a", "b")):
        with pytest.raises(CredentialError, match=r"config\.json"):
            deed()
    assert credentials.path().read_text() == text


@pytest.mark.parametrize("entry", [None, "x", 5])
def test_an_entry_that_is_no_object_is_none(config, entry):
    config({"auths": {"https://r:5/v1/": entry, "r:5": entry}})
    assert credentials.find("r:5") is None


@pytest.mark.parametrize("entry", [{"auth": "%%%"}, {"auth": auth("nocolon")}, {"auth": 7}])
def test_a_damaged_entry_says_which(config, entry):
    config({"auths": {"localhost:5000": entry}})
    with pytest.raises(CredentialError, match="localhost:5000"):
        credentials.find("localhost:5000")


# -- helpers


HELPER = """#!/bin/sh
read text; echo "$1 $text" >> {folder}/log
case $1 in
  get) if [ "$text" = known:5000 ]; then echo '{{"ServerURL":"known:5000","Username":"{user}","Secret":"hidden"}}'
       else echo 'credentials not found in native keychain'; exit 1; fi;;
  store|erase) ;;
esac
"""


@pytest.fixture
def helper(tmp_path, monkeypatch):
    def install(user="ada", text=HELPER, name="test"):
        path = tmp_path / f"docker-credential-{name}"
        path.write_text(text.format(folder=tmp_path, user=user))
        path.chmod(0o755)
        return lambda: (tmp_path / "log").read_text().splitlines()

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return install


def test_a_helper_is_asked(config, helper):
    config({"credsStore": "test"})
    log = helper()
    assert credentials.find("known:5000") == Credential("ada", "hidden")
    assert credentials.find("docker.io") is None
    assert log() == ["get known:5000", "get https://index.docker.io/v1/"]


def test_a_helper_may_keep_an_identity_token(config, helper):
    config({"credsStore": "test"})
    helper(user="<token>")
    assert credentials.find("known:5000") == Credential(identity_token="hidden")


def test_a_helper_keeps_the_password_out_of_the_file(config, helper):
    config({"credHelpers": {"known:5000": "test"}})
    log = helper()
    assert credentials.login("known:5000", "ada", "hidden") == ""
    assert "hidden" not in json.dumps(config()) and config()["auths"] == {"known:5000": {}}
    assert credentials.logout("known:5000") is True
    assert [line.split()[0] for line in log()] == ["store", "erase"] and '"Secret": "hidden"' in log()[0]
    assert credentials.login("other:5000", "ada", "x") != ""  # this helper is for one registry only


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gone", None, "not installed"),
        ("../../bin/sh", None, "is not the name"),
        ("test", "#!/bin/sh\necho broken; exit 3\n", "exit code 3.*broken"),
        ("test", "#!/bin/sh\necho '[]'\n", "something else"),
        ("test", '#!/bin/sh\necho \'{{"Username": 5, "Secret": "x"}}\'\n', "something else"),
    ],
)
def test_a_bad_helper_is_named(config, helper, name, text, words):
    config({"credsStore": name})
    if text:
        helper(text=text)
    with pytest.raises(CredentialError, match=words):
        credentials.find("known:5000")


@pytest.mark.parametrize("answer", ['{{"ServerURL":"","Username":"","Secret":""}}', '{{"Username":"ada","Secret":""}}'])
def test_an_empty_answer_is_none(config, helper, answer):
    config({"credsStore": "test"})
    helper(text=f"#!/bin/sh\necho '{answer}'\n")
    assert credentials.find("known:5000") is None


@contextmanager
def public():
    """A registry whose tokens are for everybody, but not for whoever shows a wrong password."""

    def ask(handler):
        if "Authorization" in handler.headers:
            return handler.usual(handler.path)
        return handler.say(401, **{"WWW-Authenticate": f'Bearer realm="http://{fake.name}/token",service="x"'})

    def sell(handler):
        return handler.say(401) if "Authorization" in handler.headers else handler.say(200, b'{"token":"t"}')

    with Fake() as fake:
        fake.keep(make(), "1")
        fake.on |= {"GET /v2/app": ask, "GET /token": sell}
        yield fake


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "docker-credential-test get: it is not installed"),
        ("#!/bin/sh\necho No stored credential for this; exit 1\n", "No stored credential"),
        ("#!/bin/sh\necho nonsense\n", "something else than Username"),
        ('#!/bin/sh\necho \'{{"Username":"","Secret":""}}\'\n', None),
        ("", "test get: "),
    ],
)
def test_what_is_public_is_read_without_the_helper(config, helper, text, words):
    config({"credsStore": "test"})
    if text is not None:
        helper(text=text)
    with public() as fake:
        told = []
        registry = Registry(fake.name, tell=told.append)
        for _ in range(2):
            assert Repository(registry, "app").manifest("1", (image.MANIFEST,))
    assert fake.asked("GET", "/token") and not any("Authorization" in headers for headers in fake.asked("GET", "/token"))
    warnings = [sentence for sentence in told if "without a password" in sentence]
    assert [words in sentence for sentence in warnings] == ([True] if words else [])


def test_a_damaged_file_is_a_warning_where_no_password_is_needed(config):
    config({"auths": 1})
    with public() as fake:
        told = []
        assert Repository(Registry(fake.name, tell=told.append), "app").manifest("1", (image.MANIFEST,))
    assert any("config.json is not what Docker writes" in sentence for sentence in told)
