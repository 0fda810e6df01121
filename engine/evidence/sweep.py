"""What a sweep found: every setting that was tried, on the validation rows, and the one that was chosen."""

from __future__ import annotations

from typing import Any

from engine.evidence.measures import Metric
from engine.values import Number, Value


class SweepSetting(Value):
    """One setting of `method`, trained and asked the validation rows."""

    values: dict[str, Any]
    """Of the keys that a setting has to say: in which one of them is another than `method`."""
    metric: Metric
    """What chooses."""
    validation_loss: Number | None
    """Of the kept checkpoint."""
    trainable_parameters: int | None
    """None where its training failed, as `metric.undefined` then says."""
    steps: int | None
    seconds: Number | None
    behind: Metric | None = None
    """How much worse than the chosen one, paired, with an interval that holds for all settings together; None for
    that one, and for one that left no model."""

    @property
    def may_be_as_good(self) -> bool:
        """The validation rows do not tell it from the chosen one; without an interval they do not either."""
        if self.behind is None:
            return False
        return self.behind.interval is None or self.behind.interval.low <= 0


class SweepResult(Value):
    """All settings in the order of the recipe."""

    metric: str
    rows: int
    """Validation rows that were asked."""
    chosen: int
    """Place in `settings`."""
    settings: tuple[SweepSetting, ...]

    @property
    def winner(self) -> SweepSetting:
        """The chosen one."""
        return self.settings[self.chosen]
