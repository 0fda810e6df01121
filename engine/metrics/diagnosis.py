"""Whether a model learned too little, too much or enough, from its scores, its losses and the baselines.

The rules are a table, `advice.toml`; docs/explanation/diagnosis.md explains them and the source of their thresholds.
They compare ends of intervals, never two points, so that chance triggers none.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Final

from engine.errors import listed
from engine.evidence import (
    Check,
    Comparison,
    Diagnosis,
    Fit,
    LearningCurve,
    Metric,
    RecipeEdit,
    Scores,
    Status,
    Verdict,
)
from engine.evidence.measures import INVALID
from engine.evidence.verdicts import OF_FORMS, THRESHOLD
from engine.kinds import AnswerForm
from engine.metrics.power import FEW_ROWS
from engine.metrics.recipe_edits import (
    edit_of,
    to_keep,
    to_learn_less,
    to_learn_more,
    to_train_on,
    written,
    yaml_of,
)
from engine.metrics.trained_case import TrainedCase, TrainedEvidence, value_words
from engine.recipe.baselines import UNTRAINED
from engine.recipe.metrics import FREE, OF_FILES
from engine.recipe.model import Recipe, Task
from engine.recipe.sweeps import varied
from engine.values import Value, decimal, replace

OTHER_KINDS = (
    "drop", *OF_FORMS, "overfitting", "forgetting", "drift", "weights", "ends_turn", "free_output", "ended",
)  # fmt: skip
OTHER_METRICS = ("agreement", *(spec.name for spec in OF_FILES))
"""Checks whose remedy does not depend on the rows: `advice.toml` has one for each."""
PLAIN = ("overfitting", "forgetting", "drift", "valid_output")
OF_TRAINING = ("over_baselines", "overfitting", "free_output", "ended")
"""Checks whose remedies, rows or another training, help only after the first cause is removed."""
MOST_PAIRS = 2
_SETTLED = (Status.PASS, Status.WARN)


class Beside(Value):
    curves: Sequence[LearningCurve] = ()
    comparisons: Sequence[Comparison] = ()
    diagnosis: Diagnosis | None = None
    is_of_file: bool = False
    """Whether the tuned model passed and an exported file did not, so that training would not help."""

    @property
    def cause(self) -> str:
        return self.diagnosis.cause if self.diagnosis else ""

    @property
    def is_underfitted(self) -> bool:
        return self.diagnosis is not None and self.diagnosis.fit is Fit.UNDERFITTED


def what_would_help(
    scores: Scores, verdict: Verdict, *, task: Task, beside: Beside | None = None
) -> tuple[str, ...]:
    """Return one line for each remedy that the numbers suggest; nothing for a verdict that passed.

    `scores` are those behind the verdict.
    """
    beside = beside or Beside()
    open_checks = [check for check in verdict.checks if check.status not in _SETTLED]
    judging = [
        check
        for check in open_checks
        if check.kind not in OTHER_KINDS and check.metric not in OTHER_METRICS
    ]
    advice, found = table(), beside.diagnosis
    remedies = advice["remedies"]
    if beside.is_underfitted:
        remedies = remedies | advice["remedies_if_underfitted"]
    if beside.cause:
        remedies = {about: what for about, what in remedies.items() if about not in OF_TRAINING}
    if beside.is_of_file:
        missed = (_remedy_of(check) for check in judging)
        return tuple(
            _asked_for(open_checks, remedies | dict.fromkeys(missed, remedies["lost_in_file"]))
        )
    lines = list[str]()
    if found and any(check.kind not in OF_FORMS for check in open_checks):
        changes = (f"{one.key} from {one.current} to {one.proposed}" for one in found.edits)
        edit = f"change {', '.join(changes)}" if found.edits else ""
        lines += filter(None, [found.cause or edit])
    if any(check.metric not in FREE for check in judging):
        lines += _of_answers(scores, task, judging, beside)
        lines += [] if beside.cause or beside.is_underfitted else _more_rows(beside.curves)
    lines += _asked_for(open_checks, remedies)
    return tuple(dict.fromkeys(lines))


def _of_answers(
    scores: Scores, task: Task, judging: Sequence[Check], beside: Beside
) -> Iterator[str]:
    form, worst = task.spec.answer, list[str]()
    if form is AnswerForm.LABEL:
        worst = [
            f"`{target}` is taken for `{answer}` {_times(count)}"
            for target, answer, count in scores.mistaken(task.labels)
            if answer != INVALID
        ]
    elif form is AnswerForm.LABELS:
        wrong = [
            (row.support - right, row.predicted - right, row.label)
            for row in scores.classes
            for right in [round((row.recall or 0.0) * row.support)]
        ]
        worst = [
            f"`{label}` is missed {_times(missed)} and given {_times(vain)} where it is not"
            for missed, vain, label in sorted(wrong, key=lambda item: -item[0] - item[1])
            if missed or vain
        ]
    elif form is AnswerForm.OBJECT:
        known = [row for row in scores.classes if row.f1 is not None and row.f1 < 1 and row.support]
        worst = [
            f"field `{row.label}` has an F1 of {row.f1 or 0.0:.2f} on {row.support} values"
            for row in sorted(known, key=lambda row: row.f1 or 0.0)
        ]
    else:
        values = {metric.name: metric.value for metric in scores.metrics}
        exact, loose = values.get("exact_match"), values.get("normalised_match")
        if exact is not None and loose is not None:
            rows = round((loose - exact) * scores.rows)
            outputs = "1 output is" if rows == 1 else f"{rows} outputs are"
            yield from [f"{outputs} right but for case, punctuation or white space"] if rows else []
        named = {check.metric for check in judging}
        for one in beside.comparisons:
            if one.metric in named and one.name in UNTRAINED and one.difference is not None:
                moved = decimal(one.difference, signed=True)
                yield f"training moved {one.metric} by {moved} against {one.name}"
        return
    yield from worst[:MOST_PAIRS]
    if form is AnswerForm.LABEL and (count := sum(row[-1] for row in scores.confusion)):
        yield f"{count} of {scores.rows} outputs are no label at all"
    rare = [row for row in scores.classes if row.support < FEW_ROWS and (row.f1 or 0.0) < 1]
    for row in rare[:MOST_PAIRS]:
        yield f"`{row.label}` has only {row.support} holdout rows: its scores are loose"


def _more_rows(curves: Sequence[LearningCurve]) -> list[str]:
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
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.got is None or check.status is Status.INCONCLUSIVE:
            names.setdefault(check.note.partition(";")[0], []).append(check.name)
        elif (about := _remedy_of(check)) in remedies:
            named = names.setdefault(remedies[about], [])
            named += [] if about in PLAIN else [check.name]
    return [f"{listed(named)}: {what}" if named else what for what, named in names.items()]


def _remedy_of(check: Check) -> str:
    # The remedy calls the baseline as good, which is wrong after a gain.
    if check.kind == "over_baselines" and (check.got or 0) > 0:
        return ""
    return check.metric if check.kind == THRESHOLD else check.kind


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


TABLE: Final = Path(__file__).with_name("advice.toml")
_FOLLOWS: Final = {
    "batch_size": ("micro_batch_size",),
    "epochs": ("min_steps", "max_steps"),
    "rank": ("alpha",),
}
"""Keys of `method` that follow another one where the recipe does not set them."""
_GO_WITH: Final = {"batch_size": ("micro_batch_size",), "rank": ("alpha",)}
"""Keys whose value suits one value of another key, and not the others that a sweep tries."""


_EDITS: Final[Mapping[str, Callable[[TrainedCase], Sequence[RecipeEdit]]]] = {
    "keep_last": lambda case: to_keep(case.method, "last"),
    "train_on": lambda case: to_train_on(case.method, case.training),
    "learn_more": lambda case: to_learn_more(case.recipe, case.training, case.losses),
    "learn_less": lambda case: to_learn_less(
        case.method,
        case.training,
        checkpoints=case.checkpoints,
        losses=case.validation_losses,
        has_labels=case.recipe.task.spec.has_labels,
        can_choose=case.can_choose_checkpoint,
    ),
    "check_labels": lambda case: (
        [edit_of("data.checks.label_errors", "off", "warn")] if case.has_unchecked_labels else ()
    ),
}


class _EvidenceFormatter(Formatter):
    """Writer of metrics with their intervals, and of other values without a format as in YAML."""

    def get_value(self, key: int | str, args: Sequence[Any], _: Mapping[str, Any]) -> Any:
        return getattr(args[0], str(key))

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Metric):
            return value_words(value)
        return format(value, format_spec) if format_spec else written(value)


@cache
def table() -> Mapping[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def diagnose(recipe: Recipe, evidence: TrainedEvidence) -> Diagnosis:
    """Return the fault of the training, if any, and the edit that would help; `recipe` has the trained method."""
    case = TrainedCase(recipe, evidence)
    if reason := case.why_unknown:
        return Diagnosis(fit=Fit.NOT_KNOWN, reasons=(reason,))
    # The last rule always holds.
    rule = next(rule for rule in table()["rule"] if _hold(rule["symptoms"], case))
    edit = rule.get("edit", "")
    edits = _EDITS[edit](case) if edit else ()
    reasons = [*rule["evidence"]]
    if edit == "learn_more" and not edits:
        reasons.append("no_more")
    if edit == "learn_less" and not edits:
        reasons.append("no_less_of_compared" if case.checkpoints.are_compared else "no_less")
    sentences = list[str]()
    for reason in reasons:
        words = table()["words"].get(reason, reason) if isinstance(reason, str) else reason
        words = {"if": [], "say": words} if isinstance(words, str) else words
        if _hold(words["if"], case):
            sentences.append(_EvidenceFormatter().format(words["say"], case))
    found = _diagnosis(case, Fit(rule["fit"]), tuple(sentences), edits)
    why, cause = case.cause
    # Edits would not help before the cause is removed.
    if not cause or (found.fit is Fit.FITS and evidence.passes is not False):
        return found
    return replace(found, reasons=(why, *found.reasons), edits=(), yaml="", cause=cause)


def _hold(names: Sequence[str], case: TrainedCase) -> bool:
    """Tell whether all properties hold; those of unknown losses do not."""
    for name in names:
        value: object = case
        for part in name.removeprefix("not ").split("."):
            value = value and getattr(value, part)
        if bool(value) is name.startswith("not "):
            return False
    return True


def _diagnosis(
    case: TrainedCase, fit: Fit, reasons: tuple[str, ...], edits: Sequence[RecipeEdit]
) -> Diagnosis:
    """Return a diagnosis; keys that the sweep varies are named, not edited in `method`."""
    # Keys that the recipe does not set follow an edited one: `micro_batch_size` the batches, `alpha` the rank, and
    # with `epochs` set there are no bounds of the number of steps.
    open_keys = {one.key: one.value for one in case.recipe.method_defaults}
    following = {
        f"method.{key}"
        for edit in edits
        for key in _FOLLOWS.get(edit.key.removeprefix("method."), ())
        if key in open_keys and open_keys[key] == getattr(case.method, key)
    }
    edits = [one for one in edits if one.key not in following]
    proposed = {one.key.removeprefix("method."): one.proposed for one in edits}
    varied_keys = varied(case.recipe.sweep) if case.recipe.sweep else ()
    led = {f"method.{one}" for key in varied_keys for one in (key, *_GO_WITH.get(key, ()))}
    rest = [one for one in edits if one.key not in led]
    notes = []
    for key in varied_keys:
        if key in proposed:
            pairs = [f"{one} {proposed[one]}" for one in _GO_WITH.get(key, ()) if one in proposed]
            tried = " with ".join([proposed[key], *pairs])
            notes.append(f"the sweep varies {key}: let it try {tried} too")
    if apart := case.holdout_apart:
        notes.append(
            f"{apart}: the two hold other rows, so look at how they are divided, not at rows and epochs"
        )
    return Diagnosis(fit=fit, reasons=(*reasons, *notes), edits=tuple(rest), yaml=yaml_of(rest))
