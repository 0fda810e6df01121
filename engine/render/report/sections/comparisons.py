"""Against what else there is: baselines, the last accepted model, a teacher, and the answers alone."""

from collections.abc import Sequence

from engine.evidence import (
    Comparison,
    Report,
    Scores,
    SoftTargetsResult,
    Status,
    TeacherResult,
    find_metric,
)
from engine.evidence.verdicts import THRESHOLD
from engine.render import blocks
from engine.render import number_format as write
from engine.render.label_tables import (
    absent,
    best_baseline,
    checks_of,
    difference,
    estimate,
    judged_by,
    main_metric,
    quantized_file,
    untrained,
)
from engine.render.report.sections import Parts


def paired_table(
    caption: str, items: Sequence[Comparison], **models: Scores | None
) -> blocks.Table:
    """Paired differences by metric; `models` are scores whose own values stand before them."""
    rows: list[tuple[blocks.Cell, ...]] = [
        (
            write.column_name(item.metric),
            *(estimate(find_metric(scores, item.metric)) for scores in models.values()),
            difference(item),
            _p_values(item),
            write.count(item.n),
        )
        for item in items
    ]
    names = blocks.numbers(name.replace("_", " ") for name in models)
    return blocks.table(caption, ("metric", *names, ">difference | p | >rows"), rows)


def soft_targets(report: Report) -> Parts:
    found = report.soft_targets
    if found is None:
        return
    yield "lead", untrained(report)
    kept = f"the {found.kept_tokens} most probable tokens at each"
    if found.probability is not None:
        kept += f", with {write.percent(found.probability)} of the probability"
    agreed = (
        "" if found.agreement is None else f"{write.percent(found.agreement)} of the learned tokens"
    )
    asked = (
        f"{write.counted(found.asked, 'row')} when this was made, {write.duration(found.seconds)}"
    )
    if rest := found.rows - found.asked:
        asked += f"; {write.count(rest)} had been asked before"
    divergence = ""
    if learned := report.training and report.training.soft_targets:
        first = write.known(learned.first, "{:.3g}".format)
        divergence = f"{first} nats a token at the first step, {learned.last:.3g} in the last epoch"
    yield blocks.facts(
        (
            "rows",
            f"{write.count(found.rows)} different ones, {write.counted(found.tokens, 'learned token')}",
        ),
        ("kept", kept),
        ("its own first choice", agreed),
        ("asked", asked),
        ("divergence", divergence),
    )
    yield "card", soft_line(found)


def soft_line(found: SoftTargetsResult) -> str:
    asked = f"{write.count(found.asked)} asked now" if found.asked else "none asked now"
    rows, tokens = write.counted(found.rows, "row"), write.counted(found.tokens, "token")
    return f"soft targets of {tokens} in {rows}, {asked}"


def soft_against_answers(report: Report) -> Parts:
    found = report.soft_against_answers
    if found is None:
        return
    caption = (
        f"On the holdout, {', '.join(write.prose_name(one.metric) for one in found.comparisons)}"
    )
    models = {"soft_targets": report.holdout, "answers_alone": found.answers}
    yield paired_table(caption, found.comparisons, **models)
    yield from (("card", against_answers_line(item)) for item in found.comparisons)


def against_answers_line(item: Comparison) -> str:
    return f"soft targets against answers alone: {item.metric} {difference(item)}"


