"""How a run stands to the lock beside its recipe: it repeats it, renews it, or has nothing to do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.backends import load_backend
from engine.data.membership import RECORDED_ROWS
from engine.environment import Device, detect_device, tool_versions
from engine.errors import EngineError, ExitCode, Problem, RecipeError
from engine.evidence import Repeat, Reproduction, StageRecord, StageStatus
from engine.lock.accepted_run import accepted_of, used_versions
from engine.lock.coherence import contradictions_of_recipe
from engine.lock.file import Accepted, lock_path, read_lock
from engine.lock.input_check import InputCheck, changed_since, device_of_lock
from engine.recipe import moving_references
from engine.recipe.model import Recipe
from engine.recipe.sweeps import methods_of
from engine.recipe.text.paths import as_argument
from engine.store import Artifact, Store
from engine.store.runs import Runs
from engine.values import Value, replace


class LockOptions(Value):
    frozen: bool = False
    """Refuse what the lock does not cover."""
    update: bool = False
    """Go on whatever the lock says, and renew it where the run is accepted."""


PLAIN = LockOptions()
TAKE_BACK = "take the lock back from version control"


class LockPolicy(Value):
    recipe: Recipe
    accepted: Accepted | None
    """None where nothing was accepted yet, or where the lock is renewed."""
    changed: tuple[str, ...]
    """Sections of the recipe that ask for something else than the lock's."""
    options: LockOptions

    @property
    def repeats(self) -> Accepted | None:
        return None if self.changed else self.accepted

    def proved(self, artifacts: Mapping[str, Artifact], device: Device) -> Accepted | None:
        """Return what an accepted run writes into the lock; None where that stays as it is.

        A run that repeats the lock changes nothing of it, but for further seeds that the recipe asks for
        and the lock does not have, where the model is the lock's.
        """
        locked = self.repeats
        known = {seed["seed"] for seed in locked.seeds} if locked else set()
        if locked and not set(self.recipe.method.seeds) - known:
            return None
        found = accepted_of(self.recipe, artifacts, device)
        if locked is None:
            return found
        if (found.adapter, found.files) != (locked.adapter, locked.files):
            return None
        return replace(locked, seeds=found.seeds, spread=found.spread)

    def device(self, found: Device) -> Device:
        """Return the device as the lock's run used it: threads, and precision where it is open."""
        if self.repeats is None:
            return found
        return device_of_lock(found, self.recipe, self.repeats)

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
        """Return how the run compares; None without anything to compare with. `runs` are those before it."""
        if self.accepted is None:
            return None
        from engine.lock import reproduction  # a plan repeats nothing

        if self.changed:
            return reproduction.another_recipe(self.changed)
        # what earlier runs of this user made that repeated nothing
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

        Results of the store are none: nothing was computed, so nothing was reproduced.
        """
        failed = found is not None and found.verdict in (Repeat.NOT, Repeat.REUSED)
        # a code that is there already says more: the gate refused, or a stage failed
        return ExitCode.REFUSED if self.options.frozen and failed and not code else code


def lock_policy(recipe: Recipe, options: LockOptions) -> LockPolicy:
    """Return how a run of the recipe stands to its lock.

    Raises:
        DataError: the lock cannot be read.
        RecipeError: D389, with every reason: `options.frozen`, and the lock does not cover the run.

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
    # a lock that is to be renewed is nothing to be compared with
    return replace(policy, accepted=None, changed=()) if options.update else policy


def lock_line(policy: LockPolicy, sources: Sequence[Mapping[str, Any]]) -> str:
    """Return what a run would make of the lock, for the plan; empty where it holds no accepted run."""
    if policy.accepted is None:
        return ""
    if policy.changed:
        return f"it proves another recipe ({', '.join(policy.changed)} changed since)"
    if wrong := next(contradictions_of_recipe(policy.recipe, policy.accepted), ""):
        return f"its accepted run contradicts itself: {wrong}"
    day = policy.accepted.finished.partition("T")[0]
    pairs = zip(sources, policy.accepted.sources, strict=False)
    local = [(now["sha256"], before["sha256"]) for now, before in pairs if set(now) == {"sha256"}]
    if any(before is not None and now != before for now, before in local):
        return f"the data are not those of the run accepted on {day}: a run stops, unless --update-lock"
    return f"the run is compared with the one accepted on {day}"


def _uncovered(policy: LockPolicy, path: Path) -> Iterator[tuple[str, str, str]]:
    """What the lock does not cover: the problem, its key and what to do."""
    recipe, accepted = policy.recipe, policy.accepted
    for one in moving_references(recipe):
        yield f"it can move: {one.message}", one.path, "pin it: recipe pin RECIPE"
    run = f"recipe run {as_argument(recipe.file)}"
    if accepted is None:
        what = "holds no accepted run" if path.exists() else "is not there"
        yield f"`{path.name}` {what}", "", f"run it without --frozen first: {run}"
        return
    if policy.changed:
        changed = ", ".join(policy.changed)
        hint = f"take back the change, or accept the changed recipe: {run}"
        yield f"`{path.name}` proves another recipe: {changed} changed since", "", hint
    else:
        for wrong in contradictions_of_recipe(recipe, accepted):
            yield f"`{path.name}` contradicts itself: {wrong}", "", TAKE_BACK
    # digests leave the seed out, since another seed is the same recipe; a frozen run has to give
    # the same model
    seed = accepted.recipe["seed"]
    if seed not in [method.seed for method in methods_of(recipe)]:
        message = f"{recipe.method.seed} is not the lock's seed {seed}"
        yield message, "method.seed", f"write `seed: {seed}`"
    asked = recipe.method.seeds
    if further := [one["seed"] for one in accepted.seeds if one["seed"] not in asked]:
        listed = ", ".join(map(str, [*asked, *further]))
        message = f"`{path.name}` has numbers of further seeds, which this run would not train"
        yield message, "method.seeds", f"write `seeds: [{listed}]`"
    now = tool_versions()
    for what in missing_facts(recipe, accepted):
        hint = f"accept it anew: {run} --update-lock"
        yield f"`{path.name}` says nothing of {what}, so it does not cover it", "", hint
    for name, version in accepted.versions.items():
        if now.get(name) != version:
            found = now.get(name) or "is not installed"
            hint = (
                f"use Python {version}" if name == "python" else f"pip install '{name}=={version}'"
            )
            yield f"{name} {found}, the lock has {version}", "", hint
    yield from _uncovered_trainer(recipe, accepted)
    device, locked = policy.device(detect_device()).kind, accepted.hardware.get("device")
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
    unread = [one["name"] for one in accepted.sources if one["sha256"] is None]
    if unread or not accepted.sources:
        yield f"the bytes of {', '.join(unread) or 'any source'}"
    parts = {
        "stages": "the revisions of the engine's stages",
        "hardware": "the machine",
        "merged": "the files of the merged model",
        "files": "the files that leave",
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
