"""How long work says how far it is. The terminal, plain logs and silence implement it (`engine.render.progress`)."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives how far one piece of work is."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Report that `done` of `total` `unit`s are done, 0 for an unknown total; facts are short: `loss="0.21"`."""

    def note(self, text: str) -> None:
        """Print one line that stays on the screen."""