def teacher(report: Report) -> Parts:
    result = report.teacher
    if result is None:
        return
    if result.is_better or result.asked:
        words = (
            "Another model labels rows that have no label, and a student is trained on them and on the labelled rows. "
            "What a teacher gets wrong is learned as faithfully as what it gets right."
            f"{untrained(report)}"
        )
        yield "lead", words
    else:
        words = "The teacher is no better than a cheap baseline: it labelled no rows, and nothing was trained."
        yield "lead", words
    sure, metric = result.min_confidence, result.metric
    labels = ", ".join(f"{label} {write.count(n)}" for label, n in result.labels.items())
    yield blocks.facts(
        ("teacher", blocks.Code(result.name)),
        ("asked", result.note),
        ("kept from", "" if sure is None else f"a confidence of {write.number(sure)}"),
        ("labels kept", labels if result.kept else ""),
        ("took", write.duration(result.seconds)),
        # the recipe does not name its currency
        ("cost", f"{result.cost:.4f} at the recipe's prices" if result.cost else ""),
    )
    if result.validation:
        mine = estimate(find_metric(result.validation, metric))
        so = "better" if result.is_better else "no better"
        rows: list[tuple[blocks.Cell, ...]] = [(blocks.Strong(result.name), mine, so)]
        for name, value in result.baselines.items():
            rows.append((blocks.Code(name), write.value_of(metric, value), ""))
        caption = f"{write.prose_name(metric)} on the validation rows{write.lower_note(metric)}"
        yield blocks.table(caption, f"model | >{write.column_name(metric)} | so", rows)
    if result.read:
        fates = {"kept": result.kept, **result.left_out}
        fates |= {f"answer {why}": n for why, n in result.refused.items()}
        caption = f"What became of {write.counted(result.read, 'row')} without labels"
        yield blocks.tally(caption, "rows", fates)
    if result.confidence:
        yield blocks.table(
            "What a confidence would keep, and how much of it is right, on the validation rows",
            "confidence | >answers kept | >of them right",
            [
                (
                    f"at least {write.number(one.confidence)}",
                    write.percent(one.kept),
                    write.known(one.right, write.percent),
                )
                for one in result.confidence
            ],
        )
    yield "card", teacher_line(result)


def teacher_line(result: TeacherResult) -> str:
    if not result.is_better and not result.asked:
        return f"teacher {result.name}: no better than a cheap baseline, so it labelled no rows"
    kept = f"{write.count(result.kept)} of {write.counted(result.asked, 'answer')} kept"
    shown = write.value_of(result.metric, result.value)
    return f"teacher {result.name}: {kept}; {write.prose_name(result.metric)} {shown} on validation"


def student(report: Report) -> Parts:
    found, result = report.against_teacher, report.teacher
    if found is None or result is None:
        return
    size_ratio, speed_ratio = (
        "" if ratio is None else f"{ratio:.2f} times"
        for ratio in (found.size_ratio, found.speed_ratio)
    )
    sizes = (write.known(n, write.millions) for n in (found.parameters, found.teacher_parameters))
    rates = (
        write.known(rate, "{:.1f}".format)
        for rate in (found.rows_per_second, found.teacher_rows_per_second)
    )
    both = (estimate(find_metric(one, result.metric)) for one in (report.holdout, result.holdout))
    yield blocks.table(
        "Side by side on the holdout; rows a second of processor time, on a CPU",
        "what | >student | >teacher | >student in relation",
        [
            (write.prose_name(result.metric), *both, ""),
            ("parameters", *sizes, size_ratio),
            ("rows a second", *rates, speed_ratio),
        ],
    )
    yield paired_table("Student minus teacher", found.comparisons)
    counts = {
        "both right": found.both_right,
        "only the teacher right": found.only_teacher_right,
        "only the student right": found.only_student_right,
        "neither right": found.neither_right,
    }
    yield blocks.tally("Row by row", "holdout rows", counts)
    for item in found.comparisons:
        yield "card", f"against its teacher {item.name}: {item.metric} {difference(item)}"


_PREVIOUS = "previous"
"""The name of the last accepted model, of which no gain is asked."""
_TONES = {"better": "pass", "worse": "fail"}


