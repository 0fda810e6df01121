"""A connection to the server: who says nothing is not waited for, and no more are held than memory is for."""

from __future__ import annotations

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
"""For the head of a request, of a connection that has none before it too."""
MOST: Final = 512
"""Connections at once, each with a head of 64 KiB and a body of 1 MiB at most; files that a process opens are 1,024."""


class BoundedConnection(H11Protocol):
    """uvicorn's, which waits for the head of a request without end."""

    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for a head; one connection too many ends at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop the wait where the head has come."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop()

    def on_response_complete(self) -> None:
        """Wait for the head of the next request."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        # Not closed, which waits until all that was written is read.
        self._silence = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
