"""Faults of a base model's weights and settings, and where a run notices them; a part of `support.fault_table`."""

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
    both,
    fill,
    settings,
    weights,
)
from support.trained_pico import make_trained_pico

Tensors = dict[str, Any]
Shards = Mapping[str, Tensors]
INDEX = "model.safetensors.index.json"
FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
CONFIG = "config.json"
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


def turned_queries(found: Tensors) -> None:
    """Transpose the queries of the first layer."""
    found[f"{QUERY}.weight"] = found[f"{QUERY}.weight"].T.contiguous()


def as_type(kind: str, name: str, **changes: object) -> Prepare:
    """Call a model by an architecture that reads the same weights, and change what only that one has."""
    given = {"model_type": kind, "architectures": [f"{name}ForCausalLM"], **changes}
    return settings(CONFIG, lambda found: found.update(given))


def exchanged_layers(found: Tensors) -> None:
    """Put two layers in each other's place."""
    for name in [one for one in found if ".layers.0." in one]:
        other = name.replace(".0.", ".1.")
        found[name], found[other] = found[other].clone(), found[name].clone()


def rope(**changes: object) -> Prepare:
    """Return a change of how positions are counted."""
    given = {"rope_type": "default", **changes}
    return settings(CONFIG, lambda found: found.update(rope_parameters=given))


def trained(change: Prepare) -> Prepare:
    """Change a model that has learned something."""
    return both(lambda project, _: make_trained_pico(base_of(project)), change)


def generation(**changes: object) -> Seed:
    """Return a seed of generation_config.json."""
    return noted(settings("generation_config.json", lambda found: found.update(changes)), "X842")


def written(**changes: object) -> Prepare:
    """Return a change of config.json."""
    return settings(CONFIG, lambda found: found.update(changes))


def config(**changes: object) -> Seed:
    """Return a seed of config.json."""
    return noted(written(**changes), "X842")


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
            "a quantization that the weights do not have": noted(
                settings(
                    CONFIG,
                    lambda found: found.update(
                        quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
                    ),
                ),
                "X843",
            ),
        },
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
            "an end that the tokenizer does not have": config(eos_token_id=0),
            "a start that the tokenizer does not have": config(bos_token_id=7),
            "an end of generation that the tokenizer does not have": noted(
                both(
                    settings(CONFIG, lambda found: found.pop("eos_token_id")),
                    settings("generation_config.json", lambda found: found.update(eos_token_id=0)),
                ),
                "X842",
            ),
            "two bases of positions": config(rope_theta=500000.0),
            "two ways to stretch positions": Seed(
                prepare=trained(written(rope_scaling={"type": "linear", "factor": 8.0})),
                code="X846",
            ),
            "a norm's term that is much too large": Seed(
                prepare=trained(written(rms_norm_eps=1.0)), code="X846"
            ),
            "a start that is an ordinary word": noted(
                both(
                    settings(CONFIG, lambda found: found.update(bos_token_id=100)),
                    settings("tokenizer_config.json", lambda found: found.update(bos_token=None)),
                ),
                "X842",
            ),
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
            "a layer is there twice": noted(trained(weights(twin_layers)), "X846"),
            "a matrix a hundred times as large": noted(
                trained(weights(lambda found: found[DOWN].mul_(100))), "X846"
            ),
            "a matrix of next to nothing": noted(
                trained(weights(lambda found: found[DOWN].mul_(1e-6))), "X846"
            ),
        },
        missed="one norm or matrix of a trained model that is drawn anew, where the others make up for it",
    ),
    "F55": Fault(
        name="a trained model is read otherwise than it was trained",
        seeds={
            "a base of positions a tenth as large": Seed(
                prepare=trained(rope(rope_theta=1e3)), code="X846"
            ),
            "a base of positions a hundred times as large": Seed(
                prepare=trained(rope(rope_theta=1e6)), code="X846"
            ),
            "a base of positions that no model has": Seed(
                prepare=trained(rope(rope_theta=10.0)), code="X846"
            ),
            "a window of four tokens": Seed(
                prepare=trained(as_type("mistral", "Mistral", sliding_window=4)), code="X846"
            ),
            "logits that are made smaller": noted(
                trained(
                    as_type("granite", "Granite", attention_multiplier=0.25, logits_scaling=8.0)
                ),
                "X846",
            ),
            "stretched positions": Seed(
                prepare=trained(rope(rope_theta=1e4, rope_type="linear", factor=32.0)), code="X846"
            ),
            "other heads of the same shapes": Seed(
                prepare=trained(
                    settings(
                        CONFIG,
                        lambda found: found.update(
                            num_attention_heads=2, num_key_value_heads=1, head_dim=32
                        ),
                    )
                ),
                code="X846",
            ),
            "the first layer's queries transposed": Seed(
                prepare=trained(weights(turned_queries)), code="transposed"
            ),
            "two layers in each other's place": Seed(
                prepare=trained(weights(exchanged_layers)), code="X846"
            ),
        },
        missed="whatever costs a model less than half of what it knows: two matrices of a layer exchanged, a base of"
        " positions that is a little off, an activation or a type much like its own, noise;"
        " anything of weights that nothing has trained",
    ),
}
