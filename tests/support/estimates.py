"""A known shape, a method and measurements, for tests of estimates."""

import json
from pathlib import Path
from typing import Any

import yaml

from engine.environment import Device
from engine.estimate.shape import ModelShape, shape_of_config
from engine.recipe import load_recipe
from engine.recipe.model import Recipe

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "tie_word_embeddings": True,
}
"""The shapes of the tests' tiny model."""
Q, KV, MLP = 64 * 64, 64 * 32, 64 * 128
LINEAR = 2 * (2 * Q + 2 * KV + 3 * MLP)
TOTAL = LINEAR + 320 * 64 + 5 * 64
CPU = Device(kind="cpu", name="a CPU", memory_bytes=8_000_000_000, cores=2, bf16=False)


def shape(**changes: Any) -> ModelShape:
    found = shape_of_config({**CONFIG, **changes})
    assert found is not None
    return found


def recipe_in(folder: Path, *, config: dict[str, Any] | None = CONFIG, **method: Any) -> Recipe:
    """A recipe whose base model is a folder with nothing but its config, and 80 rows of 40 characters."""
    (folder / "base").mkdir(exist_ok=True)
    if config is not None:
        (folder / "base" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = [f"{number:040d},{('no', 'yes')[number % 2]}" for number in range(80)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    fields = {
        "recipe": "v1",
        "name": "t",
        "task": {
            "kind": "classification", "instruction": "yes or no?", "input": "{text}",
            "labels": ["no", "yes"],
        },
        "base_model": {"path": "base"},
        "data": {"sources": [{"path": "rows.csv"}], "label": {"column": "label"}},
        "splits": {"by": "random", "train": 40, "validation": 20, "holdout": 20},
        "method": {
            "kind": "lora", "batch_size": 8, "max_length": 64,
            **({"rank": 4} if method.get("kind") != "full" else {}), **method,
        },
        "acceptance": {"metrics": {"macro_f1": {"min": 0.5}}},
        "export": {"formats": ["safetensors"]},
        "backend": {"name": "trl", "precision": "fp32"},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return load_recipe(path)[0]
