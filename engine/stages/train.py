"""Train: render the rows, let the backend train them, and believe only what can be checked."""

import shutil

from engine.artifacts.stage import Payload, StageContext
from engine.backends import load_backend
from engine.lock.accepted_run import ranks_facts, write_basis
from engine.recipe.model import Recipe
from engine.training.preflight import check_base_model
from engine.training.rendered import rendered_rows
from engine.training.train import Training, refuse_unready, setting_of, train_rows
from engine.training.trials import WEIGHTS, take, variant
from engine.values import replace, to_json

REVISION = 6
NEEDS = ("data", "synthetic_rows", "training_rows", "replayed_rows", "soft_targets", "compile")
USES = ("base_model", "device")
TOOLS = ("peft", "torch", "transformers")


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        "task": to_json(recipe.task),
        "method": {"max_length": recipe.method.max_length},
        "data": {"checks": {"truncation": recipe.data.checks.truncation}},
        "backend": {
            "name": recipe.backend.name,
            "version": load_backend(recipe.backend.name).version(),
        },
    }


def run(context: StageContext) -> None:
    """Train, or continue it, and write the result.

    EnvironmentProblem B402, B403, B408 to B410, DataError D390 to D392, D414, StageError B411 to B418, B420 to B423.
    """
    from engine.runtime.models.start import facts_beside  # brings torch

    refuse_unready(context)
    context = context.for_training()
    base = context.base_model_folder()
    # Again, for a baseline that is reused from before this was looked at; what was found then is kept.
    check_base_model(context, base)
    config = context.artifacts["compile"].file("config.yaml")
    training = Training(
        rendered=rendered_rows(context, base),
        base=base,
        config=config.read_text(encoding="utf-8"),
        scratch=context.scratch,
        result=context.workdir,
        keeps_checkpoints=True,
    )
    trainer = load_backend(context.recipe.backend.name).packages()
    rows = setting_of(training.rendered, context).train_rows
    together = ranks_facts(context.recipe.method, context.ranks, rows)
    write_basis(context.workdir, base, context.device, trainer, together)
    if (facts := facts_beside(base)) is not None:
        shutil.copyfile(facts, context.workdir / facts.name)
    if context.recipe.sweep is not None:
        # As the sweep has it: its settings are trained with one seed. What it left was trained from these rows by this
        # config: training again would make nothing else.
        method = replace(context.recipe.method, seeds=())
        one = variant(method, context, of="the chosen setting", quiet=True)
        if found := take(one, context.scratch / WEIGHTS):
            shutil.copytree(found, context.workdir, dirs_exist_ok=True)
            context.progress.note("the sweep has trained it: taken from there")
            return
    train_rows(training, context)
