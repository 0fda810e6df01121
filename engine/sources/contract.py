"""What fetching needs from its caller: a place to keep results, and someone to tell how far it is.

Structural twins of `StageContext.once` and `Progress` of `engine.artifacts.stage`, a higher layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from engine.store import Artifact

Once = Callable[[str, Mapping[str, Any], Callable[[Path], None]], Artifact]
"""`once(name, payload, build)`: the artifact of that payload, built at most once."""


class Progress(Protocol):
    """Where long work tells how far it is."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Say that `done` of `total` `unit`s are done; `total` is 0 where it is not known."""

    def note(self, text: str) -> None:
        """Say one line that stays on the screen."""
