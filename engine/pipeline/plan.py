"""The plan: recipe and store in, the stages with keys, states and reasons out. Runs nothing heavy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.artifacts import results
from engine.artifacts.results import data_summary, is_readable
from engine.artifacts.stage import REPLAYED_ROWS, SYNTHETIC_ROWS, TRAINED_ON, TRAINING_ROWS
from engine.backends import load_backend
from engine.environment import Device, version_of
from engine.evidence import DataSummary
from engine.lock.draw import RECORDED, ExpectedDraw, LockMatch, bind_to_lock, inputs_of
from engine.lock.file import Lock, lock_path, read_lock
from engine.lock.previous import PAYLOAD, Previous, find_previous
from engine.recipe import moving_references
from engine.recipe.model import Recipe
from engine.render.label_tables import recorded_line
from engine.runtime.models.base_model import REVISION
from engine.runtime.rendering.key import counts_after_rendering, rendered_key
from engine.sources import Identify, base_model_identity, identity, source_identity
from engine.sources.local import DigestMemory
from engine.stages import PRODUCTS, load_stage, needs_of, references_of, stages_of
from engine.store import Artifact, StageKey, Store, Stored, make_key, product_key
from engine.store.records import AcceptedRun, Runs, accepted_runs
from engine.training.trained_rows import counted_rows, split_rows
from engine.values import Value, replace

FORCED = "forced"
UNKNOWN = "what the new rows do is known after `recipe data`"
UNFINISHED = "its last attempt did not finish"
MAKERS = {"synthesize": SYNTHETIC_ROWS, "teach": TRAINING_ROWS, "replay": REPLAYED_ROWS}
SWEEP = "sweep"

UNUSABLE = {
    Stored.DAMAGED: "its stored files were damaged",
    Stored.FOREIGN: "its stored result was not made here",
}

MOST_CHANGES = 3

KEYED_BY_VLLM = frozenset({"answers_only", "baseline", "evaluate", "resample", "seeds", "sweep"})
"""Stages in whose keys the version of vLLM was: it stays there as None, so that what is stored is found."""
PARTS = ("recipe", "sources", "base_model", "references", "device", "versions", "revision")
"""Parts of a key's payload, in the order in which changes are listed."""


class PlanInputs(Value):
    device: Device
    sources: tuple[Mapping[str, Any], ...]
    base_model: Mapping[str, Any]
    references: Mapping[str, Mapping[str, Any]] = {}
    lock: Lock | None = None
    """The lock beside the recipe when the run began; None where nothing is recorded yet."""
    accepted: tuple[AcceptedRun, ...] = ()
    """The recipe's runs whose model was accepted, newest first."""
    nominal: bool = False
    """Keys are compared with each other and never looked up: rows are as many as the recipe says."""


class PlannedStage(Value):
    name: str
    key: StageKey | None = None
    """None: it depends on rows that have not been counted yet, or on a setting that has not been chosen yet."""
    needs: Mapping[str, str] = {}
    reused: Artifact | None = None
    reason: str = ""
    held: ExpectedDraw | None = None
    """Data: what the lock holds the splits to; None for the other stages."""
    previous: Previous | None = None
    """Gate, and verify where it bounds a drop: the last accepted model, if it is another one; else None."""


class Plan(Value):
    recipe: Recipe
    inputs: PlanInputs
    stages: tuple[PlannedStage, ...]
    trained: Recipe | None = None
    """The recipe with the method that becomes the model; None while a sweep has not chosen it."""
    takes_swept: bool = False
    """Training takes the weights that the sweep makes or has left; without a sweep it never does."""
    was_swept: bool = False
    """A sweep of this recipe ran before: what it judged is not trained again."""

    def stage(self, name: str) -> PlannedStage:
        return next(stage for stage in self.stages if stage.name == name)

    def training_data(self, store: Store) -> Artifact | None:
        stages = {stage.name: stage for stage in self.stages}
        found = training_data(self.recipe, store, stages)
        if found is None and not self.recipe.rows_added_by:
            return stages["data"].reused
        return found


def training_data(
    recipe: Recipe, store: Store, stages: Mapping[str, PlannedStage]
) -> Artifact | None:
    """Return what is trained on, a teacher's rows and replayed text among it; None before it is there."""
    name = maker_of(recipe)
    if name is None:
        return stages["data"].reused
    maker = stages.get(name)
    if maker is None or maker.reused is None or maker.key is None:
        return None
    return store.get(products(name, maker.key)[MAKERS[name]])


