"""Which run or model file a reference means, as `recipe report` and `recipe try` take it, and which is exported."""

import os
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.runtime.rendering.task_file import CALIBRATION_FILE as CALIBRATION
from engine.store import Artifact, Store
from engine.store.records import (
    ACCEPTED,
    Runs,
    is_ours,
    read_record,
    require_exported,
    require_ours,
)


def size_of(report: Mapping[str, Any]) -> tuple[str, int]:
    """Return the exported file and its bytes: the smallest GGUF file, else all files of the model together."""
    files = [(int(file["bytes"]), str(file["name"])) for file in report.get("files", ())]
    # By the name: small files that belong to a GGUF file have its format in the report.
    packed = [(size, name) for size, name in files if name.endswith(".gguf")]
    size, name = min(packed, key=itemgetter(0), default=(sum(size for size, _ in files), "model"))
    return (name, size) if files else ("", 0)


def left_by(stage: str, record: Mapping[str, Any], store: Store) -> Artifact | None:
    key = record.get("stages", {}).get(stage, {}).get("key", "")
    return store.whole(str(key)) if key else None


LOST: Final = "the store no longer has what stage {} of the run left"
MAKES_IT: Final = "recipe run RECIPE makes it; or name the store: --store FOLDER"
UNACCEPTED: Final = (
    "`recipe try` and `recipe predict` query it with --unaccepted, and mark each answer"
)


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
    """Whether a reference names a GGUF file rather than a run. RecipeError R006 where that file is not there."""
    if Path(reference).suffix != ".gguf":
        return False
    if not os.path.isfile(reference):
        raise RecipeError.one("R006", f"there is no file `{reference}`")
    return True


def exported_gguf(run: Path) -> Path:
    """Return the GGUF file that a run exported, after every byte of it was compared with its report.

    RecipeError R006 it exported none; StoreError E751 somebody else made the run, E758 the file is another one.
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
