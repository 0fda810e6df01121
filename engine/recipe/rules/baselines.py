"""Rules about baselines: what can answer a kind of task, under which name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.baselines import FITS, kind_and_spec, name_of, written_baselines
from engine.recipe.rules.kinds import KINDS
from engine.recipe.rules.rule import rule
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_LIKELIHOOD_KINDS: Final = ("chat", "text")
_WITHOUT_LIKELIHOOD: Final = {
    "endpoint": "a server does not return",
    "gguf": "is not read from a file here",
}


@rule("task.kind", "baselines")
def baselines_fit_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
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

    Reports and stored answers are told apart by the baseline's name.

    Fix: Give each model a name of its own.

    Wrong:
        baselines:
          - model: {name: larger, path: ../data}
          - ▸model: {name: larger, path: ../data, shots: 4}

    Right:
        baselines:
          - model: {name: larger, path: ../data}
          - model: {name: larger-4-shots, path: ../data, shots: 4}
    """
    kind = filled["task"]["kind"]
    if kind not in KINDS:
        return
    names: list[str] = []
    for position, written in enumerate(written_baselines(filled)):
        at, (way, spec) = ("baselines", position), kind_and_spec(written)
        if way not in FITS:
            continue  # the schema reports it
        if kind not in FITS[way]:
            fitting = [name for name, kinds in FITS.items() if kind in kinds]
            hint = f"baselines of {kind} are {', '.join(fitting)}" if fitting else "delete it"
            yield source.problem("R274", f"{way} cannot answer {kind}", at=at, hint=hint)
        elif spec.get("shots") and kind not in FITS["few_shot"]:
            message = f"{kind} has no answered examples to show"
            yield source.problem("R274", message, at=(*at, way, "shots"), key=True)
        name = name_of(written)
        if name in names or (way == "model" and name in FITS):
            message = f"another baseline is called {show(name)}"
            yield source.problem("R275", message, at=at, hint="give it a name of its own")
        names.append(name)


@rule("task.kind", "baselines")
def models_return_likelihoods(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """Conversations and documents are judged by a likelihood, which not every model returns (R274)."""
    kind = filled["task"]["kind"]
    if kind not in _LIKELIHOOD_KINDS:
        return
    for position, written in enumerate(written_baselines(filled)):
        way, spec = kind_and_spec(written)
        for key, why in _WITHOUT_LIKELIHOOD.items():
            if key in spec:
                message = f"{kind} is judged by a likelihood, which {why}"
                hint = "name a transformers model: hub, path or package"
                at = ("baselines", position, way, key)
                yield source.problem("R274", message, at=at, key=True, hint=hint)
