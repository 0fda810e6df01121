"""What the tuned model scores: every metric, by class, its mistakes, and what its probabilities mean."""

import math
import shlex
from collections.abc import Iterator, Sequence

from engine.evidence import (
    Abstention,
    CalibratedForm,
    Calibration,
    CalibrationBin,
    Metric,
    Mistake,
    Report,
    find_metric,
)
from engine.evidence.measures import INVALID
from engine.kinds import AnswerForm
from engine.render import blocks
from engine.render import number_format as write
from engine.render.label_tables import (
    absent,
    change,
    class_words,
    estimate,
    has_classes,
    judged_by,
    shown_model,
)
from engine.render.report.sections import Parts

_PAIRS = 6


def mistakes(report: Report) -> Parts:
    # Nothing where no tuned model was evaluated, or no row is right or wrong.
    kind, scores = write.kind_of(report), report.validation_scores
    share = find_metric(scores, write.right_share(report) or kind.right_share)
    if scores is None or share is None or share.value is None:
        return
    wrong = scores.rows - round(scores.rows * share.value)
    yield (
        "lead",
        f"{write.count(wrong)} of {write.counted(scores.rows, 'validation row')} are answered wrongly",
    )
    if report.mistakes:
        words = (
            ", the most confident answers first. Holdout rows are not shown: a recipe that is changed after reading "
            "them is fitted to them, and their score no longer holds for new rows."
        )
        yield "lead", words
        more = wrong - len(report.mistakes)
        rest = f"{write.count(more)} more are not shown; all" if more else "All"
        every = f"recipe report {shlex.quote(report.recipe_name)} --mistakes"
        yield mistake_table(report.mistakes)
        whole = (f"{rest} with whole texts:", " ", blocks.Code(every), " ", "(or --format csv)")
        yield blocks.Paragraph(whole)
    if pairs := scores.mistaken(report.labels)[:_PAIRS]:
        cells = (
            (blocks.Label(one), blocks.Label(other), write.count(n)) for one, other, n in pairs
        )
        yield blocks.table("By pair of labels", "expected | answer | >rows", cells, "narrow")


def mistake_table(rows: Sequence[Mistake]) -> blocks.Table:
    """Rows in the order given, but those with the same expected and given answer together."""
    place: dict[tuple[str, str], int] = {}
    for row in rows:
        place.setdefault((row.expected, row.answer), len(place))
    files = {row.origin.rpartition(":")[0] for row in rows}
    # one file is named once
    file = files.pop() if len(files) == 1 else ""
    shown: list[tuple[blocks.Cell, ...]] = []
    for row in sorted(rows, key=lambda row: place[row.expected, row.answer]):
        answer: blocks.Cell = (blocks.Label(row.expected), " → ", blocks.Label(row.answer))
        if row.differs:  # of an object the fields that differ say it all
            answer = blocks.Label("; ".join(row.differs))
        sure = "" if row.confidence is None else write.percent(row.confidence)
        origin = row.origin.replace(f"{file}:", "line ", 1) if file else row.origin
        shown.append((answer, sure, row.text, origin))
    caption = f"Wrong rows of {file}" if file else "Wrong rows"
    columns = "expected → answer | confidence:status | text:text | row:number"
    return blocks.table(caption, columns, shown, "cards")


def calibrated(report: Report) -> Parts:
    if not report.calibrated:
        return
    last = report.calibrated[-1]
    scope = [_none_of_these(last.abstention)] if last.abstention else []
    lines = [*(line for form in report.calibrated for line in _calibrated_lines(form)), *scope]
    yield from blocks.bullets(lines)
    rows: list[tuple[blocks.Cell, ...]] = []
    for form in report.calibrated:
        after, moved = ({one.name: one for one in found} for found in (form.after, form.change))
        for metric in form.before:
            name = metric.name
            numbers = (_number(metric), _number(after.get(name)))
            gained = _number(moved.get(name), signed=True)
            rows.append((form.form, write.WORDS["calibration"].get(name, name), *numbers, gained))
    if rows:
        caption = f"On the holdout, {len(last.bins_before)} bins of equally many rows"
        columns = "form | metric | before:got | after:got | change:got"
        yield blocks.table(caption, columns, rows, "cards")
    if last.bins_after:
        label = f"Share of right answers by calibrated probability, {last.form}"
        yield blocks.ReliabilityChart(label=label, bins=last.bins_after)
    yield from (("card", line) for line in (*_calibrated_lines(last), *scope))
    if last.abstention:
        yield "closing", _abstains(last.form, last.abstention)


