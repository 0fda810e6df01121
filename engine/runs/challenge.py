"""Comparison of a newer base model with the accepted model of a recipe: `recipe challenge`, importable."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.artifacts import results
from engine.environment import detect_device, tool_versions
from engine.errors import RecipeError
from engine.evidence import (
    Challenge,
    ChallengeLine,
    ChallengeOutcome,
    Comparison,
    Interval,
    Metric,
    StageRecord,
    StageStatus,
)
from engine.files.reading import parse_json
from engine.lock.holdout_uses import HoldoutUses
from engine.lock.previous import answers_of
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.scoring import values_of
from engine.metrics.verdict import corrected_confidence, rows_to_decide
from engine.pipeline.loop import RunOptions, RunState, Watcher, refuse_interrupted, run_stages
from engine.pipeline.plan import collect_inputs
from engine.pipeline.report import describe
from engine.progress import Progress
from engine.recipe.baselines import ASKS_BASE_MODEL
from engine.recipe.metrics import FREE, primary
from engine.recipe.model import Baseline, HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.text.dump import reference_mapping
from engine.recipe.text.paths import as_argument
from engine.render.challenge import challenge_markdown, sentence
from engine.render.number_format import duration, millions, size
from engine.store import Artifact, Store
from engine.store.records import (
    AcceptedRun,
    Runs,
    latest_accepted,
    read_file,
    require_ours,
    write_text,
)
from engine.values import Value, replace, to_json

FOLDER = "challenges"
JUDGED = ("baseline", "evaluate", "resample")
PER_TOKEN = ("perplexity",)
"""Metrics by which models with other tokenizers cannot be compared."""
TRAINED = "trained"


class _Watching(Value, kw_only=False):
    """A watcher that does not see skipped stages."""

    watcher: Watcher

    def stage(self, name: str) -> Progress:
        return self.watcher.stage(name)

    def ended(self, record: StageRecord, artifacts: Mapping[str, Artifact], recipe: Recipe) -> None:
        if record.status is not StageStatus.SKIPPED:
            self.watcher.ended(record, artifacts, recipe)


class AcceptedModel(Value):
    run: AcceptedRun
    answers: list[Prediction]
    report: Mapping[str, Any]

    @property
    def holdout(self) -> tuple[str, int]:
        splits = (self.report.get("data") or {}).get("splits", ())
        pairs = ((one["digest"], one["rows"]) for one in splits if one["name"] == "holdout")
        return next(pairs, ("", 0))


def challenge(
    recipe: Recipe, newer: Reference, *, train: bool, root: Path, watcher: Watcher
) -> tuple[Challenge, tuple[Path, Path]]:
    """Evaluate or train the newer base model, compare, and write a report into the accepted run's folder.

    RecipeError R008 without an accepted run, R009 where the holdout changed, R011 where its answers are gone, R301 for
    a hub model without a revision; and as the stages raise.
    """
    if isinstance(newer, HubRef) and newer.revision is None and not recipe.allow_moving:
        raise RecipeError.one(
            "R301",
            f"reference can move: `{newer.repo}` without revision",
            hint=f"add the full commit: --base-model {newer.repo}@COMMIT",
        )
    store, started = Store(root, versions=tool_versions()), datetime.now(UTC)
    accepted = find_accepted(recipe, store)
    # a baseline that passes may be the newer model, so the run does not stop there
    other = replace(recipe, base_model=newer, stop_if_baseline_passes=False)
    if not train:  # untouched, and only baselines that prompt that model
        asking = tuple(one for one in recipe.baselines if one.kind in ASKS_BASE_MODEL)
        plain = (Baseline(kind="zero_shot", name="zero_shot"),)
        other = replace(other, baselines=asking or plain)
    begun = time.monotonic()
    state = run_stages(
        other,
        store,
        inputs=collect_inputs(other, store, detect_device()),
        options=RunOptions(until=answers_of(other)[0] if train else "baseline"),
        watcher=_Watching(watcher),
    )
    if state.error is not None:
        raise state.error
    refuse_interrupted(state)
    summary = results.read_json(state.artifacts["data"], "summary.json")
    digests = {split["name"]: split["digest"] for split in summary["splits"]}
    if digests.get("holdout") != accepted.holdout[0]:
        raise RecipeError.one(
            "R009",
            f"the holdout is no longer the one that `{accepted.run.folder.name}` was accepted on",
            hint=f"recipe run {as_argument(state.recipe.file)}, then challenge its model",
        )
    found = replace(
        _judged(other, newer, accepted, state, train=train),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begun, 1),
    )
    ran = {record.stage for record in state.records if record.status is StageStatus.RAN}
    lock = state.inputs.lock
    if found.holdout and not ran.isdisjoint(JUDGED):
        outcome = f"challenge by {found.base_model}: {found.standing}"
        use = {"recipe": found.recipe_name, "run": found.run, "started": found.started}
        known = lock.holdout.looks if lock is not None else 0
        HoldoutUses(store).add(found.holdout, {**use, "outcome": outcome}, known=known)
    run, stamp = accepted.run.folder, re.sub(r"[^0-9]", "-", found.started[:19])
    for_people, for_programs = (run / FOLDER / f"{stamp}.{suffix}" for suffix in ("md", "json"))
    write_text(for_people, challenge_markdown(found), below=run)
    write_text(for_programs, challenge_json(found), below=run)
    return found, (for_people, for_programs)


def find_accepted(recipe: Recipe, store: Store) -> AcceptedModel:
    """Return the newest accepted model of a recipe. RecipeError R008, R011; StoreError E751, E758."""
    run = latest_accepted(Runs(store.root), recipe.name)
    if run is None:
        for other in reversed(Runs(store.root).of(recipe.name)):
            # a run that was not made here is named
            require_ours(other, "it is not challenged")
        raise RecipeError.one(
            "R008",
            f"no model of `{recipe.name}` has been accepted yet",
            hint=f"recipe run {as_argument(recipe.file)}",
        )
    stage, file = answers_of(recipe)
    artifact = store.whole(run.keys.get(stage) or "-")
    if artifact is None or not (artifact.path / file).is_file():
        raise RecipeError.one(
            "R011",
            f"the store no longer has the answers of the run `{run.folder.name}`",
            hint=f"recipe run {as_argument(recipe.file)}",
        )
    report = parse_json(read_file(run.folder, "report.json"))
    return AcceptedModel(run=run, answers=read_predictions(artifact.file(file)), report=report)


def _judged(
    recipe: Recipe, newer: Reference, accepted: AcceptedModel, state: RunState, *, train: bool
) -> Challenge:
    if train:
        stage, file = answers_of(state.recipe)
        candidates = {TRAINED: read_predictions(state.artifacts[stage].file(file))}
    else:
        made = state.artifacts["baseline"]
        names = [baseline.name for baseline in state.recipe.baselines]
        candidates = {
            name: read_predictions(made.file(f"predictions.{name}.jsonl")) for name in names
        }
    gated = [bound.metric for bound in recipe.acceptance.metrics]
    gated += [gain.metric for gain in recipe.acceptance.over_baselines]
    kept = [name for name in dict.fromkeys(gated) if name not in (*FREE, *PER_TOKEN)]
    lines = compared(
        accepted.answers,
        candidates,
        (kept or [primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)]),
        Judging.of(recipe),
        margins={drop.metric: drop.max_drop for drop in recipe.acceptance.over_previous},
    )
    best = best_of(lines)
    standing = overall([line for line in lines if line.comparison.name == best])
    digest, rows = accepted.holdout
    return Challenge(
        schema="challenge.v1",
        recipe_name=recipe.name,
        run=accepted.run.folder.name,
        accepted=str(accepted.report.get("method", "")),
        base_model=describe(newer),
        trained=train,
        holdout=digest,
        rows=len(accepted.answers) or rows,
        standing=standing,
        candidate=best,
        lines=lines,
        costs=tuple(costs(state, accepted.report, candidate=best, trained=train)),
        edit=base_model_yaml(newer, recipe.file.parent),
        notes=tuple(notes(recipe)),
        started="",
        seconds=0.0,
    )


MARGIN = 0.02
"""Difference, in the metric's own unit, that counts as equal where the recipe bounds no drop."""


