"""Whether the base model has what a method names: its layers, and the modules with a rank of their own.

Asked before training: trainers pass over a module that they do not find, and fail late where a layer is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.backends.options import numbered
from engine.errors import StageError
from engine.files.reading import read_json
from engine.recipe.model import Method
from engine.recipe.text.nearest import nearest

MATRIX = 2


def refuse_unfit(method: Method, base: Path) -> None:
    """StageError X730 for a layer, X731 for a module that the base model in the folder `base` does not have."""
    only = method.train_only
    for key, layers in (("layers", method.layers), ("train_only.layers", only and only.layers)):
        if layers:
            _refuse_layers(numbered(layers), _layer_count(base), path=f"method.{key}")
    if method.ranks:
        _refuse_modules([name for name, _ in method.ranks], base)


def _layer_count(base: Path) -> int | None:
    config = read_json(base / "config.json")
    found = config.get("text_config", config).get("num_hidden_layers", config.get("n_layer"))
    return found if isinstance(found, int) else None


def _refuse_layers(numbers: Sequence[int], count: int | None, *, path: str) -> None:
    # Without the number the trainer says it, when it has loaded the model.
    beyond = [number for number in numbers if count is not None and not -count <= number < count]
    if beyond:
        layers = f"layer {beyond[0]}" if beyond[0] >= 0 else f"the last {-beyond[0]}"
        raise StageError.one(
            "X730",
            f"the base model has {count} layers, and {layers} is asked for",
            path=path,
            hint=f"name layers below {count}, or last_{count} at most",
        )


def _refuse_modules(names: Sequence[str], base: Path) -> None:
    from engine.runtime.models.weights import weight_files  # brings torch

    known = {
        tensor.name.removesuffix(".weight")
        for file in weight_files(base)
        for tensor in file.tensors
        if len(tensor.shape) == MATRIX
    }
    for name in names:
        if not any(f".{one}".endswith(f".{name}") for one in known):
            near = nearest(name, sorted({one.rpartition(".")[2] for one in known}))
            raise StageError.one(
                "X731",
                f"the base model has no module `{name}`, for which a rank is given",
                path=f"method.ranks.{name}",
                hint=f"did you mean `{near}`?" if near else "delete the line",
            )
