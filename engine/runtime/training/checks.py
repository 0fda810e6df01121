"""Trained weights judged before anyone uses them: every number finite, and something learned."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import safe_open

from engine.errors import StageError
from engine.files.reading import read_json
from engine.runtime.models.adapter_scale import scale_of

LORA_A, LORA_B = ".lora_A.", ".lora_B."
LENGTHS = ".lora_magnitude_vector"


def adapter_norm(adapter: Path, *, flowed: bool = True) -> float:
    """Return the Frobenius norm over all deltas `scale * B * A`, in 32 bits, none of them formed.

    Lengths of rows that DoRA trains besides are not in it. `flowed`: some gradient was not zero while it trained.

    Uses |BA|^2 = tr((B'B)(AA')), both of size rank by rank. StageError: B415 a weight is not
    finite, B416 nothing was learned, B417 a tensor without its partner.
    """
    config = read_json(adapter / "adapter_config.json")
    totals: dict[float, float] = {}
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
        names = set(file.keys())
        pairs = [(name, name.replace(LORA_A, LORA_B)) for name in sorted(names) if LORA_A in name]
        lengths = {name.replace(f"{LORA_A}weight", LENGTHS) for name, _ in pairs}
        lengths = lengths if config.get("use_dora") else set()
        _refuse_strangers(names, pairs, lengths)
        for name in sorted(lengths):
            _refuse_nonfinite(file.get_tensor(name), name)
        for name_a, name_b in pairs:
            a, b = file.get_tensor(name_a).float(), file.get_tensor(name_b).float()
            _refuse_nonfinite(a, name_a)
            _refuse_nonfinite(b, name_b)
            module = name_a.removeprefix("base_model.model.").partition(LORA_A)[0]
            scale = scale_of(config, module, len(a))
            moved = float(torch.sum((b.T @ b) * (a @ a.T)))
            totals[scale] = totals.get(scale, 0.0) + moved
    # Rounding can leave a sum of next to nothing below zero.
    norms = (scale * math.sqrt(max(total, 0.0)) for scale, total in totals.items())
    return _moved(math.hypot(*norms), flowed=flowed)


def model_norm(model: Path, base: Path, *, flowed: bool = True) -> float:
    """Return the Frobenius norm of what full training changed, tensor by tensor.

    StageError: B415, B416 as for adapters; B417 when the two do not have the same tensors.
    """
    before, after = _tensor_files(base), _tensor_files(model)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise StageError.one(
            "B417", f"the trained model and its base differ in {len(odd)} tensors, such as {odd[0]}"
        )
    total = 0.0
    for name, path in after.items():
        with safe_open(path, framework="pt") as trained, safe_open(before[name], "pt") as untrained:
            weight = trained.get_tensor(name).float()
            _refuse_nonfinite(weight, name)
            total += float(torch.sum((weight - untrained.get_tensor(name).float()) ** 2))
    return _moved(math.sqrt(total), flowed=flowed)


def _tensor_files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            files |= dict.fromkeys(file.keys(), path)
    return files


def _moved(norm: float, *, flowed: bool) -> float:
    if norm > 0:
        return norm
    if not flowed:
        raise StageError.one(
            "B416",
            "training changed nothing: every gradient was zero",
            path="base_model",
            hint="use another base model: where weights are zero, nothing reaches those that are trained",
        )
    raise StageError.one(
        "B416",
        "training changed nothing: all deltas are zero",
        path="method.learning_rate",
        hint="raise method.learning_rate or method.epochs",
    )


def _refuse_nonfinite(weight: torch.Tensor, name: str) -> None:
    if not bool(torch.isfinite(weight).all()):
        raise StageError.one(
            "B415",
            f"the trained weights of {name} hold numbers that are not finite",
            path="method.learning_rate",
            hint="lower method.learning_rate, or set backend.precision: fp32",
        )


def _refuse_strangers(names: set[str], pairs: list[tuple[str, str]], lengths: set[str]) -> None:
    known = {name for pair in pairs for name in pair} | lengths
    odd = sorted(known ^ names)
    if odd or not pairs:
        raise StageError.one(
            "B417",
            f"the adapter has {len(odd)} tensors without a partner"
            + (f", such as {odd[0]}" if odd else " because it has none at all"),
        )