def compared(
    accepted: Sequence[Prediction],
    candidates: Mapping[str, Sequence[Prediction]],
    metrics: Sequence[str],
    judging: Judging,
    *,
    margins: Mapping[str, float],
) -> tuple[ChallengeLine, ...]:
    """Compare each candidate with the accepted model on each metric, corrected for their number.

    `margins` are by metric; `MARGIN` for others.
    """
    from engine.metrics.resampling import pair  # brings numpy

    before = values_of(accepted, judging.task)
    after = {name: values_of(answers, judging.task) for name, answers in candidates.items()}
    confidence = corrected_confidence(judging.confidence, max(1, len(candidates)))
    wider = replace(judging, confidence=confidence)
    found, ends = list[Comparison](), list[Interval | None]()
    for name, answers in candidates.items():
        models = pair(answers, accepted, judging)
        compared = surely = comparisons_with(name, models, metrics)
        if len(candidates) > 1:  # else at the same confidence
            surely = comparisons_with(name, replace(models, judging=wider), metrics, tested=())
        found += compared
        ends += [one.interval for one in surely]

    def line(one: Comparison, end: Interval | None) -> ChallengeLine:
        margin = margins.get(one.metric, MARGIN)
        standing, rows = stand(one, end, margin=margin, confidence=judging.confidence)
        return ChallengeLine(
            comparison=one,
            standing=standing,
            margin=margin,
            accepted=before.get(one.metric),
            newcomer=after[one.name].get(one.metric),
            rows=rows,
        )

    return tuple(map(line, corrected(found), ends))


