"""Estimates of a run compared with its actual costs, and trial steps that measure it (`recipe plan --probe`)."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from engine.artifacts import results
from engine.artifacts.stage import StageContext
from engine.backends import load_backend
from engine.backends.base import CompileInputs, Launch
from engine.backends.usage import Usage
from engine.environment import detect_device, tool_versions
from engine.errors import StageError
from engine.estimate import measured
from engine.estimate.measured import Measurement
from engine.estimate.run import (
    SWEPT,
    Forecast,
    StageForecast,
    forecast,
    further_trainings,
    largest_setting,
)
from engine.estimate.training import measurement
from engine.evidence import StageCost, StageRecord, StageStatus
from engine.files.reading import json_lines, parse_json, read_json
from engine.lock.policy import PLAIN, lock_policy
from engine.pipeline.loop import RunOptions, Watcher, refuse_interrupted, run_stages
from engine.pipeline.plan import UNFINISHED, PlanInputs, collect_inputs, plan_run
from engine.pipeline.requirements import require_backend
from engine.recipe.model import Recipe
from engine.recipe.sweeps import settled
from engine.render.number_format import about
from engine.runtime.rendering.key import rendered_key
from engine.runtime.rendering.rendered_files import trained_rows
from engine.store import Artifact, Store, product_key
from engine.training.rendered import rendered_rows
from engine.training.train import USAGE
from engine.values import Value, from_json, replace

STEPS = 3
"""One to warm up, and two to measure: the second still allocates memory that later ones reuse."""
MOST_ROWS = 4000
"""Rows of a split with counted tokens; of more rows, the longest by characters and an even sample of the others."""

_Rows = list[tuple[str, int]]


def probe(recipe: Recipe, *, root: Path, watcher: Watcher) -> Measurement:
    """Measure two steps of the recipe's training on this machine, and keep the measurement in the store.

    In a sweep, the largest setting is measured. The data stage is run or reused, the base model fetched, the rows
    rendered. EngineError if the data stage refuses the data, or this machine cannot train the recipe.
    """
    device = lock_policy(recipe, PLAIN).device(detect_device())
    require_backend(recipe, device)
    store = Store(root, versions=tool_versions())
    inputs = collect_inputs(recipe, store, device)
    state = run_stages(
        recipe, store, inputs=inputs, options=RunOptions(until="data"), watcher=watcher
    )
    if state.error is not None:
        raise state.error
    refuse_interrupted(state)
    data = state.artifacts["data"]
    recipe = settled(recipe, largest_setting(recipe, store, inputs, data)[0])
    progress = watcher.stage("probe")
    key = product_key("probe", {"data": data.key}).digest
    folder = store.scratch(key) / "probe"
    folder.mkdir(exist_ok=True)
    context = StageContext(
        recipe=recipe,
        device=state.inputs.device,
        artifacts={"data": data},
        key="",
        inputs={"data": data.key},
        base_model=state.inputs.base_model,
        workdir=folder,
        scratch=folder,
        progress=progress,
        cached=store.cached,
        scratch_for=lambda _name, _payload: folder,
    )
    base = context.base_model_folder()
    rendered = rendered_rows(context, base)
    if recipe.data.replay is not None:
        # A stage after the baselines samples or reads it.
        progress.note(
            "replayed text is counted as if it were as long as the rows: none of it is in these steps"
        )
    work = measured.work_of(recipe, device, base_model=inputs.base_model, rendered=rendered.key)
    usage = _steps(recipe, context, rendered, base)
    result = measurement(recipe, store, usage, work=work, by="probe")
    measured.keep(root, result)
    return result


def _steps(recipe: Recipe, context: StageContext, rendered: Artifact, base: Path) -> Usage:
    folder = context.scratch
    # Files of interrupted trial steps must not be taken for these.
    shutil.rmtree(folder, ignore_errors=True)
    rows = folder / "rows"
    rows.mkdir(parents=True)
    try:
        names, size = ("train", "validation"), recipe.method.batch_size
        train, validation = (_measured_rows(rendered.file(f"{name}.jsonl"), base) for name in names)
        if not train:
            raise StageError.one("B412", "there are no training rows for trial steps")
        usual = _spread(train, size)
        most = min(recipe.method.micro_batch_size, len(validation))
        judged = [validation[-1], *_spread(validation, most)[1:]] if validation else []
        chosen = ([*usual * (STEPS - 1), train[-1], *usual[1:]], judged)
        for name, part in zip(names, chosen, strict=True):
            with (rows / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(f"{line}\n" for line, _ in part)
        backend = load_backend(recipe.backend.name)
        setting = CompileInputs(
            device=context.device,
            precision=context.precision,
            train_rows=STEPS * size,
            validation_rows=len(judged),
            kernels=backend.kernels(context.device),
        )
        method = replace(
            recipe.method,
            epochs=1.0,
            tokens=None,
            min_steps=None,
            evaluations_per_epoch=1,
            early_stopping=None,
        )
        quick = replace(recipe, method=method)
        # Without shuffling, the longest row is in the last step.
        config = yaml.safe_load(backend.compile(quick, setting).text) | dict(backend.IN_ORDER)
        launch = Launch(
            config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
            rows=rows,
            base_model=base,
            folder=folder / "launch",
            method=quick.method,
            setting=setting,
            progress=context.progress,
        )
        return backend.train(launch).usage
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured_rows(path: Path, base: Path) -> _Rows:
    from engine.runtime.rendering.chat import load_chat  # imports transformers

    lines = json_lines(path.read_text(encoding="utf-8"))
    if len(lines) > MOST_ROWS:
        lines.sort(key=len)
        half = MOST_ROWS // 2
        lines = [*lines[:-half][:: max(1, len(lines) // half)], *lines[-half:]]
    made = trained_rows([*map(parse_json, lines)], load_chat(base))
    counted = zip(lines, (len(row["input_ids"]) for row in made), strict=True)
    return sorted(counted, key=lambda row: row[1])


def _spread(rows: _Rows, count: int) -> _Rows:
    """Return so many rows, evenly over all lengths; fewer rows are repeated."""
    return [rows[(2 * place + 1) * len(rows) // (2 * count)] for place in range(count)]


Artifacts = Mapping[str, Artifact]
BEFORE = "before the run"
LATER = "before training, when the rows were known"


class Rest(Value):
    """Remaining time of a run."""

    own: float | None
    after: float
    """Seconds of later stages with a known time."""
    is_least: bool

    def words(self, elapsed: float, counted: float | None) -> str:
        """Return `3 min` or `at least 3 min`; empty if only `counted` is known, the remaining time of a count."""
        own = max((self.own or 0.0) - elapsed, counted or 0.0)
        if not self.after and self.own is None:
            return ""
        return f"{'at least ' if self.is_least else ''}{about(own + self.after)}"


class CostTracker:
    """Estimates before a run, or before training if they were not possible earlier, compared with actual costs."""

    def __init__(self, recipe: Recipe, store: Store, inputs: PlanInputs) -> None:
        self.recipe, self.store, self.inputs, self.when = recipe, store, inputs, BEFORE
        self.before = self._forecast()
        self.training = self.before.stages.get("train", StageForecast())

    def before_training(self) -> None:
        if self.training.seconds is None:
            self.training = self._forecast().stages.get("train", self.training)
            self.when = LATER

    def rest(self, stage: str) -> Rest:
        stages = {name: one for name, one in self._forecast().stages.items() if one != SWEPT}
        own = stages.pop(stage, StageForecast()).seconds
        known = [one.seconds for one in stages.values() if one.seconds is not None]
        return Rest(own=own, after=sum(known), is_least=own is None or len(known) < len(stages))

    def _forecast(self) -> Forecast:
        return forecast(plan_run(self.recipe, self.store, inputs=self.inputs), self.store)

    def costs(self, records: Sequence[StageRecord], artifacts: Artifacts) -> tuple[StageCost, ...]:
        costs = []
        for record in records:
            if record.status is not StageStatus.RAN or record.stage not in artifacts:
                continue
            artifact, memory = artifacts[record.stage], None
            guess, when = self.before.stages.get(record.stage, StageForecast()), BEFORE
            if record.stage == "train":
                guess, when = self.training, self.when
                usage = usage_of(artifact)
                memory = usage.peak_bytes if usage and usage.peak_bytes else None
            # The estimate is of the complete stage, and of products of their own in the store (further trainings);
            # `seconds` lacks the time of an interrupted attempt.
            if record.reason == UNFINISHED:
                guess = replace(guess, seconds=None)
            if record.stage in further_trainings(self.recipe):
                guess = replace(guess, disk_bytes=None)
            disk = sum(entry.bytes for entry in artifact.files)
            is_known = guess.seconds is not None or guess.disk_bytes is not None
            cost = StageCost(
                stage=record.stage,
                basis=guess.basis,
                estimated=when if is_known else "",
                estimated_seconds=None if guess.seconds is None else round(guess.seconds, 2),
                seconds=record.seconds,
                seconds_error=error_of(guess.seconds, record.seconds),
                estimated_memory_bytes=guess.memory_bytes,
                memory_bytes=memory,
                memory_error=error_of(guess.memory_bytes, memory),
                estimated_disk_bytes=guess.disk_bytes,
                disk_bytes=disk,
                disk_error=error_of(guess.disk_bytes, disk),
            )
            costs.append(cost)
        return tuple(costs)

    def keep(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:
        """Keep a measurement of the training for later plans on this machine, unless it was resumed.

        `recipe` has the setting that a sweep chose.
        """
        if record.stage != "train" or record.status is not StageStatus.RAN:
            return
        usage = usage_of(artifacts["train"])
        summary = read_json(artifacts["train"].file("training.json"))
        if usage is None or not usage.steps.count or summary["resumed_from_step"] is not None:
            return
        data = results.trained_data(artifacts) or artifacts["data"]
        rendered = rendered_key(recipe, data.key, self.inputs.base_model)
        work = measured.work_of(
            recipe, self.inputs.device, base_model=self.inputs.base_model, rendered=rendered.digest
        )
        measured.keep(self.store.root, measurement(recipe, self.store, usage, work=work, by="run"))


def usage_of(trained: Artifact) -> Usage | None:
    try:
        return from_json(Usage, read_json(trained.file(USAGE)))
    except (OSError, ValueError, TypeError):
        return None


def error_of(estimate: float | None, actual: float | None) -> float | None:
    return round(estimate / actual - 1, 4) if estimate is not None and actual else None
