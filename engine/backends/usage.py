"""What a training took, added up by what it was spent on: starting, steps, evaluations, checkpoints, ending. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.values import Number, Value, replace


class Spent(Value):
    count: int = 0
    seconds: Number = 0.0
    cpu_seconds: Number = 0.0
    tokens: int = 0
    """That went through the model, padding included."""

    @property
    def each(self) -> float:
        """Seconds of one of them; 0 where there is none."""
        return self.seconds / self.count if self.count else 0.0

    def plus(self, event: Mapping[str, Any]) -> Spent:
        return Spent(
            count=self.count + 1,
            seconds=self.seconds + float(event["seconds"]),
            cpu_seconds=self.cpu_seconds + float(event["cpu_seconds"]),
            tokens=self.tokens + int(event["tokens"]),
        )


NOTHING = Spent()


class Usage(Value):
    """What one training took; a resumed one tells of its last part only."""

    starting: Spent = NOTHING
    """From the launch until the first step may begin: imports, weights, rows."""
    first: Spent = NOTHING
    """The first step, which also makes what later ones only use."""
    steps: Spent = NOTHING
    first_evaluation: Spent = NOTHING
    """Slower than the next ones too, for the same reason."""
    evaluations: Spent = NOTHING
    first_save: Spent = NOTHING
    saves: Spent = NOTHING
    ending: Spent = NOTHING
    ready_bytes: int = 0
    """Held when the first step might begin: the process with the weights."""
    peak_bytes: int = 0
    others_cpu_seconds: Number = 0.0
    """Of the further processes that trained with this one."""

    @property
    def cpu_seconds(self) -> float:
        names = ("starting", "ending", *(name for pair in NAMES.values() for name in pair))
        spent: list[Spent] = [getattr(self, name) for name in names]
        return self.others_cpu_seconds + sum(one.cpu_seconds for one in spent)


NAMES = {
    "step": ("first", "steps"),
    "evaluated": ("first_evaluation", "evaluations"),
    "saved": ("first_save", "saves"),
}
"""Of an event: what is taken for the first of its kind, and what for the others."""


@dataclass(slots=True, kw_only=True)
class UsageMeter:
    """Adds up what the events of `engine.runtime.training.callbacks` tell."""

    began: Number
    """The launch, by the monotonic clock."""
    cpu_began: Number = 0.0
    """What the training process had already computed by then; none where it is a process of its own."""
    usage: Usage = field(default_factory=Usage)

    def take(self, event: Mapping[str, Any]) -> None:
        if "peak_bytes" not in event:
            return
        kind = event["event"]
        peak = max(self.usage.peak_bytes, int(event["peak_bytes"]))
        added: dict[str, Any] = {"peak_bytes": peak}
        if kind == "start":
            added["ready_bytes"] = int(event["ready_bytes"])
            added["starting"] = Spent(
                count=1,
                seconds=float(event["at"]) - self.began,
                cpu_seconds=float(event["cpu_at"]) - self.cpu_began,
            )
        else:
            first, others = NAMES.get(kind, ("ending", "ending"))
            name = others if getattr(self.usage, first).count else first
            added[name] = getattr(self.usage, name).plus(event)
        self.usage = replace(self.usage, **added)