def stand(
    comparison: Comparison, interval: Interval | None, *, margin: float, confidence: float
) -> tuple[ChallengeOutcome, int | None]:
    """Return the outcome of a comparison, and for an unknown one the rows that would decide.

    Better and worse are significant differences; as good is surely less than the margin worse, by the `interval` that
    is corrected for the number of candidates.
    """
    delta = comparison.difference
    p_value = comparison.p_adjusted
    if delta is None or interval is None or p_value is None:
        return ChallengeOutcome.UNKNOWN, None
    if p_value <= 1 - confidence and delta != 0:
        return (ChallengeOutcome.BETTER if delta > 0 else ChallengeOutcome.WORSE), None
    if interval.low >= -margin:
        return ChallengeOutcome.AS_GOOD, None
    metric = Metric(name="", value=delta, n=comparison.n, interval=interval)
    rows = rows_to_decide(metric, direction="min", bound=-margin)
    return ChallengeOutcome.UNKNOWN, rows or rows_to_decide(metric, direction="max", bound=0.0)


def overall(lines: Sequence[ChallengeLine]) -> ChallengeOutcome:
    outcomes = {line.standing for line in lines}
    for standing in (ChallengeOutcome.WORSE, ChallengeOutcome.UNKNOWN, ChallengeOutcome.BETTER):
        if standing in outcomes:
            return standing
    return ChallengeOutcome.AS_GOOD if outcomes else ChallengeOutcome.UNKNOWN


def best_of(lines: Sequence[ChallengeLine]) -> str:
    compared = [line.comparison for line in lines]
    main = [
        one for one in compared if one.metric == compared[0].metric and one.difference is not None
    ]
    return max(main or compared, key=lambda one: one.difference or 0.0).name


def challenge_json(found: Challenge) -> str:
    value = {**to_json(found), "sentence": sentence(found)}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def costs(
    state: RunState, report: Mapping[str, Any], *, candidate: str, trained: bool
) -> Iterator[str]:
    old = report.get("training") or {}
    if trained:
        training = results.read_json(state.artifacts["train"], "training.json")
        yield f"{millions(training['total_parameters'])} parameters{_before(old, 'total_parameters')}"
        yield f"trained in {duration(training['seconds'])}{_before(old, 'seconds')}"
        return
    made = results.read_json(state.artifacts["baseline"], "baselines.json")
    found = next(item for item in made if item["name"] == candidate)
    facts, rows = found["facts"], found["scores"]["rows"]
    if "parameters" in facts:
        held = f", {size(facts['bytes'])} in memory"
        yield f"{millions(facts['parameters'])} parameters{held}{_before(old, 'total_parameters')}"
    shots = f" with {facts['shots']} shots" if facts.get("shots") else ""
    yield f"answered {rows} rows{shots} in {duration(found['seconds'])}"


def _before(old: Mapping[str, Any], key: str) -> str:
    if key not in old:
        return ""
    shown = duration(old[key]) if key == "seconds" else millions(old[key])
    return f" (accepted: {shown})"


def base_model_yaml(ref: Reference, folder: Path) -> str:
    import yaml  # light verbs read recipes by other means

    if isinstance(ref, PathRef) and not Path(ref.written).is_absolute():
        written = os.path.relpath(ref.path, folder)
        ref = replace(ref, written=Path(written).as_posix())
    mapping = {"base_model": reference_mapping(ref)}
    return str(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True))


def notes(recipe: Recipe) -> Iterator[str]:
    gated = {bound.metric for bound in recipe.acceptance.metrics}
    if free := ", ".join(sorted(gated & set(FREE))):
        yield f"{free} is not compared: decoding of an untouched model is constrained"
    if gated & set(PER_TOKEN):
        yield "perplexity is not compared: it is by token, and other models have other tokens"
    if isinstance(recipe.base_model, HubRef) and recipe.base_model.revision is None:
        yield "the base model is not pinned: it can change unnoticed"
    if isinstance(recipe.base_model, PackageRef) and recipe.base_model.sha256 is None:
        yield "the package is not pinned by a sha256"
    yield "the accepted model's answers are those from before any merge or quantization"
