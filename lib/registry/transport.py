"""HTTP for registries: what may go wrong on the way to one, and how much of its answer is believed.

One request goes out with a limit for everything: seconds to connect, seconds of silence, redirects, tries, bytes. The work is
urllib3's, which is imported when the first request is made.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from urllib.parse import urljoin
from weakref import WeakSet

from lib.images import ImageError, Stopped
from lib.registry import pace

CONNECT = 5  # seconds
TRIES, PAUSE = 5, 0.25  # the pause doubles from try to try: 4 s in all
LONGEST_PAUSE = 30  # seconds that a registry may ask us to wait
REDIRECTS = 5
PIECE = 1 << 20  # bytes: hashlib and the sockets let other threads work meanwhile
SENT_AT_ONCE = 64 << 10  # bytes; they must be gone within CONNECT seconds, on the slowest line
ERROR_AT_MOST = 64 << 10  # bytes of an error's text
REDIRECT = (301, 302, 303, 307, 308)

Body = Callable[[], object] | bytes | None  # a file is opened anew for each try
Authorize = Callable[[str], Mapping[str, str]]  # the headers that a URL, and only it, may get


class RegistryError(ImageError):
    """A registry did not do what it was asked. The message says what, by whom, and the way out.

    ``status`` and ``code`` are the registry's answer, if it gave one.
    """

    def __init__(self, message: str, status: int = 0, code: str = ""):
        super().__init__(message)
        self.status, self.code = status, code


class Unreachable(RegistryError):
    """The registry cannot be reached at all: no such name, nobody answers there, no way to it."""


class Broken(RegistryError):
    """The connection ended in the middle. It may be tried again."""


class NotTLS(RegistryError):
    """Something answered, but it does not speak TLS."""


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: who it is that credentials are meant for. Raises ``RegistryError`` for anything but http(s).

    It is read by the one who will connect: ``http://a\\@b/`` is host a for urllib3, and b for Python's own reader.
    """
    from urllib3.util import parse_url

    try:
        parts = parse_url(url)
    except ValueError:
        raise RegistryError(f"{url[:200]!r} is no address") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise RegistryError(f"{url[:200]!r} is no address of a registry: only http and https are followed")
    return parts.scheme, parts.host.strip("[]"), parts.port or (443 if parts.scheme == "https" else 80)


def follow(base: str, location: str | None) -> str:
    """Where an answer from ``base`` sends us. Raises ``RegistryError`` for what is not http(s), and for https to http."""
    if not location:
        raise RegistryError(f"{bare(base)} answers without the address (Location) that must be there")
    try:
        url = urljoin(base, location)
    except ValueError:
        raise RegistryError(f"{bare(base)} leads to {bare(location)!r}, which is no address") from None
    if origin(base)[0] == "https" and origin(url)[0] == "http":
        raise RegistryError(f"{bare(base)} leads from https to {bare(url)}: refused, anybody on the way could read and change it")
    return url


def bare(url: str) -> str:
    """An address without its query, which may hold a secret."""
    return url.partition("?")[0][:300]


