"""A model folder with some of another one's layers: tensors renamed, settings cut, nothing computed.

Layers are numbered anew in the names of the tensors, so every program that loads the folder numbers them as it does
those of any other model; a layer that kept its old number would miss its place in the key-value cache.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError
from engine.recipe.references import kept_layers
from engine.runtime.models.weights import weight_files

_LAYER: Final = re.compile(r"^(?P<before>.*?(?:layers|blocks|h)\.)(?P<number>\d+)(?P<rest>\..+)$")
_BETWEEN_LAYERS: Final = ("num_kv_shared_layers", "mlp_only_layers")
"""Settings by which a layer leans on the number of another one."""
_WEIGHTS: Final = (".safetensors", ".safetensors.index.json")


def write_fewer_layers(
    folder: Path, target: Path, keep: str | int | Sequence[int]
) -> dict[str, Any]:
    """Write the model of `folder` with the layers that are kept, and return what was made.

    StageError X741 for a layer that is not there, X742 for a model that cannot be cut so.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    decoder = config.get_text_config()
    count = int(decoder.num_hidden_layers)
    numbers = kept_layers(keep, count)
    leaning = [name for name in _BETWEEN_LAYERS if getattr(decoder, name, None)]
    if leaning:
        raise _uncut(f"`{leaning[0]}` of config.json ties its layers to each other")
    target.mkdir(exist_ok=True)
    before, after = _write_weights(folder, target, numbers, count)
    # Of such a list, such as `layer_types`, each item speaks of one layer.
    for name, value in list(vars(decoder).items()):
        if isinstance(value, list) and len(value) == count:
            setattr(decoder, name, [value[number] for number in numbers])
    decoder.num_hidden_layers = len(numbers)
    config.save_pretrained(target)
    for path in sorted(folder.iterdir()):
        is_own = path.name == "config.json" or path.name.endswith(_WEIGHTS)
        if path.is_file() and not is_own:
            shutil.copyfile(path, target / path.name)
    return {"kept": numbers, "of": count, "parameters": after, "parameters_before": before}


def _write_weights(
    folder: Path, target: Path, numbers: Sequence[int], count: int
) -> tuple[int, int]:
    """Write the tensors of the kept layers and those of none; return how many weights there were and are."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    files = weight_files(folder)
    stem = _stem([one.name for file in files for one in file.tensors], count)
    places = {number: place for place, number in enumerate(numbers)}
    kept: dict[str, Any] = {}
    before = 0
    for file in files:
        with safe_open(file.path, framework="pt") as opened:
            for tensor in file.tensors:
                value = opened.get_tensor(tensor.name)
                before += value.numel()
                name = _renamed(tensor.name, stem, places)
                if name is not None:
                    kept[name] = value
    save_file(dict(sorted(kept.items())), target / "model.safetensors", metadata={"format": "pt"})
    return before, sum(one.numel() for one in kept.values())


def _stem(names: Sequence[str], count: int) -> str:
    """Return how the names of the layers' tensors begin, such as `model.layers.`. StageError X742."""
    found: dict[str, set[int]] = {}
    for match in filter(None, map(_LAYER.match, names)):
        found.setdefault(match["before"], set()).add(int(match["number"]))
    stems = [stem for stem, numbers in found.items() if numbers == set(range(count))]
    # Models that also read images number the layers of two parts.
    stems = [one for one in stems if "vision" not in one and "visual" not in one]
    if len(stems) != 1:
        raise _uncut(f"its tensors do not name {count} layers in one row")
    return stems[0]


def _renamed(name: str, stem: str, places: Mapping[int, int]) -> str | None:
    """Return what a tensor is called in the smaller model; None where its layer is not kept."""
    match = _LAYER.match(name)
    if match is None or match["before"] != stem:
        return name
    place = places.get(int(match["number"]))
    return None if place is None else f"{stem}{place}{match['rest']}"


def _uncut(why: str) -> StageError:
    return StageError.one(
        "X742",
        f"layers of this base model cannot be left out: {why}",
        path="base_model.keep_layers",
        hint="take the key out, or name a model of the usual blocks: Llama, Mistral, Qwen, Gemma",
    )
