"""One connection to an OpenAI-compatible server: what is sent, and what its refusals mean.

Speaks HTTP and nothing of tasks. Proxies of the environment are used, but not for this machine
itself; redirects are not followed, since the key would go along. Nothing that a server says leaves
here with the key in it, and no more than an answer may have is read.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from engine.errors import EnvironmentProblem, RecipeError, StageError
from engine.files.reading import parse_json
from engine.sources.fetch_process import apart
from engine.trust.hosts import (
    Address,
    UnresolvedError,
    UnsafeAddressError,
    has_proxy,
    is_ip,
    keep_secret,
    parse_address,
    places_of,
    redacted,
    redacted_value,
)
from engine.values import Value

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of an answer, unpacked."""
PACKED: Final = ("", "identity", "gzip", "deflate")
"""Ways in which an answer may be packed: of others a few kilobytes can become gigabytes at once."""
PATH = "baselines"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 300.0
SHOWN = 200
BUSY = frozenset({408, 409, 425, 429})
"""Come again later; so do all errors of the server itself but "not implemented", 501."""
DENIED = (401, 403)
BAD_REQUEST, NOT_FOUND = 400, 404


class UnreadableError(Exception):
    """An answer that is not read: too long, too slow, or packed in a way that has no limit."""


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


class _Transport(httpx.BaseTransport):
    """Sends requests to an address of the server that was checked, or through the process that has the network."""

    def __init__(self, address: Address, verify: ssl.SSLContext | bool) -> None:  # noqa: FBT001 - httpx's own
        self._address, self._verify = address, verify
        self._way: httpx.HTTPTransport | None = None
        self._is_relayed = False
        self._places = tuple[str, ...]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the first address that takes a connection. UnsafeAddressError, httpx.ConnectError."""
        try:
            if self._way is None:
                helper = apart()
                relay = None if helper is None else helper.relay(self._address)
                self._is_relayed = helper is not None
                self._way = httpx.HTTPTransport(verify=self._verify, trust_env=False, uds=relay)
            if self._is_relayed:
                return self._way.handle_request(request)
            places = self._places or places_of(self._address)
        except (UnresolvedError, OSError) as error:
            raise httpx.ConnectError(str(error), request=request) from None
        extensions: dict[str, Any] = dict(request.extensions)
        if not is_ip(self._address.host):
            # The request goes to a bare address, but the certificate is made out to the name.
            extensions["sni_hostname"] = self._address.host
        failure: httpx.TransportError = httpx.ConnectError("the name has no address")
        for place in places:
            url = request.url.copy_with(host=place)
            asked = httpx.Request(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                answer = self._way.handle_request(asked)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            # The one that answered is kept: the same name may lead elsewhere the next time.
            self._places = (place,)
            return answer
        raise failure

    def close(self) -> None:
        if self._way is not None:
            self._way.close()


def server_problem(code: str, message: str, hint: str | None = None) -> StageError:
    return StageError.one(code, message, path=PATH, hint=hint)


class UnansweredError(Exception):
    """No answer this time; the next attempt may have one."""

    def __init__(self, reason: str, *, reached: bool, after: str | None = None) -> None:
        super().__init__(reason)
        self.reached = reached
        """The server answered, though not what was asked."""
        try:
            self.after = max(0.0, float(after or 0))
            """Seconds that the server asks to wait; 0 where it does not say, or names a date, as few do."""
        except ValueError:
            self.after = 0.0


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

        UnansweredError and RequestRefusedError as they say; StageError E722 for a key that is not accepted, E761 for an
        address that is not allowed, E763 for an answer past the limits.
        """
        try:
            with self.http.stream(method, f"{self.url}{path}", **sent) as response:
                body = read_answer(response, seconds=ANSWER_SECONDS)
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
            reason = _shown(f"{type(error).__name__}: {error}".strip(": "))
            raise UnansweredError(reason, reached=False) from None
        status, text = response.status_code, body.decode("utf-8", errors="replace")
        if 200 <= status < 300:
            try:
                payload = redacted_value(parse_json(text))
            except ValueError:
                raise RequestRefusedError(status, "the answer is no JSON") from None
            # Some providers' answers claim success and say otherwise.
            if not isinstance(payload, Mapping) or "error" not in payload or "choices" in payload:
                return payload
            failure = payload["error"]
            code = failure.get("code") if isinstance(failure, Mapping) else None
            status = code if isinstance(code, int) else BAD_REQUEST
        refused = RequestRefusedError(status, _shown(_message(text)))
        if status in DENIED and not self.key:
            hint = "name the variable that holds it: api_key_env: NAME"
            raise server_problem("E722", f"`{self.url}` wants a key (HTTP {status})", hint)
        if status in DENIED:
            hint = "look at the key in the variable that `api_key_env` names"
            raise server_problem("E722", f"`{self.url}` refuses the key ({refused})", hint)
        if status in BUSY or (status >= 500 and status != 501):
            after = response.headers.get("Retry-After")
            raise UnansweredError(str(refused), reached=True, after=after)
        raise refused


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
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    try:
        address = parse_address(url)
    except ValueError as error:
        raise server_problem("E721", f"`{url}` cannot be reached: {error}") from None
    is_encrypted = address.scheme == "https"
    if key and not is_encrypted and not address.is_loopback:
        message = f"the key is not sent to `{url}`: it would cross the network unencrypted"
        raise RecipeError.one("R311", message, path=PATH, hint=address.encrypted)
    verify: ssl.SSLContext | bool = httpx.create_ssl_context() if is_encrypted else False
    # Else no proxy of the environment: it would resolve the name again, and lead elsewhere than to what was checked.
    way: dict[str, Any] = {"verify": verify}
    if not has_proxy(address):
        way = {"transport": _Transport(address, verify), "trust_env": False}
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    try:
        client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False, **way)
    except (ImportError, ValueError) as error:  # a kind of proxy that httpx does not speak to
        what = f"`{url}` cannot be reached: the proxy of the environment: {error}"
        raise server_problem("E721", what) from None
    with client as http:
        yield ChatServer(http=http, url=url.rstrip("/"), key=key)


def _shown(text: str) -> str:
    """Return a server's words: one line, not too long, without the key."""
    line = " ".join(redacted(text).split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


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
