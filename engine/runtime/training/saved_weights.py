"""Whether a checkpoint holds the weights that were trained, as they are in memory when it is saved."""

import math
import os
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from transformers import TrainerCallback

from engine.errors import StageError
from engine.files.digests import write_digests
from engine.files.reading import read_json
from engine.runtime.models.load import read_tensor, tensor_places
from engine.runtime.models.merge import MAGNITUDE, scale_of

LORA_A, LORA_B = ".lora_A.", ".lora_B."


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
        lengths = {name.replace(f"{LORA_A}weight", MAGNITUDE) for name, _ in pairs}
        lengths = lengths if config.get("use_dora") else set()
        known = {name for pair in pairs for name in pair} | lengths
        odd = sorted(known ^ names)
        if odd or not pairs:
            raise StageError.one(
                "B417",
                f"the adapter has {len(odd)} tensors without a partner"
                + (f", such as {odd[0]}" if odd else " because it has none at all"),
            )
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
    before, after = (tensor_places(folder, WHOLE) for folder in (base, model))
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise StageError.one(
            "B417", f"the trained model and its base differ in {len(odd)} tensors, such as {odd[0]}"
        )
    total = 0.0
    for name, path in after.items():
        weight = read_tensor(path, name).float()
        _refuse_nonfinite(weight, name)
        total += float(torch.sum((weight - read_tensor(before[name], name).float()) ** 2))
    return _moved(math.sqrt(total), flowed=flowed)


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


ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
MOST = 8
"""Checkpoints of one training that are kept."""
FOLDER = "adapters"


class KeepAdapters(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Links the adapter of each chosen checkpoint aside as soon as it is saved."""

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        step = state.global_step
        if state.is_world_process_zero and step in chosen_steps(
            every=int(args.save_steps), steps=state.max_steps
        ):
            output = Path(args.output_dir)
            keep_adapter(output / f"checkpoint-{step}", output / FOLDER / str(step))


def chosen_steps(*, every: int, steps: int) -> tuple[int, ...]:
    """Return at most `MOST` of the steps that are saved, evenly spread, the last one among them."""
    saved = [*range(every, steps, every), steps]
    count = min(MOST, len(saved))
    if count == 1:
        return (saved[-1],)
    return tuple(saved[round(place * (len(saved) - 1) / (count - 1))] for place in range(count))


def keep_adapter(checkpoint: Path, folder: Path) -> None:
    """Link, or where links are not possible copy, the adapter's files of a checkpoint; write their digests."""
    if any(not (checkpoint / name).is_file() for name in ADAPTER_FILES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ADAPTER_FILES:
        target = folder / name
        # A training that goes on from an earlier checkpoint saves this step again.
        target.unlink(missing_ok=True)
        try:
            os.link(checkpoint / name, target)
        except OSError:
            shutil.copyfile(checkpoint / name, target)
    write_digests(folder)


ADAPTER: Final = "adapter_model.safetensors"
WHOLE: Final = "model*.safetensors"
ROWS: Final = 16
"""Rows read at the beginning and at the end of a large tensor."""
LARGE: Final = 1 << 20
"""Numbers of a tensor from which it is compared in part: adapters have fewer, whole models would be read once more."""
OF_ADAPTER: Final = ".default"
"""Part of the names of an adapter's tensors in memory; PEFT leaves it out where it saves them."""


def saved_otherwise(checkpoint: Path, model: torch.nn.Module) -> dict[str, Any] | None:
    """Return the trained tensors that a checkpoint has with other numbers, or an adapter not at all; None for none."""
    adapter = checkpoint / ADAPTER
    files = [adapter] if adapter.is_file() else sorted(checkpoint.glob(WHOLE))
    trained: dict[str, torch.Tensor] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            saved = name.replace(OF_ADAPTER, "") if ".lora_" in name else name
            # PEFT leaves out what follows it.
            if MAGNITUDE in name:
                saved = name.partition(MAGNITUDE)[0] + MAGNITUDE
            trained[saved] = weight.detach()
    odd, seen = list[str](), set[str]()
    for file in files:
        with safe_open(file, framework="pt") as source:
            for name in trained.keys() & source.keys():
                seen.add(name)
                if not _is_same(source.get_slice(name), trained[name]):
                    odd.append(name)
    if files == [adapter]:
        odd += [name for name in trained if ".lora_" in name and name not in seen]
    return {"names": sorted(odd)[:1], "count": len(odd), "of": len(trained)} if odd else None


def _is_same(source: Any, weight: torch.Tensor) -> bool:
    if tuple(source.get_shape()) != tuple(weight.shape):
        return False
    whole = weight.numel() < LARGE
    parts = (slice(None),) if whole else (slice(None, ROWS), slice(-ROWS, None))
    pairs = [(source[part], weight[part].cpu()) for part in parts]
    return all(
        one.dtype == two.dtype and torch.equal(*map(torch.nan_to_num, (one, two)))
        for one, two in pairs
    )
