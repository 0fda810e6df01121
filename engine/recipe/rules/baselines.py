"""Rules about baselines: what can answer a kind of task, under which name."""

from __future__ import annotations

from typing import Final

from engine.kinds import KINDS
from engine.recipe.baselines import BASELINES, kind_and_spec, name_of, written_baselines
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_WITHOUT_LIKELIHOOD: Final = {
    "endpoint": "a server does not return",
    "gguf": "is not read from a file here",
}


@rule("task.kind", "baselines")
def baselines_fit_the_kind(recipe: FilledText) -> Problems:
    """R274: a baseline that cannot answer this kind of task.

    A linear SVM says labels, and nothing but a language model has a perplexity: on another kind of task the
    baseline would have nothing to say.

    Fix: Take it out of `baselines`, or leave `baselines` out for those of the kind.

    Wrong:
        task:
          kind: generation
        baselines: [majority, ▸tfidf_svm, zero_shot]

    Right:
        task:
          kind: generation
        baselines: [majority, zero_shot]

    R275: two baselines of one name.

    Reports and stored answers are distinguished by the baseline's name.

    Fix: Give each model, or each of several encoders, a name of its own.

    Wrong:
        baselines:
          - model: {name: larger, path: ../data}
          - ▸model: {name: larger, path: ../data, shots: 4}

    Right:
        baselines:
          - model: {name: larger, path: ../data}
          - model: {name: larger-4-shots, path: ../data, shots: 4}
    """
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None:
        return  # the schema reports it
    names: list[str] = []
    for position, written in enumerate(written_baselines(recipe.filled)):
        at, (way, spec) = ("baselines", position), kind_and_spec(written)
        if way not in BASELINES:
            continue  # the schema reports it
        if not kind.can_be_answered_by(way):
            fitting = [name for name in BASELINES if kind.can_be_answered_by(name)]
            hint = f"baselines of {kind.name} are {', '.join(fitting)}" if fitting else "delete it"
            yield recipe.problem("R274", f"{way} cannot answer {kind.name}", at=at, hint=hint)
        elif spec.get("shots") and not kind.can_be_answered_by("few_shot"):
            message = f"{kind.name} has no answered examples to show"
            yield recipe.problem("R274", message, at=(*at, way, "shots"), key=True)
        name = name_of(written)
        # A model called `majority` would share its place in reports with the baseline of that name.
        is_chosen = name != way or way == "model"
        if name in names or (is_chosen and name in BASELINES):
            message = f"another baseline is called {show(name)}"
            yield recipe.problem("R275", message, at=at, hint="give it a name of its own")
        names.append(name)


@rule("task.kind", "baselines")
def models_return_likelihoods(recipe: FilledText) -> Problems:
    """Conversations and documents are judged by a likelihood, which not every model returns (R274)."""
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or not kind.by_likelihood:
        return
    for position, written in enumerate(written_baselines(recipe.filled)):
        way, spec = kind_and_spec(written)
        for key, why in _WITHOUT_LIKELIHOOD.items():
            if key in spec:
                message = f"{kind.name} is judged by a likelihood, which {why}"
                hint = "name a transformers model: hub, path or package"
                at = ("baselines", position, way, key)
                yield recipe.problem("R274", message, at=at, key=True, hint=hint)
