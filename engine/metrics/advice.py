"""What would help, in plain words, where a gate did not pass. Numbers seen, never guesses."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Check, LearningCurve, Scores, Status, Verdict
from engine.metrics.power import FEW_ROWS

ANSWER_METRICS = (
    *("accuracy", "balanced_", "macro_", "micro_", "weighted_", "mcc", "hamming_"),
    *("precision.", "recall.", "f1.", "field_", "over_baselines.", "over_previous."),
    *("exact_", "normalised_", "answer_", "numeric_", "rouge_", "chrf", "bleu"),
    *("perplexity", "bits_per_byte"),
)
"""What names of metrics begin with that better answers would mend."""
MOST_PAIRS = 2
"""Confused pairs named."""


def what_would_help(
    scores: Scores,
    verdict: Verdict,
    *,
    labels: Sequence[str],
    curves: Sequence[LearningCurve] = (),
) -> tuple[str, ...]:
    """Return one line for each thing the numbers point at; nothing for a verdict that passed.

    `scores` are those that the verdict stands on, `labels` in their order; of the learning curves
    the tuned model's counts, and the SVM's where there is no other.
    """
    open_checks = [check for check in verdict.checks if check.status not in _SETTLED]
    lines: list[str] = []
    if any(check.name.startswith(ANSWER_METRICS) for check in open_checks):
        lines += _confusions(scores, labels)
        lines += _invalid(scores)
        lines += _rare(scores)
        lines += _more_rows(curves)
    lines += [line for check in open_checks for line in _about(check, labels)]
    return tuple(dict.fromkeys(lines))


_SETTLED = (Status.PASS, Status.WARN)


def _confusions(scores: Scores, labels: Sequence[str]) -> list[str]:
    """Name the most frequent pairs of true and given label."""
    pairs = [
        (count, target, output)
        for target, row in enumerate(scores.confusion)
        for output, count in enumerate(row[: len(labels)])
        if target != output and count
    ]
    worst = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:MOST_PAIRS]
    return [
        f"`{labels[target]}` is taken for `{labels[output]}` {_times(count)}"
        for count, target, output in worst
    ]


def _invalid(scores: Scores) -> list[str]:
    count = sum(row[-1] for row in scores.confusion)
    return [f"{count} of {scores.rows} outputs are no label at all"] if count else []


def _rare(scores: Scores) -> list[str]:
    return [
        f"`{row.label}` has only {row.support} holdout rows: its scores are loose"
        for row in scores.classes
        if row.support < FEW_ROWS and (row.f1 or 0.0) < 1
    ][:MOST_PAIRS]


def _more_rows(curves: Sequence[LearningCurve]) -> list[str]:
    """Say whether more examples would pay, where a curve could tell."""
    by_model = {curve.model: curve for curve in curves}
    curve = by_model.get("tuned") or by_model.get("tfidf_svm")
    if curve is None or curve.rising is None:
        return []
    whose = "the learning curve" if curve.model == "tuned" else "the SVM's learning curve"
    if not curve.rising:
        return [f"{whose} has flattened: more rows of the same kind would help little"]
    named = ", ".join(f"`{label}`" for label in curve.rising_classes[:MOST_PAIRS])
    most = f", most of all rows of {named}" if named else ""
    return [f"{whose} still rises: more rows would help{most}"]


def _about(check: Check, labels: Sequence[str]) -> list[str]:
    """Say what one check that did not pass asks for."""
    if check.got is None or check.status is Status.INCONCLUSIVE:
        return [f"{check.name}: {check.note.partition(';')[0]}"]
    if check.name.startswith("over_baselines.") and check.got <= 0:
        return [f"{check.name}: the baseline is as good; ship it, or give training more rows"]
    if check.name == "overfitting":
        return ["train rows are answered better than validation rows: fewer epochs or more rows"]
    if check.name == "agreement" or check.name.startswith("drop."):
        return [f"{check.name}: a quantization with more bits, such as Q8_0, changes fewer answers"]
    return _about_form(check.name, labels)


def _about_form(name: str, labels: Sequence[str]) -> list[str]:
    """Say what outputs of another form than the task's ask for."""
    if name == "valid_output" and labels:
        return ["free output is often no label: name the labels in task.instruction"]
    if name == "valid_output":
        return ["free output is often no answer: say its form in task.instruction"]
    if name in ("schema_validity", "type_errors"):
        return [f"{name}: name the fields and their types in task.instruction"]
    return []


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