def maker_of(recipe: Recipe) -> str | None:
    return next((name for name in MAKERS if name in stages_of(recipe)), None)


def collect_inputs(recipe: Recipe, store: Store, device: Device) -> PlanInputs:
    """Identify the sources and the base model: digests of local files, pins of everything else.

    DataError, RecipeError for a local file that cannot be read, or is not the pinned one, and for such a lock.
    """
    return identified_inputs(
        recipe,
        device,
        partial(identity, memory=DigestMemory(store.root / "digests.json")),
        lock=read_lock(lock_path(recipe.file)),
        accepted=tuple(accepted_runs(Runs(store.root), recipe.name)),
    )


def identified_inputs(
    recipe: Recipe, device: Device, identify: Identify, **known: Any
) -> PlanInputs:
    """Return the inputs of a plan by what `identify` says of each reference; `known` are the other fields."""
    return PlanInputs(
        device=device,
        sources=tuple(source_identity(source, identify) for source in recipe.data.sources),
        # how the engine makes a folder of it, from a GGUF file for one, decides the weights as
        # well
        base_model={**base_model_identity(recipe.base_model, identify), "made": REVISION},
        references={
            name: source_identity(found, identify)
            for stage in stages_of(recipe)
            for name, found in references_of(stage, recipe).items()
        },
        **known,
    )


def plan_run(
    recipe: Recipe,
    store: Store,
    *,
    inputs: PlanInputs,
    previous: Mapping[str, Mapping[str, Any]] | None = None,
    force: Sequence[str] = (),
    until: str | None = None,
) -> Plan:
    """Keys, states and reasons of the recipe's stages, or of those up to one.

    `previous` holds the key payloads of the last run of this recipe, by stage; it only serves the reasons.
    """
    planner = _Planner(recipe, store, inputs, previous or {}, force)
    trained: Recipe | None = recipe
    takes_swept = recipe.sweep is not None
    for name in stages_of(recipe):
        if trained is None:  # after a sweep that has not chosen yet
            planner.stages[name] = PlannedStage(name=name)
        else:
            planner.stages[name] = planner.planned(name)
        if name == SWEEP:
            made = None if name in force else planner.stages[name].reused
            trained = results.trained(recipe, {SWEEP: made}) if made else None
            planner.recipe = trained or recipe
            takes_swept = not made or results.swept_weights({SWEEP: made}, store.root) is not None
        if name == until:
            break
    return Plan(
        recipe=recipe,
        inputs=inputs,
        stages=tuple(planner.stages.values())
        if inputs.nominal
        else tuple(map(planner.explained, planner.stages.values())),
        trained=trained,
        takes_swept=takes_swept,
        was_swept=SWEEP in planner.previous,
    )


def holdout_line(plan: Plan) -> str:
    """The state, now or after the run, of the holdout that the lock records; empty where there is nothing to report."""
    data = plan.stage("data")
    held, is_known = data.held, data.reused is not None
    if held is None or held.match is LockMatch.NEW:
        return ""
    if not is_known and (held.match is not LockMatch.KEPT or held.recorded is None):
        return ""
    summary = counted_data(plan)
    if summary and summary.recorded:
        return recorded_line(summary.recorded)
    return about_holdout(held) if is_known else UNKNOWN


def counted_data(plan: Plan) -> DataSummary | None:
    """Counts of the data stage, or those that it would make of local rows where a lock or groups need them."""
    data = plan.stage("data")
    recorded = data.held.recorded if data.held else None
    if data.reused is not None:
        return data_summary(data.reused)
    if recorded is None and plan.recipe.splits.by != "group":
        return None
    from engine.pipeline.data_outlook import outlook  # only where rows are new

    return outlook(plan.recipe, recorded)


