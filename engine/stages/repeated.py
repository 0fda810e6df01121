"""The verdict of a run that repeats a lock: exactly, within noise, or not, and what differed first. Not a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.errors import EngineError
from engine.evidence import (
    Compared,
    Equivalence,
    Metric,
    Repeat,
    Reproduction,
    StageRecord,
    StageStatus,
)
from engine.metrics import equivalence
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.metrics import FREE, primary
from engine.recipe.model import Recipe
from engine.stages import flow, proving
from engine.stages.answered import Before, answered_before
from engine.stages.basis import kind_of, read_basis
from engine.stages.flow import read_json
from engine.store import Artifact
from engine.store.accepted import Accepted

Artifacts = Mapping[str, Artifact]
MAKERS = ("train", "merge", "quantize")
"""Stages whose files are the model."""
NUMBERS = "numbers"
IN_ORDER = (
    "data", "base model", "tokenizer", "config", "tool version", "hardware", "threads", NUMBERS,
)  # fmt: skip
WRONG_INPUT = {"D387": "data", "D388": "base model"}
"""Codes of what stops a run early, and what they say of."""
DIGITS = 12
NOT_MEASURED = ("ece", "brier")
"""Metrics of probabilities, which a lock does not hold for each row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A run that repeats a lock, as far as it came."""

    recipe: Recipe
    accepted: Accepted
    artifacts: Artifacts
    records: Sequence[StageRecord]
    outcome: str
    error: EngineError | None


def another_recipe(changed: Sequence[str]) -> Reproduction:
    """Return that a lock says nothing of this recipe."""
    told = " and ".join(changed)
    return Reproduction(
        verdict=Repeat.OTHER_RECIPE,
        summary=f"the lock proves another recipe ({told} changed since): nothing is compared",
        first_difference=f"recipe: {told}",
    )


def reproduction_of(run: Repeated) -> Reproduction:
    """Compare a run with the accepted run of the lock."""
    if (wrong := _wrong_input(run.error)) is not None:
        return wrong
    compared = tuple(sorted(_compared(run), key=lambda one: IN_ORDER.index(one.part)))
    first = next((f"{one.part}: {_change(one)}" for one in compared if not one.equal), "")
    found = Reproduction(
        verdict=Repeat.UNFINISHED,
        summary=f"not compared to the end: {_why_unfinished(run)}",
        first_difference=first,
        compared=compared,
        reused=_reused(run),
    )
    if run.outcome not in ("accepted", "refused", "inconclusive"):
        return found
    if found.reused:
        return _only_reused(found, run)
    if run.outcome != "accepted":
        told = f"not reproduced: the run is {run.outcome}, the lock's was accepted"
        return replace(found, verdict=Repeat.NOT, summary=f"{told}; {_first(first)}")
    if _is_same_model(run):
        is_full = any(name.startswith("model/") for name in run.accepted.adapter)
        trained = "trained model" if is_full else "adapter"
        exported = [name for name in run.accepted.files if name.endswith(".gguf")]
        names = [trained, "merged model", *exported]
        told = f"{', '.join(names[:-1])} and {names[-1]}"
        return replace(
            found,
            verdict=Repeat.EXACT,
            summary=f"reproduced exactly: {told} have the digests of the lock",
        )
    return _within_noise(found, run)


def _wrong_input(error: EngineError | None) -> Reproduction | None:
    """Return what a run that was stopped early by a wrong input comes to."""
    for problem in error.problems if error else ():
        if problem.code in WRONG_INPUT:
            part = WRONG_INPUT[problem.code]
            part = "tokenizer" if problem.message.startswith("the tokenizer") else part
            return Reproduction(
                verdict=Repeat.NOT,
                summary=f"not reproduced: {problem.message}",
                first_difference=f"{part}: {problem.message}",
            )
    return None


def _why_unfinished(run: Repeated) -> str:
    return {
        "stopped": "the run was stopped as asked",
        "failed": "the run could not finish",
        "interrupted": "the run was interrupted",
        "baseline_passes": "a baseline passes, so nothing was trained",
    }.get(run.outcome, run.outcome)


def _reused(run: Repeated) -> tuple[str, ...]:
    """Return the stages whose files come from before the lock: what was computed after it is a repetition."""
    finished = datetime.fromisoformat(run.accepted.finished)
    return tuple(
        record.stage
        for record in run.records
        if record.stage in MAKERS
        and record.status is StageStatus.REUSED
        and datetime.fromisoformat(run.artifacts[record.stage].created) <= finished
    )


def _only_reused(found: Reproduction, run: Repeated) -> Reproduction:
    files = f"the results of {', '.join(found.reused)} come from the store"
    same = "they have the digests of the lock" if _is_same_model(run) else "they are not the lock's"
    return replace(
        found,
        verdict=Repeat.REUSED,
        summary=f"reused, not reproduced: {files}, where nothing was computed anew; {same}",
    )


def _is_same_model(run: Repeated) -> bool:
    """Whether every file of the model has the digest of the lock."""
    locked, now = run.accepted, run.artifacts
    return (
        bool(locked.adapter)
        and proving.trained_digests(now) == locked.adapter
        and proving.merged_digests(now) == locked.merged
        and proving.file_digests(now) == locked.files
    )


def _compared(run: Repeated) -> Iterator[Compared]:
    """Yield every fact of the lock of which this run has one too."""
    now, locked = run.artifacts, run.accepted
    if "data" in now:
        yield from _data(locked, now["data"])
    if "train" in now:
        basis = read_basis(now["train"])
        yield from _base_model(locked.base_model["files"], basis["base_model"])
        yield from _facts("hardware", locked.hardware, basis["hardware"])
        yield from _versions(locked.versions, now["train"].versions)
        training = read_json(now["train"], "training.json")
        yield _fact("config", "precision", locked.precision, training["precision"])
        yield _fact("threads", "threads", locked.threads, training["threads"])
    if "compile" in now:
        yield _digest("config", "backend config", locked.config, proving.config_digest(now))
    method = flow.trained(run.recipe, now).method
    yield _fact("config", "method.seed", locked.recipe["seed"], method.seed)
    yield from _numbers(run)


def _data(locked: Accepted, data: Artifact) -> Iterator[Compared]:
    found = proving.facts_of_data(data)
    now = {one["name"]: one["sha256"] for one in found["sources"]}
    same_rows = None not in (locked.fingerprints, found["fingerprints"]) and (
        locked.fingerprints == found["fingerprints"]
    )
    for one in locked.sources:
        if one["sha256"] is None or now.get(one["name"]) is None:
            continue
        told = _digest("data", one["name"], one["sha256"], now[one["name"]])
        if not told.equal and same_rows:
            told = replace(told, equal=True, found=f"{told.found}, with the same rows")
        yield told
    splits = proving.split_digests(data)
    for name, digest in locked.splits.items():
        yield _digest("data", f"{name} rows", digest, splits.get(name, ""))


def _base_model(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Compared]:
    for name in sorted({*locked, *found} if locked and found else ()):
        yield _digest(kind_of(name), name, locked.get(name, ""), found.get(name, ""))


def _versions(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Compared]:
    yield from _facts("tool version", locked, {name: found.get(name) for name in locked})


def _facts(part: str, locked: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Compared]:
    for name, value in locked.items():
        yield _fact(part, name, value, found.get(name))


def _numbers(run: Repeated) -> Iterator[Compared]:
    now, locked = run.artifacts, run.accepted
    digests = (
        (locked.adapter, proving.trained_digests(now), "train", ""),
        (locked.predictions, proving.prediction_digests(now), "evaluate", "answers of "),
        (locked.merged, proving.merged_digests(now), "merge", "merged "),
        (locked.files, proving.file_digests(now), "verify", ""),
    )
    for before, after, stage, called in digests:
        for name, digest in before.items() if stage in now else ():
            if name in after or stage != "evaluate":
                yield _digest(NUMBERS, f"{called}{name}", digest, after.get(name, ""))
    if "evaluate" in now:
        metrics = proving.holdout_metrics(now)
        for name, fact in locked.metrics.items():
            value = metrics[name].value if name in metrics else None
            rounded = None if value is None else round(value, proving.ROUND)
            yield _fact(NUMBERS, name, fact["value"], rounded)


def _digest(part: str, name: str, locked: str, found: str) -> Compared:
    return Compared(
        part=part,
        name=name,
        equal=locked == found,
        locked=locked[:DIGITS] or "none",
        found=found[:DIGITS] or "none",
    )


def _fact(part: str, name: str, locked: object, found: object) -> Compared:
    return Compared(
        part=part,
        name=name,
        equal=locked == found,
        locked="none" if locked is None else str(locked),
        found="none" if found is None else str(found),
    )


def _change(one: Compared) -> str:
    return f"{one.name} {one.locked} -> {one.found}"


def _first(first: str) -> str:
    return f"differs first: {first}" if first else "no input differs"


def _within_noise(found: Reproduction, run: Repeated) -> Reproduction:
    """Ask whether the numbers are the same but for noise."""
    file = run.artifacts["evaluate"].file("predictions.holdout.jsonl")
    answers = read_predictions(file)
    before = answered_before(run.accepted.answers, answers, run.recipe.task)
    if before is None:
        told = "not reproduced: the holdout has other rows than the lock's"
        return replace(
            found, verdict=Repeat.NOT, summary=f"{told}; {_first(found.first_difference)}"
        )
    tests = tuple(_tests(run, answers, before))
    same = equivalence.agreement_metric(before.same) if before.same else None
    bound, origin = equivalence.agreement_bound(run.accepted.seeds)
    agrees = equivalence.agrees(same, bound)
    holds = bool(tests) and all(test.holds for test in tests) and agrees
    verdict = Repeat.WITHIN_NOISE if holds else Repeat.NOT
    said = [*(_told(test) for test in tests), *([_agreement(same, bound, agrees)] if same else [])]
    return replace(
        found,
        verdict=verdict,
        summary=f"{verdict.value}: {'; '.join(said)}; {_first(found.first_difference)}",
        equivalence=tests,
        agreement=same,
        agreement_required=bound if same else None,
        agreement_from=origin if same else "",
    )


def _tests(run: Repeated, answers: Sequence[Prediction], before: Before) -> Iterator[Equivalence]:
    """Yield a test of the kind's main metric, and of each that the recipe bounds and the answers tell."""
    recipe, locked = run.recipe, run.accepted
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    bounded = [bound.metric for bound in recipe.acceptance.metrics]
    metrics = proving.holdout_metrics(run.artifacts)
    for name in dict.fromkeys((main, *bounded)):
        now, then = metrics.get(name), locked.metrics.get(name)
        if name in (*FREE, *NOT_MEASURED) or now is None or then is None:
            continue
        if now.value is None or then["value"] is None:
            continue
        margin = equivalence.margin_of(
            then, locked.spread.get(name), seeds=len(locked.seeds) + 1, rows=len(answers)
        )
        asked = equivalence.Asked(
            metric=name,
            locked=float(then["value"]),
            found=round(now.value, proving.ROUND),
            margin=margin,
            task=recipe.task,
            seed=recipe.splits.seed,
        )
        differ = sum(not one for one in before.same)
        yield equivalence.equivalence(asked, answers, before.predictions, differing=differ)


def _told(test: Equivalence) -> str:
    interval, margin = test.interval, test.margin
    told = f"{test.metric} {test.found:.3f}, in the lock {test.locked:.3f}"
    if interval is None or margin is None:
        return f"{told}, and nothing says how large the noise is"
    how = "within" if test.holds else "not within"
    spread = f"[{interval.low:+.3f}, {interval.high:+.3f}]"
    return f"{told}: the difference {spread} is {how} ±{margin:.3f}"


def _agreement(same: Metric, bound: float, agrees: bool) -> str:  # noqa: FBT001 - beside what it says
    value = same.value or 0.0
    equal = f"{round(value * same.n)} of {same.n} answers are the same"
    return equal if agrees else f"{equal}, at least {bound:.1%} were expected"
