"""Compile the recipe for its backend: pure, so that plans and reviews see exactly what will be trained."""

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.backends import load_backend
from engine.backends.base import BackendConfig, CompileInputs
from engine.environment import Device
from engine.recipe.methods import method_slice
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import counts_after_rendering
from engine.training.rendered import rendered_rows
from engine.training.train import setting_of
from engine.training.trained_rows import split_rows
from engine.values import replace, to_json

REVISION = 1
NEEDS = ("data", "synthetic_rows", "training_rows", "replayed_rows")
USES = ("device", "kernels")

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        # the config is that of the first seed; further ones are compiled by themselves
        "method": method_slice(replace(recipe.method, seeds=())),
        "backend": {
            "name": recipe.backend.name,
            "version": load_backend(recipe.backend.name).version(),
            "precision": recipe.backend.precision,
            "overrides": [list(pair) for pair in sorted(recipe.backend.overrides)],
        },
    }


def run(context: StageContext) -> None:
    train, validation = trained_rows(context.for_training())
    config = compile_recipe(
        context.recipe, context.device, train_rows=train, validation_rows=validation
    )
    (context.workdir / CONFIG).write_text(config.text, encoding="utf-8")
    write_json(context.workdir / PROVENANCE, [to_json(line) for line in config.lines])


def compile_recipe(
    recipe: Recipe, device: Device, *, train_rows: int, validation_rows: int
) -> BackendConfig:
    """Return the backend config of a recipe on a device; pure and light. RecipeError B40x."""
    backend = load_backend(recipe.backend.name)
    setting = CompileInputs(
        device=device,
        precision=device.precision(recipe.backend.precision),
        train_rows=train_rows,
        validation_rows=validation_rows,
        kernels=backend.kernels(device),
    )
    return backend.compile(recipe, setting)


def trained_rows(context: StageContext) -> tuple[int, int]:
    """Return how many rows of train and validation are trained. DataError, StageError as `rendered_rows`."""
    if not counts_after_rendering(context.recipe):
        rows = split_rows(context.recipe, context.artifacts["data"])
        if rows is None:
            raise AssertionError(context.recipe.name)  # the data stage has counted them
        return rows

    base = context.base_model_folder()
    setting = setting_of(rendered_rows(context, base, quiet=True), context)
    return setting.train_rows, setting.validation_rows