def _number(metric: Metric | None, *, signed: bool = False) -> blocks.Estimate | blocks.Muted:
    if metric is None or metric.value is None:
        return blocks.Muted(write.NOTHING)
    return change(metric, signed=signed)


def _calibrated_lines(form: CalibratedForm) -> Iterator[str]:
    """What was fitted, what a faultless calibration would read, and where it abstains; in sentences."""
    if form.temperature is None:
        yield f"{form.form}: no temperature ({form.reason}): probabilities are as the model gives them"
    else:
        word = "less" if form.temperature > 1 else "more"
        fitted = f"{write.number(form.temperature)}, fitted on {write.count(form.fitted_rows)} validation rows"
        yield f"{form.form}: temperature {fitted}, so answers get {word} sure"
    if form.bins_after:
        faultless = f"even faultless probabilities read an ECE of about {write.number(_chance(form.bins_after))}"
        yield f"{form.form}: with so many rows {faultless}"
    if form.abstention is not None:
        yield _abstains(form.form, form.abstention)
        chance = write.percent(form.abstention.chance)
        expected = f"by the validation rows the holdout shows both bounds with a chance of {chance}"
        yield f"{form.form}: {expected}"


def _abstains(form: str, found: Abstention) -> str:
    """Where the form gives no answer, and what it is worth elsewhere."""
    rows = f"{write.percent(found.coverage.value or 0.0)} of {write.count(found.coverage.n)} holdout rows"
    right = found.accuracy.value
    of_them = "" if right is None else f", {write.percent(right)} of them right"
    below = f"abstains below a probability of {write.number(found.threshold)}"
    return f"{form} {below if found.threshold else 'abstains never'}: answers {rows}{of_them}"


def _none_of_these(found: Abstention) -> str:
    metric = found.out_of_scope
    if metric is None or metric.value is None:
        return (
            "every row of validation and holdout has a label that fits: how often other texts are held back "
            "was not measured"
        )
    held = f"{write.percent(metric.value)} {write.interval(metric.interval)}".rstrip()
    return f"of {write.count(metric.n)} holdout rows that no other label fits, {held} get no other label"


def _chance(bins: tuple[CalibrationBin, ...]) -> float:
    """Estimate the calibration error of faultless probabilities: the mean distance that chance leaves in each bin."""
    rows = sum(item.rows for item in bins)
    spread = (
        item.rows * math.sqrt(2 / math.pi * item.confidence * (1 - item.confidence) / item.rows)
        for item in bins
    )
    return sum(spread) / rows


_CLOSE = 0.01


def calibration(report: Report) -> Parts:
    result = report.holdout.calibration if report.holdout else None
    if result is None:
        return
    lines = list(_calibration_lines(result))
    yield "card", lines[0]
    yield from blocks.bullets(lines)
    bins = tuple(item for item in result.bins if item.rows)
    if not bins:
        return
    label, rows = [], []
    for item in bins:
        name, n = f"{item.low:.2g} to {item.high:.2g}", write.count(item.rows)
        mean, right = write.number(item.confidence), write.number(item.accuracy)
        rows.append(
            (name, n, mean, right, write.number(item.accuracy - item.confidence, signed=True))
        )
        label.append(f"{name}: {n} rows, probability {mean}, right {right}")
    label[0] = f"Share of right answers by probability. {label[0]}"
    yield blocks.ReliabilityChart(label="; ".join(label), bins=bins)
    columns = "probability | >rows | >mean probability | >right | >right minus probability"
    yield blocks.table("The answers by their probability", columns, rows, "narrow")


