"""One connection to an OpenAI-compatible server: what is sent, and what its refusals mean.

Speaks HTTP and nothing of tasks. Proxies of the environment are used, but not for this machine
itself; redirects are not followed, since the key would go along. Nothing that a server says leaves
here with the key in it, and no more than an answer may have is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from engine.errors import EnvironmentProblem, RecipeError, StageError, needs_extra
from engine.files.reading import parse_json
from engine.trust.hosts import Address, parse_address
from engine.trust.redaction import keep_secret, redacted, redacted_value
from engine.trust.resolving import UnsafeAddressError
from engine.values import Value

PATH = "baselines"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 300.0
SHOWN = 200
"""Characters of a server's own words."""
BUSY = frozenset({408, 409, 425, 429})
"""Come again later; so do all errors of the server itself but "not implemented"."""
DENIED = (401, 403)
BAD_REQUEST, NOT_FOUND, SERVER_ERROR, NOT_IMPLEMENTED = 400, 404, 500, 501
SUCCESS, REDIRECTION = 200, 300


def server_problem(code: str, message: str, hint: str | None = None) -> StageError:
    """Return the error of a server that cannot be asked."""
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
    """An `httpx.Client`."""
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
            status = _code(payload)
        message = self._shown(_message(text))
        if status in DENIED:
            raise self._denied(status, message)
        if status in BUSY or (status >= SERVER_ERROR and status != NOT_IMPLEMENTED):
            reason = f"HTTP {status}: {message}" if message else f"HTTP {status}"
            raise UnansweredError(reason, reached=True, after=_seconds(after))
        raise RequestRefusedError(status, message)

    def _send(self, method: str, path: str, **sent: Any) -> tuple[int, bytes, str | None]:
        """Return the status and the body of a response, and its `Retry-After`."""
        import httpx  # an extra

        from engine.runtime.served.connection import (  # needs httpx
            UnreadableError,
            read_answer,
        )

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

    def _denied(self, status: int, message: str) -> StageError:
        if not self.key:
            hint = "name the variable that holds it: api_key_env: NAME"
            return server_problem("E722", f"`{self.url}` wants a key (HTTP {status})", hint)
        answer = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        hint = "look at the key in the variable that `api_key_env` names"
        return server_problem("E722", f"`{self.url}` refuses the key ({answer})", hint)

    def _shown(self, text: str) -> str:
        """Return a server's words: one line, not too long, without the key."""
        line = " ".join(redacted(text).split())
        return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


@contextmanager
def open_server(url: str, key: str) -> Iterator[ChatServer]:
    """Open a connection to the server at a base address such as `http://localhost:8000/v1`.

    EnvironmentProblem E701 without httpx, E727 for a key that no header can hold; StageError E721 for an
    address that is none; RecipeError R311 for a key that would go there unencrypted.
    """
    with needs_extra("asking a served model needs httpx", "packages", path=PATH):
        import httpx  # an extra
    if not (key.isascii() and key.isprintable()):
        raise EnvironmentProblem.one(
            "E727", "the key holds characters that no header can hold", path=PATH
        )
    # Before the first request: a server may send the key back in whatever it answers.
    keep_secret(key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    from engine.runtime.served.connection import connected  # needs httpx

    address = _address(url, key)
    with ExitStack() as stack:
        try:
            http = stack.enter_context(connected(address, headers, timeout))
        except httpx.ProxyError as error:
            raise server_problem("E721", f"`{url}` cannot be reached: {error}") from None
        yield ChatServer(http=http, url=url.rstrip("/"), key=key)


def _address(url: str, key: str) -> Address:
    """Return where a server is. StageError E721 for no address, RecipeError R311 for a key over http."""
    try:
        address = parse_address(url)
    except ValueError as error:
        raise server_problem("E721", f"`{url}` cannot be reached: {error}") from None
    if key and address.scheme != "https" and not address.is_loopback:
        message = f"the key is not sent to `{url}`: it would cross the network unencrypted"
        raise RecipeError.one("R311", message, path=PATH, hint=address.encrypted)
    return address


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


def _code(payload: Mapping[str, Any]) -> int:
    """Return the status that such an answer names; that of a wrong request where it names none."""
    error = payload["error"]
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) else BAD_REQUEST


def _seconds(header: str | None) -> float | None:
    """Return how long `Retry-After` asks to wait; None for a date, which few servers send."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
