"""The contract of a stage and what a stage is given. A stage returns files; it updates nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.compute.profile import ONE, Ranks
from engine.data.examples.example import Example, iter_examples, read_examples
from engine.data.membership import Membership
from engine.environment import Device, version_of
from engine.metrics.comparing import Earlier
from engine.metrics.predictions import Prediction
from engine.progress import NamedProgress, Progress
from engine.recipe.model import Recipe
from engine.store import Artifact, Cached
from engine.values import Value, field, replace

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.models.start import TrainingText

Payload = Mapping[str, Any]
TRAINING_ROWS = "training_rows"
"""The product of `teach`: train and validation as the data stage leaves them, with the teacher's rows."""
SYNTHETIC_ROWS = "synthetic_rows"
REPLAYED_ROWS = "replayed_rows"
"""The product of `replay`: train and validation as the data stage leaves them, and the text that is trained beside."""
TRAINED_ON = (SYNTHETIC_ROWS, TRAINING_ROWS, REPLAYED_ROWS)
"""Products that training reads in the place of the data; a recipe has one of them at most."""


class PreviousModel(Protocol):
    """The last accepted model, as `gate` and `verify` need it (`engine.lock.previous.Previous`)."""

    def earlier(self, rows: Sequence[Prediction], *, recipe: Recipe, form: str = "") -> Earlier:
        """Return its answers, if they are to the same rows: those of its exported form, where that is known."""


class AtOnce(Value):
    most: int
    root: Path
    find: Callable[[str], Artifact | None]


class StageContext(Value):
    recipe: Recipe
    device: Device
    artifacts: Mapping[str, Artifact]
    """The stages in `NEEDS`, by name."""
    key: str
    inputs: Mapping[str, str]
    """Keys of `artifacts`, by the same names."""
    base_model: Mapping[str, Any]
    """Identity of the base model (repository and revision, digest of the bytes, …) as it stands in keys."""
    workdir: Path
    """Fresh and empty; what stands in it when `run` returns is the artifact."""
    scratch: Path
    """Kept when the process dies and given again to the next attempt with the same key; checkpoints live here."""
    progress: Progress
    cached: Cached
    """`cached(name, payload, build)`: an inner product with a key of its own, built at most once."""
    scratch_for: Callable[[str, Payload], Path]
    """`scratch_for(name, payload)`: a folder for work on that product, kept until the product is complete."""
    made_anew: Cached | None = None
    """Like `cached`, but builds what exists too; None unless `--force` names the stage."""
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recorded: Membership | None = None
    """Data: the splits that the lock holds the draw to; None where nothing is recorded."""
    previous: PreviousModel | None = None
    """Gate and verify: the last accepted model; None where there is no other than this one."""
    ranks: Ranks = ONE
    """The processes that train together; in no key, since they learn what one would."""
    at_once: AtOnce | None = None
    """Trainings beside the model that run at the same time; None for one after the other. In no key."""

    @property
    def precision(self) -> str:
        """The precision that models are trained and run in: `bf16`, `fp16` or `fp32`, never `auto`."""
        return self.device.precision(self.recipe.backend.precision)

    def progress_of(self, name: str) -> Progress:
        return NamedProgress(of=name, inner=self.progress)

    def examples(self, split: str) -> list[Example]:
        stage = "holdout" if split == "holdout" else "data"
        return read_examples(self.artifacts[stage].file(f"{split}.jsonl"))

    def for_training(self) -> StageContext:
        """Return the same with what is trained on in the place of the data: added rows too, or replayed text."""
        found = next((self.artifacts[one] for one in TRAINED_ON if one in self.artifacts), None)
        if found is None:
            return self
        return replace(
            self,
            artifacts={**self.artifacts, "data": found},
            inputs={**self.inputs, "data": found.key},
        )

    def base_model_folder(self) -> Path:
        """Return the folder of the recipe's base model, fetched into the store if need be. StageError, DataError."""
        from engine.runtime.models.start import Start, locate_start  # brings torch

        data = self.artifacts.get("data")
        start = Start(
            base=self.recipe.base_model,
            identity=self.base_model,
            text=training_text(data) if data else None,
        )
        return locate_start(start, self.cached, self.progress)

    def load_base(self) -> LoadedModel:
        from engine.runtime.models.load import load_model  # brings torch

        return load_model(self.base_model_folder(), device=self.device, precision=self.precision)

    def answering(self, model: str | None) -> dict[str, Any]:
        """Return what the answers of a trained model depend on, by its key; None is the untouched base model."""
        # Another version of peft must not ask the base model again.
        tools = ("peft", "torch", "transformers") if model else ("torch", "transformers")
        return {
            "model": model,
            "base_model": self.base_model,
            "device": self.device.kind,
            "precision": self.precision,
            "versions": {tool: version_of(tool) for tool in tools},
        }


def training_text(data: Artifact) -> TrainingText:
    from engine.runtime.models.start import TrainingText  # brings torch

    rows = data.file("train.jsonl")
    digest = next(entry.sha256 for entry in data.files if entry.name == rows.name)
    return TrainingText(texts=lambda: (row.input for row in iter_examples(rows)), digest=digest)


def given[T](value: T | None) -> T:
    """Return a part of the recipe that a stage is about: without it, the recipe does not have the stage."""
    if value is None:
        raise AssertionError("a stage of another recipe")
    return value


class Stage(Protocol):
    """A module in `engine.stages`; its name is the word used in commands, keys, folders and docs.

    It may say more: `AFTER`, stages that must have passed before it; `TOOLS`, distributions whose version can change
    its result; `USES`, what else it depends on: `sources` (their bytes), `base_model`, `device` (kind and precision)
    and `kernels` (packages of GPU kernels); `also_needs` and `references` (see `engine.stages`).
    """

    REVISION: int
    """Bumped when the same inputs would now give another result."""
    NEEDS: tuple[str, ...]
    """Stages whose artifacts it reads; their keys are part of its key."""

    def recipe_slice(self, recipe: Recipe) -> Payload: ...

    def run(self, context: StageContext) -> None: ...
