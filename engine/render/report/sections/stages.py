"""What ran, what was reused and what was skipped, when and why; and what it cost beside the estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.evidence import Report, StageCost, StageRecord, StageStatus
from engine.render import blocks
from engine.render.number_format import DASH, duration, size
from engine.render.report.sections import report_section
from engine.values.numbers import decimal

_IDLE = (StageStatus.REUSED, StageStatus.SKIPPED)
_BASES = {
    **dict.fromkeys(
        ("computed", "reckoned"),  # the second stands in reports of before 0.3
        "computed from tensor sizes, nothing measured",
    ),
    "probe": "measured in trial steps",
    "run": "measured by an earlier run of the same training",
    "last run": "as long as its last run",
}


@report_section("stages", at=150)
def stages(report: Report) -> blocks.Section:
    """Every stage in order."""
    columns = "stage | status | >time | why | key"
    shown = blocks.table("Stages in order", columns, map(_row, report.stages), "stages")
    return blocks.Section(title="Stages", blocks=(shown, *_costs(report.costs)))


def _row(item: StageRecord) -> list[blocks.Cell]:
    problems = (part for problem in item.problems for part in (" ", blocks.Failure(problem)))
    return [
        item.stage,
        blocks.Badge(item.status.value, item.status.value),
        blocks.Muted(DASH) if item.status in _IDLE else duration(item.seconds),
        (blocks.Prose(item.reason), *problems),
        blocks.Code(item.key[:8]) if item.key else blocks.Muted(DASH),
    ]


def _costs(costs: Sequence[StageCost]) -> tuple[blocks.Block, ...]:
    """Estimate beside actual, of each stage that has any estimate or whose peak was measured."""
    known = [cost for cost in costs if cost.estimated or cost.memory_bytes is not None]
    if not known:
        return ()
    columns = (
        "stage | >time estimated | >took | >off | >memory estimated | >peak | >off"
        " | >disk estimated | >left | >off"
    )
    shown = blocks.table("Estimated and taken", columns, map(_cost, known), "narrow")
    train = next((cost for cost in costs if cost.stage == "train" and cost.estimated), None)
    if train is None:
        return (shown,)
    basis = _BASES.get(train.basis, train.basis)
    text = f"Training was estimated {train.estimated}: {basis}."
    return shown, blocks.Paragraph(blocks.Muted(text))


def _cost(cost: StageCost) -> list[str]:
    return [
        cost.stage,
        *_beside(duration, cost.estimated_seconds, cost.seconds, cost.seconds_error),
        *_beside(size, cost.estimated_memory_bytes, cost.memory_bytes, cost.memory_error),
        *_beside(size, cost.estimated_disk_bytes, cost.disk_bytes, cost.disk_error),
    ]


def _beside(write: Callable[[float], str], *found: float | None) -> list[str]:
    """An estimate, what it came to, and how far it was off: `+12 %` is too high."""
    *amounts, error = found
    shown = [DASH if amount is None else write(amount) for amount in amounts]
    return [*shown, DASH if error is None else f"{decimal(100 * error, 0, signed=True)} %"]
