"""What the runtime needs to tell how far it is; `engine.stages.base.Progress` satisfies it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told while long work goes on."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Say that `done` of `total` `unit`s are done."""

    def note(self, text: str) -> None:
        """Say one line that stays on the screen."""
