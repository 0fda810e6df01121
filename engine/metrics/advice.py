"""What would help, in plain words, where a gate did not pass. Numbers seen, never guesses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import listed
from engine.evidence import (
    Check,
    Comparison,
    Diagnosis,
    Fit,
    LearningCurve,
    Scores,
    Status,
    Verdict,
)
from engine.evidence.verdicts import OF_FORMS, THRESHOLD
from engine.kinds import AnswerForm
from engine.metrics.power import FEW_ROWS
from engine.recipe.metrics import FREE, OF_FILES
from engine.recipe.model import Task
from engine.values.numbers import decimal

OTHER_KINDS = (
    "drop", *OF_FORMS, "overfitting", "forgetting", "drift", "weights", "ends_turn", "free_output", "ended",
)  # fmt: skip
OTHER_METRICS = ("agreement", *(spec.name for spec in OF_FILES))
"""Checks that rows of a kind say nothing about: what they ask for stands beside each."""
REMEDIES = {
    "over_baselines": "the baseline is as good or better: use it where it passes, or give training more rows",
    "over_previous": "the last accepted model is better; keep it",
    "over_without_synthetic": "the synthetic rows do not help: train without data.synthesize, or ask for other rows",
    "against_teacher": "the student is too far below its teacher: more rows without labels, or a larger student",
    "teacher_ratio": "the student is too large or too slow for its teacher: start from a smaller base model",
    "overfitting": "train rows are answered better than validation rows: fewer epochs or more rows",
    "forgetting": "training unlearned other things: a lower learning rate, fewer epochs, a lower rank",
    "drift": "training moved the answers too far: a lower learning rate, or more answer_weight where the loss has one",
    "valid_output": "free output is often no answer: say its form in task.instruction",
    "free_output": "free output is no answer or never ends: where training rows are answered well, the chat"
    " template's end of a turn or the base model is the cause; else train longer",
    "ended": "answers do not end by themselves: train longer, or raise task.max_new_tokens",
    "schema_validity": "name the fields and their types in task.instruction",
    "type_errors": "name the fields and their types in task.instruction",
    "agreement": "a quantization with more bits, such as Q8_0, changes fewer answers",
    "drop": "a quantization with more bits, such as Q8_0, changes fewer answers",
}
"""What a check that failed asks for, by its kind, or by the metric of a threshold."""
LOST_IN_FILE = (
    "the tuned model keeps its bounds, the exported file does not: a quantization with more bits, such as Q8_0,"
    " changes fewer answers"
)
"""What a bound of the tuned model asks for that only the exported file misses."""
UNDERFITTED_REMEDIES = {
    "over_baselines": "the baseline is as good or better: train longer, or use it where it passes",
}
"""The same where training did too little: none asks for rows."""
PLAIN = ("overfitting", "forgetting", "drift", "valid_output")
"""Remedies that name what they are about."""
OF_TRAINING = ("over_baselines", "overfitting", "free_output", "ended")
"""Remedies that ask for rows or another training, which help only after the first cause."""
UNTRAINED = ("zero_shot", "few_shot")
"""Baselines that are the base model itself."""
MOST_PAIRS = 2
"""Confused pairs, fields, labels named."""
_SETTLED = (Status.PASS, Status.WARN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What else is known of a model that was refused."""

    curves: Sequence[LearningCurve] = ()
    """The tuned model's counts, and the SVM's where there is no other."""
    comparisons: Sequence[Comparison] = ()
    diagnosis: Diagnosis | None = None
    is_of_file: bool = False
    """Whether the tuned model passed and an exported file did not, so that training is not what it wants."""

    @property
    def cause(self) -> str:
        """What comes before rows and training."""
        return self.diagnosis.cause if self.diagnosis else ""

    @property
    def is_underfitted(self) -> bool:
        """Whether training did too little, so that more rows are not what it wants."""
        return self.diagnosis is not None and self.diagnosis.fit is Fit.UNDERFITTED


def what_would_help(
    scores: Scores, verdict: Verdict, *, task: Task, beside: Beside | None = None
) -> tuple[str, ...]:
    """Return one line for each thing the numbers point at; nothing for a verdict that passed.

    `scores` are those that the verdict stands on.
    """
    beside = beside or Beside()
    open_checks = [check for check in verdict.checks if check.status not in _SETTLED]
    judging = [
        check
        for check in open_checks
        if check.kind not in OTHER_KINDS and check.metric not in OTHER_METRICS
    ]
    remedies = REMEDIES | (UNDERFITTED_REMEDIES if beside.is_underfitted else {})
    if beside.cause:
        remedies = {about: what for about, what in remedies.items() if about not in OF_TRAINING}
    if beside.is_of_file:
        missed = (_remedy_of(check) for check in judging)
        return tuple(_asked_for(open_checks, {**remedies, **dict.fromkeys(missed, LOST_IN_FILE)}))
    is_about_training = any(check.kind not in OF_FORMS for check in open_checks)
    lines = list(_edit(beside.diagnosis)) if beside.diagnosis and is_about_training else []
    if any(check.metric not in FREE for check in judging):
        lines += _of_answers(scores, task, judging, beside)
        lines += [] if beside.cause or beside.is_underfitted else _more_rows(beside.curves)
    lines += _asked_for(open_checks, remedies)
    return tuple(dict.fromkeys(lines))


