"""What training takes by the estimator, of the models of docs/base-models.json; the page on base models shows it.

    python benchmarks/base_models.py

Nothing is fetched or trained: shapes are those of the models' config.json, which the file holds. The CPU's times are of
the machine that computes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.environment import Device, detect_device
from engine.estimate.devices import named_device
from engine.estimate.row_tokens import Workload
from engine.estimate.run import bits
from engine.estimate.shape import shape_of_config
from engine.estimate.training import Known, estimate_from
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace

FILE = Path(__file__).parents[1] / "docs" / "base-models.json"
RECIPE = Path(__file__).parents[1] / "recipes" / "quickstart.yaml"
ROWS, TOKENS = 1000, 128
"""Of training; a fifth as many validate. Two epochs, as in the quickstart; rows share no beginning."""
DEVICES = {"8 GB": "rtx-4060", "24 GB": "rtx-4090"}


def workload() -> Workload:
    """Rows that are all alike."""
    return Workload(
        train_rows=ROWS,
        validation_rows=ROWS // 5,
        train=((TOKENS, ROWS),),
        validation=((TOKENS, ROWS // 5),),
        exact=True,
        source="made up",
    )


def estimated(recipe: Recipe, kind: str, config: dict[str, Any], device: Device) -> dict[str, Any]:
    """Memory and time of one training."""
    on_gpu = device.kind == "cuda"
    method = replace(
        recipe.method,
        kind=kind,
        micro_batch_size=2,
        gradient_checkpointing=on_gpu,
    )
    known = Known(shape=shape_of_config(config), workload=workload())
    found = estimate_from(replace(recipe, method=method), device, known)
    return {"memory_bytes": found.memory_bytes, "seconds": found.seconds, "fits": found.fits}


def main() -> None:
    """Write the figures beside each model."""
    recipe, cpu = load_recipe(RECIPE)[0], detect_device()
    table = json.loads(FILE.read_text("utf-8"))
    table["cpu"] = f"{cpu.cores} cores of an {cpu.name}"
    for model in table["models"]:
        shape = shape_of_config(model["config"])
        if shape is None:
            raise SystemExit(model["name"])
        model["parameters"] = shape.total_parameters
        model["file_bytes"] = round(shape.total_parameters * bits("Q4_K_M", shape) / 8)
        found = {"cpu lora": estimated(recipe, "lora", model["config"], cpu)}
        for name, device in DEVICES.items():
            for kind in ("lora", "qlora"):
                found[f"{name} {kind}"] = estimated(
                    recipe, kind, model["config"], named_device(device)
                )
        model["estimated"] = found
    FILE.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
