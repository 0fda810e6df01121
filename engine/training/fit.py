"""Whether the base model has what a method names: its layers, and its modules.

Asked before training: trainers pass over a module that they do not find, and fail late where a layer is missing. A plan
asks it of what is known of the base model (`engine.estimate.base_model`), training of the weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.backends.options import numbered
from engine.errors import Problem, StageError
from engine.files.reading import read_json
from engine.recipe.model import Method
from engine.recipe.text.nearest import nearest

MATRIX = 2
TRANSPOSED = ("gpt2", "openai-gpt")
"""Models whose matrices transformers holds with inputs first: the merge does not know an adapter beside these."""


def refuse_unfit(method: Method, base: Path) -> None:
    """Refuse what the base model in the folder `base` does not have, or cannot have beside it.

    StageError X621 for an adapter that could not be merged, X730 for layers, X731 for modules.
    """
    found = [*_unmerged(method, base), *_lacking_layers(method, _layer_count(base))]
    if _named(method):
        found += _lacking_modules(method, _modules(base))
    if found:
        raise StageError(found)


def _unmerged(method: Method, base: Path) -> Iterator[Problem]:
    kind = read_json(base / "config.json").get("model_type")
    if method.kind != "full" and kind in TRANSPOSED:
        yield Problem(
            code="X621",
            message=f"the matrices of a {kind} lie transposed, and no adapter beside them can be merged",
            path="method.kind",
            hint="set method.kind: full, or take another base model",
        )


def unfit(method: Method, *, layers: int | None, modules: Iterable[str]) -> Iterator[Problem]:
    """Yield X730 and X731 of a base model of so many layers, with matrices whose names end so; none for no names."""
    yield from _lacking_layers(method, layers)
    if known := frozenset(modules):
        yield from _lacking_modules(method, known)


def _lacking_layers(method: Method, count: int | None) -> Iterator[Problem]:
    only = method.train_only
    for key, layers in (("layers", method.layers), ("train_only.layers", only and only.layers)):
        numbers = numbered(layers) if layers else ()
        # Without the number the trainer says it, when it has loaded the model.
        beyond = [one for one in numbers if count is not None and not -count <= one < count]
        if beyond:
            asked = f"layer {beyond[0]}" if beyond[0] >= 0 else f"the last {-beyond[0]}"
            yield Problem(
                code="X730",
                message=f"the base model has {count} layers, and {asked} is asked for",
                path=f"method.{key}",
                hint=f"name layers below {count}, or last_{count} at most",
            )


def _layer_count(base: Path) -> int | None:
    config = read_json(base / "config.json")
    inner = config.get("text_config")
    named = inner if isinstance(inner, dict) else config
    found = named.get("num_hidden_layers", config.get("n_layer"))
    return found if isinstance(found, int) else None


def _modules(base: Path) -> frozenset[str]:
    from engine.runtime.models.weights import weight_files  # brings torch

    return frozenset(
        tensor.name.removesuffix(".weight")
        for file in weight_files(base)
        for tensor in file.tensors
        if len(tensor.shape) == MATRIX
    )


def _lacking_modules(method: Method, known: frozenset[str]) -> Iterator[Problem]:
    whole = any("." in one for one in known)
    for at, name in _named(method):
        # Of what has no full names the last part alone can be looked up.
        wanted = name if whole else name.rpartition(".")[2]
        if not any(f".{one}".endswith(f".{wanted}") for one in known):
            near = nearest(name, sorted({one.rpartition(".")[2] for one in known}))
            yield Problem(
                code="X731",
                message=f"the base model has no module `{name}`",
                path=at,
                hint=f"did you mean `{near}`?" if near else "delete it",
            )


def _named(method: Method) -> list[tuple[str, str]]:
    """Return the modules that a method names, each after where it does."""
    targets = () if isinstance(method.target_modules, str) else method.target_modules
    return [("method.target_modules", one) for one in targets] + [
        (f"method.ranks.{name}", name) for name, _ in method.ranks
    ]