def _edit(diagnosis: Diagnosis) -> Iterator[str]:
    """The cause that comes first, or the edit of the recipe that the training asks for, with the values as they are."""
    if diagnosis.cause:
        yield diagnosis.cause
    elif diagnosis.edits:
        changes = (f"{one.key} from {one.current} to {one.proposed}" for one in diagnosis.edits)
        yield f"change {', '.join(changes)}"


def _of_answers(scores: Scores, task: Task, judging: Sequence[Check], beside: Beside) -> list[str]:
    match task.spec.answer:
        case AnswerForm.LABEL:
            return [*_confusions(scores, task.labels), *_invalid(scores), *_rare(scores)]
        case AnswerForm.LABELS:
            return [*_of_sets(scores), *_rare(scores)]
        case AnswerForm.OBJECT:
            return [*_of_fields(scores), *_rare(scores)]
    return _of_texts(scores, judging, beside)


def _of_sets(scores: Scores) -> list[str]:
    """Name the labels that are most often missed or given in vain."""
    wrong = [
        (row.support - right, row.predicted - right, row)
        for row in scores.classes
        for right in [round((row.recall or 0.0) * row.support)]
    ]
    worst = sorted(wrong, key=lambda item: -item[0] - item[1])[:MOST_PAIRS]
    return [
        f"`{row.label}` is missed {_times(missed)} and given {_times(vain)} where it is not"
        for missed, vain, row in worst
        if missed or vain
    ]


def _of_fields(scores: Scores) -> list[str]:
    """Name the fields that are worst."""
    known = [row for row in scores.classes if row.f1 is not None and row.f1 < 1 and row.support]
    worst = sorted(known, key=lambda row: row.f1 or 0.0)[:MOST_PAIRS]
    return [
        f"field `{row.label}` has an F1 of {row.f1 or 0.0:.2f} on {row.support} values"
        for row in worst
    ]


def _of_texts(scores: Scores, judging: Sequence[Check], beside: Beside) -> list[str]:
    """Return which outputs are nearly right, and what training changed."""
    named = {check.metric for check in judging}
    moved = [
        f"training moved {x.metric} by {decimal(x.difference, signed=True)} against {x.name}"
        for x in beside.comparisons
        if x.metric in named and x.name in UNTRAINED and x.difference is not None
    ]
    return [*_almost(scores), *moved]


def _almost(scores: Scores) -> list[str]:
    """Say where outputs differ from the right ones in their spelling only."""
    values = {metric.name: metric.value for metric in scores.metrics}
    exact, loose = values.get("exact_match"), values.get("normalised_match")
    rows = round(((loose or 0.0) - (exact or 0.0)) * scores.rows)
    if exact is None or loose is None or not rows:
        return []
    outputs = "1 output is" if rows == 1 else f"{rows} outputs are"
    return [f"{outputs} right but for case, punctuation or white space"]


def _confusions(scores: Scores, labels: Sequence[str]) -> list[str]:
    """Name the most frequent pairs of true and given label."""
    pairs = [
        (count, target, output)
        for target, row in enumerate(scores.confusion)
        # The last column counts outputs that are no label; `_invalid` speaks of them.
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


def _asked_for(checks: Sequence[Check], remedies: Mapping[str, str]) -> list[str]:
    """Say what the checks that did not pass ask for, a remedy once with all checks that it is for."""
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.got is None or check.status is Status.INCONCLUSIVE:
            names.setdefault(check.note.partition(";")[0], []).append(check.name)
        elif (about := _remedy_of(check)) in remedies:
            named = names.setdefault(remedies[about], [])
            named += [] if about in PLAIN else [check.name]
    return [f"{listed(named)}: {what}" if named else what for what, named in names.items()]


def _remedy_of(check: Check) -> str:
    """Return under which word a remedy stands; nothing for a check that has none."""
    # The remedy says that the baseline is as good, which is wrong where something was gained.
    if check.kind == "over_baselines" and (check.got or 0) > 0:
        return ""
    return check.metric if check.kind == THRESHOLD else check.kind


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
