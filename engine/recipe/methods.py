"""`method` as it is written to a `Method`: the four defaults that depend on other keys. Light.

A setting of a sweep is a written method too, so what is worked out from a rank follows the rank that is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.recipe.model import EarlyStopping, Method

ADAPTER_KEYS: Final = ("rank", "alpha", "dropout", "target_modules")
"""Keys that full training has no use for."""


def method_of(written: Mapping[str, Any], *, has_validation: bool) -> Method:
    """Return the method that a checked section, with the schema's defaults filled in, stands for."""
    is_full = written["kind"] == "full"
    rank = 0 if is_full else int(written["rank"])
    targets: Any = written["target_modules"]
    stopping = written.get("early_stopping")
    return Method(
        kind=written["kind"],
        rank=rank,
        alpha=0 if is_full else int(written.get("alpha", 2 * rank)),
        dropout=0.0 if is_full else float(written["dropout"]),
        target_modules=tuple(targets) if isinstance(targets, list) else targets,
        epochs=float(written["epochs"]),
        learning_rate=float(written.get("learning_rate", 2e-5 if is_full else 2e-4)),
        scheduler=written["scheduler"],
        warmup_ratio=float(written["warmup_ratio"]),
        weight_decay=float(written["weight_decay"]),
        batch_size=int(written["batch_size"]),
        micro_batch_size=int(written.get("micro_batch_size", written["batch_size"])),
        max_length=int(written["max_length"]),
        evaluations_per_epoch=int(written["evaluations_per_epoch"]),
        early_stopping=None
        if stopping is None
        else EarlyStopping(patience=int(stopping["patience"])),
        keep=written.get("keep", "best" if has_validation else "last"),
        gradient_checkpointing=written["gradient_checkpointing"],
        seed=int(written["seed"]),
        seeds=tuple(int(seed) for seed in written["seeds"]),
    )


def method_mapping(method: Method) -> dict[str, Any]:
    """Return a method as the mapping its section would hold, every default explicit, in the schema's order."""
    targets, stopping = method.target_modules, method.early_stopping
    adapter = {
        "rank": method.rank,
        "alpha": method.alpha,
        "dropout": method.dropout,
        "target_modules": targets if isinstance(targets, str) else list(targets),
    }
    return {
        "kind": method.kind,
        **({} if method.kind == "full" else adapter),
        "epochs": method.epochs,
        "learning_rate": method.learning_rate,
        "scheduler": method.scheduler,
        "warmup_ratio": method.warmup_ratio,
        "weight_decay": method.weight_decay,
        "batch_size": method.batch_size,
        "micro_batch_size": method.micro_batch_size,
        "max_length": method.max_length,
        "evaluations_per_epoch": method.evaluations_per_epoch,
        **({} if stopping is None else {"early_stopping": {"patience": stopping.patience}}),
        "keep": method.keep,
        "gradient_checkpointing": method.gradient_checkpointing,
        "seed": method.seed,
        "seeds": list(method.seeds),
    }
