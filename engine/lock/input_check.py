"""A run beside the accepted run of its lock: wrong inputs stop it early, the rest is compared at the end.

A run repeats the lock when its recipe asks for the same; another seed is the same recipe. What is
compared, in order: data, base model, tokenizer, config, tool versions, hardware, threads, numbers.
The first of them that differs is named, since it is the likely cause of those after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.data.membership import differing
from engine.data.reading.row import several
from engine.data.reading.sources import fetch_all, read_all
from engine.environment import Device
from engine.errors import DataError, Place, RecipeError, StageError
from engine.lock.accepted_run import (
    base_files,
    config_digest,
    facts_of_data,
    kind_of,
    recipe_facts,
    split_digests,
    stage_revisions,
)
from engine.lock.file import Accepted
from engine.progress import Progress
from engine.recipe.model import HubRef, PathRef, Recipe
from engine.recipe.text.dump import base_model_mapping, changed_sections
from engine.store import Artifact, Cached
from engine.values import Value, replace

Artifacts = Mapping[str, Artifact]
ON_PURPOSE = "if it is meant, run it with --update-lock: an accepted run then renews the lock"


def changed_since(recipe: Recipe, accepted: Accepted) -> tuple[str, ...]:
    """Return the sections of the recipe that ask for something else than the lock's; none for the same."""
    now = recipe_facts(recipe)
    changed = list(changed_sections(accepted.recipe["sections"], now["sections"]))
    pins = accepted.base_model["reference"], base_model_mapping(recipe.base_model)
    # a pin that was added or taken away is no change: the lock has the digests of the files
    both = [{one.get(pin) for one in pins} for pin in ("revision", "sha256")]
    if "base_model" not in changed and any(len(values) > 1 and all(values) for values in both):
        changed.append("base_model")
    if not changed and accepted.recipe["digest"] != now["digest"]:
        changed.append("recipe")
    return tuple(changed)


def device_of_lock(device: Device, recipe: Recipe, accepted: Accepted) -> Device:
    """Return the device with the threads of the lock, and its precision where the recipe says `auto`.

    On a CPU any precision works, natively or not; on others their own stays.
    """
    # another number of threads adds in another order, which changes bits
    held = replace(device, held_threads=accepted.threads)
    is_cpu = device.kind == "cpu" and accepted.hardware.get("device") == "cpu"
    if recipe.backend.precision == "auto" and is_cpu and accepted.precision in ("bf16", "fp32"):
        # `Device.precision` answers `auto` by this flag
        return replace(held, bf16=accepted.precision == "bf16")
    return held


class InputCheck(Value):
    recipe: Recipe
    accepted: Accepted
    cached: Cached
    frozen: bool = False

    def before(self, stage: str, progress: Progress, *, reused: bool) -> None:
        """Compare the base model, once it is there and before anything is trained. StageError D388."""
        ref = self.recipe.base_model
        if isinstance(ref, PathRef) and ref.path.is_dir():
            if stage == "baseline":
                self._base_model(ref.path)
        # what is pinned is the same one; of what is made of another model, or of the rows, the result is compared
        elif stage == "train" and not reused and isinstance(ref, PathRef | HubRef):
            if isinstance(ref, HubRef) and ref.revision is not None:
                return
            from engine.runtime.models.base_model import locate_base_model  # brings torch

            folder = locate_base_model(ref, self.cached, progress)
            self._base_model(folder, weights_only=isinstance(ref, PathRef))

    def after(self, stage: str, artifacts: Artifacts, progress: Progress) -> None:
        """Compare what a stage made. DataError D387; with `--frozen` RecipeError D389 for another config or code."""
        now, locked = stage_revisions(artifacts).get(stage), self.accepted.stages.get(stage)
        if self.frozen and now is not None and now != locked:
            raise RecipeError.one(
                "D389",
                f"--frozen: this version's code of stage `{stage}` has revision {now}, the lock has {locked or 'none'}",
                hint="install the version of slm-recipe that the lock names, or run it without --frozen",
            )
        if stage == "data":
            self._read(artifacts["data"], progress)
        elif (
            stage == "compile" and self.frozen and config_digest(artifacts) != self.accepted.config
        ):
            raise RecipeError.one(
                "D389",
                "--frozen: the compiled config is not the one of the lock",
                hint="run it on the kind of device that the lock names, or without --frozen",
            )

    def _read(self, data: Artifact, progress: Progress) -> None:
        found, splits, locked = facts_of_data(data), split_digests(data), self.accepted
        now = {one["name"]: one["sha256"] for one in found["sources"]}
        changed = [
            one["name"]
            for one in (locked.sources if self.frozen else ())
            if (before := one["sha256"]) and now.get(one["name"], before) not in (None, before)
        ]
        other = [name for name, digest in locked.splits.items() if splits.get(name) != digest]
        marks = {locked.fingerprints, found["fingerprints"]} - {None}
        if changed or other or len(marks) > 1:
            self._name_the_row(progress)
        if changed:
            what = f"--frozen: `{changed[0]}` has other bytes, with the same rows"
            raise _other_data(what, "")
        if other:
            raise _other_data(f"{' and '.join(other)} hold other rows", "")

    def _name_the_row(self, progress: Progress) -> None:
        """Read the sources again and name the first row that the lock does not have; nothing if all are its."""
        if self.accepted.fingerprints is None:
            return
        fetched = fetch_all(self.recipe.data.sources, self.cached, progress)
        found = differing(read_all(fetched, progress), self.accepted.fingerprints)
        if not found.rows:
            return
        if not found.first:
            gone = f"{several(found.gone, 'row')} of the lock {'is' if found.gone == 1 else 'are'} gone"
            raise _other_data(gone, "")
        differ = several(found.rows, "row differs", "rows differ")
        raise _other_data(f"{differ}, first at {found.first}", found.first)

    def _base_model(self, folder: Path, *, weights_only: bool = False) -> None:
        """Compare the files of a model folder; of one that was made here, what the tools write beside is left out."""
        locked = self.accepted.base_model["files"]
        if not folder.is_dir() or not locked:
            return
        found = base_files(folder)
        # the model's own files before the tokenizer's: what is named first is taken for the cause
        for name in sorted({*locked, *found}, key=lambda name: (kind_of(name), name)):
            if locked.get(name) == found.get(name):
                continue
            if weights_only and not name.endswith(".safetensors"):
                continue
            how = "differs" if name in locked and name in found else "is not there"
            how = "is not in the lock" if name not in locked else how
            raise StageError.one(
                "D388",
                f"the {kind_of(name)} is not that of the lock: `{name}` {how}",
                path="base_model",
                hint=ON_PURPOSE,
            )


def _other_data(what: str, origin: str) -> DataError:
    file, _, line = origin.rpartition(":")
    return DataError.one(
        "D387",
        f"the data is not the data of the lock: {what}",
        path="data.sources",
        place=(Place(file=file, line=int(line)) if file and line.isdecimal() else None),
        hint=f"take the lock's rows back; {ON_PURPOSE}",
    )
