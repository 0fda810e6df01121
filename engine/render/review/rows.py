"""What the forms of a review share: titles, sections, and one line for each key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from engine.evidence.review import Area, Change, Cost, Finding, Gate, Review
from engine.values import Value, replace


class GateWords(NamedTuple):
    """How what became of a gate is shown: in words, by a mark beside them, and in a colour."""

    title: str
    mark: str
    style: str


GATES: Final = {
    Gate.WEAKER: GateWords("The gate got weaker", "🔴", "fail"),
    Gate.UNKNOWN: GateWords("The gate is not known to be as strong as before", "🟡", "warn"),
    Gate.REDRAWN: GateWords("The holdout is redrawn", "🟡", "warn"),
    Gate.WAIVED: GateWords("The gate got weaker, as waived", "🟡", "warn"),
    Gate.STAYS: GateWords("The gate stays", "⚪", "strong"),
    Gate.STRONGER: GateWords("The gate got stronger", "🟢", "pass"),
}
AREAS: Final = {
    Area.GATE: "The gate changes besides",
    Area.TASK: "The task changes",
    Area.DATA: "The data change",
    Area.MODEL: "The model changes",
    Area.EXPORT: "The export changes",
    Area.REPORT: "The report changes",
    Area.LOCK: "The record of runs changes",
    Area.NOTHING: "Words for people change",
}
COSTS: Final = "The training costs otherwise"
UNCOMPARED: Final = "Not compared, so it may be other bytes now"
NONE: Final = "none"
OVERLAP: Final = "W203"


class ChangedRow(Value):
    """One key: its old and its new value, and what that means."""

    path: str
    before: str
    after: str
    says: str
    effect: str = ""
    code: str = ""

    @property
    def change(self) -> str:
        """Such as `8 -> 16`; empty where there are no two values."""
        if not self.before and not self.after:
            return ""
        return f"{self.before or NONE} -> {self.after or NONE}"


def gate_rows(review: Review) -> list[ChangedRow]:
    """The findings: what weakens first, and what is waived with its reason."""
    # The finding that the holdout is redrawn says already how many rows were training rows.
    redrawn = {(finding.path, OVERLAP) for finding in review.findings if finding.code == "W201"}
    shown = [one for one in review.findings if (one.path, one.code) not in redrawn]
    return [finding_row(one, review.places) for one in shown]


def finding_row(finding: Finding, places: Mapping[str, str] | None = None) -> ChangedRow:
    """One finding; what is waived with its reason."""
    path = named(finding.path, places or {})
    row = replace(_row(path, finding), effect=finding.effect.value, code=finding.code)
    if not finding.waiver:
        return row
    says = "; ".join(filter(None, (row.says, f"waived: {finding.waiver}")))
    return replace(row, effect="waived", says=says)


def named(path: str, places: Mapping[str, str]) -> str:
    """Return a key with the file of a source in the place of its number."""
    for key, place in places.items():
        if path == key or path.startswith(f"{key}."):
            rest = path.removeprefix(key).lstrip(".")
            return f"{place}: {rest}" if rest else place
    return path


def sections(review: Review) -> list[tuple[str, list[ChangedRow]]]:
    """The other changes by what they decide; after those of the model what they cost, without a title."""
    found: list[tuple[str, list[ChangedRow]]] = []
    for area, title in AREAS.items():
        changes = (change for change in review.changes if change.area is area)
        rows = [_row(named(change.path, review.places), change) for change in changes]
        costs = _cost_rows(review.costs) if area is Area.MODEL else []
        found += [(title, rows)] if rows else []
        found += [("" if rows else COSTS, costs)] if costs else []
    return found


def _cost_rows(costs: Sequence[Cost]) -> list[ChangedRow]:
    """One row a cost; those that are not known for the same reason are one."""
    found: dict[tuple[str, ...], ChangedRow] = {}
    for cost in costs:
        row = _row(cost.name, cost)
        key = ("", cost.says) if not (cost.before or cost.after) else (cost.name, cost.says)
        known = found.get(key)
        found[key] = replace(known, path=f"{known.path}, {row.path}") if known else row
    return list(found.values())


def _row(path: str, change: Finding | Change | Cost) -> ChangedRow:
    return ChangedRow(path=path, before=change.before, after=change.after, says=change.says)


def weakened(review: Review) -> int:
    """How many findings that nobody waived weaken the evidence, redraw the holdout, or may do so."""
    return sum(finding.alarms for finding in review.findings)