@dataclass(slots=True)
class _Planner:
    recipe: Recipe
    """The recipe with the setting that its sweep chose, once that is known."""
    store: Store
    inputs: PlanInputs
    previous: Mapping[str, Mapping[str, Any]]
    force: Sequence[str]
    stages: dict[str, PlannedStage] = field(default_factory=dict)

    def planned(self, name: str) -> PlannedStage:
        needs = self._needs(name)
        if needs is None:
            return PlannedStage(name=name)
        payload = self._payload(name, needs)
        held = previous = None
        if name == "data":
            held = bind_to_lock(self.recipe, self.inputs.lock, inputs_of(payload))
            # after `inputs_of`, whose digest must not hold the record: it is what the record is
            # looked up by
            payload[RECORDED] = held.digest
        if name == "gate" or (name == "verify" and self.recipe.acceptance.over_previous):
            train, data, lock = self.stages["train"].key, self.stages["data"], self.inputs.lock
            splits = data_summary(data.reused).splits if data.reused else ()
            previous = find_previous(
                self.recipe,
                self.store,
                self.inputs.accepted,
                train=train.digest if train else "",
                locked=lock.accepted if lock else None,
                # empty while the rows are not drawn
                holdout=next((one.digest for one in splits if one.name == "holdout"), ""),
            )
            # in the key, so that a verdict is reached anew once another model has been accepted
            payload[PAYLOAD] = previous.identity() if previous else None
        if name == "verify" and previous is not None and previous.exported is not None:
            payload["exported"] = previous.exported.digest()
        key = make_key(payload)
        found = None if self.inputs.nominal else self.store.get(key.digest)
        # with its inner products that others need
        complete = found and all(map(self.store.get, products(name, key).values()))
        reused = found if found and complete and is_readable(name, found) else None
        return PlannedStage(
            name=name, key=key, needs=needs, reused=reused, held=held, previous=previous
        )

    def explained(self, stage: PlannedStage) -> PlannedStage:
        if stage.name in self.force:
            return replace(stage, reason=FORCED, reused=None)
        if stage.reused is not None:
            return stage
        if stage.key is None:
            sweep, compiled = self.stages.get(SWEEP), self.stages.get("compile")
            why = f"row counts are known after {maker_of(self.recipe) or 'data'}"
            if sweep and (SWEEP in self.force or not sweep.reused):
                why = "the setting is known after the sweep"
            elif compiled and compiled.key is not None:
                why = "how many rows are trained is known after compile"
            return replace(stage, reason=why)
        old, new = self.previous.get(stage.name, {}), stage.key.payload
        changed = [
            line
            for part in (PARTS if stage.name in self.previous else ())
            for line in _differences(part, old.get(part), new.get(part))
        ]
        more = len(changed) - MOST_CHANGES
        changed = [*changed[:MOST_CHANGES], *([f"{more} more changes"] if more > 0 else [])]
        needed = [
            need for need, one in self.stages.items() if need in stage.needs and not one.reused
        ]
        meant = about_holdout(stage.held)
        if stage.held and stage.held.match is LockMatch.REDRAWN:
            # these are named with the redraw
            changed = [line for line in changed if line not in stage.held.changed]
        reason = self._unusable(stage, stage.key) or ", ".join(changed or needed)
        if not reason and (not meant or stage.name not in self.previous):
            reason = self._history(stage, stage.key)
        return replace(stage, reason="; ".join(filter(None, (reason, meant))))

    def _payload(self, name: str, needs: Mapping[str, str]) -> dict[str, Any]:
        stage, inputs = load_stage(name), self.inputs
        uses, tools = getattr(stage, "USES", ()), getattr(stage, "TOOLS", ())
        payload: dict[str, Any] = {
            "stage": name,
            "revision": stage.REVISION,
            "recipe": stage.recipe_slice(self.recipe),
            "needs": dict(needs),
            "versions": {tool: version_of(tool) for tool in tools},
        }
        if name in KEYED_BY_VLLM:
            payload["versions"]["vllm"] = None
        if "sources" in uses:
            payload["sources"] = inputs.sources
        if "base_model" in uses:
            payload["base_model"] = inputs.base_model
        if named := references_of(name, self.recipe):
            payload["references"] = {one: dict(inputs.references[one]) for one in named}
        if "device" in uses:
            # Not the name of the device and not the cores: a store may be shared by machines, and the
            # report names the one that made a result.
            payload["device"] = {
                "kind": inputs.device.kind,
                "precision": inputs.device.precision(self.recipe.backend.precision),
            }
        if "kernels" in uses:
            # Only where there are any: on a CPU the same packages change nothing.
            found = load_backend(self.recipe.backend.name).kernels(inputs.device)
            payload["device"] |= {"kernels": list(found)} if found else {}
        return payload

    def _needs(self, name: str) -> dict[str, str] | None:
        """The keys of what a stage reads; None while one of them is unknown."""
        needs: dict[str, str] = {}
        for need in needs_of(name, self.recipe):
            maker = self.stages[PRODUCTS.get(need, need)]
            if maker.key is None:
                return None
            is_whole = need == maker.name
            needs[need] = maker.key.digest if is_whole else products(maker.name, maker.key)[need]
        if name == "compile" or "compile" in needs:
            late = counts_after_rendering(self.recipe) and not self.inputs.nominal
            text = self._compiled_text(late=late and name != "compile")
            if text is None:
                return None
            # by its bytes: a compiler of another version that writes the same config trains nothing
            # anew
            needs["compile" if "compile" in needs else "config"] = make_key({"config": text}).digest
            if late and name == "compile":
                names = (*TRAINED_ON, "data")
                trained = next(needs[one] for one in names if one in needs)
                rendered = rendered_key(self.recipe, trained, self.inputs.base_model)
                needs["rendered"] = rendered.digest
        return needs

    def _compiled_text(self, *, late: bool) -> str | None:
        """The backend config, which stands in keys by its bytes: a compiler change that leaves them does not retrain.

        `late`: only the tokenizer knows how many rows are trained; `recipe data` or the compile stage has asked it.
        """
        from engine.stages.compile import CONFIG, compile_recipe  # only where a config is due

        made = self.stages["compile"].reused if late else None
        if made is not None:
            return made.file(CONFIG).read_text(encoding="utf-8")
        data, rows = training_data(self.recipe, self.store, self.stages), None
        if not late:
            rows = split_rows(self.recipe, data)
        elif data is not None:
            rows = counted_rows(self.recipe, self.store, data, self.inputs.base_model)
        if rows is None and self.inputs.nominal:
            # its sizes are rows, whatever a model adds to them
            rows = int(self.recipe.splits.train), int(self.recipe.splits.validation)
        if rows is None:
            return None
        train, validation = rows
        return compile_recipe(
            self.recipe, self.inputs.device, train_rows=train, validation_rows=validation
        ).text

    def _unusable(self, stage: PlannedStage, key: StageKey) -> str:
        """Why what stands at the place of a key is not reused; empty where nothing stands there."""
        stored = [
            self.store.stored(one) for one in (key.digest, *products(stage.name, key).values())
        ]
        found = next((one for one in stored if one not in (Stored.WHOLE, Stored.ABSENT)), None)
        if found is not None:
            return UNUSABLE[found]
        made = self.store.get(key.digest)
        return UNUSABLE[Stored.DAMAGED] if made and not is_readable(stage.name, made) else ""

    def _history(self, stage: PlannedStage, key: StageKey) -> str:
        old, new = self.previous.get(stage.name), key.payload
        if old is not None and old.get("needs") != new["needs"]:
            config = "config" in stage.needs
            return "the compiled config changed" if config else "what it reads changed"
        if old is not None and old.get(RECORDED) != new.get(RECORDED):
            return "the lock changed"
        if old is not None and old.get(PAYLOAD) != new.get(PAYLOAD):
            return "another model was accepted since"
        begun = self.store.has_scratch(key.digest)
        return UNFINISHED if begun or old is not None else "never built"


