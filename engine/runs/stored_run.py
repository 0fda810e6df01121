"""A stored run: which one a reference names, its folder, and the results of its stages that the store still has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.evidence import Report
from engine.files.reading import parse_json
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe import check_recipe, load_recipe
from engine.recipe.model import Recipe
from engine.render.report.page import read_json
from engine.runtime.rendering.task_file import CALIBRATION_FILE as CALIBRATION
from engine.store import Artifact, Store, make_key
from engine.store.records import (
    ACCEPTED,
    Runs,
    is_ours,
    read_file,
    read_record,
    require_exported,
    require_ours,
)

LOST = "the store no longer has what stage {} of the run left"
MAKES_IT = "recipe run RECIPE makes it; or name the store: --store FOLDER"
MAKES_THEM = "recipe run RECIPE makes them; or name the store: --store FOLDER"
UNACCEPTED: Final = (
    "`recipe try` and `recipe predict` query it with --unaccepted, and mark each answer"
)
RESOLVED = "recipe.resolved.yaml"


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a run: resolved, or as written if an older version resolved it otherwise."""

    def read(file: Path) -> bytes:
        return read_file(folder, file.name)

    resolved, _ = check_recipe(folder / RESOLVED, read=read)
    return resolved or load_recipe(folder / "recipe.yaml", read=read)[0]


class StoredRun:
    def __init__(self, folder: Path, store: Store, *, refused: str) -> None:
        """StoreError E751 for a run that was not made here; `refused` says what is then not done."""
        require_ours(folder, refused)
        self.folder, self.store, self.record = folder, store, read_record(folder)
        self.name = f"{folder.parent.name}/{folder.name}"

    @cached_property
    def recipe(self) -> Recipe:
        if not (self.folder / RESOLVED).is_file():
            raise self.no_answers("has no resolved recipe", "run its recipe again")
        return recipe_of(self.folder)

    @cached_property
    def report_text(self) -> str:
        """StoreError E758 where the file changed."""
        return read_file(self.folder, "report.json").decode()

    @cached_property
    def report(self) -> Report:
        return read_json(self.report_text)

    def result_of(self, stage: str) -> Artifact | None:
        key = self.record.get("stages", {}).get(stage, {}).get("key", "")
        return self.store.whole(str(key)) if key else None

    @cached_property
    def holdout(self) -> Artifact | None:
        from engine.pipeline.plan import products  # light verbs find runs, too

        payload = self.record.get("payloads", {}).get("data")
        return payload and self.store.whole(products("data", make_key(payload))["holdout"])

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The input of each holdout row by its id; empty where the store no longer has it."""
        if self.holdout is None:
            return {}
        with self.holdout.file("holdout.jsonl").open(encoding="utf-8") as lines:
            return {str(row["id"]): str(row.get("input", "")) for row in map(parse_json, lines)}

    @cached_property
    def answers(self) -> Sequence[Prediction]:
        """The tuned model's answers to the holdout. RecipeError R031 where there are none."""
        from engine.lock.previous import answers_of  # the same

        stage, file = answers_of(self.recipe)
        result = self.result_of(stage)
        if result is not None and (result.path / file).is_file():
            return read_predictions(result.file(file))
        outcome = self.record.get("outcome", "unknown")
        hint = MAKES_THEM
        if outcome == "baseline_passes":
            hint = "set stop_if_baseline_passes: false in its recipe, and run that: it trains all the same"
        raise self.no_answers(f"holds no answers of a tuned model (it ended: {outcome})", hint)

    @cached_property
    def exported(self) -> Sequence[Prediction]:
        """The quantized file's answers to the holdout; empty where it did not answer it."""
        verified = None if self.recipe.splits.folds else self.result_of("verify")
        path = verified and verified.path / "predictions.quantized.jsonl"
        return read_predictions(path) if path and path.is_file() else ()

    def no_answers(self, why: str, hint: str) -> RecipeError:
        return RecipeError.one("R031", f"run `{self.name}` {why}", hint=hint)


def size_of(report: Mapping[str, Any]) -> tuple[str, int]:
    """Return the exported file and its bytes: the smallest GGUF file, else all files of the model together."""
    files = [(int(file["bytes"]), str(file["name"])) for file in report.get("files", ())]
    # by name, since small files that belong to a GGUF file have its format
    packed = [(size, name) for size, name in files if name.endswith(".gguf")]
    size, name = min(packed, key=itemgetter(0), default=(sum(size for size, _ in files), "model"))
    return (name, size) if files else ("", 0)


def find_run(root: Path, reference: str) -> Path:
    """Return a run's folder: by its path, by `recipe/run`, or the latest of a recipe by its name; "" is the newest.

    RecipeError R006 where there is none.
    """
    runs = Runs(root)
    folder = runs.find(reference)
    if folder is None:
        known = ", ".join(runs.names())
        hint = f"recipes with runs: {known}" if known else "recipe run RECIPE makes one"
        what = f"no run is called `{reference}`" if reference else "there are no runs yet"
        raise RecipeError.one("R006", what, hint=hint)
    return folder


def is_model_file(reference: str) -> bool:
    """Tell whether a reference names a GGUF file rather than a run. RecipeError R006 where that file is missing."""
    if Path(reference).suffix != ".gguf":
        return False
    if not os.path.isfile(reference):
        raise RecipeError.one("R006", f"there is no file `{reference}`")
    return True


def exported_gguf(run: Path) -> Path:
    """Return the GGUF file that a run exported, checked byte by byte against its report.

    RecipeError R006 it exported none; StoreError E751 somebody else made the run, E758 the file changed.
    """
    require_ours(run, "its model is not asked")
    files = sorted(run.glob("*.gguf"))
    if not files:
        hint = (
            "only accepted runs with `gguf` among export.formats do; "
            "of a baseline that passed, recipe export baseline makes a folder that answers"
        )
        before = (one for one in run.parent.iterdir() if one.name < run.name)
        earlier = [
            one.name for one in before if any(one.glob("*.gguf")) and is_ours(read_record(one))
        ]
        if earlier:
            hint = f"an earlier run did: name it as {run.parent.name}/{max(earlier)}"
        record = read_record(run)
        outcome, what = record.get("outcome"), f"the run `{run.name}` left no GGUF file"
        if outcome != ACCEPTED and "train" in record.get("payloads", {}):
            what = f"the model of `{run.parent.name}/{run.name}` was not accepted: it ended `{outcome}`"
            hint = f"{UNACCEPTED}; {hint}" if earlier else UNACCEPTED
        raise RecipeError.one("R006", what, hint=hint)
    # the file goes into a parser in C++, so not one byte may be another than the run's
    require_exported(run, [files[0].name], if_any=CALIBRATION)
    return files[0]
