"""Rows that a model has written for training: what became of each, how alike they are, and whether they help."""

from __future__ import annotations

from engine.evidence import Diversity, Report, SyntheticResult
from engine.render import blocks
from engine.render.labels import untrained
from engine.render.metric_format import column_name, interval_of, value_of
from engine.render.number_format import DASH, count, counted, duration, p_values, percent
from engine.render.report.sections import report_section

_LEAD = (
    "A model writes rows after examples of the training rows, and the rows that are kept are trained on with these. "
    "Holdout rows were shown to nobody: rows that are too near one of them were refused, and counted."
)


@report_section("synthetic", at=30)
def synthetic(report: Report) -> blocks.Section | None:
    """Nothing without synthetic rows."""
    found = report.synthetic
    if found is None:
        return None
    parts: list[blocks.Block] = [blocks.Facts(tuple(_facts(found))), _rows(found)]
    parts += [_diversity(found.diversity)] if found.diversity else []
    parts += [_gain(report)] if report.without_synthetic else []
    lines = synthetic_lines(found)
    return blocks.Section(
        title="Synthetic rows", lead=_LEAD + untrained(report), blocks=tuple(parts), card=lines
    )


def synthetic_lines(found: SyntheticResult) -> tuple[str, ...]:
    """What became of the rows, and what speaks against them, each in one line."""
    share = found.kept / (found.kept + found.train) if found.kept else 0.0
    kept = f"{count(found.kept)} of {counted(found.asked, 'row')} that {found.name} wrote are kept"
    lines = [f"synthetic rows: {kept}, {percent(share)} of the training rows"]
    if found.asked < found.requested:
        left = counted(found.requested - found.asked, "row")
        lines.append(f"{left} were not asked for: the budget does not allow them")
    if found.diversity is not None and found.diversity.is_low:
        lines.append("synthetic rows repeat each other: less than half as many different phrases")
    review = found.review
    if review is not None:
        seen = f"{count(review.reviewed)} synthetic rows reviewed, {count(review.wrong)} wrong"
        lines.append(seen)
    return tuple(lines)


def _facts(found: SyntheticResult) -> list[tuple[str, blocks.Cell]]:
    facts: list[tuple[str, blocks.Cell]] = [("written by", blocks.Code(found.name))]
    facts += [("asked", found.note)] if found.note else []
    if found.votes:
        agreed = f"{count(found.agreed)} of {counted(found.votes, 'answer')} of `{found.judge}`"
        facts.append(("asked again", f"{agreed} are the wanted one"))
    if found.labels and found.kept:
        shares = ", ".join(f"{label} {count(n)}" for label, n in found.labels.items())
        facts.append(("labels kept", shares))
    if (review := found.review) is not None:
        facts.append(("review", _review(found)))
        strange = counted(review.strange, "mark")
        facts += [("", f"{strange} of rows that are none of these")] if review.strange else []
    facts.append(("took", duration(found.seconds)))
    facts += [("cost", f"{found.cost:.4f} at the recipe's prices")] if found.cost else []
    return facts


def _review(found: SyntheticResult) -> str:
    review = found.review
    if review is None or not review.reviewed:
        return "nobody has looked at the rows"
    high = "" if review.wrong_high is None else f": at most {percent(review.wrong_high)} of all are"
    seen = counted(review.reviewed, "row")
    return f"{count(review.wrong)} of {seen} wrong in {review.file}{high}"


def _rows(found: SyntheticResult) -> blocks.Table:
    """Every row that was asked for, by what became of it."""
    rows = [
        ["trained on", count(found.kept)],
        *([why, count(number)] for why, number in found.refused.items()),
    ]
    caption = f"What became of {counted(found.requested, 'synthetic row')}"
    return blocks.table(caption, "rows | >number", rows)


def _diversity(found: Diversity) -> blocks.Table:
    rows = [
        ["different runs of four words", _share(found.distinct), _share(found.real_distinct)],
        ["words in common with the nearest", _share(found.nearest), _share(found.real_nearest)],
    ]
    caption = f"How alike rows are to each other, of {counted(found.rows, 'row')} each"
    return blocks.table(caption, "share | >synthetic | >training", rows)


def _share(value: float | None) -> str:
    return DASH if value is None else percent(value)


def _gain(report: Report) -> blocks.Table:
    rows: list[list[blocks.Cell]] = [
        [
            column_name(item.metric),
            blocks.Estimate(
                value_of(item.metric, item.difference, signed=True),
                interval_of(item.metric, item.interval, signed=True),
            ),
            p_values(item.p_value, item.p_adjusted) or DASH,
            count(item.n),
        ]
        for item in report.without_synthetic
    ]
    caption = "What the synthetic rows bring: against the same training without them"
    return blocks.table(caption, "metric | >difference | p | >rows", rows)
