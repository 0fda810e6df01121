"""One connection to an OpenAI-compatible server: what is sent, and what its refusals mean.

Speaks HTTP and nothing of tasks. Proxies of the environment are used, but not for this machine
itself; redirects are not followed, since the key would go along. Nothing that a server says leaves
here with the key in it, and no more than an answer may have is read.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx

from engine.errors import EnvironmentProblem, RecipeError, StageError
from engine.files.reading import parse_json
from engine.sources.apart import apart
from engine.trust.hosts import (
    Address,
    UnresolvedError,
    UnsafeAddressError,
    has_proxy,
    is_ip,
    parse_address,
    places_of,
)
from engine.trust.redaction import keep_secret, redacted, redacted_value
from engine.values import Value

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer, unpacked."""
PACKED: Final = ("", "identity", "gzip", "deflate")
"""Ways in which an answer may be packed: of others a few kilobytes can become gigabytes at once."""
PATH = "baselines"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 300.0
SHOWN = 200
"""Characters of a server's own words."""
BUSY = frozenset({408, 409, 425, 429})
"""Come again later; so do all errors of the server itself but "not implemented"."""
DENIED = (401, 403)
BAD_REQUEST, NOT_FOUND, SERVER_ERROR, NOT_IMPLEMENTED = 400, 404, 500, 501
SUCCESS, REDIRECTION = 200, 300


class UnreadableError(Exception):
    """An answer that is not read: too long, too slow, or packed in a way that has no limit."""


@contextmanager
def connected(
    address: Address, headers: dict[str, str], timeout: httpx.Timeout
) -> Iterator[httpx.Client]:
    """Open a client that asks one server. Redirects are not followed: key and rows would go along."""
    headers = {"Accept-Encoding": "identity", **headers}
    verify: ssl.SSLContext | bool = (
        httpx.create_ssl_context() if address.scheme == "https" else False
    )
    # Else no proxy of the environment: it would resolve the name again, and lead elsewhere than to what was judged.
    way: dict[str, Any] = {"verify": verify}
    if not has_proxy(address):
        pinned = _RelayedTransport if apart() else _PinnedTransport
        way = {"transport": pinned(address, verify), "trust_env": False}
    try:
        client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False, **way)
    except (ImportError, ValueError) as error:  # a kind of proxy that httpx does not speak to
        raise httpx.ProxyError(f"the proxy of the environment: {error}") from None
    with client:
        yield client


def read_answer(
    response: httpx.Response, *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """Return the body of an answer that is being streamed, unpacked. UnreadableError past the limits."""
    end = clock() + seconds
    found = bytearray()
    packed = response.headers.get("Content-Encoding", "").strip().lower()
    if packed not in PACKED:
        raise UnreadableError(f"the answer is packed as `{packed[:20]}`, which was not asked for")
    try:
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) > MOST_BYTES:
                raise UnreadableError(f"the answer is longer than {MOST_BYTES / 2**20:.0f} MB")
            # httpx counts its own limit from one piece to the next, so a server that trickles would never reach it.
            if clock() > end:
                raise UnreadableError(f"the answer did not end in {seconds:.0f} s")
    except httpx.DecodingError as error:
        raise UnreadableError(f"the answer cannot be unpacked: {error}") from None
    return bytes(found)


class _PinnedTransport(httpx.HTTPTransport):
    """Sends every request to an address of the server that was looked at first."""

    def __init__(self, address: Address, verify: ssl.SSLContext | bool) -> None:  # noqa: FBT001 - httpx's own
        super().__init__(verify=verify, trust_env=False)
        self._address, self._places = address, tuple[str, ...]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the first address that takes a connection. UnsafeAddressError, httpx.ConnectError."""
        try:
            places = self._places or places_of(self._address)
        except UnresolvedError as error:
            raise httpx.ConnectError(str(error)) from None
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for place in places:
            try:
                answer = super().handle_request(self._at(request, place))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            # The one that answered is kept: the same name may lead elsewhere at the next look.
            self._places = (place,)
            return answer
        raise failure or httpx.ConnectError("the name has no address", request=request)

    def _at(self, request: httpx.Request, place: str) -> httpx.Request:
        extensions: dict[str, Any] = dict(request.extensions)
        if not is_ip(self._address.host):
            # The request goes to a bare address, but the certificate is made out to the name.
            extensions["sni_hostname"] = self._address.host
        return httpx.Request(
            request.method,
            request.url.copy_with(host=place),
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )


class _RelayedTransport(httpx.BaseTransport):
    """Sends every request through the process that has the network, which looks at the address first."""

    def __init__(self, address: Address, verify: ssl.SSLContext | bool) -> None:  # noqa: FBT001 - as above
        self._address, self._verify = address, verify
        self._way: httpx.HTTPTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the server. UnsafeAddressError, httpx.ConnectError."""
        helper = apart()
        if self._way is None and helper is not None:
            try:
                path = helper.relay(self._address)
            except OSError as error:
                raise httpx.ConnectError(str(error), request=request) from None
            self._way = httpx.HTTPTransport(verify=self._verify, trust_env=False, uds=path)
        if self._way is None:
            raise httpx.ConnectError("the process that has the network has ended", request=request)
        return self._way.handle_request(request)

    def close(self) -> None:
        if self._way is not None:
            self._way.close()


