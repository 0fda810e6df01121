"""Show what a run would do: which stages are reused, which run and why, which wait for the gate."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.artifacts import results
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
    soft_lines,
    synthesis_lines,
    teacher_lines,
    under,
)
from engine.cli.streams import others_to
from engine.environment import detect_device
from engine.errors import Problem, RecipeError
from engine.estimate.devices import facts_of, named_device, price_of
from engine.estimate.row_tokens import known_rows
from engine.estimate.run import (
    Forecast,
    StageForecast,
    forecast,
    forecast_json,
    further_trainings,
)
from engine.estimate.shape import encoder_downloads, refuse_unfit
from engine.lock.policy import PLAIN, lock_line, lock_policy
from engine.metrics.power_text import PowerEstimates
from engine.pipeline.data_outlook import (
    measured_discordance,
    power_estimates,
    shapes,
    too_few_groups,
)
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
from engine.pipeline.report import describe_method, describe_sweep
from engine.pipeline.requirements import (
    missing_here,
    refuse_moving,
    refuse_outside,
    require_backend,
    require_ranks,
)
from engine.recipe.methods import drawn_note, sizes_in_rows
from engine.recipe.model import FROM_TRAIN, Outside, Recipe, Splits, ValidationSize
from engine.recipe.outside import outside_of
from engine.recipe.references import asked_models
from engine.recipe.sweeps import methods_of, sweep_words, value_words
from engine.recipe.text.compose import dotted
from engine.render.number_format import about, size
from engine.render.progress_display import columns, has_colour
from engine.render.report.sections.data import split_lines
from engine.render.terminal import PlanRow, plan_table
from engine.stages import PRODUCTS, after_of, needs_of
from engine.store import Artifact, Store, Stored
from engine.store.records import Runs
from engine.store.root import foreign_problem
from engine.training.trained_rows import TrainedRows, rows_note
from engine.trust.access import AccessCheck
from engine.trust.hosts import parse_address
from engine.values import to_json

DRAWN = frozenset({"random", "stratified"})
GIVEN_BY_DATA = frozenset({"files", "column"})
"""Ways of dividing where the data say which rows belong to a split."""


def plan(options: argparse.Namespace) -> None:
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
    inputs, runs = collect_inputs(recipe, store, device), Runs(root)
    plan = plan_run(recipe, store, inputs=inputs, previous=runs.payloads(recipe.name))
    stored = {stage.name: stage.reused for stage in plan.stages if stage.reused}
    differ = measured_discordance(plan.recipe, stored)
    power = power_estimates(plan.recipe, counted_data(plan), discordance=differ)
    missing = [] if options.device else [*missing_here(recipe, device)]
    missing += too_few_groups(recipe, power)
    ranks, elsewhere = profile.ranks, bool(options.device)
    require_ranks(recipe, device, ranks)
    found = forecast(plan, store, price=price, elsewhere=elsewhere, ranks=ranks)
    counted = known_rows(found.recipe, store, plan.training_data(store), plan.inputs.base_model)
    outside = outside_of(recipe, AccessCheck(recipe=recipe.file, given=allowed(options)))
    downloads = () if "baseline" in stored else encoder_downloads(recipe, store)
    rows = _rows(plan, found, counted)
    # What stands in the store and was not made here, where this recipe would have used it.
    is_foreign = any(stage.reason.startswith(UNUSABLE[Stored.FOREIGN]) for stage in plan.stages)
    is_foreign = is_foreign or len(runs.of(recipe.name)) != len([*runs.ours(recipe.name)])
    foreign = foreign_problem(root) if is_foreign else None
    not_used = foreign.message if foreign else ""
    data = stored.get("data")
    summary = results.data_summary(data) if data else None
    split_sizes = {one.name: one.rows for one in summary.splits} if summary else {}
    if options.format == "json":
        value = {
            **_json(plan, counted, rows, outside, power),
            "split_sizes": split_sizes,
            "splits": list(split_lines(summary)) if summary else [],
            "store": not_used,
            "estimate": forecast_json(found),
            "downloads": [to_json(one) for one in downloads],
            "refused": [one.headline() for one in missing],
        }
        show_json(value | compute_facts(profile, plan.trained or recipe, counted))
        return
    show_problems(warnings)
    # Where a stored answer ends the run before it trains, nothing is left that takes anything.
    is_over = {"skip"} <= {row.state for row in rows} <= {"reuse", "skip"}
    trained = rows_note(found.recipe, counted) if counted else ""
    sizes = ("size not known" if one.bytes is None else size(one.bytes) for one in downloads)
    fetched = zip(downloads, sizes, strict=True)
    defaults = recipe.method_defaults if options.explain else ()
    no_price = ""
    if options.prices is not None and price is None:
        no_price = f"{options.prices.name} has none for {facts_of(device).name}"
    is_drawn = recipe.splits.validation == FROM_TRAIN
    facts = [
        *under("compute", compute_lines(profile, plan.trained or recipe, counted, found)),
        *under("refused", (f"a run here: {one.headline()}" for one in missing)),
        *(("rows", f"{name}: {shape}") for name, shape in shapes(recipe)),
        *under("trained", [f"{trained} · {found.of}" if trained and found.of else trained]),
        *under("sweep", [sweep_words(recipe.sweep) if recipe.sweep else ""]),
        *under("validation", [drawn_note(recipe.splits.train) if is_drawn else ""]),
        *under("splits", split_lines(summary) if summary else ()),
        *under("holdout", [holdout_line(plan)]),
        *under("store", [not_used]),
        *under("lock", [lock_line(lock, plan.inputs.sources)]),
        *under("outside", _outside(recipe, outside)),
        *under("teacher", [*teacher_lines(plan, store), *soft_lines(plan, store)]),
        *under("synthetic", synthesis_lines(plan, store)),
        *under("download", (f"{one.reference}, {bytes_}" for one, bytes_ in fetched)),
        *([] if is_over else estimate_lines(found, explain=options.explain)),
        *under(
            "method", (f"{one.key}: {value_words(one.value)} ({one.reason})" for one in defaults)
        ),
        *under("power", power.lines),
        *(("waived", f"{one.what}: {one.why}") for one in recipe.waivers),
        *under("price", [no_price]),
    ]
    method = describe_method(plan.trained) if plan.trained else describe_sweep(recipe)
    where = f"{device.precision(recipe.backend.precision)} on {device.kind}"
    rows.append(PlanRow(stage="report", state="run", why="always"))
    shown = plan_table(
        rows,
        title=f"{recipe.name} · {method} · {_sizes(recipe.splits, split_sizes)} · {where}",
        facts=facts,
        closing=". ".join(moving(recipe)),
        colour=has_colour(sys.stdout),
        width=columns(sys.stdout),
    )
    show(shown)


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
    from engine.cli.watch import Console
    from engine.estimate.actuals import probe

    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    # The prices are read afterwards, by the same process.
    confine_run(options, recipe, root, Needs(reads=[options.prices] if options.prices else []))
    log = root / "logs" / f"probe-{os.getpid()}.log"
    with others_to(log) as terminal:
        probe(recipe, root=root, watcher=Console(terminal, quiet=False))


def _rows(plan: Plan, found: Forecast, counted: TrainedRows | None) -> list[PlanRow]:
    rows: list[PlanRow] = []
    known: dict[str, Artifact] = {}
    stop: results.Stop | None = None
    for stage in plan.stages:
        takes = found.stages.get(stage.name, StageForecast())
        state, why, cost = "run", stage.reason, cost_words(takes, _exact(stage, plan, counted))
        if stop is not None:
            state, why, cost = "skip", stop.why, ""
        elif stage.reused is not None:
            age = datetime.now(UTC) - datetime.fromisoformat(stage.reused.created)
            state, why, cost = "reuse", f"built {about(age.total_seconds())} ago", ""
            known[stage.name] = stage.reused
            stop = results.after(stage.name, known, plan.recipe)
        elif _waits(stage.name, plan):
            state = "wait"
            why = " and ".join(_condition(before, plan.recipe) for before in after_of(stage.name))
        rows.append(PlanRow(stage=stage.name, state=state, why=why, cost=cost))
    return rows


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


def _sizes(splits: Splits, counted: Mapping[str, int]) -> str:
    """How large the splits are, counted once the data stage has run, and what says which row belongs where."""
    train, validation = sizes_in_rows(splits.train, splits.validation)
    asked = {"train": train, "validation": validation, "holdout": splits.holdout}
    named: Mapping[str, ValidationSize] = counted or asked
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


def _outside(recipe: Recipe, found: Sequence[Outside]) -> list[str]:
    states = {True: "allowed", False: "not allowed: nothing is read or sent, and a run refuses it"}
    text = [f"{one.reference} ({states[one.allowed]})" for one in found]
    asked = [*recipe.baselines, *(model for _, model in asked_models(recipe))]
    served = [one.endpoint.url for one in asked if one.endpoint]
    here = [url for url in dict.fromkeys(served) if parse_address(url).is_loopback]
    return [*text, *(f"send rows to {parse_address(url).name}, this machine" for url in here)]


def _json(
    plan: Plan,
    counted: TrainedRows | None,
    rows: Sequence[PlanRow],
    outside: Sequence[Outside],
    power: PowerEstimates,
) -> dict[str, object]:
    trained = None
    if counted is not None:
        names = {"train": "train", "validation": "validation", "of": "given"}
        names |= {"counted": "counted", "estimated": "estimated"}
        trained = {key: getattr(counted, name) for key, name in names.items()}
    return {
        "schema": "plan.v1",
        "recipe": plan.recipe.name,
        "rows": [{"source": name, "shape": shape} for name, shape in shapes(plan.recipe)],
        "method_defaults": [to_json(one) for one in plan.recipe.method_defaults],
        "trained": trained,
        "holdout": holdout_line(plan),
        "power": list(power.lines),
        "power_estimates": [to_json(one) for one in power.estimates],
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
            for stage, row in zip(plan.stages, rows, strict=True)
        ],
    }
