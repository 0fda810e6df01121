"""What the steps of one preparation of rows share: what was asked for, the rows, and what was found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.data.checks.findings import ByRow, Findings, Shown
from engine.data.row_index import Pool
from engine.data.splitting.recorded import RecordedSplits
from engine.recipe.model import Data, Splits, Task
from engine.values import Value

Step = Callable[[str, int], None]
"""Is given what is done next, and with how many rows."""


class Preparation(Value):
    """The parts of a recipe that say how rows become examples, and what is known of the rows so far."""

    task: Task
    data: Data
    splits: Splits
    pool: Pool
    findings: Findings
    held: RecordedSplits | None
    """The recorded holdout, which keeps its rows."""
    scratch: Path | None
    """The folder for temporary files."""
    thorough: bool
    """Without it, slow checks that move no row are left out."""
    step: Step

    def report(
        self,
        check: str,
        count: int,
        *,
        message: str,
        examples: Iterable[Shown] | ByRow = (),
        reason: str = "",
        rows: Iterable[int] = (),
    ) -> None:
        """Keep a finding unless its check is off; where it says `drop`, leave its rows out for that reason."""
        action = getattr(self.data.checks, check)
        if action == "off":
            return
        self.findings.report(check, action, count, message=message, examples=examples)
        if action == "drop":
            self.findings.drop(reason, self.pool.leave_out(rows))
