"""Results of finished stages as later stages read them, and the one form of JSON in which they are written."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

from engine.artifacts.stage import TRAINED_ON
from engine.errors import ExitCode, StoreError, listed
from engine.evidence import (
    BaselineResult,
    CalibratedForm,
    CheckpointScore,
    Comparison,
    DataSummary,
    DriftResult,
    ExportedFile,
    ForgettingResult,
    FormResult,
    LearningCurve,
    ReplayResult,
    Scores,
    Seeds,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StartSummary,
    Status,
    StudentAgainstTeacher,
    SweepResult,
    SyntheticResult,
    TeacherResult,
    TrainingSummary,
    Verdict,
)
from engine.files import reading
from engine.metrics.intervals import why_not_reviewed
from engine.metrics.predictions import Judging, read_predictions
from engine.metrics.scoring import score
from engine.metrics.verdict import baseline_passes, corrected_confidence
from engine.process.interrupts import name_of
from engine.recipe.model import Recipe
from engine.recipe.sweeps import settled
from engine.recipe.teacher import all_baselines
from engine.store import Artifact, DamagedError, Store
from engine.values import Value, from_json, replace

READ = "read.json"
"""The rows that were read: digests of the sources and fingerprints of their rows, as the lock records them."""

Artifacts = Mapping[str, Artifact]
START = "start.json"
LEFT_OUT = "left_out.json"
"""Written by the baseline stage: by baseline, why an optional one was not evaluated; absent without any."""
BASELINES = "baselines.json"
SPEED = "speed.json"
"""Written by `evaluate` where there is a teacher: how long the model took for the holdout."""
AGAINST_TEACHER = "against_teacher.json"
WITHOUT_SYNTHETIC = "without_synthetic.json"
ANSWERS_WITHOUT = "predictions.without_synthetic.jsonl"
TEACHER_ANSWERS = "predictions.teacher.jsonl"
ASKING = ("baseline", "synthesize", "teach")
"""Stages that leave baselines: those on the rows with labels, and those on added ones too."""
SYNTHETIC = "synthetic.json"
CALIBRATED = "calibrated.json"
"""Written by `gate` and `verify`: the forms of the model whose probabilities were calibrated."""
NOT_REVIEWED = "not_reviewed"
LEFT = "weights.json"
"""Written by the sweep: the folder of `scratch` that holds the winner's weights for `train`."""


class Stop(Value):
    outcome: str
    code: ExitCode
    why: str


def after(name: str, artifacts: Artifacts, recipe: Recipe) -> Stop | None:
    if name == "synthesize" and (stop := _review_stop(artifacts, recipe)):
        return stop
    if name == "teach" and (stop := _teacher_stop(artifacts, recipe)):
        return stop
    if name in ASKING and recipe.stop_if_baseline_passes:
        enough = [result.name for result in baselines(artifacts, recipe) if result.passes]
        if enough:
            verb = "meets" if len(enough) == 1 else "meet"
            return Stop(
                outcome="baseline_passes",
                code=ExitCode.BASELINE_PASSES,
                why=f"{listed(enough)} already {verb} every threshold",
            )
    if name in ("gate", "verify"):
        answer = verdict(artifacts, name)
        # `verify` judges what is made of a model that has passed
        what = ": the exported file does not pass" if name == "verify" else ""
        words = {
            Status.FAIL: ("refused", f"refused by {name}{what}"),
            Status.INCONCLUSIVE: (
                "inconclusive",
                f"{name} could not decide{what and ' on the exported file'}",
            ),
        }
        if answer.status not in words:
            return None
        outcome, why = words[answer.status]
        return Stop(outcome=outcome, code=ExitCode.REFUSED, why=why)
    return None


def _teacher_stop(artifacts: Artifacts, recipe: Recipe) -> Stop | None:
    found, asked = teacher(artifacts), recipe.teacher
    if found is None or asked is None:
        return None
    if not found.is_better and asked.stop_if_teacher_is_no_better:
        return Stop(outcome=TEACHER_NO_BETTER, code=ExitCode.REFUSED, why=no_better(found))
    # soft targets are learned of the labelled rows too
    if found.kept or asked.soft is not None:
        return None
    return _nothing_added("answer of the teacher", found.refused or found.left_out)


def _review_stop(artifacts: Artifacts, recipe: Recipe) -> Stop | None:
    found, bounds = synthetic(artifacts), recipe.acceptance.synthetic
    if found is not None and not found.kept:
        return _nothing_added("synthetic row", found.refused)
    if found is None or bounds is None:
        return None
    why = why_not_reviewed(found, bounds)
    return Stop(outcome=NOT_REVIEWED, code=ExitCode.REFUSED, why=why) if why else None


def _nothing_added(what: str, refused: Mapping[str, int]) -> Stop:
    """Without a row that was asked for, the run would be another one than its recipe says."""
    reasons = ", ".join(f"{count:,} {why}" for why, count in refused.items())
    why = f"no {what} is left to learn from ({reasons or 'none was asked for'})"
    return Stop(outcome=NOTHING_ADDED, code=ExitCode.REFUSED, why=why)


