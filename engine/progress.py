"""How long work reports its progress: for the terminal, logs and silence in `engine.render.progress_display`."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from engine.values import Value


class Progress(Protocol):
    """Receives how far one piece of work is."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Report that `done` of `total` `unit`s are done, 0 for an unknown total; facts are short: `loss="0.21"`.

        `of` is the name of what is counted, such as a split or a baseline; `run` the time that the run takes.
        """

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


@runtime_checkable
class MentioningProgress(Protocol):
    """A progress that can show what is done now without keeping the line."""

    def mention(self, text: str) -> None:
        """Show what is done now; the line stays only with `--verbose`."""


class NamedProgress(Value):
    """Progress that names what is counted: a training, a split, a baseline, a file."""

    of: str
    inner: Progress

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        facts["of"] = " ".join(filter(None, (self.of, facts.get("of"))))
        self.inner.update(done, total, unit, **facts)

    def note(self, text: str) -> None:
        self.inner.note(f"{self.of}: {text}")

    def measured(
        self, step: int, steps: int, numbers: Mapping[str, float], *, of: str = ""
    ) -> None:
        if isinstance(self.inner, MeasuredProgress):
            self.inner.measured(step, steps, numbers, of=of or self.of)


def mention(progress: Progress, text: str) -> None:
    """Show what is done now, which needs no line of its own in the end."""
    show = progress.mention if isinstance(progress, MentioningProgress) else progress.note
    show(text)


def note_waiting(progress: Progress) -> None:
    """Say why nothing moves while another process makes what this one needs."""
    progress.note("another run is making this result: waiting for its end")
