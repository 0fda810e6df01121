"""Show what a run would do: which stages are reused, which run and why, which wait for the gate."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.artifacts import results
from engine.backends import load_backend
from engine.cli.confinement import Needs, confine_run
from engine.cli.output import (
    allowed,
    compute_of,
    read_recipe,
    show,
    show_json,
    show_problems,
    store_of,
)
from engine.cli.plan_facts import (
    compute_facts,
    compute_lines,
    cost_words,
    estimate_lines,
    power_facts,
    soft_lines,
    synthesis_lines,
    teacher_lines,
    under,
)
from engine.environment import detect_device
from engine.errors import ExitCode, Problem, RecipeError
from engine.estimate.base_model import Download, encoder_downloads, refuse_unfit
from engine.estimate.devices import facts_of, named_device, price_of
from engine.estimate.rows import known_rows
from engine.estimate.run import (
    Forecast,
    StageForecast,
    forecast,
    forecast_json,
    further_trainings,
)
from engine.lock.policy import PLAIN, lock_line, lock_policy
from engine.metrics.power_text import PowerEstimates
from engine.pipeline.data_outlook import shapes
from engine.pipeline.plan import (
    SWEEP,
    UNUSABLE,
    Plan,
    PlannedStage,
    collect_inputs,
    counted_data,
    holdout_line,
    moving,
    plan_run,
)
from engine.pipeline.power import measured_discordance, power_estimates, too_few_groups
from engine.pipeline.preflight import (
    missing_here,
    refuse_moving,
    refuse_outside,
    require_backend,
    require_ranks,
)
from engine.pipeline.report import describe_method, describe_sweep
from engine.recipe.methods import drawn_note, sizes_in_rows
from engine.recipe.model import FROM_TRAIN, Outside, Recipe, ValidationSize
from engine.recipe.outside import outside_of
from engine.recipe.references import asked_models
from engine.recipe.sweeps import methods_of, sweep_words, value_words
from engine.recipe.text.compose import dotted
from engine.render.blocks import Table
from engine.render.number_format import about, size
from engine.render.progress import columns, has_colour
from engine.render.report.sections.data import split_lines
from engine.render.terminal import PlanRow, plan_table
from engine.stages import PRODUCTS, after_of, needs_of
from engine.store import Artifact, Store, Stored
from engine.store.root import foreign_problem
from engine.store.runs import Runs
from engine.training.trained_rows import TrainedRows, replay_words, rows_note
from engine.trust.access import AccessCheck
from engine.trust.hosts import parse_address
from engine.values import to_json

DRAWN = frozenset({"random", "stratified"})
GIVEN_BY_DATA = frozenset({"files", "column"})
"""Ways of dividing where the data say which rows belong to a split."""


def plan(options: argparse.Namespace) -> None:
    """Print the plan; nothing is downloaded and nothing is run."""
    recipe, warnings = read_recipe(options)
    profile = compute_of(options)
    root = store_of(options)
    store, lock = Store(root), lock_policy(recipe, PLAIN)
    refuse_unfit(recipe, store)
    device = named_device(options.device) if options.device else lock.device(detect_device())
    if options.probe:
        _run_probe(options, recipe, warnings, root=root)
    require_backend(recipe, device, until="data")  # what is wrong on every machine
    price = price_of(device, options.prices)
    inputs, previous = collect_inputs(recipe, store, device), Runs(root).payloads(recipe.name)
    plan = plan_run(recipe, store, inputs=inputs, previous=previous)
    stored = {stage.name: stage.reused for stage in plan.stages if stage.reused}
    differ = measured_discordance(plan.recipe, stored)
    power = power_estimates(plan.recipe, counted_data(plan), discordance=differ)
    missing = (
        *(() if options.device else missing_here(recipe, device)),
        *too_few_groups(recipe, power),
    )
    ranks, elsewhere = profile.ranks, bool(options.device)
    require_ranks(recipe, device, ranks)
    found = forecast(plan, store, price=price, elsewhere=elsewhere, ranks=ranks)
    data = plan.training_data(store)
    counted = known_rows(found.recipe, store, data, plan.inputs.base_model)
    outside = outside_of(recipe, AccessCheck(recipe=recipe.file, given=allowed(options)))
    if options.format == "json":
        downloads = [to_json(one) for one in downloads_of(plan, store)]
        shown = _json(plan, found, counted, root=root, outside=outside, power=power)
        shown |= {"downloads": downloads, "refused": [one.headline() for one in missing]}
        show_json(shown | compute_facts(profile, plan.trained or recipe, counted))
        return
    show_problems(warnings)
    rows = _rows(plan, found, counted)
    rows.append(PlanRow(stage="report", state="run", why="always"))
    method = describe_method(plan.trained) if plan.trained else describe_sweep(recipe)
    where = f"{plan.inputs.device.precision(recipe.backend.precision)} on {plan.inputs.device.kind}"
    title = f"{recipe.name} · {method} · {_sizes(plan)} · {where}"
    facts = under("compute", compute_lines(profile, plan.trained or recipe, counted, found))
    facts += under("refused", (f"a run here: {one.headline()}" for one in missing))
    facts += _row_facts(plan, found, counted)
    facts += [("store", text)] if (text := _not_used(plan, root)) else []
    facts += [("lock", text)] if (text := lock_line(lock, plan.inputs.sources)) else []
    facts += under("outside", _outside(recipe, outside))
    facts += under("teacher", [*teacher_lines(plan, store), *soft_lines(plan, store)])
    facts += under("synthetic", synthesis_lines(plan, store))
    for one in downloads_of(plan, store):
        is_first = not any(name == "download" for name, _ in facts)
        known = "size not known" if one.bytes is None else size(one.bytes)
        facts.append(("download" if is_first else "", f"{one.reference}, {known}"))
    # Where a stored answer ends the run before it trains, nothing is left that takes anything.
    is_over = {"skip"} <= {row.state for row in rows[:-1]} <= {"reuse", "skip"}
    facts += [] if is_over else estimate_lines(found, explain=options.explain)
    if options.explain:
        worked_out = recipe.method_defaults
        words = (f"{one.key}: {value_words(one.value)} ({one.reason})" for one in worked_out)
        facts += under("method", words)
    facts += power_facts(power)
    facts += [("waived", f"{one.what}: {one.why}") for one in recipe.waivers]
    if options.prices is not None and price is None:
        facts.append(("price", f"{options.prices.name} has none for {facts_of(device).name}"))
    closing = ". ".join(moving(recipe))
    colour, width = has_colour(sys.stdout), columns(sys.stdout)
    show(plan_table(rows, title=title, facts=facts, closing=closing, colour=colour, width=width))


def _run_probe(
    options: argparse.Namespace, recipe: Recipe, warnings: Sequence[Problem], *, root: Path
) -> None:
    """Run two training steps on this machine, confined. RecipeError R042 for another machine."""
    if options.device:
        raise RecipeError.one(
            "R042",
            f"--probe runs on this machine, not on `{options.device}`",
            hint="leave out --device, or run the command there",
        )
    from engine.cli.streams import others_to  # only trial steps run something
    from engine.cli.watch import Console
    from engine.estimate.probe import probe

    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    # The prices are read afterwards, by the same process.
    confine_run(options, recipe, root, Needs(reads=[options.prices] if options.prices else []))
    log = root / "logs" / f"probe-{os.getpid()}.log"
    with others_to(log) as terminal:
        probe(recipe, root=root, watcher=Console(terminal, quiet=False))


def _row_facts(
    plan: Plan, found: Forecast, counted: TrainedRows | None
) -> list[tuple[str, str | Table]]:
    recipe = plan.recipe
    facts: list[tuple[str, str | Table]] = []
    facts += [("rows", f"{name}: {shape}") for name, shape in shapes(recipe)]
    if counted and (text := rows_note(found.recipe, counted)):
        facts.append(("trained", f"{text} · {found.of}" if found.of else text))
    if text := load_backend(recipe.backend.name).environment_words():
        facts.append(("backend", text))
    facts += [("replay", text)] if (text := replay_words(recipe)) else []
    facts += [("sweep", sweep_words(recipe.sweep))] if recipe.sweep else []
    if recipe.splits.validation == FROM_TRAIN:
        facts.append(("validation", drawn_note(recipe.splits.train)))
    facts += under("splits", _split_lines(plan))
    facts += [("holdout", text)] if (text := holdout_line(plan)) else []
    return facts


def downloads_of(plan: Plan, store: Store) -> tuple[Download, ...]:
    """Return what the baselines of a plan fetch, where they are asked."""
    is_due = plan.stage("baseline").reused is None
    return encoder_downloads(plan.recipe, store) if is_due else ()


def _not_used(plan: Plan, root: Path) -> str:
    """What stands in the store and was not made here, where this recipe would have used it; else nothing."""
    runs = Runs(root)
    is_due = any(stage.reason.startswith(UNUSABLE[Stored.FOREIGN]) for stage in plan.stages)
    if not is_due and len(runs.of(plan.recipe.name)) == sum(1 for _ in runs.ours(plan.recipe.name)):
        return ""
    problem = foreign_problem(root)
    return "" if problem is None else problem.message


def _rows(plan: Plan, found: Forecast, counted: TrainedRows | None) -> list[PlanRow]:
    """One row a stage; what a stored answer already stops is skipped."""
    rows: list[PlanRow] = []
    known: dict[str, Artifact] = {}
    stop: results.Stop | None = None
    for stage in plan.stages:
        takes = found.stages.get(stage.name, StageForecast())
        rows.append(_row(stage, plan, stop, cost_words(takes, _exact(stage, plan, counted))))
        if stage.reused is not None and stop is None:
            known[stage.name] = stage.reused
            stop = results.after(stage.name, known, plan.recipe)
        if stage.name == "data" and not plan.recipe.task.spec.is_measured:
            # `recipe run` would refuse it (R249).
            why = f"{plan.recipe.task.kind} is not evaluated yet: run it with --until data"
            stop = results.Stop(outcome="failed", code=ExitCode.USAGE, why=why)
    return rows


def _row(stage: PlannedStage, plan: Plan, stop: results.Stop | None, cost: str) -> PlanRow:
    if stop is not None:
        return PlanRow(stage=stage.name, state="skip", why=stop.why)
    if stage.reused is not None:
        age = datetime.now(UTC) - datetime.fromisoformat(stage.reused.created)
        why = f"built {about(age.total_seconds())} ago"
        return PlanRow(stage=stage.name, state="reuse", why=why)
    if _waits(stage.name, plan):
        why = " and ".join(_condition(before, plan.recipe) for before in after_of(stage.name))
        return PlanRow(stage=stage.name, state="wait", why=why, cost=cost)
    return PlanRow(stage=stage.name, state="run", why=stage.reason, cost=cost)


def _condition(before: str, recipe: Recipe) -> str:
    if before == "baseline":
        return "if no baseline passes" if recipe.stop_if_baseline_passes else "after baseline"
    if before == "teach":
        stops = recipe.teacher is not None and recipe.teacher.stop_if_teacher_is_no_better
        return "if the teacher is better" if stops else "after teach"
    return f"if the {before} passes"


def _waits(name: str, plan: Plan) -> bool:
    unanswered = any(plan.stage(before).reused is None for before in after_of(name))
    needs = needs_of(name, plan.recipe)
    return unanswered or any(_waits(PRODUCTS.get(need, need), plan) for need in needs)


def _exact(stage: PlannedStage, plan: Plan, counted: TrainedRows | None) -> str:
    if stage.name == "train":
        if plan.takes_swept:
            return "taken from the sweep"
        return "" if counted is None else _steps(plan, counted)
    repeats = {**further_trainings(plan.recipe), "sweep": len(methods_of(plan.recipe))}
    if stage.name in repeats:
        at_most = "up to " if stage.name == SWEEP and plan.was_swept else ""
        times = repeats[stage.name]
        return f"{at_most}{times} training{'' if times == 1 else 's'}"
    export = plan.recipe.export
    has_types = stage.name == "quantize" and export.has_quantized_file
    return ", ".join(export.quantizations) if has_types else ""


def _steps(plan: Plan, counted: TrainedRows) -> str:
    method = (plan.trained or plan.recipe).method
    steps = f"{'about ' if counted.estimated else ''}{counted.steps(method)} steps"
    if method.early_stopping:
        steps = f"at most {steps}"
    if counted.estimated:
        return f"{steps}{counted.before_weights}"
    return steps if counted.counted else f"{steps} before {counted.changes}"


def _split_lines(plan: Plan) -> tuple[str, ...]:
    data = plan.stage("data").reused
    return split_lines(results.data_summary(data)) if data else ()


def _sizes(plan: Plan) -> str:
    """How large the splits are, counted once the data stage has run, and what says which row belongs where."""
    splits = plan.recipe.splits
    train, validation = sizes_in_rows(splits.train, splits.validation)
    asked = {"train": train, "validation": validation, "holdout": splits.holdout}
    named: Mapping[str, ValidationSize] = _counted_sizes(plan) or asked
    rest = "" if splits.by in GIVEN_BY_DATA else "the rest "
    sized = " / ".join(f"{_size(size, rest)}{name}" for name, size in named.items() if size)
    if splits.folds:
        sized = f"{splits.folds} folds of all rows"
    if splits.by in DRAWN:
        return sized
    return f"{sized} by {splits.by}{f' {splits.column}' if splits.column else ''}"


def _size(size: ValidationSize, rest: str) -> str:
    if isinstance(size, float):
        return f"{size:.0%} "
    if size == FROM_TRAIN:
        return "part of train as "
    return rest if size == "all" else f"{size} "


def _counted_sizes(plan: Plan) -> dict[str, int]:
    data = plan.stage("data").reused
    return {one.name: one.rows for one in results.data_summary(data).splits} if data else {}


def _outside(recipe: Recipe, found: Sequence[Outside]) -> list[str]:
    states = {True: "allowed", False: "not allowed: nothing is read or sent, and a run refuses it"}
    text = [f"{one.reference} ({states[one.allowed]})" for one in found]
    asked = [*recipe.baselines, *(model for _, model in asked_models(recipe))]
    served = [one.endpoint.url for one in asked if one.endpoint]
    here = [url for url in dict.fromkeys(served) if parse_address(url).is_loopback]
    return [*text, *(f"send rows to {parse_address(url).name}, this machine" for url in here)]


def _json(
    plan: Plan,
    found: Forecast,
    counted: TrainedRows | None,
    *,
    root: Path,
    outside: Sequence[Outside],
    power: PowerEstimates,
) -> dict[str, object]:
    return {
        "schema": "plan.v1",
        "recipe": plan.recipe.name,
        "rows": [{"source": name, "shape": shape} for name, shape in shapes(plan.recipe)],
        "method_defaults": [to_json(one) for one in plan.recipe.method_defaults],
        "trained": None
        if counted is None
        else {
            "train": counted.train,
            "validation": counted.validation,
            "of": counted.given,
            "counted": counted.counted,
            "estimated": counted.estimated,
        },
        "split_sizes": _counted_sizes(plan),
        "splits": list(_split_lines(plan)),
        "holdout": holdout_line(plan),
        "power": list(power.lines),
        "power_estimates": [to_json(one) for one in power.estimates],
        "store": _not_used(plan, root),
        "outside": [
            {"path": dotted(one.at), "reference": one.reference, "allowed": one.allowed}
            for one in outside
        ],
        "waivers": [{"what": one.what, "why": one.why} for one in plan.recipe.waivers],
        "stages": [
            {
                "stage": stage.name,
                "state": row.state,
                "why": row.why,
                "key": stage.key.digest if stage.key else None,
                "built": stage.reused.created if stage.reused else None,
            }
            for stage, row in zip(plan.stages, _rows(plan, found, counted), strict=True)
        ],
        "estimate": forecast_json(found),
    }