def no_better(found: TeacherResult) -> str:
    mine = found.value
    known = {name: value for name, value in found.baselines.items() if value is not None}
    ahead = max(known, key=lambda name: found.sign * known[name], default="")
    score = "has no score" if mine is None else f"has {found.metric} {mine:.3f}"
    against = f" and {ahead} {known[ahead]:.3f}" if ahead else ""
    return f"on the validation rows the teacher `{found.name}` {score}{against}"


NOTHING_ADDED = "nothing_added"
TEACHER_NO_BETTER = "teacher_no_better"
INTERRUPTED = "interrupted"


def interrupted(name: str, number: int) -> Stop:
    by = "" if number == signal.SIGINT else f" by {name_of(number)}"
    return Stop(
        outcome=INTERRUPTED, code=ExitCode.of_signal(number), why=f"interrupted in stage {name}{by}"
    )


def failed(name: str, code: ExitCode) -> Stop:
    return Stop(outcome="failed", code=code, why=f"stage {name} failed")


def read_json(artifact: Artifact, name: str) -> Any:
    """A JSON file of an artifact. DamagedError where it holds none."""
    path = artifact.file(name)
    try:
        return reading.read_json(path)
    except (ValueError, RecursionError) as error:
        raise DamagedError(artifact, f"`{name}` cannot be read ({error})") from error


def write_json(path: Path, value: object, *, indent: int = 1) -> None:
    """Write a JSON file of an artifact; ValueError for NaN and infinity, which are no JSON."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8")


FILES: Final[dict[str, dict[str, Any]]] = {}
"""The JSON files of each stage that are read after it, and their types; files that a stage may leave out included."""


@dataclass(frozen=True, slots=True)
class Left[T]:
    """A JSON file that a stage leaves for others, and the type that it holds."""

    stage: str
    file: str
    kind: type[T]

    def __post_init__(self) -> None:
        FILES.setdefault(self.stage, {})[self.file] = self.kind

    def __call__(self, artifacts: Artifacts) -> T | None:
        """Return what the stage left; None where it has not run, or left no such file. DamagedError."""
        made = artifacts.get(self.stage)
        if made is None or not (made.path / self.file).is_file():
            return None
        return from_json(self.kind, read_json(made, self.file))


class LeftList[T](Left[tuple[T, ...]]):
    def __call__(self, artifacts: Artifacts) -> tuple[T, ...]:
        return super().__call__(artifacts) or ()


summary = Left("data", "summary.json", DataSummary)
training = Left("train", "training.json", TrainingSummary)
start = Left("train", START, StartSummary)
"""How the model that was trained was made; None for an unchanged base model."""
teacher = Left("teach", "teacher.json", TeacherResult)
synthetic = Left("synthesize", SYNTHETIC, SyntheticResult)
replay = Left("replay", "replay.json", ReplayResult)
against_teacher = Left("gate", AGAINST_TEACHER, StudentAgainstTeacher)
soft_targets = Left("soft_targets", "soft_targets.json", SoftTargetsResult)
"""The teacher's probabilities of what is trained; None where only answers are learned."""
soft_against_answers = Left("answers_only", "answers_only.json", SoftAgainstAnswers)
forgetting = Left("forgetting", "forgetting.json", ForgettingResult)
drift = Left("drift", "drift.json", DriftResult)
sweep = Left("sweep", "sweep.json", SweepResult)
seeds = Left("seeds", "seeds.json", Seeds)
comparisons = LeftList("gate", "comparisons.json", tuple[Comparison, ...])
without_synthetic = LeftList("gate", WITHOUT_SYNTHETIC, tuple[Comparison, ...])
checkpoints = LeftList("evaluate", "checkpoints.json", tuple[CheckpointScore, ...])
_SCORES = Left("evaluate", "scores.json", dict[str, Scores | None])
_FOLDS = Left("resample", "folds.json", dict[str, Scores | None])
_CURVES = (
    Left("baseline", "svm_curve.json", LearningCurve),
    Left("resample", "curve.json", LearningCurve),
)
_CALIBRATED = tuple(Left(one, CALIBRATED, tuple[CalibratedForm, ...]) for one in ("verify", "gate"))


class _Verified(TypedDict):
    verdict: Verdict
    ladder: NotRequired[tuple[FormResult, ...]]


for _stage in ASKING:
    Left(_stage, BASELINES, Any)
Left("compile", "provenance.json", Any)
Left("sweep", LEFT, Any)
Left("evaluate", "sampling.json", Any)
Left("merge", "merge.json", Any)
Left("gate", "verdict.json", Verdict)
Left("verify", "verify.json", _Verified)
Left("quantize", "export.json", tuple[ExportedFile, ...])
_READ_BACK: set[tuple[str, frozenset[tuple[str, str]]]] = set()
"""Results that could be read, by stage and digests of its files: a run plans again after each of its stages."""


