"""The top of a report: whether the model can be shipped, which file, how good, and what to do next."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from engine.evidence import Metric, Report, StageStatus, Status, find_metric
from engine.kinds import AnswerForm
from engine.render import blocks
from engine.render import number_format as write
from engine.render.label_tables import (
    best_baseline,
    check_title,
    checks_of,
    commands_and_advice,
    estimate,
    file_metric,
    got,
    is_open,
    main_metric,
    outcome_of,
    quantized_file,
    required,
    shown_model,
    why_absent,
)
from engine.render.report.sections.export import speed_facts
from engine.values import Value

_RIGHT = {
    AnswerForm.LABELS: " with every label right",
    AnswerForm.OBJECT: " with every field right",
}


class Top(Value):
    made: tuple[str, ...]
    """Method, base model, and when."""
    status: Status
    outcome: str
    answer: str
    """Whether to ship what, and how good it is, in a sentence."""
    checks: tuple[blocks.Block, ...]
    """Those that did not pass, or how many did; then the main figures."""
    next_title: str
    next_steps: tuple[blocks.Cell, ...]


def top(report: Report, *, store: str = "") -> Top:
    """Outcome, sentences, checks, figures, next steps; `store` as for `commands_and_advice`."""
    when = f"{datetime.fromisoformat(report.started).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    commands, advice = commands_and_advice(report, store=store)
    outcome, status = outcome_of(report)
    return Top(
        # the method without "on" and the model's short name, which the base model begins with
        made=(report.method.partition(" on ")[0], report.base_model, when),
        status=status,
        outcome=outcome.capitalize(),
        answer=_answer(report),
        checks=(*_checks(report), blocks.Facts(tuple(_figures(report)), kind="figures")),
        next_title="What would help" if advice else "Next",
        # whoever reads this has the report
        next_steps=(
            *map(blocks.Prose, advice),
            *(blocks.Code(one) for one in commands if not one.startswith("recipe report")),
        ),
    )


def _leading(report: Report, name: str) -> tuple[str, Metric | None]:
    """A metric of what would be shipped, after its name: the file, else the tuned model, or a baseline that passes."""
    if metric := file_metric(report, name):
        return "the exported file", metric
    model, scores = shown_model(report) or ("", None)
    return model, find_metric(report.folds or scores, name)


def _answer(report: Report) -> str:
    """Say whether it can be shipped, how many of 100 rows are right, and of how many in the best cheaper way."""
    kind, share = write.kind_of(report), write.right_share(report)
    name = share or main_metric(report)
    model, mine = _leading(report, name)
    if report.outcome not in write.WORDS["ship"] or mine is None:
        return "There is nothing to ship."
    lead = write.WORDS["ship"][report.outcome].format(model)
    if mine.value is None:
        return f"{lead}."
    best = best_baseline(report.baselines, name) if report.holdout else None
    other = ""
    if best:
        # a model behind a server may cost more than this one
        is_cheaper = best[0] != "model" and kind.can_be_answered_by(best[0])
        value = _of_hundred(best[1])[1] if share else write.value_of(name, best[1].value)
        other = f"; the best {'cheaper' if is_cheaper else 'other'} way, `{best[0]}`, gets {value}"
    rows, right = _of_hundred(mine)
    if not share:
        value = (
            f"{write.value_of(name, mine.value)} {write.column_name(name)}{write.lower_note(name)}"
        )
        return f"{lead}: on unseen texts it gets {value}{other}."
    if kind.by_likelihood:
        return f"{lead}: of {rows} unseen pairs it prefers the better answer in {right}{other}."
    how = _RIGHT.get(kind.answer, " right")
    return f"{lead}: of {rows} unseen texts it answers {right}{how}{other}."


def _of_hundred(share: Metric) -> tuple[int, int]:
    """So many rows, and how many of them are right; of fewer than a hundred the rows that were asked."""
    of, value = min(100, share.n), share.value or 0.0
    right = round(value * of)
    # all and none are written only where it is so
    return of, min(max(right, int(value > 0)), of - int(value < 1))


def _checks(report: Report) -> tuple[blocks.Block, ...]:
    checks = checks_of(report.gate, report.verify)
    unmet = tuple(
        (
            blocks.status_badge(check.status),
            " ",
            blocks.Code(check_title(check.name)),
            f" {got(check)}, required {required(check)}",
        )
        for check in checks
        if is_open(check)
    )
    if unmet:
        return (blocks.Bullets(unmet, kind="open-checks"),)
    if not checks:
        return ()
    found = Counter(check.status for check in checks)
    passed, warned = found[Status.PASS], found[Status.WARN]
    tally = f"{passed} of {write.counted(passed, 'check')} pass{'es' if passed == 1 else ''}"
    warns = f", {write.counted(warned, 'warning')}" if warned else ""
    return (blocks.Paragraph(f"{tally}{warns}.", "tally"),)


def _figures(report: Report) -> Iterator[tuple[str, blocks.Cell]]:
    """Score, file, speed and time; a score that does not hold is listed with its check."""
    name, checks = main_metric(report), checks_of(report.gate, report.verify)
    if not any(one.asked == name and is_open(one) for one in checks):
        model, metric = _leading(report, name)
        missing = blocks.Estimate(write.DASH, why_absent(report, "evaluate"))
        title = f"{name}, {model.removeprefix('the ')}".removesuffix(", ")
        yield title, estimate(metric) if metric else missing
    file, known = quantized_file(report), dict(speed_facts(report))
    no_file = blocks.Estimate(write.DASH, why_absent(report, "quantize"))
    yield "file", blocks.Estimate(write.size(file.bytes), file.name) if file else no_file
    if "speed" in known:
        first = known.get("first token after", write.DASH)
        yield "speed", blocks.Estimate(known["speed"], f"first token after {first}")
    training = report.training
    status = next((one.status for one in report.stages if one.stage == "train"), None)
    is_stopped = status in (StageStatus.FAILED, StageStatus.INTERRUPTED)
    untrained = "the training did not finish" if is_stopped else "no training in this run"
    reused = ", reused" if status is StageStatus.REUSED else ""
    trained = f"{write.duration(training.seconds)} of training{reused}" if training else untrained
    yield "made in", blocks.Estimate(write.duration(report.seconds), trained)