def _calibration_lines(result: Calibration) -> Iterator[str]:
    points = f"{100 * result.ece:.1f}"
    yield (
        f"ECE {write.number(result.ece)}: an answer's probability is on average {points} points away from "
        "how often such answers are right (0 is best)"
    )
    yield f"Brier score {write.number(result.brier)}: the mean squared error of the probabilities (0 is best)"
    rows = sum(item.rows for item in result.bins)
    if not rows:
        return
    mean = sum(item.rows * item.confidence for item in result.bins) / rows
    accuracy = sum(item.rows * item.accuracy for item in result.bins) / rows
    right = f"right on {write.percent(accuracy)} of {write.count(rows)} rows"
    numbers = f"a mean probability of {write.percent(mean)}, {right}"
    if abs(mean - accuracy) < _CLOSE:
        yield f"neither over- nor underconfident on the whole: {numbers}"
    else:
        yield f"{'over' if mean > accuracy else 'under'}confident on the whole: {numbers}"


def confusion(report: Report) -> Parts:
    # Where a row has one label, one can be taken for another.
    if write.kind_of(report).answer is not AnswerForm.LABEL:
        return
    found, labels = shown_model(report), report.labels
    if found is None:
        yield absent(report, "evaluate")
        return
    model, scores = found
    yield "lead", f"Rows are what is true, columns what {model} answered."
    yield blocks.Matrix(
        caption=f"Confusion of {len(labels)} labels on {write.count(scores.rows)} holdout rows",
        labels=labels,
        answers=(*labels, INVALID),
        counts=scores.confusion,
    )


def metrics(report: Report) -> Parts:
    scores, free = report.folds or report.holdout, report.free
    names = write.whole_list(write.kind_of(report), scores, free)
    if scores is None or not names:
        return
    rows: list[tuple[blocks.Cell, ...]] = []
    for name in names:
        own, other = find_metric(scores, name), find_metric(free, name)
        freely = (
            write.value_of(name, other.value) if other and other.value is not None else write.DASH
        )
        n = write.count(measured.n) if (measured := own or other) else write.DASH
        shown = estimate(own) if own else write.DASH
        rows.append((blocks.Code(name), shown, freely, n, blocks.Muted(write.direction(name))))
    # with folds, what is decoded freely are the rows of the file that ships alone
    others = f" ({write.count(free.rows)} rows)" if free and free.rows != scores.rows else ""
    columns = f"metric | >value | >free decoding{others} | >rows | "
    caption = f"The tuned model on the holdout, {judged_by(report)}"
    yield blocks.table(caption, columns, rows, "narrow")


_FEW_LABELS = 12
"""Up to here classes stand in label order; beyond, the weakest first."""


def classes(report: Report) -> Parts:
    if not has_classes(report):
        return
    found, words = shown_model(report), class_words(report)
    yield "title", words["title"]
    if found is None:
        yield absent(report, "evaluate")
        return
    model, scores = found
    yield "lead", words["lead"]
    if not report.holdout:
        numbers = f"Numbers of {model}, which passes without training."
        yield "lead", f" {numbers}" if words["lead"] else numbers
    shown, order, layout = scores.classes, "in the recipe's order", ""
    if len(shown) > _FEW_LABELS:
        order, layout = "weakest first", "tall"
        shown = tuple(sorted(shown, key=lambda item: -1.0 if item.f1 is None else item.f1))
    rows: list[tuple[blocks.Cell, ...]] = []
    for item in shown:
        shares = (
            _share(item.precision, "never predicted"),
            _share(item.recall, f"no {words['support']}"),
        )
        f1 = estimate(find_metric(scores, f"f1.{item.label}"))
        counts = (write.count(item.support), write.count(item.predicted))
        rows.append((blocks.Label(item.label), *shares, f1, *counts))
    columns = "{singular} | >precision | >recall | >F1 | >{support} | >{predicted}"
    caption = f"Every {words['singular']} on the holdout, {order}"
    yield blocks.table(caption, columns.format_map(words), rows, layout)


def _share(value: float | None, reason: str) -> str:
    return write.number(value) if value is not None else blocks.Muted(f"not computed: {reason}")
