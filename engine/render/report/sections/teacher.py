"""Who answered the rows without labels: how good, how sure, what of it was learned from, and what it cost."""

from __future__ import annotations

from engine.evidence import Report, TeacherResult
from engine.render import blocks
from engine.render.labels import estimate, find_metric
from engine.render.metric_format import column_name, lower_note, prose_name, value_of
from engine.render.number_format import DASH, count, counted, duration, number, percent
from engine.render.report.sections import report_section

_LEAD = (
    "Another model answered rows without labels, and the student was trained on its answers beside the labelled "
    "rows. What a teacher gets wrong is learned as faithfully as what it gets right."
)


@report_section("teacher", at=32)
def teacher(report: Report) -> blocks.Section | None:
    """Nothing without a teacher."""
    result = report.teacher
    if result is None:
        return None
    parts: list[blocks.Block] = [blocks.Facts(tuple(_facts(result)))]
    parts += [_validation(result)] if result.validation else []
    parts += [_rows(result)] if result.read else []
    parts += [_confidence(result)] if result.confidence else []
    return blocks.Section(
        title="Teacher", lead=_LEAD, blocks=tuple(parts), card=(teacher_line(result),)
    )


def teacher_line(result: TeacherResult) -> str:
    """What became of the rows, in one line."""
    if not result.is_better and not result.asked:
        return f"teacher {result.name}: no better than a cheap baseline, not asked for labels"
    kept = f"{count(result.kept)} of {counted(result.asked, 'answer')} learned from"
    right = find_metric(result.validation, result.metric)
    shown = value_of(result.metric, right.value if right else None)
    return f"teacher {result.name}: {kept}; {prose_name(result.metric)} {shown} on validation"


def _facts(result: TeacherResult) -> list[tuple[str, blocks.Cell]]:
    facts: list[tuple[str, blocks.Cell]] = [("teacher", blocks.Code(result.name))]
    facts += [("asked", result.note)] if result.note else []
    if result.min_confidence is not None:
        facts.append(("kept from", f"a confidence of {number(result.min_confidence)}"))
    facts.append(("took", duration(result.seconds)))
    # the recipe does not name its currency
    facts += [("cost", f"{result.cost:.4f} at the recipe's prices")] if result.cost else []
    return facts


def _validation(result: TeacherResult) -> blocks.Table:
    mine = find_metric(result.validation, result.metric)
    rows: list[list[blocks.Cell]] = [
        [blocks.Strong(result.name), estimate(mine), "better" if result.is_better else "no better"]
    ]
    for name, value in result.baselines.items():
        rows.append([name, value_of(result.metric, value), ""])
    caption = f"{prose_name(result.metric)} on the validation rows{lower_note(result.metric)}"
    return blocks.table(caption, f"model | >{column_name(result.metric)} | so", rows)


def _rows(result: TeacherResult) -> blocks.Table:
    """Every row that was read, by what became of it."""
    fates = [*result.left_out.items(), *(("answer " + why, n) for why, n in result.refused.items())]
    rows = [["learned from", count(result.kept)], *([why, count(n)] for why, n in fates)]
    rows += [[f"answered {label}", count(n)] for label, n in result.labels.items()]
    caption = f"What became of {counted(result.read, 'row')} without labels"
    return blocks.table(caption, "rows | >number", rows)


def _confidence(result: TeacherResult) -> blocks.Table:
    rows = [
        [
            f"at least {number(one.confidence)}",
            percent(one.kept),
            DASH if one.right is None else percent(one.right),
        ]
        for one in result.confidence
    ]
    caption = "What a confidence would keep, and how much of it is right, on the validation rows"
    return blocks.table(caption, "confidence | >answers kept | >of them right", rows)
