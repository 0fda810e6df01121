"""How a run follows the lock of its recipe: it repeats it, renews it, or is of another recipe."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.backends import load_backend
from engine.data.membership import RECORDED_ROWS, differing
from engine.data.reading.row import several
from engine.data.reading.sources import fetch_all, read_all
from engine.environment import Device, detect_device, tool_versions
from engine.errors import DataError, EngineError, ExitCode, Place, Problem, RecipeError, StageError
from engine.evidence import Repeat, Reproduction, StageRecord, StageStatus
from engine.lock.accepted_run import (
    accepted_of,
    base_files,
    config_digest,
    facts_of_data,
    kind_of,
    recipe_facts,
    split_digests,
    stage_revisions,
    used_versions,
)
from engine.lock.coherence import contradictions_of_recipe
from engine.lock.file import Accepted, lock_path, read_lock
from engine.progress import Progress
from engine.recipe import moving_references
from engine.recipe.model import HubRef, PathRef, Recipe
from engine.recipe.sweeps import methods_of
from engine.recipe.text.dump import base_model_mapping, changed_sections
from engine.recipe.text.paths import as_argument
from engine.store import Artifact, Cached, Store
from engine.store.records import Runs
from engine.values import Value, replace

Artifacts = Mapping[str, Artifact]
ON_PURPOSE = (
    "if the change is intended, run it with --update-lock: an accepted run then renews the lock"
)


def changed_since(recipe: Recipe, accepted: Accepted) -> tuple[str, ...]:
    """Return the sections of the recipe that differ from those of the lock."""
    now = recipe_facts(recipe)
    changed = list(changed_sections(accepted.recipe["sections"], now["sections"]))
    pins = accepted.base_model["reference"], base_model_mapping(recipe.base_model)
    # a pin that was added or removed is no change: the lock has the digests of the files
    both = [{reference.get(pin) for reference in pins} for pin in ("revision", "sha256")]
    if "base_model" not in changed and any(len(values) > 1 and all(values) for values in both):
        changed.append("base_model")
    if not changed and accepted.recipe["digest"] != now["digest"]:
        changed.append("recipe")
    return tuple(changed)


class InputCheck(Value):
    recipe: Recipe
    accepted: Accepted
    cached: Cached
    frozen: bool = False

    def before(self, stage: str, progress: Progress, *, reused: bool) -> None:
        """Compare the base model before anything is trained. StageError D388."""
        ref = self.recipe.base_model
        if isinstance(ref, PathRef) and ref.path.is_dir():
            if stage == "baseline":
                self._base_model(ref.path)
        # a pinned model is the same; a model made from another one, or from the rows, is compared as a result
        elif stage == "train" and not reused and isinstance(ref, PathRef | HubRef):
            if isinstance(ref, HubRef) and ref.revision is not None:
                return
            from engine.runtime.models.base_model import locate_base_model  # brings torch

            folder = locate_base_model(ref, self.cached, progress)
            self._base_model(folder, weights_only=isinstance(ref, PathRef))

    def after(self, stage: str, artifacts: Artifacts, progress: Progress) -> None:
        """Compare the result of a stage. DataError D387; with `--frozen` RecipeError D389: another config or code."""
        now, locked = stage_revisions(artifacts).get(stage), self.accepted.stages.get(stage)
        if self.frozen and now is not None and now != locked:
            raise RecipeError.one(
                "D389",
                f"--frozen: this version's code of stage `{stage}` has revision {now}, the lock has {locked or 'none'}",
                hint="install the version of slm-recipe that the lock names, or run it without --frozen",
            )
        if stage == "data":
            self._data(artifacts["data"], progress)
        elif (
            stage == "compile" and self.frozen and config_digest(artifacts) != self.accepted.config
        ):
            raise RecipeError.one(
                "D389",
                "--frozen: the compiled config is not the one of the lock",
                hint="run it on the kind of device that the lock names, or without --frozen",
            )

    def _data(self, data: Artifact, progress: Progress) -> None:
        locked, now, splits = self.accepted, facts_of_data(data), split_digests(data)
        digests = {source["name"]: source["sha256"] for source in now["sources"]}
        changed = [
            source["name"]
            for source in (locked.sources if self.frozen else ())
            if (before := source["sha256"])
            and digests.get(source["name"], before) not in (None, before)
        ]
        other = [name for name, digest in locked.splits.items() if splits.get(name) != digest]
        is_other = now["fingerprints"] is not None and locked.fingerprints != now["fingerprints"]
        if locked.fingerprints is not None and (changed or other or is_other):
            # read again, to name the first row that the lock does not have
            fetched = fetch_all(self.recipe.data.sources, self.cached, progress)
            rows = differing(read_all(fetched, progress), locked.fingerprints)
            if rows.first:
                differ = several(rows.rows, "row differs", "rows differ")
                raise _other_data(f"{differ}, first at {rows.first}", rows.first)
            if rows.rows:
                are = "is" if rows.gone == 1 else "are"
                raise _other_data(f"{several(rows.gone, 'row')} of the lock {are} gone")
        if changed:
            raise _other_data(f"--frozen: `{changed[0]}` has other bytes, with the same rows")
        if other:
            raise _other_data(f"{' and '.join(other)} hold other rows")

    def _base_model(self, folder: Path, *, weights_only: bool = False) -> None:
        """Compare the files of a model folder; of a model that was made here only its weights."""
        locked = self.accepted.base_model["files"]
        if not folder.is_dir() or not locked:
            return
        now = base_files(folder)
        # the model's own files before the tokenizer's: the file that is named first is taken for the cause
        for name in sorted({*locked, *now}, key=lambda name: (kind_of(name), name)):
            is_compared = name.endswith(".safetensors") or not weights_only
            if not is_compared or locked.get(name) == now.get(name):
                continue
            how = "is not there" if name not in now else "differs"
            how = "is not in the lock" if name not in locked else how
            raise StageError.one(
                "D388",
                f"the {kind_of(name)} is not that of the lock: `{name}` {how}",
                path="base_model",
                hint=ON_PURPOSE,
            )


def _other_data(what: str, origin: str = "") -> DataError:
    file, _, line = origin.rpartition(":")
    return DataError.one(
        "D387",
        f"the data is not the data of the lock: {what}",
        path="data.sources",
        place=(Place(file=file, line=int(line)) if file and line.isdecimal() else None),
        hint=f"restore the lock's rows; {ON_PURPOSE}",
    )


class LockOptions(Value):
    frozen: bool = False
    """Refuse whatever the lock does not cover."""
    update: bool = False
    """Continue in spite of differences, and renew the lock where the run is accepted."""


PLAIN = LockOptions()
TAKE_BACK = "restore the lock from version control"


class LockPolicy(Value):
    recipe: Recipe
    accepted: Accepted | None
    """The accepted run of the lock; None before the first one, and where the lock is renewed."""
    changed: tuple[str, ...]
    """Sections of the recipe that differ from those of the lock."""
    options: LockOptions

    @property
    def repeats(self) -> Accepted | None:
        return None if self.changed else self.accepted

    def proved(self, artifacts: Mapping[str, Artifact]) -> Accepted | None:
        """Return what an accepted run writes into the lock; None where that stays as it is.

        A run that repeats the lock only adds further seeds of the recipe, where the model is the lock's.
        """
        locked = self.repeats
        known = {seed["seed"] for seed in locked.seeds} if locked else set()
        if locked and not set(self.recipe.method.seeds) - known:
            return None
        found = accepted_of(self.recipe, artifacts)
        if locked is None:
            return found
        if (found.adapter, found.files) != (locked.adapter, locked.files):
            return None
        return replace(locked, seeds=found.seeds, spread=found.spread)

    def device(self, found: Device) -> Device:
        """Return the device with the threads of the lock, and its precision where that is `auto` in the recipe.

        On a CPU any precision works, natively or not; other devices keep their own.
        """
        if (locked := self.repeats) is None:
            return found
        # another number of threads adds in another order, which changes bits
        held = replace(found, held_threads=locked.threads)
        is_cpu = found.kind == "cpu" and locked.hardware.get("device") == "cpu"
        is_auto = self.recipe.backend.precision == "auto"
        if is_auto and is_cpu and locked.precision in ("bf16", "fp32"):
            # `Device.precision` resolves `auto` by this flag
            return replace(held, bf16=locked.precision == "bf16")
        return held

    def input_check(self, store: Store) -> InputCheck | None:
        if (locked := self.repeats) is None:
            return None
        frozen = self.options.frozen
        return InputCheck(recipe=self.recipe, accepted=locked, cached=store.cached, frozen=frozen)

    def verdict(
        self,
        artifacts: Mapping[str, Artifact],
        records: Sequence[StageRecord],
        *,
        outcome: str,
        error: EngineError | None,
        runs: Runs,
    ) -> Reproduction | None:
        """Return how the run compares with the lock; None without an accepted run. `runs` are those before it."""
        if self.accepted is None:
            return None
        from engine.lock import reproduction  # a plan repeats nothing

        if self.changed:
            return reproduction.another_recipe(self.changed)
        # keys of results that earlier runs of this user made without repeating a lock
        originals = frozenset(
            stage["key"]
            for _, record in runs.ours(self.recipe.name)
            if not record.get("reproduction")
            for stage in record.get("stages", {}).values()
            if stage.get("status") == StageStatus.RAN
        )
        return reproduction.reproduction_of(
            reproduction.RepeatedRun(
                recipe=self.recipe,
                accepted=self.accepted,
                artifacts=artifacts,
                records=records,
                outcome=outcome,
                error=error,
                originals=originals,
            )
        )

    def exit_code(self, code: ExitCode, found: Reproduction | None) -> ExitCode:
        """Return 1 for a frozen run that was accepted and did not make the lock's model again; else `code`.

        Results of the store reproduce nothing, since nothing was computed.
        """
        failed = found is not None and found.verdict in (Repeat.NOT, Repeat.REUSED)
        # another code has precedence: the gate refused, or a stage failed
        return ExitCode.REFUSED if self.options.frozen and failed and not code else code


def lock_policy(recipe: Recipe, options: LockOptions) -> LockPolicy:
    """Return how a run of the recipe follows its lock.

    DataError: the lock cannot be read. RecipeError D389, with every reason: `options.frozen`, and the lock does not
    cover the run.
    """
    lock = read_lock(lock_path(recipe.file))
    accepted = lock.accepted if lock else None
    changed = changed_since(recipe, accepted) if accepted else ()
    policy = LockPolicy(recipe=recipe, accepted=accepted, changed=changed, options=options)
    if options.frozen:
        path = lock_path(recipe.file)
        problems = tuple(
            Problem(code="D389", message=f"--frozen: {message}", path=where, hint=hint)
            for message, where, hint in _uncovered(policy, path)
        )
        if problems:
            raise RecipeError(problems)
    # a lock that is to be renewed is not compared
    return replace(policy, accepted=None, changed=()) if options.update else policy


def lock_line(policy: LockPolicy, sources: Sequence[Mapping[str, Any]]) -> str:
    """Return the line of the plan about the lock; empty without an accepted run."""
    if policy.accepted is None:
        return ""
    if policy.changed:
        return f"it proves another recipe ({', '.join(policy.changed)} changed since)"
    if wrong := next(contradictions_of_recipe(policy.recipe, policy.accepted), ""):
        return f"its accepted run contradicts itself: {wrong}"
    day = policy.accepted.finished.partition("T")[0]
    pairs = zip(sources, policy.accepted.sources, strict=False)
    local = ((now["sha256"], before["sha256"]) for now, before in pairs if set(now) == {"sha256"})
    if any(before is not None and now != before for now, before in local):
        return f"the data are not those of the run accepted on {day}: a run stops, unless --update-lock"
    return f"the run is compared with the one accepted on {day}"


def _uncovered(policy: LockPolicy, path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what the lock does not cover: the problem, its key and what to do."""
    recipe, accepted = policy.recipe, policy.accepted
    for reference in moving_references(recipe):
        yield f"it can move: {reference.message}", reference.path, "pin it: recipe pin RECIPE"
    run = f"recipe run {as_argument(recipe.file)}"
    if accepted is None:
        what = "holds no accepted run" if path.exists() else "is not there"
        yield f"`{path.name}` {what}", "", f"run it without --frozen first: {run}"
        return
    if policy.changed:
        changed = ", ".join(policy.changed)
        hint = f"undo the change, or accept the changed recipe: {run}"
        yield f"`{path.name}` proves another recipe: {changed} changed since", "", hint
    else:
        for wrong in contradictions_of_recipe(recipe, accepted):
            yield f"`{path.name}` contradicts itself: {wrong}", "", TAKE_BACK
    # another seed is the same recipe by its digests, but a frozen run has to give the same model
    seed = accepted.recipe["seed"]
    if seed not in [method.seed for method in methods_of(recipe)]:
        message = f"{recipe.method.seed} is not the lock's seed {seed}"
        yield message, "method.seed", f"write `seed: {seed}`"
    asked = recipe.method.seeds
    if further := [facts["seed"] for facts in accepted.seeds if facts["seed"] not in asked]:
        listed = ", ".join(map(str, [*asked, *further]))
        message = f"`{path.name}` has numbers of further seeds, which this run would not train"
        yield message, "method.seeds", f"write `seeds: [{listed}]`"
    for what in missing_facts(recipe, accepted):
        hint = f"accept it anew: {run} --update-lock"
        yield f"`{path.name}` does not record {what}, so it does not cover it", "", hint
    now = tool_versions()
    for name, version in accepted.versions.items():
        if now.get(name) != version:
            installed = now.get(name) or "is not installed"
            hint = f"pip install '{name}=={version}'"
            hint = f"use Python {version}" if name == "python" else hint
            yield f"{name} {installed}, the lock has {version}", "", hint
    yield from _uncovered_trainer(recipe, accepted)
    device, locked = detect_device().kind, accepted.hardware.get("device")
    if locked is not None and locked != device:
        yield f"this device is {device}, the lock's is {locked}", "", f"run it on {locked}"


