"""Connections to a server that say nothing, and too many of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the extra `serve`")

from engine.serving import app  # noqa: E402

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
Talk = Callable[[int], Awaitable[Any]]


async def _answer(_: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def _served(talk: Talk) -> Any:
    """What comes of a conversation with a server."""

    async def run() -> Any:
        config = uvicorn.Config(
            _answer, port=0, log_level="critical", lifespan="off", http=app.BoundedConnection
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            return await talk(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await task

    return asyncio.run(run())


async def _answers(port: int, *parts: bytes) -> list[bytes]:
    """The first line of each answer to some bytes; empty where the connection ends instead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for part in parts:
        writer.write(part)
        try:
            found.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            found.append(b"")
    writer.close()
    return found


@pytest.mark.parametrize("parts", [(b"",), (HEAD,), (HEAD + b"\r\n", b"GET")])
def test_who_sends_no_head_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(app, "HEAD_SECONDS", 0.2)

    *before, last = _served(lambda port: _answers(port, *parts))

    assert before == [b"HTTP/1.1 204 No Content"] * len(before)
    assert last == b""


def test_one_connection_too_many_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST", 1)

    async def talk(port: int) -> list[list[bytes]]:
        _, held = await asyncio.open_connection("127.0.0.1", port)
        refused = await _answers(port, HEAD + b"\r\n")
        held.close()
        await held.wait_closed()
        await asyncio.sleep(0.05)
        return [refused, await _answers(port, HEAD + b"\r\n")]

    assert _served(talk) == [[b""], [b"HTTP/1.1 204 No Content"]]
