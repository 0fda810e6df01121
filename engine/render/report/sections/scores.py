"""What the tuned model scores: every metric, by class, its mistakes, and what its probabilities mean."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from engine.evidence import (
    Abstention,
    CalibratedForm,
    Calibration,
    CalibrationBin,
    ClassScores,
    Metric,
    Mistake,
    Report,
    Scores,
)
from engine.kinds import AnswerForm
from engine.render import blocks
from engine.render.labels import (
    absent,
    class_words,
    confused_pairs,
    estimate,
    find_metric,
    has_classes,
    judged_by,
    shown_model,
)
from engine.render.number_format import (
    DASH,
    NOTHING,
    count,
    counted,
    direction,
    interval,
    kind_of,
    number,
    percent,
    right_share,
    value_of,
    whole_list,
)
from engine.render.report.sections import report_section

_HIDDEN = (
    "Holdout rows are not shown: a recipe that is changed after reading them is fitted to them, and their score no "
    "longer holds for new rows."
)
_PAIRS = 6


@report_section("mistakes", at=2)
def mistakes(report: Report) -> blocks.Section | None:
    kind, scores = kind_of(report), report.validation_scores
    share = find_metric(scores, right_share(report) or kind.right_share)
    if scores is None or share is None or share.value is None:
        return None
    wrong = scores.rows - round(scores.rows * share.value)
    lead = f"{count(wrong)} of {counted(scores.rows, 'validation row')} are answered wrongly"
    parts: list[blocks.Block] = []
    if report.mistakes:
        lead = f"{lead}, the most confident answers first. {_HIDDEN}"
        more = wrong - len(report.mistakes)
        rest = f"{count(more)} more are not shown; all" if more else "All"
        every = f"recipe report {shlex.quote(report.recipe_name)} --mistakes"
        whole = (f"{rest} with whole texts:", " ", blocks.Code(every), " ", "(or --format csv)")
        parts += [mistake_table(report.mistakes), blocks.Paragraph(whole)]
    if pairs := confused_pairs(scores, report.labels, most=_PAIRS):
        cells = ([blocks.Label(one), blocks.Label(other), count(n)] for one, other, n in pairs)
        parts.append(
            blocks.table("By pair of labels", "expected | answer | >rows", cells, "narrow")
        )
    return blocks.Section(title="Mistakes", is_open=True, lead=lead, blocks=tuple(parts))


def mistake_table(rows: Sequence[Mistake]) -> blocks.Table:
    place: dict[tuple[str, str], int] = {}
    for row in rows:
        place.setdefault((row.expected, row.answer), len(place))
    together = sorted(rows, key=lambda row: place[row.expected, row.answer])
    files = {row.origin.rpartition(":")[0] for row in rows}
    # one file is named once
    file = files.pop() if len(files) == 1 else ""
    caption = f"Wrong rows of {file}" if file else "Wrong rows"
    columns = "expected → answer | confidence:status | text:text | row:number"
    return blocks.table(caption, columns, (_mistake_row(row, file) for row in together), "cards")


def _mistake_row(row: Mistake, file: str) -> blocks.Row:
    answer: blocks.Cell = (blocks.Label(row.expected), " → ", blocks.Label(row.answer))
    if row.differs:  # of an object the fields that differ say it all
        answer = blocks.Label("; ".join(row.differs))
    sure = "" if row.confidence is None else percent(row.confidence)
    origin = row.origin.replace(f"{file}:", "line ", 1) if file else row.origin
    return blocks.Row(cells=(answer, sure, row.text, origin))


_CALIBRATED_LEAD = (
    "A temperature, fitted on validation rows, makes answers more or less sure and changes none of them. "
    "The holdout only judges: the calibration error below has bins of equally many rows."
)
_CALIBRATED_DRAWING = (
    "The file that leaves, or the model before it, after calibration; "
    "each bar holds equally many answers."
)
_COLUMNS = "form | metric | before:got | after:got | change:got"
_NAMES = {
    "ece": "ECE",
    "ece_less_chance": "ECE, less chance",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
}


@report_section("calibrated", at=72)
def calibrated(report: Report) -> blocks.Section | None:
    if not report.calibrated:
        return None
    last = report.calibrated[-1]
    rows = [row for form in report.calibrated for row in _rows(form)]
    scope = [_none_of_these(last.abstention)] if last.abstention else []
    lines = [*(line for form in report.calibrated for line in _calibrated_lines(form)), *scope]
    shown: list[blocks.Block] = [*blocks.bullets(lines)]
    if rows:
        caption = f"On the holdout, {len(last.bins_before)} bins of equally many rows"
        shown.append(blocks.table(caption, _COLUMNS, rows, "cards"))
    if last.bins_after:
        label = f"Share of right answers by calibrated probability, {last.form}"
        shown.append(blocks.ReliabilityChart(label=label, bins=last.bins_after))
    return blocks.Section(
        title="Calibration on validation rows",
        lead=_CALIBRATED_LEAD,
        drawing_lead=_CALIBRATED_DRAWING if last.bins_after else "",
        blocks=tuple(shown),
        card=(*_calibrated_lines(last), *scope),
        closing=tuple(_abstains(last)),
    )


def _rows(form: CalibratedForm) -> list[blocks.Row]:
    after = {metric.name: metric for metric in form.after}
    change = {metric.name: metric for metric in form.change}
    return [
        blocks.Row(
            cells=(
                form.form,
                _NAMES.get(metric.name, metric.name),
                _estimate(metric),
                _estimate(after.get(metric.name)),
                _estimate(change.get(metric.name), signed=True),
            )
        )
        for metric in form.before
    ]


def _estimate(metric: Metric | None, *, signed: bool = False) -> blocks.Estimate | blocks.Muted:
    if metric is None or metric.value is None:
        return blocks.Muted(NOTHING)
    shown = number(metric.value, signed=signed)
    return blocks.Estimate(shown, interval(metric.interval, signed=signed))


def _calibrated_lines(form: CalibratedForm) -> list[str]:
    """What was fitted, what a faultless calibration would read, and where it abstains; in sentences."""
    rows = f"{count(form.fitted_rows)} validation rows"
    if form.temperature is None:
        fitted = f"{form.form}: no temperature ({form.reason}): probabilities are as the model gives them"
    else:
        word = "less" if form.temperature > 1 else "more"
        fitted = f"{form.form}: temperature {number(form.temperature)}, fitted on {rows}, so answers get {word} sure"
    found = [fitted]
    if form.bins_after:
        faultless = (
            f"even faultless probabilities read an ECE of about {number(_chance(form.bins_after))}"
        )
        found.append(f"{form.form}: with so many rows {faultless}")
    if form.abstention is not None:
        chance = percent(form.abstention.chance)
        expected = f"by the validation rows the holdout shows both bounds with a chance of {chance}"
        found += [*_abstains(form), f"{form.form}: {expected}"]
    return found


def _abstains(form: CalibratedForm) -> list[str]:
    """Where the form gives no answer, and what it is worth elsewhere, in one sentence; none without a threshold."""
    found = form.abstention
    if found is None:
        return []
    where = (
        f"answers {percent(found.coverage.value or 0.0)} of {count(found.coverage.n)} holdout rows"
    )
    if found.accuracy.value is not None:
        where = f"{where}, {percent(found.accuracy.value)} of them right"
    below = f"abstains below a probability of {number(found.threshold)}"
    return [f"{form.form} {below if found.threshold else 'abstains never'}: {where}"]


def _none_of_these(found: Abstention) -> str:
    metric = found.out_of_scope
    if metric is None or metric.value is None:
        return (
            "every row of validation and holdout has a label that fits: how often other texts are held back "
            "was not measured"
        )
    span = interval(metric.interval)
    held = f"{percent(metric.value)} {span}".rstrip()
    return f"of {count(metric.n)} holdout rows that no other label fits, {held} get no other label"


def _chance(bins: tuple[CalibrationBin, ...]) -> float:
    """Estimate the calibration error of faultless probabilities: the mean distance that chance leaves in each bin."""
    rows = sum(item.rows for item in bins)
    spread = (
        item.rows * math.sqrt(2 / math.pi * item.confidence * (1 - item.confidence) / item.rows)
        for item in bins
    )
    return sum(spread) / rows


_CALIBRATION_DRAWING = (
    "Each bar holds the answers given with such a probability and reaches to the share of them "
    "that was right; the mark is their mean probability. Calibrated answers end on the dashed line."
)
_CLOSE = 0.01


@report_section("calibration", at=70)
def calibration(report: Report) -> blocks.Section | None:
    result = report.holdout.calibration if report.holdout else None
    if result is None:
        return None
    lines = _lines(result)
    bins = tuple(item for item in result.bins if item.rows)
    shown: list[blocks.Block] = [*blocks.bullets(lines)]
    if bins:
        columns = "probability | >rows | >mean probability | >right | >right minus probability"
        caption = "The answers by their probability"
        shown.append(blocks.ReliabilityChart(label=_label(bins), bins=bins))
        shown.append(blocks.table(caption, columns, map(_calibration_row, bins), "narrow"))
    return blocks.Section(
        title="Calibration",
        drawing_lead=_CALIBRATION_DRAWING if bins else "",
        blocks=tuple(shown),
        card=(lines[0],),
    )


def _lines(result: Calibration) -> list[str]:
    points = f"{100 * result.ece:.1f}"
    return [
        (
            f"ECE {number(result.ece)}: an answer's probability is on average {points} points away from "
            "how often such answers are right (0 is best)"
        ),
        f"Brier score {number(result.brier)}: the mean squared error of the probabilities (0 is best)",
        *_confidence(result),
    ]


def _confidence(result: Calibration) -> list[str]:
    rows = sum(item.rows for item in result.bins)
    if not rows:
        return []
    mean = sum(item.rows * item.confidence for item in result.bins) / rows
    accuracy = sum(item.rows * item.accuracy for item in result.bins) / rows
    right = f"right on {percent(accuracy)} of {count(rows)} rows"
    numbers = f"a mean probability of {percent(mean)}, {right}"
    if abs(mean - accuracy) < _CLOSE:
        return [f"neither over- nor underconfident on the whole: {numbers}"]
    return [f"{'over' if mean > accuracy else 'under'}confident on the whole: {numbers}"]


def _name(item: CalibrationBin) -> str:
    return f"{item.low:.2g} to {item.high:.2g}"


def _calibration_row(item: CalibrationBin) -> list[str]:
    gap = number(item.accuracy - item.confidence, signed=True)
    return [_name(item), count(item.rows), number(item.confidence), number(item.accuracy), gap]


def _label(bins: tuple[CalibrationBin, ...]) -> str:
    rows = map(_calibration_row, bins)
    numbers = (
        f"{name}: {n} rows, probability {mean}, right {right}" for name, n, mean, right, _ in rows
    )
    return "Share of right answers by probability. " + "; ".join(numbers)


_LEAD = "Rows are what is true, columns what {model} answered."
_DRAWING = "Shades are shares of the row: blue where it is right, red where it is not."


@report_section("confusion", at=60)
def confusion(report: Report) -> blocks.Section | None:
    # Where a row has one label, one can be taken for another.
    if kind_of(report).answer is not AnswerForm.LABEL:
        return None
    found, labels = shown_model(report), report.labels
    if found is None:
        return blocks.Section(title="Confusion", blocks=(absent(report, "evaluate"),))
    model, scores = found
    matrix = blocks.Matrix(
        caption=f"Confusion of {len(labels)} labels on {count(scores.rows)} holdout rows",
        labels=labels,
        answers=(*labels, "invalid output"),
        counts=scores.confusion,
    )
    lead = _LEAD.format(model=model)
    return blocks.Section(title="Confusion", lead=lead, drawing_lead=_DRAWING, blocks=(matrix,))


@report_section("metrics", at=40)
def metrics(report: Report) -> blocks.Section | None:
    scores = report.folds or report.holdout
    names = whole_list(kind_of(report), scores, report.free)
    if scores is None or not names:
        return None
    freely = f"free decoding{_of_other_rows(scores, report.free)}"
    columns = f"metric | >value | >{freely} | >rows | "
    rows = (_metric_row(scores, report.free, name) for name in names)
    caption = f"The tuned model on the holdout, {judged_by(report)}"
    shown = blocks.table(caption, columns, rows, "narrow")
    return blocks.Section(title="Every metric", blocks=(shown,))


def _of_other_rows(scores: Scores, free: Scores | None) -> str:
    """With folds, what is decoded freely are the rows of the file that ships alone."""
    return f" ({count(free.rows)} rows)" if free and free.rows != scores.rows else ""


def _metric_row(scores: Scores, free: Scores | None, name: str) -> list[blocks.Cell]:
    own, other = find_metric(scores, name), find_metric(free, name)
    shown = estimate(own) if own else DASH
    freely = value_of(name, other.value) if other and other.value is not None else DASH
    rows = count(measured.n) if (measured := own or other) else DASH
    return [blocks.Code(name), shown, freely, rows, blocks.Muted(direction(name))]


_FEW_LABELS = 12
"""Up to here classes stand in label order; beyond, the weakest first."""


@report_section("classes", at=50)
def classes(report: Report) -> blocks.Section | None:
    if not has_classes(report):
        return None
    found, words = shown_model(report), class_words(report)
    if found is None:
        return blocks.Section(title=words.title, blocks=(absent(report, "evaluate"),))
    model, scores = found
    is_long = len(scores.classes) > _FEW_LABELS
    rows = sorted(scores.classes, key=_weakness) if is_long else scores.classes
    columns = (
        f"{words.singular} | >precision | >recall | >F1 | >{words.support} | >{words.predicted}"
    )
    order, layout = ("weakest first", "tall") if is_long else ("in the recipe's order", "")
    caption = f"Every {words.singular} on the holdout, {order}"
    cells = (_row(scores, item, words.support) for item in rows)
    shown = blocks.table(caption, columns, cells, layout)
    lead = (
        words.lead
        if report.holdout
        else f"{words.lead} Numbers of {model}, which passes without training.".lstrip()
    )
    return blocks.Section(title=words.title, lead=lead, blocks=(shown,))


def _weakness(item: ClassScores) -> float:
    return -1.0 if item.f1 is None else item.f1


def _row(scores: Scores, item: ClassScores, support: str) -> list[blocks.Cell]:
    return [
        blocks.Label(item.label),
        _share(item.precision, "never predicted"),
        _share(item.recall, f"no {support}"),
        estimate(find_metric(scores, f"f1.{item.label}")),
        count(item.support),
        count(item.predicted),
    ]


def _share(value: float | None, reason: str) -> str:
    return number(value) if value is not None else blocks.Muted(f"not computed: {reason}")
