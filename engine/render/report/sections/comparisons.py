"""Against what else there is: baselines, the last accepted model, a teacher, and the answers alone."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import (
    Comparison,
    LearnedTargets,
    Report,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StudentAgainstTeacher,
    TeacherResult,
)
from engine.render import blocks
from engine.render.blocks import around
from engine.render.labels import (
    ComparedModel,
    absent,
    best_baseline,
    checks_of,
    compared_models,
    estimate,
    find_metric,
    main_metric,
    untrained,
)
from engine.render.number_format import (
    DASH,
    column_name,
    count,
    counted,
    duration,
    interval_of,
    kind_of,
    lower_note,
    millions,
    number,
    p_values,
    percent,
    prose_name,
    short_list,
    size,
    threshold_of,
    value_of,
)
from engine.render.report.sections import report_section

_SOFT_LEAD = (
    "A student learns its teacher's probabilities of each answer's tokens, not the answers alone. They were computed "
    "once and kept; validation and holdout have none."
)
_BESIDE = (
    "The same rows trained twice: with the teacher's probabilities, and from the answers alone. Paired on the same "
    "holdout rows; a positive difference means that soft targets are better here. It is one training each, and another "
    "task or seed may turn it round."
)


@report_section("soft-targets", at=33)
def soft_targets(report: Report) -> blocks.Section | None:
    found = report.soft_targets
    if found is None:
        return None
    facts: list[tuple[str, blocks.Cell]] = [
        ("rows", f"{count(found.rows)} different ones, {counted(found.tokens, 'learned token')}"),
        (
            "kept",
            f"the {found.kept_tokens} most probable tokens at each{_share(found.probability)}",
        ),
    ]
    if found.agreement is not None:
        agreed = f"{percent(found.agreement)} of the learned tokens"
        facts.append(("its own first choice", agreed))
    asked = f"{counted(found.asked, 'row')} when this was made, {duration(found.seconds)}"
    rest = found.rows - found.asked
    facts.append(("asked", f"{asked}; {count(rest)} had been asked before" if rest else asked))
    learned = report.training.soft_targets if report.training else None
    facts += [("divergence", _divergence(learned))] if learned else []
    return blocks.Section(
        title="Soft targets",
        lead=_SOFT_LEAD + untrained(report),
        blocks=(blocks.Facts(tuple(facts)),),
        card=(soft_line(found),),
    )


def soft_line(found: SoftTargetsResult) -> str:
    asked = f"{count(found.asked)} asked now" if found.asked else "none asked now"
    rows, tokens = counted(found.rows, "row"), counted(found.tokens, "token")
    return f"soft targets of {tokens} in {rows}, {asked}"


def _share(probability: float | None) -> str:
    return "" if probability is None else f", with {percent(probability)} of the probability"


def _divergence(learned: LearnedTargets) -> str:
    first = DASH if learned.first is None else f"{learned.first:.3g}"
    return f"{first} nats a token at the first step, {learned.last:.3g} in the last epoch"


@report_section("soft-against-answers", at=112)
def soft_against_answers(report: Report) -> blocks.Section | None:
    found = report.soft_against_answers
    if found is None:
        return None
    return blocks.Section(
        title="Soft targets and answers",
        lead=_BESIDE,
        blocks=(_soft_beside(report, found),),
        card=tuple(map(against_answers_line, found.comparisons)),
    )


def against_answers_line(item: Comparison) -> str:
    shown = value_of(item.metric, item.difference, signed=True)
    ends = interval_of(item.metric, item.interval, signed=True)
    return f"soft targets against answers alone: {item.metric} {shown} {ends}".rstrip()


def _soft_beside(report: Report, found: SoftAgainstAnswers) -> blocks.Table:
    rows: list[list[blocks.Cell]] = [
        [
            column_name(item.metric),
            estimate(find_metric(report.holdout, item.metric)),
            estimate(find_metric(found.answers, item.metric)),
            blocks.Estimate(
                value_of(item.metric, item.difference, signed=True),
                interval_of(item.metric, item.interval, signed=True),
            ),
            p_values(item.p_value, item.p_adjusted) or DASH,
            count(item.n),
        ]
        for item in found.comparisons
    ]
    caption = f"On the holdout, {', '.join(prose_name(one.metric) for one in found.comparisons)}"
    columns = "metric | >soft targets | >answers alone | >difference | p | >rows"
    return blocks.table(caption, columns, rows)


_TEACHER_LEAD = (
    "Another model labels rows that have no label, and a student is trained on them and on the labelled rows. What a "
    "teacher gets wrong is learned as faithfully as what it gets right."
)
_NO_BETTER = (
    "The teacher is no better than a cheap baseline: it labelled no rows, and nothing was trained."
)


@report_section("teacher", at=32)
def teacher(report: Report) -> blocks.Section | None:
    result = report.teacher
    if result is None:
        return None
    parts: list[blocks.Block] = [blocks.Facts(tuple(_facts(result)))]
    parts += [_validation(result)] if result.validation else []
    parts += [_rows(result)] if result.read else []
    parts += [_confidence(result)] if result.confidence else []
    lead = _TEACHER_LEAD + untrained(report) if result.is_better or result.asked else _NO_BETTER
    return blocks.Section(
        title="Teacher", lead=lead, blocks=tuple(parts), card=(teacher_line(result),)
    )


def teacher_line(result: TeacherResult) -> str:
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


_LEAD = (
    "What the same holdout rows give without fine-tuning. A tuned model has to be worth its "
    "cost against the best of these."
)
_PAIRED = (
    "Both models on the same rows, paired. A positive difference means that the tuned model is "
    "better, also where less of the metric is better."
)
_HOLM = (
    "After Holm: corrected for the number of tests, so that a false difference among all of them "
    "is as rare as it would be in one."
)
_PREVIOUS = "previous"
"""The name of the last accepted model, of which no gain is asked."""
_TONES = {"better": "pass", "worse": "fail"}


@report_section("baselines", at=30)
def baselines(report: Report) -> blocks.Section:
    models = compared_models(report)
    parts: list[blocks.Block] = [_numbers(report, models) if models else absent(report, "baseline")]
    if metrics := list(dict.fromkeys(item.metric for item in report.comparisons)):
        parts += [blocks.Heading("How much better, row by row"), blocks.Paragraph(_PAIRED, "lead")]
        parts += [block for metric in metrics for block in _comparisons(report, metric)]
    # what is compared without a gain asked for is the kind's own metric, which need not be the report's
    shown = main_metric(report) if main_metric(report) in metrics else "".join(metrics[:1])
    lines = [comparison_line(item) for item in report.comparisons if item.metric == shown]
    return blocks.Section(
        title="Baselines",
        lead=_LEAD if models else "",
        blocks=tuple(parts),
        card=(*_best_baseline(report), *lines),
    )


def _best_baseline(report: Report) -> list[str]:
    metric = main_metric(report)
    best = best_baseline(report.baselines, metric)
    if not (report.holdout and best):
        return []
    shown = f"{best[0]}, {metric} {value_of(metric, best[1].value)}{lower_note(metric)}"
    return [f"best of {len(report.baselines)} baselines without fine-tuning: {shown}"]


def _numbers(report: Report, models: Sequence[ComparedModel]) -> blocks.Table:
    names = short_list(kind_of(report), main_metric(report), [model.scores for model in models])
    passes = {None: DASH, True: "yes", False: "no"}
    rows: list[blocks.Row] = []
    for model in models:
        found = (find_metric(model.scores, name) for name in names)
        values = (estimate(metric) if metric else DASH for metric in found)
        time = duration(model.seconds) if model.seconds is not None else DASH
        weights = size(model.bytes) if model.bytes is not None else DASH
        cells = (model.name, *values, time, weights, passes[model.passes])
        rows.append(blocks.Row(cells=cells, note=model.note))
    columns = blocks.columns_of(
        "model", *blocks.numbers(map(column_name, names)), ">time | >size | >passes"
    )
    caption = f"Side by side on the holdout{lower_note(main_metric(report))}"
    return blocks.table(caption, columns, rows, "stacked")


def _comparisons(report: Report, metric: str) -> list[blocks.Block]:
    items = [item for item in report.comparisons if item.metric == metric]
    over = (c for c in checks_of(report.gate) if c.name == f"over_baselines.{metric}")
    gain = next((check.bound for check in over), None)
    axis = around([(item.difference, item.interval) for item in items], gain, has_zero=True)
    legend = "the dashed line is no difference"
    if gain is not None:
        legend += f"; the full line is the gain asked for, {threshold_of(metric, gain)}"
    shown = blocks.table(
        f"{metric}: how much better the tuned model is",
        "against | difference:got | p:under | :drawn | rows:rows | so:status",
        (_row(item, axis, gain) for item in items),
        "cards",
        legend=legend,
    )
    return [shown, blocks.Paragraph(_tests(items), "fine")]


def _row(item: Comparison, axis: blocks.Axis, gain: float | None) -> blocks.Row:
    result = claim(item)
    tone = _TONES.get(result, "inconclusive")
    track = blocks.Track(
        label=comparison_line(item),
        axis=axis,
        value=item.difference,
        interval=item.interval,
        threshold=None if item.name == _PREVIOUS else gain,
        zero="zero",
        tone=tone,
    )
    cells = (
        blocks.Code(_name(item)),
        _difference(item),
        _p_values(item),
        track,
        count(item.n),
        blocks.Badge(result, tone),
    )
    return blocks.Row(cells=cells, note=item.note if item.difference is not None else "")


def comparison_line(item: Comparison) -> str:
    return f"against {_name(item)}: {item.metric} {_difference(item)}, {_p_values(item)}: {claim(item)}"


def claim(item: Comparison) -> str:
    """What follows: `better`, `worse`, `no difference shown`, or why neither can be shown.

    Better or worse takes both the interval clear of zero and the corrected p below its rest.
    """
    if item.difference is None:
        return f"not computed: {item.note}" if item.note else "not computed"
    if item.interval is None:
        return "not tested"
    p = item.p_adjusted if item.p_adjusted is not None else item.p_value
    is_rare = p is None or p <= 1 - item.interval.confidence
    if is_rare and item.interval.low > 0:
        return "better"
    return "worse" if is_rare and item.interval.high < 0 else "no difference shown"


def _tests(items: Sequence[Comparison]) -> str:
    names = ", ".join(sorted({item.test for item in items} - {""}))
    tests = f"Tests: {names}." if names else "No test was made."
    return tests if all(item.p_adjusted is None for item in items) else f"{tests} {_HOLM}"


def _name(item: Comparison) -> str:
    return "last accepted model" if item.name == _PREVIOUS else item.name


def _difference(item: Comparison) -> blocks.Estimate:
    value = value_of(item.metric, item.difference, signed=True)
    return blocks.Estimate(value, interval_of(item.metric, item.interval, signed=True))


def _p_values(item: Comparison) -> str:
    return p_values(item.p_value, item.p_adjusted) or DASH
