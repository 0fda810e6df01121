"""Who answered the rows without labels: how good, how sure, what of it was learned from, and what it cost."""

from __future__ import annotations

from engine.evidence import Comparison, Report, StudentAgainstTeacher, TeacherResult
from engine.render import blocks
from engine.render.labels import estimate, find_metric, untrained
from engine.render.metric_format import column_name, interval_of, lower_note, prose_name, value_of
from engine.render.number_format import (
    DASH,
    count,
    counted,
    duration,
    millions,
    number,
    p_values,
    percent,
)
from engine.render.report.sections import report_section

_LEAD = (
    "Another model labels rows that have no label, and a student is trained on them and on the labelled rows. What a "
    "teacher gets wrong is learned as faithfully as what it gets right."
)
_NO_BETTER = (
    "The teacher is no better than a cheap baseline: it labelled no rows, and nothing was trained."
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
    lead = _LEAD + untrained(report) if result.is_better or result.asked else _NO_BETTER
    return blocks.Section(
        title="Teacher", lead=lead, blocks=tuple(parts), card=(teacher_line(result),)
    )


def teacher_line(result: TeacherResult) -> str:
    """What became of the rows, in one line."""
    if not result.is_better and not result.asked:
        return f"teacher {result.name}: no better than a cheap baseline, so it labelled no rows"
    kept = f"{count(result.kept)} of {counted(result.asked, 'answer')} kept"
    right = find_metric(result.validation, result.metric)
    shown = value_of(result.metric, right.value if right else None)
    return f"teacher {result.name}: {kept}; {prose_name(result.metric)} {shown} on validation"


def _facts(result: TeacherResult) -> list[tuple[str, blocks.Cell]]:
    facts: list[tuple[str, blocks.Cell]] = [("teacher", blocks.Code(result.name))]
    facts += [("asked", result.note)] if result.note else []
    if result.min_confidence is not None:
        facts.append(("kept from", f"a confidence of {number(result.min_confidence)}"))
    if result.labels and result.kept:
        shares = ", ".join(f"{label} {count(n)}" for label, n in result.labels.items())
        facts.append(("labels kept", shares))
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
        rows.append([blocks.Code(name), value_of(result.metric, value), ""])
    caption = f"{prose_name(result.metric)} on the validation rows{lower_note(result.metric)}"
    return blocks.table(caption, f"model | >{column_name(result.metric)} | so", rows)


def _rows(result: TeacherResult) -> blocks.Table:
    """Every row that was read, by what became of it."""
    fates = [*result.left_out.items(), *(("answer " + why, n) for why, n in result.refused.items())]
    rows = [["kept", count(result.kept)], *([why, count(n)] for why, n in fates)]
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


_STUDENT_LEAD = (
    "Both on the same holdout rows, paired. A positive difference means that the student is better, also where less "
    "of the metric is better."
)


@report_section("student", at=34)
def student(report: Report) -> blocks.Section | None:
    """The student against its teacher; nothing before both have answered the holdout."""
    found, result = report.against_teacher, report.teacher
    if found is None or result is None:
        return None
    return blocks.Section(
        title="Student against teacher",
        lead=_STUDENT_LEAD,
        blocks=(_beside(report, result, found), _differences(found), _rightness(found)),
        card=tuple(map(against_line, found.comparisons)),
    )


def against_line(item: Comparison) -> str:
    """How far the student is from its teacher in one metric."""
    shown = value_of(item.metric, item.difference, signed=True)
    ends = interval_of(item.metric, item.interval, signed=True)
    return f"against its teacher {item.name}: {item.metric} {shown} {ends}".rstrip()


def _beside(report: Report, result: TeacherResult, found: StudentAgainstTeacher) -> blocks.Table:
    metric, ratios = result.metric, (found.size_ratio, found.speed_ratio)
    size, speed = ("" if one is None else f"{one:.2f} times" for one in ratios)
    rows: list[list[blocks.Cell]] = [
        [
            prose_name(metric),
            estimate(find_metric(report.holdout, metric)),
            estimate(find_metric(result.holdout, metric)),
            "",
        ],
        ["parameters", millions(found.parameters), _known(found.teacher_parameters), size],
        [
            "rows a second",
            _rate(found.rows_per_second),
            _rate(found.teacher_rows_per_second),
            speed,
        ],
    ]
    caption = "Side by side on the holdout; rows a second of processor time, on a CPU"
    return blocks.table(caption, "what | >student | >teacher | >student in relation", rows)


def _known(parameters: int | None) -> str:
    return DASH if parameters is None else millions(parameters)


def _rate(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def _differences(found: StudentAgainstTeacher) -> blocks.Table:
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
        for item in found.comparisons
    ]
    return blocks.table("Student minus teacher", "metric | >difference | p | >rows", rows)


def _rightness(found: StudentAgainstTeacher) -> blocks.Table:
    rows = [
        ["both right", count(found.both_right)],
        ["only the teacher right", count(found.only_teacher_right)],
        ["only the student right", count(found.only_student_right)],
        ["neither right", count(found.neither_right)],
    ]
    return blocks.table("Row by row", "holdout rows | >number", rows)
