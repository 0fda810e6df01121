"""Rules about baselines: what can answer a kind of task, under which name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.kinds import KINDS
from engine.recipe.baselines import BASELINES, kind_and_spec, name_of, written_baselines
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_SPEAKS_ONLY: Final = {"endpoint": "a server does not tell", "gguf": "is not read from a file here"}


def baselines_fit_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R274, R275: each baseline can answer tasks of the kind, and has a name of its own."""
    kind = KINDS.get(filled["task"]["kind"])
    if kind is None:
        return  # the schema reports it
    names: list[str] = []
    for position, written in enumerate(written_baselines(filled)):
        at, (way, spec) = ("baselines", position), kind_and_spec(written)
        if way not in BASELINES:
            continue  # the schema reports it
        if not kind.can_be_answered_by(way):
            fitting = [name for name in BASELINES if kind.can_be_answered_by(name)]
            hint = f"baselines of {kind.name} are {', '.join(fitting)}" if fitting else "delete it"
            yield source.problem("R274", f"{way} cannot answer {kind.name}", at=at, hint=hint)
        elif spec.get("shots") and not kind.can_be_answered_by("few_shot"):
            message = f"{kind.name} has no answered examples to show"
            yield source.problem("R274", message, at=(*at, way, "shots"), key=True)
        name = name_of(written)
        if name in names or (way == "model" and name in BASELINES):
            message = f"another baseline is called {show(name)}"
            yield source.problem("R275", message, at=at, hint="give it a name of its own")
        names.append(name)


def models_tell_likelihoods(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R274: conversations and documents are judged by a likelihood, which not every model tells."""
    kind = KINDS.get(filled["task"]["kind"])
    if kind is None or not kind.by_likelihood:
        return
    for position, written in enumerate(written_baselines(filled)):
        way, spec = kind_and_spec(written)
        for key, why in _SPEAKS_ONLY.items():
            if key in spec:
                message = f"{kind.name} is judged by a likelihood, which {why}"
                hint = "name a transformers model: hub, path or package"
                at = ("baselines", position, way, key)
                yield source.problem("R274", message, at=at, key=True, hint=hint)
