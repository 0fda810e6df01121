"""The config of a backend, or the file of a job that runs the recipe."""

import argparse

from engine.cli.output import (
    compute_of,
    read_recipe,
    refuse_taken,
    show,
    show_json,
    show_problems,
    store_of,
    write_file,
)
from engine.cli.terminal import write_error
from engine.compute.profile import HANDED_IN, SLURM, ComputeProfile
from engine.environment import detect_device
from engine.errors import RecipeError
from engine.estimate.row_tokens import known_rows
from engine.files.writing import COMPILED
from engine.pipeline.plan import Plan, collect_inputs, plan_run
from engine.recipe.model import Recipe
from engine.recipe.sweeps import named, setting_words, settled, values_of
from engine.recipe.text.paths import as_typed
from engine.stages.compile import compile_recipe
from engine.store import Store
from engine.training.trained_rows import rows_note


def compile_(options: argparse.Namespace) -> None:
    recipe, warnings = read_recipe(options)
    show_problems(warnings)
    profile = compute_of(options)
    if profile.engine == SLURM or profile.engine in HANDED_IN:
        _compile_job(options, recipe, profile)
        return
    store = Store(store_of(options))
    device, of = detect_device(), ""
    rows = known_rows(recipe, store, None, {})
    # Only a plan knows what the data stage counted, and which setting a sweep chose.
    if rows is None or not rows.counted or recipe.sweep:
        inputs = collect_inputs(recipe, store, device)
        plan = plan_run(recipe, store, inputs=inputs)
        recipe, of = _one_method(plan)
        rows = known_rows(recipe, store, plan.training_data(store), inputs.base_model)
    if rows is None:
        maker, path = recipe.rows_added_by, "splits"
        message = "split sizes are fractions, and the rows have not been counted yet"
        if maker:
            message = f"how many rows {maker} adds has not been counted yet"
            path = "data.synthesize" if recipe.data.synthesize else "teacher"
        hint = f"recipe run {as_typed(options.recipe)} --until {maker or 'data'}"
        raise RecipeError.one("R007", message, path=path, hint=hint)
    config = compile_recipe(recipe, device, train_rows=rows.train, validation_rows=rows.validation)
    of = "; ".join(filter(None, (of, rows_note(recipe, rows))))
    if of:
        # Not to stdout, where the config may go on into a file.
        write_error(f"{of}\n")
    lines = [{"key": line.key, "value": line.value, "origin": line.origin} for line in config.lines]
    if options.format == "json":
        found = {"schema": "compiled.v1", "backend": recipe.backend.name, "setting": of}
        show_json({**found, "lines": lines})
    elif options.output:
        refuse_taken(options.output / "config.yaml", mark=COMPILED)
        write_file(options.output / "config.yaml", config.text)
        show(f"wrote {options.output / 'config.yaml'}")
    elif options.explain:
        width = max(len(str(line["key"])) for line in lines)
        show("\n".join(f"{line['key']:<{width}}  {line['origin']}" for line in lines))
    else:
        show(config.text)


def _compile_job(options: argparse.Namespace, recipe: Recipe, profile: ComputeProfile) -> None:
    from engine.cli.jobs import job_of, job_text

    allowed = [
        word
        for name in ("read", "host", "key")
        for given in getattr(options, f"allow_{name}")
        for word in (f"--allow-{name}", given)
    ]
    store = ["--store", options.store] if options.store else []
    words = [str(options.recipe), *store, *allowed]
    text = job_text(job_of(recipe, profile, words, store_of(options)))
    if options.format == "json":
        show_json({"schema": "job.v1", "engine": profile.engine, "text": text})
    elif options.output:
        name = f"job.{'sh' if profile.engine == SLURM else 'yaml'}"
        refuse_taken(options.output / name, mark=COMPILED)
        write_file(options.output / name, text)
        show(f"wrote {options.output / name}")
    else:
        show(text)


def _one_method(plan: Plan) -> tuple[Recipe, str]:
    sweep, method = plan.recipe.sweep, plan.recipe.method
    if sweep is None:
        return plan.recipe, ""
    found = plan.trained or settled(plan.recipe, 0)
    which = f"setting 1 of {len(sweep.settings)}; which one is chosen is known after the sweep"
    if plan.trained:
        which = "the setting that the sweep chose"
    words = setting_words(values_of(found.method, named(sweep, method)))
    return found, f"compiled is {which}: {words}"
