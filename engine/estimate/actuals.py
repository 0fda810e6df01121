"""What a run was estimated to take beside what it took, and measurements kept for later plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.artifacts import results
from engine.backends.usage import Usage
from engine.estimate import measured
from engine.estimate.run import Forecast, StageForecast, forecast, further_trainings
from engine.estimate.training import measurement
from engine.evidence import StageCost, StageRecord, StageStatus
from engine.files.reading import read_json
from engine.pipeline.plan import UNFINISHED, PlanInputs, plan_run
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import rendered_key
from engine.store import Artifact, Store
from engine.training.train import USAGE
from engine.values import from_json, replace

Artifacts = Mapping[str, Artifact]
BEFORE = "before the run"
LATER = "before training, when the rows were known"


class CostTracker:
    """Estimates before anything is spent, and once more before training where that was not possible."""

    def __init__(self, recipe: Recipe, store: Store, inputs: PlanInputs) -> None:
        self.recipe, self.store, self.inputs, self.when = recipe, store, inputs, BEFORE
        self.before = self._forecast()
        self.training = self.before.stages.get("train", StageForecast())

    def before_training(self) -> None:
        if self.training.seconds is None:
            self.training = self._forecast().stages.get("train", self.training)
            self.when = LATER

    def _forecast(self) -> Forecast:
        plan = plan_run(self.recipe, self.store, inputs=self.inputs)
        return forecast(plan, self.store)

    def costs(self, records: Sequence[StageRecord], artifacts: Artifacts) -> tuple[StageCost, ...]:
        ran = [one for one in records if one.status is StageStatus.RAN and one.stage in artifacts]
        found = []
        for record in ran:
            artifact, memory = artifacts[record.stage], None
            guess, when = self.before.stages.get(record.stage, StageForecast()), BEFORE
            if record.stage == "train":
                guess, when = self.training, self.when
                usage = usage_of(artifact)
                memory = usage.peak_bytes if usage and usage.peak_bytes else None
            # What is estimated is the whole stage, and the trainings beside the model: they are products of their own
            # in the store, and none of what an attempt before this one took is in `seconds`.
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
            found.append(cost)
        return tuple(found)

    def keep(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:
        """Keep what training took for later plans on this machine; a resumed one tells of its last part only.

        `recipe` is the one that was trained: with the setting that a sweep chose.
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
    """Return how far the estimate was off: 0.1 is a tenth too much."""
    # A stage may take no measurable time; there is no share of nothing.
    if estimate is None or not actual:
        return None
    return round(estimate / actual - 1, 4)
