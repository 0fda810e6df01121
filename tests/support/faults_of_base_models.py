"""Faults of a base model's weights and settings, and where a run notices them; a part of `support.fault_table`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from support.fault_seeds import noted
from support.project import Project
from support.seeded_faults import (
    DOWN,
    EMBEDDING,
    NORM,
    Fault,
    Patch,
    Prepare,
    Seed,
    base_of,
    fill,
    settings,
    weights,
)

Tensors = dict[str, Any]
Shards = Mapping[str, Tensors]
INDEX = "model.safetensors.index.json"
FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
QUERY = "model.layers.0.self_attn.q_proj"


def in_shards(
    change: Callable[[Shards, dict[str, str]], object], *, keeps_whole: bool = False
) -> Prepare:
    """Write the weights as two files and their index, which `change` may bend."""

    def prepare(project: Project, _: Patch) -> None:
        from safetensors.torch import load_file, save_file

        base = base_of(project)
        whole = base / "model.safetensors"
        tensors = load_file(whole)
        half = sorted(tensors)[: len(tensors) // 2]
        shards: dict[str, Tensors] = {FIRST: {}, SECOND: {}}
        for name, tensor in tensors.items():
            shards[FIRST if name in half else SECOND][name] = tensor.clone()
        index = {name: file for file, part in shards.items() for name in part}
        change(shards, index)
        for file, part in shards.items():
            save_file(part, base / file, metadata={"format": "pt"})
        if not keeps_whole:
            whole.unlink()
        (base / INDEX).write_text(
            json.dumps({"metadata": {}, "weight_map": index}), encoding="utf-8"
        )

    return prepare


def stale(shards: Shards, _: dict[str, str]) -> None:
    """Leave an older form of a tensor in the other file."""
    name = next(iter(shards[FIRST]))
    shards[SECOND][name] = shards[FIRST][name] * 3


def added(name: str, *shape: int) -> Prepare:
    """Put a tensor beside the others."""
    import torch

    return weights(lambda found: found.__setitem__(name, torch.ones(*shape)))


def stored(kind: str) -> Prepare:
    """Store a matrix as another type."""
    import torch

    return weights(
        lambda found: found.__setitem__(DOWN, (found[DOWN] * 100).to(getattr(torch, kind)))
    )


def twin_layers(found: Tensors) -> None:
    """Give the second layer the weights of the first."""
    for name in [one for one in found if ".layers.1." in one]:
        found[name] = found[name.replace(".1.", ".0.")].clone()


def generation(**changes: object) -> Seed:
    """Return a seed of generation_config.json."""
    return noted(settings("generation_config.json", lambda found: found.update(changes)), "X842")


def config(**changes: object) -> Seed:
    """Return a seed of config.json."""
    return noted(settings("config.json", lambda found: found.update(changes)), "X842")


OF_BASE_MODELS: Mapping[str, Fault] = {
    "F51": Fault(
        name="the files of a model contradict each other",
        seeds={
            "an older form of a tensor in another file": Seed(
                prepare=in_shards(stale), code="X843"
            ),
            "a tensor that the index leaves out": Seed(
                prepare=in_shards(lambda _, index: index.pop(DOWN)), code="X843"
            ),
            "an index that names another file": Seed(
                prepare=in_shards(lambda _, index: index.update({min(index): SECOND})), code="X843"
            ),
            "two sets of weights": noted(
                in_shards(lambda shards, _: shards[FIRST][EMBEDDING].mul_(2), keeps_whole=True),
                "X843",
            ),
            "a bias that the configuration does not ask for": Seed(
                prepare=added(f"{QUERY}.bias", 64), code="X843"
            ),
            "a norm that the architecture does not have": Seed(
                prepare=added("model.layers.0.self_attn.q_norm.weight", 16), code="X843"
            ),
            "whole numbers": Seed(prepare=stored("int32"), code="X843"),
            "8 bits without their scale": Seed(prepare=stored("float8_e4m3fn"), code="X843"),
        },
        missed="another number of heads, another base of positions, another activation",
    ),
    "F52": Fault(
        name="settings bend what the model answers",
        seeds={
            "a penalty for repetition": generation(repetition_penalty=5.0),
            "forbidden tokens": generation(suppress_tokens=[2]),
            "a short greatest length": generation(max_length=3),
            "samples that are noise": generation(do_sample=True, temperature=9.0),
            "an end that is an ordinary word": generation(eos_token_id=100),
            "an end that no row stands for": config(eos_token_id=99999),
            "a norm's term that is much too large": config(rms_norm_eps=1.0),
            "half of attention dropped out": config(attention_dropout=0.5),
            "the architecture of a classifier": config(
                architectures=["LlamaForSequenceClassification"]
            ),
        },
    ),
    "F53": Fault(
        name="weights that no training leaves",
        seeds={
            "the end of a turn has the row of its start": Seed(
                prepare=weights(lambda found: found[EMBEDDING].__setitem__(1, found[EMBEDDING][0])),
                code="X845",
            ),
            "the start of a turn has a row of zeros": Seed(
                prepare=fill(EMBEDDING, 0.0, 1), code="X845"
            ),
            "rows of some words are zeros": Seed(
                prepare=fill(EMBEDDING, 0.0, slice(60, 80)), code="X771"
            ),
            "a norm of zeros": Seed(prepare=fill(NORM, 0.0), code="X771"),
            "a layer is there twice": noted(weights(twin_layers), "X845"),
            "a matrix a hundred times as large": noted(
                weights(lambda found: found[DOWN].mul_(100)), "X845"
            ),
            "a matrix of next to nothing": noted(
                weights(lambda found: found[DOWN].mul_(1e-6)), "X845"
            ),
        },
        missed="layers in another order",
    ),
}
