"""Who may do what: a registry answers 401 and says in ``WWW-Authenticate`` how to prove it, with a password or with a token.

A token is bought at another server, the realm: with a password, an identity token, or for nothing where everybody may read. It
is good for some minutes and for some *scopes* (``repository:library/alpine:pull``). See the CNCF distribution project, "Token
Authentication Specification" and "OAuth2 Token Authentication", and RFC 6750.
"""

from __future__ import annotations

import re
import threading
import time
from urllib.parse import urlencode

from lib.images import image
from lib.registry.credentials import Credential
from lib.registry.transport import RegistryError, Transport, content, origin

TOKEN_AT_MOST = 1 << 20  # bytes of the answer
CHALLENGE_AT_MOST = 4096  # characters of the header that are looked at
WORD = re.compile(r'([\w-]+)(?:=("[^"]*"|[^\s,"]+))?')
USUAL_LIFE, EARLY = 60, 10  # seconds: of a token that does not say; and before its end we buy another
CLIENT = "suitcase"

Scopes = tuple[str, ...]


def challenges(lines: list[str]) -> dict[str, dict[str, str]]:
    """``Bearer realm="…",service="…"`` → {"bearer": {"realm": …}}; one header may hold several."""
    found: dict[str, dict[str, str]] = {}
    for name, value in (match.groups() for line in lines for match in WORD.finditer(line[:CHALLENGE_AT_MOST])):
        if value is None:
            found[name.lower()] = here = {}
        elif found:
            here[name.lower()] = value.strip('"')
    return found


class Authority:
    """What we have to show to one registry; it grows with what the registry asks for: nothing, a password, a token."""

    def __init__(self, transport: Transport, name: str, credential):
        self.transport, self.name, self.find = transport, name, credential
        self.basic = ""
        self.tokens: dict[Scopes, tuple[str, float]] = {}  # and when we stop using it, by time.monotonic()
        self.lock = threading.Lock()

    def header(self, scopes: Scopes) -> str:
        """The value for ``Authorization``; empty while nobody has asked for one."""
        token, until = self.tokens.get(scopes, ("", 0))
        return f"Bearer {token}" if time.monotonic() < until else self.basic

    def answer(self, response, scopes: Scopes, used: str) -> bool:
        """Get what a 401 asks for; ``used`` did not do. False if there is nothing that we could show. Raises ``RegistryError``."""
        with self.lock:
            if self.header(scopes) not in ("", used):
                return True  # another thread was faster
            found = challenges(response.headers.getlist("WWW-Authenticate"))
            if "bearer" in found:
                self.tokens[scopes] = self.buy(found["bearer"], scopes, response.asked)
                return True
            credential = self.find() if "basic" in found else None
            if credential is None or not credential.username or credential.basic == used:
                return False
            self.basic = credential.basic
            return True

    def buy(self, challenge: dict[str, str], scopes: Scopes, asked: str) -> tuple[str, float]:
        """A token from the realm. See token.md, "Requesting a Token"."""
        realm = self.realm(challenge, asked)
        wanted = list(dict.fromkeys([*scopes, *challenge.get("scope", "").split()]))
        words = [("service", challenge["service"])] if "service" in challenge else []
        credential = self.find()
        if credential and credential.identity_token:
            response = self.oauth(realm, credential, [*words, ("scope", " ".join(wanted))])
        else:
            response = self.simple(realm, credential, [*words, *(("scope", one) for one in wanted)])
        what = f"{self.name}: the token from {realm}"
        data = content(response, TOKEN_AT_MOST, what)
        if response.status != 200:
            hint = "user name or password is wrong" if credential else "it wants to know who you are"
            raise RegistryError(f"{what}: refused with status {response.status}: {hint}. suitcase login {self.name}")
        return self.token(image.document(data, what), what)

    def realm(self, challenge: dict[str, str], asked: str) -> str:
        """Where tokens are sold. It gets our password, so not every address will do."""
        realm = challenge.get("realm", "")
        scheme, host, _ = origin(realm)
        registry, registry_host, _ = origin(asked)
        if scheme == "http" and not (registry == "http" and host == registry_host):
            raise RegistryError(f"{self.name} sends us to {realm[:200]} for a token: plain http on another host than its own is refused")
        return realm

    def simple(self, realm: str, credential: Credential | None, words: list[tuple[str, str]]):
        """GET, with the password if there is one."""
        if credential:
            words = [*words, ("account", credential.username)]
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(words)}"

        def authorize(target: str) -> dict[str, str]:
            return {"Authorization": credential.basic} if credential and origin(target) == origin(realm) else {}

        return self.transport.send("GET", url, {}, authorize)

    def oauth(self, realm: str, credential: Credential, words: list[tuple[str, str]]):
        """POST, for an identity token. See oauth.md."""
        words = [*words, ("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", credential.identity_token)]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.transport.send("POST", realm, headers, lambda url: {}, urlencode(words).encode())

    def token(self, answer: dict, what: str) -> tuple[str, float]:
        token, life = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise RegistryError(f"{what}: the answer holds no token")
        life = life if isinstance(life, int) and 0 < life < 1 << 31 else USUAL_LIFE
        return token, time.monotonic() + max(life - EARLY, EARLY)
