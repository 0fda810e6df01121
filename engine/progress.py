"""How long work says how far it is. The terminal, plain logs and silence implement it (`engine.render.progress`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """Receives how far one piece of work is."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Report that `done` of `total` `unit`s are done, 0 for an unknown total; facts are short: `loss="0.21"`."""

    def note(self, text: str) -> None:
        """Print one line that stays on the screen."""


@runtime_checkable
class MeasuredProgress(Protocol):
    """A progress that also takes the numbers of a training, which most only show."""

    def measured(
        self, step: int, steps: int, numbers: Mapping[str, float], *, of: str = ""
    ) -> None:
        """Take what an optimizer step of `steps` measured: `loss`, `eval_loss`, `learning_rate`, `grad_norm`.

        `of` is the name of the training where a stage has several.
        """


def note_waiting(progress: Progress) -> None:
    """Say why nothing moves while another process makes what this one needs."""
    progress.note("another run is making this result: waiting for its end")