class Transport:
    """A pool of connections for each address. ``verify=False`` takes any certificate."""

    def __init__(self, verify: bool = True):
        self.verify = verify
        self.pools: dict[tuple[str, str, int], object] = {}
        self.live: WeakSet = WeakSet()  # every connection, for ``abort``
        self.living = threading.Lock()  # threads connect while another one aborts
        self.stopped = False

    @cached_property
    def urllib3(self):
        import urllib3

        if not self.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # whoever wanted it has said so
        return urllib3

    def watched(self, manager):
        """Note each connection that it makes, and give it limits of time."""
        live, living = self.live, self.living

        def watch(kind):
            class Watched(pace.timed(kind.ConnectionCls)):
                def connect(self):
                    super().connect()
                    with living:
                        live.add(self)

            return type("Watching", (kind,), {"ConnectionCls": Watched})

        kinds = self.urllib3.poolmanager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: watch(kind) for scheme, kind in kinds.items()}
        return manager

    def abort(self) -> None:
        """From another thread: whoever waits for an answer or for bytes comes back at once, and nothing more is asked."""
        self.stopped = True
        with self.living:
            connections = list(self.live)
        for connection in connections:
            if connection.sock is not None:
                with suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # TLS's own would take its time

    def pool_for(self, url: str):
        place = origin(url)
        return self.pools.get(place) or self.pools.setdefault(place, self.pool(*place))

    def pool(self, scheme: str, host: str, port: int):
        """Connections to one address: by the proxy that the environment names for it (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), if it does."""
        from urllib.request import getproxies, proxy_bypass

        timeout = self.urllib3.Timeout(connect=CONNECT, read=pace.SILENCE)
        settings = {"maxsize": 8, "blocksize": SENT_AT_ONCE, "timeout": timeout, "retries": False}
        if scheme == "https":
            from lib.registry.certificates import context

            settings |= {"cert_reqs": "CERT_REQUIRED" if self.verify else "CERT_NONE", "ssl_context": context(host, port, self.verify)}
        local = host == "localhost" or host.startswith("127.") or host == "::1"
        proxy = "" if local or proxy_bypass(host) else getproxies().get(scheme, "")
        if proxy.startswith("http"):
            return self.watched(self.urllib3.ProxyManager(proxy, **settings))
        return self.watched(self.urllib3.PoolManager(**settings))

    def once(self, method: str, url: str, headers: Mapping[str, str], body=None):
        """One request, without a second try. The response's body is still to be read.

        Raises ``RegistryError``; ``ImageError`` for a file in ``certs.d`` that is of no use.
        """
        errors = self.urllib3.exceptions
        where = f"{method} {bare(url)}"
        if self.stopped:
            raise Stopped(f"{where}: stopped")
        try:
            options = {"preload_content": False, "redirect": False, "decode_content": False}
            return self.pool_for(url).request(method, url, headers=dict(headers), body=body, **options)
        except errors.NameResolutionError:
            raise Unreachable(f"{where}: there is no host {origin(url)[1]!r}: a typo, or no network?") from None
        except (errors.NewConnectionError, errors.ProxyError) as error:
            raise Unreachable(f"{where}: no connection: {why(error)}. Is the registry running, and the port right?") from None
        except errors.ConnectTimeoutError:
            raise Unreachable(f"{where}: no connection within {CONNECT} s: is the host up, a firewall between?") from None
        except errors.SSLError as error:
            raise self.tls(where, str(error)) from None
        except errors.HTTPError as error:
            raise Broken(f"{where}: the connection broke: {why(error)}") from None
        except (ValueError, UnicodeError) as error:  # urllib3's LocationParseError is one; so is a header with a line break
            raise RegistryError(f"{where}: {why(error)}") from None

    def tls(self, where: str, text: str) -> RegistryError:
        if "CERTIFICATE_VERIFY_FAILED" in text or "match" in text:
            hint = "Whom to trust for a registry of your own: /etc/docker/certs.d/HOST:PORT/ca.crt; --insecure trusts anybody"
            return RegistryError(f"{where}: its certificate is signed by nobody that this machine trusts, or for another name. {hint}")
        if any(word in text for word in ("WRONG_VERSION_NUMBER", "record layer", "PACKET_LENGTH")):
            return NotTLS(f"{where}: http: server gave HTTP response to HTTPS client. If that is meant, say so: --insecure")
        return Broken(f"{where}: TLS failed: {text[:200]}")

    def send(self, method: str, url: str, headers: Mapping[str, str], authorize: Authorize, body: Body = None, tries: int = TRIES):
        """A request, with second tries and redirects. ``authorize`` is asked anew for each address that we are led to."""
        for _ in range(REDIRECTS + 1):
            response = self.persist(method, url, {**headers, **authorize(url)}, body, tries)
            if response.status not in REDIRECT:
                response.asked = url
                return response
            drain(response)
            if body is not None:
                raise RegistryError(f"{method} {bare(url)}: the registry sends an upload elsewhere (status {response.status}): refused")
            to = follow(url, response.headers.get("Location"))
            if method not in ("GET", "HEAD") and origin(to) != origin(url):
                raise RegistryError(
                    f"{method} {bare(url)}: the registry leads to {bare(to)}, which is somebody else's: only reading goes on there"
                )
            url = to
        raise RegistryError(f"{method} {bare(url)}: more than {REDIRECTS} redirects: a loop?")

    def persist(self, method: str, url: str, headers: Mapping[str, str], body: Body, tries: int):
        """Again after a broken connection, a busy registry, one that starts just now; not for ever."""
        stream = callable(body)
        for number in range(1, (1 if stream else tries) + 1):
            last = number == (1 if stream else tries)
            try:
                response = self.once(method, url, headers, body() if stream else body)
            except (Broken, Unreachable):
                if last or self.stopped:
                    raise
                pause(number)
                continue
            wanted = seconds(response.headers.get("Retry-After"))
            if last or not busy(response.status) or wanted > LONGEST_PAUSE:
                return response
            drain(response)
            pause(number, wanted)
        raise AssertionError("the last try returns or raises")


def busy(status: int) -> bool:
    """May the same request go well a moment later?"""
    return status == 429 or (status >= 500 and status != 501)


def why(error: Exception) -> str:
    """The innermost reason: urllib3 wraps what the kernel said."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def pause(number: int, at_least: float = 0) -> None:
    """Wait before the next try; by chance a little longer, so that many clients do not come back in step."""
    time.sleep(max(at_least, PAUSE * 2 ** (number - 1) * random.uniform(1, 1.2)))


def seconds(text: str | None) -> float:
    """``Retry-After``, where it is a number; a date counts as a second."""
    if not text:
        return 0
    return float(text) if text.isascii() and text.isdigit() else 1


def content(response, limit: int, what: str, within: float | None = None) -> bytes:
    """A whole body of at most ``limit`` bytes, in time. Raises ``RegistryError`` for more, ``Broken`` for less than announced."""
    from urllib3.exceptions import HTTPError

    pace.due(response, within or pace.DOCUMENT)
    try:
        pieces, left = [], limit + 1
        while left and (piece := response.read(min(left, PIECE))):
            pieces.append(piece)
            left -= len(piece)
    except HTTPError as error:
        raise Broken(f"{what}: the answer broke off: {why(error)}") from None
    finally:
        response.close()
    if not left:
        raise RegistryError(f"{what}: the answer is larger than {limit} bytes: refused")
    return b"".join(pieces)


def drain(response) -> None:
    """Nothing more is wanted of an answer. A short rest is read, so that the connection can serve the next request."""
    with suppress(RegistryError):
        content(response, ERROR_AT_MOST, "", CONNECT)
