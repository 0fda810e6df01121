"""A connection to the server that was judged, and to nothing else.

A name is resolved once and every address judged before a byte is sent; the request then goes to that address, with the
server's own name in the header and in the handshake. A proxy that the user has set up resolves names itself.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from engine.sources.apart import apart
from engine.trust.hosts import Address, is_ip
from engine.trust.resolving import UnresolvedError, has_proxy, places_of

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer, unpacked."""
_CHUNK: Final = 64 * 1024
# 16 more tells zlib that a gzip header stands before the data.
_WINDOWS: Final = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


class UnreadableError(Exception):
    """An answer that is not read: too long, too slow, or packed in a way that has no limit."""


@contextmanager
def connected(
    address: Address, headers: dict[str, str], timeout: httpx.Timeout
) -> Iterator[httpx.Client]:
    """Open a client that asks one server. Redirects are not followed: key and rows would go along."""
    # A server that packs its answers all the same is bounded in `_unpacked`.
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
    for chunk in _unpacked(response):
        found += chunk
        if len(found) > MOST_BYTES:
            raise UnreadableError(f"the answer is longer than {MOST_BYTES / 2**20:.0f} MB")
        # httpx counts its own limit from one piece to the next, so a server that trickles would never reach it.
        if clock() > end:
            raise UnreadableError(f"the answer did not end in {seconds:.0f} s")
    return bytes(found)


def _unpacked(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body in pieces of bounded size, however well it was packed."""
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed in ("", "identity"):
        yield from response.iter_raw()
        return
    if packed not in _WINDOWS:
        raise UnreadableError(f"the answer is packed as `{packed[:20]}`, which was not asked for")
    unpacker = zlib.decompressobj(_WINDOWS[packed])
    for chunk in response.iter_raw():
        left = chunk
        while left and not unpacker.eof:
            try:
                # A piece at a time: a few kilobytes of gzip can become gigabytes, and the limit has to be noticed
                # before that.
                yield unpacker.decompress(left, _CHUNK)
            except zlib.error as error:
                raise UnreadableError(f"the answer cannot be unpacked: {error}") from None
            left = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise UnreadableError("the answer cannot be unpacked: it ends early")


class _PinnedTransport(httpx.HTTPTransport):
    """Sends every request to an address of the server that was looked at first."""

    def __init__(self, address: Address, verify: ssl.SSLContext | bool) -> None:  # noqa: FBT001 - httpx's own
        super().__init__(verify=verify, trust_env=False)
        self._address, self._places = address, tuple[str, ...]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the first address that takes a connection. UnsafeAddressError, httpx.ConnectError."""
        places = self._places or _places_of(self._address)
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
        """Close the connection, if there is one."""
        if self._way is not None:
            self._way.close()


def _places_of(address: Address) -> tuple[str, ...]:
    try:
        return places_of(address)
    except UnresolvedError as error:
        raise httpx.ConnectError(str(error)) from None