def products(name: str, key: StageKey) -> dict[str, str]:
    return {
        product: product_key(product, {maker: key.digest}).digest
        for product, maker in PRODUCTS.items()
        if maker == name
    }


def about_holdout(held: ExpectedDraw | None) -> str:
    if held is None:
        return ""
    if held.match is LockMatch.REDRAWN:
        return f"the holdout is redrawn: {', '.join(held.changed)}"
    return "the recorded holdout keeps its rows" if held.match is LockMatch.KEPT else ""


def _differences(path: str, old: Any, new: Any) -> list[str]:
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in _differences(
                key if path == "recipe" else f"{path}.{key}", old.get(key), new.get(key)
            )
        ]
    if path == "sources":
        return ["a data source changed"]
    if isinstance(old, Mapping | list) or isinstance(new, Mapping | list):
        return [f"{path} changed"]
    # Longer ones are digests or sentences.
    texts = (str(value) for value in (old, new))
    before, after = (text if len(text) <= 24 else f"{text[:12]}…" for text in texts)
    return [f"{path} {before} -> {after}"]


def moving(recipe: Recipe) -> tuple[str, ...]:
    """Unpinned parts of the recipe, in words for the plan and the report."""
    return tuple(f"{problem.path}: {problem.message}" for problem in moving_references(recipe))
