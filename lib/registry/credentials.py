"""Who we are to a registry: Docker's own ``config.json``, so that whoever has logged in with Docker has logged in here.

The password stands there in base64, which hides nothing, or with a helper: a program ``docker-credential-NAME`` that keeps it
in the desktop's key ring, and is asked over stdin. See docs.docker.com, "docker login", "Credential helper protocol".
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lib import state
from lib.atomicfile import atomic_file
from lib.images import ImageError, references

HUB_KEY = "https://index.docker.io/v1/"  # the name that Docker's file has for the Hub
TOKEN = "<token>"  # the user name that says: the secret is an identity token, not a password
NOT_FOUND = "credentials not found"
PATIENCE = 30  # seconds for a helper, which may ask the user something


class CredentialError(ImageError):
    """The file or the helper with the passwords does not do what it should."""


@dataclass(frozen=True)
class Credential:
    """A user name with a password, or a token that stands for both. No secret is ever shown."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """For the header ``Authorization`` (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def path() -> Path:
    """``$DOCKER_CONFIG/config.json``, by default in ``~/.docker``."""
    return Path(os.environ.get("DOCKER_CONFIG") or state.home() / ".docker", "config.json")


def key(registry: str) -> str:
    return HUB_KEY if registry in (references.HUB, references.HUBS_OLD_NAME) else registry


def read() -> dict:
    """The whole file; nothing if there is none. Raises ``CredentialError``."""
    try:
        found = json.loads(path().read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CredentialError(f"{path()} cannot be read: {error}. Repair it, or move it away and log in anew") from None
    if not isinstance(found, dict) or not all(isinstance(found.get(word, {}), dict) for word in ("auths", "credHelpers")):
        raise CredentialError(f"{path()} is not what Docker writes: an object with the objects 'auths' and 'credHelpers'")
    return found


def write(config: dict) -> None:
    """Whole or not at all, for nobody but its owner. A link stays a link."""
    os.makedirs(os.path.dirname(os.path.realpath(path())), mode=0o700, exist_ok=True)
    with atomic_file(path(), 0o600) as file:
        file.write(json.dumps(config, indent="\t").encode())


# -- find, login, logout ----------------------------------------------------------------------


def find(registry: str) -> Credential | None:
    """What is known for a registry. Raises ``CredentialError``."""
    config = read()
    if name := helper(config, registry):
        return ask_helper(name, registry)
    for place, entry in config.get("auths", {}).items():
        if isinstance(entry, dict) and (place in (key(registry), registry) or host(place) == registry):
            return decode(place, entry)
    return None


def host(place: str) -> str:
    """``https://host:5000/v1/`` → ``host:5000``: old versions of Docker wrote addresses."""
    return re.sub(r"^https?://", "", place).partition("/")[0]


def decode(place: str, entry: dict) -> Credential | None:
    token = entry.get("identitytoken") or ""
    if not entry.get("auth"):
        username, password = entry.get("username") or "", entry.get("password") or ""
    else:
        try:
            username, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            if not colon:
                raise ValueError
        except (ValueError, TypeError, binascii.Error):
            raise CredentialError(f"{path()}: 'auth' of {place} is not base64 of name:password; log in anew") from None
    return Credential(username, password.rstrip("\0"), token) if username or token else None


def login(registry: str, username: str, password: str, identity_token: str = "") -> str:
    """Keep a credential that the registry has accepted. Returns a warning if it is kept unencrypted, else an empty string.

    Raises ``CredentialError``.
    """
    config = read()
    if name := helper(config, registry):
        user, secret = (TOKEN, identity_token) if identity_token else (username, password)
        call_helper(name, "store", json.dumps({"ServerURL": key(registry), "Username": user, "Secret": secret}))
        config.setdefault("auths", {})[key(registry)] = {}  # as Docker does: the file says where one has logged in
        write(config)
        return ""
    entry = {"auth": Credential(username, "" if identity_token else password).basic.removeprefix("Basic ")}
    config.setdefault("auths", {})[key(registry)] = entry | ({"identitytoken": identity_token} if identity_token else {})
    write(config)
    return (
        f"WARNING! Your password will be stored unencrypted in {path()}.\n"
        "Configure a credential helper to remove this warning (\"credsStore\" in that file)."
    )  # fmt: skip


def logout(registry: str) -> bool:
    """Forget a credential; False if there was none. Raises ``CredentialError``."""
    config = read()
    going = [place for place in config.get("auths", {}) if place == key(registry) or host(place) == registry]
    if name := helper(config, registry):
        call_helper(name, "erase", key(registry))
    if going:
        config["auths"] = {place: entry for place, entry in config["auths"].items() if place not in going}
        write(config)
    return bool(going)


# -- helpers ----------------------------------------------------------------------------------


def helper(config: dict, registry: str) -> str:
    """The name of the helper that keeps a registry's secret; the one for this registry before the one for all."""
    name = config.get("credHelpers", {}).get(key(registry)) or config.get("credHelpers", {}).get(registry) or config.get("credsStore")
    if name and not (isinstance(name, str) and re.fullmatch(r"[\w.-]+", name)):
        raise CredentialError(f"{path()}: {str(name)[:50]!r} is not the name of a credential helper")
    return name or ""


def ask_helper(name: str, registry: str) -> Credential | None:
    answer = call_helper(name, "get", key(registry))
    if answer is None:
        return None
    try:
        found = json.loads(answer)
        user, secret = found["Username"], found["Secret"]
        if not isinstance(user, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CredentialError(f"docker-credential-{name} get answered something else than Username and Secret") from None
    if not user or not secret:
        return None  # that is how some say that they have nothing
    return Credential(identity_token=secret) if user == TOKEN else Credential(user, secret)


def call_helper(name: str, verb: str, text: str) -> str | None:
    """One word to the helper and its answer; None if it has nothing for us. Raises ``CredentialError``; never with the secret."""
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run([program, verb], input=text, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        gone = isinstance(error, FileNotFoundError | PermissionError)  # the latter, too, where a folder of PATH may not be looked into
        why = "it is not installed, or may not be run" if gone else type(error).__name__
        raise CredentialError(f"{program} {verb}: {why}; {path()} names it as the keeper of passwords") from None
    if done.returncode == 0:
        return done.stdout
    if NOT_FOUND in done.stdout + done.stderr:
        return None
    raise CredentialError(f"{program} {verb} failed (exit code {done.returncode}): {(done.stdout or done.stderr).strip()[:200]}")