def server_problem(code: str, message: str, hint: str | None = None) -> StageError:
    return StageError.one(code, message, path=PATH, hint=hint)


class UnansweredError(Exception):
    """No answer this time; the next attempt may have one."""

    def __init__(self, reason: str, *, reached: bool, after: float | None = None) -> None:
        super().__init__(reason)
        self.reached = reached
        """The server answered, though not what was asked."""
        self.after = after
        """Seconds that the server asks to wait; None where it does not say."""


class RequestRefusedError(Exception):
    """The server does not want this request (HTTP 400 to 422, 501), in its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}" if message else f"HTTP {status}")
        self.status = status
        self.message = message


class ChatServer(Value):
    """An open connection."""

    http: Any
    url: str
    key: str

    def call(self, method: str, path: str, **sent: Any) -> Any:
        """Return the answer to a request; `json=` is its body.

        UnansweredError and RequestRefusedError as they say; StageError E722 for a key that is not accepted.
        """
        status, body, after = self._send(method, path, **sent)
        text = body.decode("utf-8", errors="replace")
        if SUCCESS <= status < REDIRECTION:
            try:
                payload = redacted_value(parse_json(text))
            except ValueError:
                raise RequestRefusedError(status, "the answer is no JSON") from None
            # Some providers' answers claim success and say otherwise.
            if not isinstance(payload, Mapping) or "error" not in payload or "choices" in payload:
                return payload
            error = payload["error"]
            code = error.get("code") if isinstance(error, Mapping) else None
            status = code if isinstance(code, int) else BAD_REQUEST
        message = self._shown(_message(text))
        reason = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        if status in DENIED and not self.key:
            hint = "name the variable that holds it: api_key_env: NAME"
            raise server_problem("E722", f"`{self.url}` wants a key (HTTP {status})", hint)
        if status in DENIED:
            hint = "look at the key in the variable that `api_key_env` names"
            raise server_problem("E722", f"`{self.url}` refuses the key ({reason})", hint)
        if status in BUSY or (status >= SERVER_ERROR and status != NOT_IMPLEMENTED):
            raise UnansweredError(reason, reached=True, after=_seconds(after))
        raise RequestRefusedError(status, message)

    def _send(self, method: str, path: str, **sent: Any) -> tuple[int, bytes, str | None]:
        """Return the status and the body of a response, and its `Retry-After`."""
        try:
            with self.http.stream(method, f"{self.url}{path}", **sent) as response:
                body = read_answer(response, seconds=ANSWER_SECONDS)
                return response.status_code, body, response.headers.get("Retry-After")
        except UnsafeAddressError as error:
            hint = "if that is meant, name the address itself in `endpoint`, and allow it"
            raise server_problem("E761", str(error), hint) from None
        except UnreadableError as error:
            raise server_problem("E763", f"`{self.url}`: {error}") from None
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.StreamError,
            OSError,
            RuntimeError,
        ) as error:
            reason = f"{type(error).__name__}: {error}".strip(": ")
            raise UnansweredError(self._shown(reason), reached=False) from None

    def _shown(self, text: str) -> str:
        """Return a server's words: one line, not too long, without the key."""
        line = " ".join(redacted(text).split())
        return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


@contextmanager
def open_server(url: str, key: str) -> Iterator[ChatServer]:
    """Open a connection to the server at a base address such as `http://localhost:8000/v1`.

    EnvironmentProblem E727 for a key that no header can hold; StageError E721 for an
    address that is none; RecipeError R311 for a key that would go there unencrypted.
    """
    if not (key.isascii() and key.isprintable()):
        raise EnvironmentProblem.one(
            "E727", "the key holds characters that no header can hold", path=PATH
        )
    # Before the first request: a server may send the key back in whatever it answers.
    keep_secret(key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)

    try:
        address = parse_address(url)
    except ValueError as error:
        raise server_problem("E721", f"`{url}` cannot be reached: {error}") from None
    if key and address.scheme != "https" and not address.is_loopback:
        message = f"the key is not sent to `{url}`: it would cross the network unencrypted"
        raise RecipeError.one("R311", message, path=PATH, hint=address.encrypted)
    with ExitStack() as stack:
        try:
            http = stack.enter_context(connected(address, headers, timeout))
        except httpx.ProxyError as error:
            raise server_problem("E721", f"`{url}` cannot be reached: {error}") from None
        yield ChatServer(http=http, url=url.rstrip("/"), key=key)


def _message(text: str) -> str:
    """Return the sentence in the ways that servers put one: OpenAI's, FastAPI's, or plain."""
    try:
        payload = parse_json(text)
    except ValueError:
        return text
    for key in ("error", "message", "detail"):
        if isinstance(payload, Mapping) and key in payload:
            payload = payload[key]
    return payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)


def _seconds(header: str | None) -> float | None:
    """Return how long `Retry-After` asks to wait; None for a date, which few servers send."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