def baselines(report: Report) -> Parts:
    main, models = main_metric(report), _models(report)
    if models:
        names = write.short_list(write.kind_of(report), main, [scores for _, scores, *_ in models])
        passes = {None: write.DASH, True: "yes", False: "no"}
        rows: list[blocks.Row] = []
        for name, scores, note, is_passed, seconds, weight in models:
            metrics = (find_metric(scores, metric) for metric in names)
            values = (estimate(metric) if metric else write.DASH for metric in metrics)
            costs = (write.known(seconds, write.duration), write.known(weight, write.size))
            cells = (name, *values, *costs, passes[is_passed])
            rows.append(blocks.Row(cells=cells, note=note))
        columns = (
            "model",
            *blocks.numbers(map(write.column_name, names)),
            ">time | >size | >passes",
        )
        caption = f"Side by side on the holdout{write.lower_note(main)}"
        yield blocks.table(caption, columns, rows, "stacked")
    else:
        yield absent(report, "baseline")
    best = best_baseline(report.baselines, main)
    if report.holdout and best:
        shown = f"{best[0]}, {main} {write.value_of(main, best[1].value)}{write.lower_note(main)}"
        yield "card", f"best of {len(report.baselines)} baselines without fine-tuning: {shown}"
    compared = list(dict.fromkeys(item.metric for item in report.comparisons))
    if compared:
        yield blocks.Heading("How much better, row by row")
        lead = (
            "Both models on the same rows, paired. A positive difference means that the tuned model is "
            "better, also where less of the metric is better."
        )
        yield blocks.Paragraph(lead, "lead")
    for metric in compared:
        items = [item for item in report.comparisons if item.metric == metric]
        yield _differences(report, metric, items)
        tests = ", ".join(sorted({item.test for item in items} - {""}))
        text = f"Tests: {tests}." if tests else "No test was made."
        if any(item.p_adjusted is not None for item in items):
            text += (
                " After Holm: corrected for the number of tests, so that a false difference among all of them "
                "is as rare as it would be in one."
            )
        yield blocks.Paragraph(text, "fine")
    # what is compared without a gain asked for is the kind's own metric, which need not be the report's
    lined = main if main in compared else "".join(compared[:1])
    for item in report.comparisons:
        if item.metric == lined:
            yield "card", comparison_line(item)


Model = tuple[str, Scores, str, bool | None, float | None, int | None]
"""Name, scores, note, whether every bound is kept, seconds, and the bytes of the weights."""


def _models(report: Report) -> list[Model]:
    rows: list[Model] = [
        (item.name, item.scores, item.note, item.passes, item.seconds, item.bytes)
        for item in report.baselines
    ]
    if report.holdout:
        seen = "; each row by the model that did not see it" if report.folds else ""
        note = f"after training, {judged_by(report)}{seen}"
        passes = None if report.gate is None else report.gate.status is Status.PASS
        rows.append(("tuned model", report.folds or report.holdout, note, passes, None, None))
    if report.quantized:
        # an earlier version did not evaluate all bounds on the file
        asked = {check.name for check in checks_of(report.gate) if check.kind == THRESHOLD}
        there = {check.name for check in checks_of(report.verify)}
        passes = report.verify.status is Status.PASS if report.verify and asked <= there else None
        file = quantized_file(report)
        name, weight = (file.name, file.bytes) if file else ("", None)
        rows.append(("exported file", report.quantized, name, passes, None, weight))
    return rows


def _differences(report: Report, metric: str, items: Sequence[Comparison]) -> blocks.Table:
    over = (c for c in checks_of(report.gate) if c.name == f"over_baselines.{metric}")
    gain = next((check.bound for check in over), None)
    axis = blocks.around([(item.difference, item.interval) for item in items], gain, has_zero=True)
    legend = "the dashed line is no difference"
    if gain is not None:
        legend += f"; the full line is the gain asked for, {write.threshold_of(metric, gain)}"
    rows = []
    for item in items:
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
        badge = blocks.Badge(result, tone)
        name = blocks.Code(_name(item))
        cells = (name, difference(item), _p_values(item), track, write.count(item.n), badge)
        note = item.note if item.difference is not None else ""
        rows.append(blocks.Row(cells=cells, note=note))
    caption = f"{metric}: how much better the tuned model is"
    columns = "against | difference:got | p:under | :drawn | rows:rows | so:status"
    return blocks.table(caption, columns, rows, "cards", legend=legend)


def comparison_line(item: Comparison) -> str:
    shown = f"{difference(item)}, {_p_values(item)}: {claim(item)}"
    return f"against {_name(item)}: {item.metric} {shown}"


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


def _name(item: Comparison) -> str:
    return "last accepted model" if item.name == _PREVIOUS else item.name


def _p_values(item: Comparison) -> str:
    return write.p_values(item.p_value, item.p_adjusted) or write.DASH