def missing_facts(recipe: Recipe, accepted: Accepted) -> Iterator[str]:
    """Yield the facts that an accepted run records, and this lock lacks."""
    names = used_versions(recipe, tool_versions())
    if unnamed := [name for name in names if name not in accepted.versions]:
        yield f"the version of {', '.join(unnamed)}"
    yield from missing_parts(accepted)


def missing_parts(accepted: Accepted) -> Iterator[str]:
    """Yield the facts that every accepted run records, and this one lacks, whatever the machine."""
    if accepted.fingerprints is None and accepted.rows <= RECORDED_ROWS:
        yield "the rows that were read (`fingerprints`)"
    unread = [source["name"] for source in accepted.sources if source["sha256"] is None]
    if unread or not accepted.sources:
        yield f"the bytes of {', '.join(unread) or 'any source'}"
    parts = {
        "stages": "the revisions of the engine's stages",
        "hardware": "the machine",
        "merged": "the files of the merged model",
        "files": "the exported files",
    }
    yield from (f"{what} (`{name}`)" for name, what in parts.items() if not getattr(accepted, name))
    if not accepted.base_model["files"]:
        yield "the files of the base model (`base_model.files`)"


def _uncovered_trainer(recipe: Recipe, accepted: Accepted) -> Iterator[tuple[str, str, str]]:
    now = load_backend(recipe.backend.name).packages() if accepted.trainer else {}
    for name in sorted({*accepted.trainer, *now}):
        found, locked = now.get(name), accepted.trainer.get(name)
        if found != locked:
            here = f"{name} {found}" if found else f"no {name}"
            message = f"the environment that trains has {here}, the lock has {locked or 'none'}"
            yield message, "backend.name", "make that environment as the lock's `trainer` lists it"
