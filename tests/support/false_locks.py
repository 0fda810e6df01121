"""Locks whose accepted run says something that is not so."""

import base64
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]
LOCK = "recipe.lock.json"


def put(path: str, value: Any) -> Callable[[Facts], None]:
    """Set what stands at a path; `...` takes it out, a function is given what stands there."""

    def change(facts: Facts) -> None:
        *parents, last = (part.replace("~", "/") for part in path.split("/"))
        node = facts
        for part in parents:
            node = node[int(part) if isinstance(node, list) else part]
        if value is ...:
            del node[last]
        else:
            node[last] = value(node[last]) if callable(value) else value

    return change


def first_answer_other(entries: str) -> str:
    whole = bytearray(base64.b64decode(entries))
    whole[0] ^= 1
    return base64.b64encode(whole).decode()


OTHER = "0" * 64
FALSE: dict[str, tuple[Callable[[Facts], None], str]] = {
    "better value": (put("metrics/macro_f1/value", lambda old: old + 0.01), "metrics.macro_f1"),
    "better value and interval": (
        put("metrics/macro_f1", {"value": 0.99, "low": 0.97, "high": 1.0, "n": 40}),
        "metrics.macro_f1",
    ),
    "a metric of probabilities": (put("metrics/ece/value", 0.0), "ece"),
    "higher end": (put("metrics/macro_f1/high", 1.0), "interval of macro_f1"),
    "lower end": (put("metrics/macro_f1/low", 0.011), "interval of macro_f1"),
    "outside of its interval": (put("metrics/accuracy/low", 0.999), "outside of its interval"),
    "below the bound": (put("metrics/macro_f1/low", 0.001), "at least 0.01"),
    "rows of a metric": (put("metrics/macro_f1/n", 4000), "rows of macro_f1"),
    "a metric taken out": (put("metrics/accuracy", ...), "accuracy"),
    "the bounded metric taken out": (put("metrics/macro_f1", ...), "`metrics` has no `macro_f1`"),
    "a metric made up": (
        put("metrics/mmlu", {"value": 1.0, "low": None, "high": None, "n": 9}),
        "mmlu",
    ),
    "gate": (put("verdicts/gate", "fail"), '`verdicts.gate` is "fail"'),
    "no gate": (put("verdicts/gate", ...), "`verdicts.gate` is null"),
    "verify": (put("verdicts/verify", "inconclusive"), "verdicts.verify"),
    "no verify": (put("verdicts/verify", ...), "verdict of verify"),
    "rows": (put("rows", 139), "fingerprints"),
    "rows without fingerprints": (
        lambda facts: facts.update(rows=5000, fingerprints=None),
        "rows is 5000",
    ),
    "source": (put("sources/0/name", "others.csv"), "sources"),
    "holdout": (put("splits/holdout", OTHER), "holdout rows"),
    "train": (put("splits/train", OTHER), "train rows"),
    "config": (put("config", OTHER), "backend config"),
    "precision": (put("precision", "bf16"), "precision"),
    "threads": (put("threads", 99), "threads"),
    "hardware": (put("hardware/cores", 512), "cores"),
    "processes": (put("hardware/world", {"processes": 8}), "processes"),
    "version": (put("versions/torch", "1.0.0"), "torch"),
    "base model": (put("base_model/files/config.json", OTHER), "config.json"),
    "reference": (put("base_model/reference/path", "elsewhere"), "reference"),
    "seed": (put("recipe/seed", 8), "method.seed"),
    "an answer": (put("answers/entries", first_answer_other), ""),
    "fewer answers": (put("answers/rows", 39), "answers.entries"),
    "no answers": (put("answers", {"way": "answers", "rows": 0, "entries": ""}), "answers"),
    "predictions": (put("predictions/holdout", OTHER), "answers of holdout"),
    "merged predictions": (put("predictions/merged", ...), "answers of merged"),
    "adapter": (put("adapter/adapter~adapter_model.safetensors", OTHER), "adapter_model"),
    "no adapter": (put("adapter", {}), "`adapter` is empty"),
    "a file": (put("files/model-Q4_K_M.gguf", OTHER), "model-Q4_K_M.gguf"),
    "no file": (put("files/model-Q4_K_M.gguf", ...), "model-Q4_K_M.gguf"),
    "no digest": (put("files/model-Q4_K_M.gguf", "abc"), "is no sha256"),
    "merged": (put("merged", {}), "merged"),
    "seeds made up": (
        put("seeds", [{"seed": 8, "agreement": 1.0, "metrics": {"macro_f1": 1.0}}]),
        "`spread` is empty in spite of 1 further seeds",
    ),
    "spread made up": (
        put("spread", {"macro_f1": {"mean": 1.0, "deviation": 0.0}}),
        "the mean of its seeds gives null",
    ),
    "no versions": (put("versions", {}), "torch"),
    "no hardware": (put("hardware", {}), "hardware device"),
    "no base model": (put("base_model/files", {}), "base model files"),
    "no fingerprints": (put("fingerprints", None), "data fingerprints"),
    "revision of a stage": (put("stages/train", 99), "revision of train"),
    "finished": (put("finished", "2999-01-01T00:00:00+00:00"), "in the future"),
}