def is_readable(stage: str, artifact: Artifact) -> bool:
    """Tell whether every JSON file that is there can be read back; what cannot is built again.

    Its bytes are those of its digests: whoever asks has the artifact from `Store.get`.
    """
    kinds = FILES.get(stage, {})
    # a stage leaves some of them out, such as the curve where the recipe asks for none
    there = {entry.name: entry.sha256 for entry in artifact.files if entry.name in kinds}
    known = (stage, frozenset(there.items()))
    if known in _READ_BACK:
        return True
    try:
        for name in there:
            from_json(kinds[name], read_json(artifact, name))
    except (StoreError, OSError, ValueError):
        return False
    _READ_BACK.add(known)
    return True


def data_summary(data: Artifact) -> DataSummary:
    return from_json(DataSummary, read_json(data, "summary.json"))


def scores(artifacts: Artifacts, *, folds: bool = False) -> dict[str, Scores]:
    found = (_FOLDS if folds else _SCORES)(artifacts) or {}
    return {name: judged for name, judged in found.items() if judged}


def baselines(artifacts: Artifacts, recipe: Recipe) -> tuple[BaselineResult, ...]:
    # thresholds are not in the keys of these stages, so they are applied when they are read
    paths = [artifacts[name].file(BASELINES) for name in ASKING if name in artifacts]
    return tuple(one for path in paths for one in load_baselines(path, recipe))


def trained_data(artifacts: Artifacts) -> Artifact | None:
    return next((artifacts[one] for one in (*TRAINED_ON, "data") if one in artifacts), None)


def left_out(artifacts: Artifacts) -> tuple[str, ...]:
    """Return which optional baselines were not asked, why, and how they are: the result is reused without them."""
    made = artifacts.get("baseline")
    found = read_json(made, LEFT_OUT) if made and (made.path / LEFT_OUT).exists() else {}
    later = "once it can be fetched, `recipe run RECIPE --force baseline` asks it"
    return tuple(f"baseline {name} was left out: {why}; {later}" for name, why in found.items())


def curves(artifacts: Artifacts) -> tuple[LearningCurve, ...]:
    return tuple(filter(None, (one(artifacts) for one in _CURVES)))


def folds(artifacts: Artifacts, recipe: Recipe) -> Scores | None:
    return scores(artifacts, folds=True).get("folds") if recipe.splits.folds else None


def calibrated(artifacts: Artifacts) -> tuple[CalibratedForm, ...]:
    """The forms whose probabilities were calibrated: those of `verify`, or before it that of the gate."""
    return next(filter(None, (one(artifacts) for one in _CALIBRATED)), ())


def trained(recipe: Recipe, artifacts: Artifacts) -> Recipe:
    found = sweep(artifacts)
    return recipe if found is None else settled(recipe, found.chosen)


def swept_weights(artifacts: Artifacts, root: Path) -> Path | None:
    """Folder of the store at `root` that holds the weights of a sweep's winner; None where they are gone."""
    if "sweep" not in artifacts:
        return None
    key = str(read_json(artifacts["sweep"], LEFT))
    folder = root / "scratch" / key
    # weights in a folder that this user did not begin are not taken: nothing says how they were
    # made
    return folder if (folder / "result").is_dir() and Store(root).has_scratch(key) else None


def verdict(artifacts: Artifacts, name: str) -> Verdict:
    if name == "verify":
        return from_json(Verdict, read_json(artifacts[name], "verify.json")["verdict"])
    return from_json(Verdict, read_json(artifacts[name], "verdict.json"))


def load_baselines(path: Path, recipe: Recipe) -> tuple[BaselineResult, ...]:
    """Read `baselines.json`; whether a baseline passes is judged now, by today's thresholds."""
    found, count, acceptance = [], max(1, len(all_baselines(recipe))), recipe.acceptance
    confidence = corrected_confidence(acceptance.confidence, count)
    judging = replace(Judging.of(recipe), confidence=confidence)
    for item in reading.read_json(path):
        scores, note = from_json(Scores, item["scores"]), item["note"]
        passes = baseline_passes(scores, recipe.acceptance)
        if passes and count > 1 and acceptance.decide_on != "point":
            # One of several must keep the thresholds at a higher confidence, else it may pass by luck.
            answers = read_predictions(path.with_name(f"predictions.{item['name']}.jsonl"))
            passes = baseline_passes(score(answers, judging), acceptance)
            if not passes:
                kept, needed = (f"{100 * one:.3g} %" for one in (acceptance.confidence, confidence))
                note += f"; keeps every threshold at {kept}, not at the {needed} that one of {count} baselines needs"
        found.append(
            BaselineResult(
                name=item["name"],
                scores=scores,
                passes=passes,
                seconds=item["seconds"],
                note=note,
                bytes=item.get("facts", {}).get("bytes"),
            )
        )
    return tuple(found)
