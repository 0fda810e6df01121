"""What a transformers trainer leaves on disk, judged: complete checkpoints, the kept one, and how training ended.

Both backends save through transformers, so both are read here. Exit codes prove nothing: only
`trainer_state.json` and whole weight files do.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.evidence import HistoryPoint
from engine.recipe.model import Method
from engine.runtime.patience import evaluations_since_best, scheduled_losses

STATE = "trainer_state.json"
RESUMABLE = (STATE, "optimizer.pt", "scheduler.pt", "rng_state.pth")
INCOMPLETE = "incomplete"
CHECKPOINT = "checkpoint-"
ADAPTERS = "adapters"
"""Where `engine.runtime.adapters` puts the adapters of some checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How training ended, by the last checkpoint's account."""

    steps: int
    epochs: float
    kept: Path
    kept_step: int
    stopped_early: bool
    history: tuple[HistoryPoint, ...]


def checkpoints(output: Path) -> list[tuple[int, Path]]:
    """Return the checkpoint folders of an output folder, by step."""
    found = [
        (step_of(path), path)
        for path in output.glob(f"{CHECKPOINT}*")
        if path.name.removeprefix(CHECKPOINT).isdigit()
    ]
    return sorted(found)


def step_of(checkpoint: Path) -> int:
    """Return the step in a checkpoint folder's name."""
    return int(checkpoint.name.removeprefix(CHECKPOINT))


def kept_adapters(output: Path, *, last: int) -> tuple[tuple[int, Path], ...]:
    """Return the adapters that were put aside while training, by step; whole ones up to the last step."""
    found = [
        (int(path.name), path) for path in (output / ADAPTERS).glob("*") if path.name.isdigit()
    ]
    return tuple(
        (step, path)
        for step, path in sorted(found)
        if step <= last and is_whole_safetensors(path / "adapter_model.safetensors")
    )


def set_incomplete_aside(output: Path) -> tuple[Path, ...]:
    """Move checkpoints that were not wholly written to `incomplete/`, so that training resumes from a whole one."""
    moved = []
    for _, path in checkpoints(output):
        if is_complete(path):
            continue
        aside = output / INCOMPLETE
        aside.mkdir(exist_ok=True)
        target = aside / f"{path.name}-{sum(1 for _ in aside.iterdir())}"
        path.rename(target)
        moved.append(target)
    return tuple(moved)


def is_complete(checkpoint: Path) -> bool:
    """State, optimizer and random state are there, readable, and the weight files are as long as they say."""
    try:
        state = read_state(checkpoint)
    except (OSError, ValueError):
        return False
    if state.get("global_step") != step_of(checkpoint):
        return False
    if any(not _is_whole_zip(checkpoint / name) for name in RESUMABLE[1:]):
        return False
    weights = sorted(checkpoint.glob("*.safetensors"))
    return bool(weights) and all(is_whole_safetensors(path) for path in weights)


def is_whole_safetensors(path: Path) -> bool:
    """Tell whether the file has exactly the bytes its header announces (8 + header + data)."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                return False
            header = json.loads(stream.read(length))
    except (OSError, ValueError, struct.error):
        return False
    ends = [item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"]
    expected: int = 8 + length + max(ends, default=0)
    return size == expected


def read_state(checkpoint: Path) -> dict[str, Any]:
    """`trainer_state.json`; OSError or ValueError when it is not there or not whole."""
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def judge_ending(output: Path, method: Method, *, steps: int, best: bool) -> Ending:
    """Return the proof that training finished: all of `steps` steps, or stopped early for the reason it may.

    `best` keeps the checkpoint of lowest validation loss, else the last. StageError: B412 without
    a complete checkpoint, B413 when it stopped before its time, B414 when a loss was not a number.
    """
    found = [(step, path) for step, path in checkpoints(output) if is_complete(path)]
    if not found:
        raise StageError.one("B412", "training left no complete checkpoint")
    last_step, last = found[-1]
    state = read_state(last)
    history = history_of(state)
    refuse_nonfinite(state)
    early = last_step < steps
    if early and not _ran_out_of_patience(state, method):
        raise StageError.one(
            "B413",
            f"training stopped at step {last_step} of {steps}, and early stopping was not the reason",
            hint="run the same command again: it continues from the last checkpoint",
        )
    kept_step = int(state.get("best_global_step") or last_step) if best else last_step
    kept = output / f"{CHECKPOINT}{kept_step}"
    if not is_complete(kept):
        raise StageError.one(
            "B412", f"the checkpoint of the lowest validation loss, step {kept_step}, is not whole"
        )
    return Ending(
        steps=last_step,
        epochs=float(state["epoch"]),
        kept=kept,
        kept_step=kept_step,
        stopped_early=early,
        history=history,
    )


def history_of(state: dict[str, Any]) -> tuple[HistoryPoint, ...]:
    """Return the logged moments, in order, one a step and kind."""
    points = []
    for entry in state.get("log_history", ()):
        if "loss" not in entry and "eval_loss" not in entry:
            continue
        points.append(
            HistoryPoint(
                step=int(entry["step"]),
                epoch=float(entry["epoch"]),
                loss=_number(entry, "loss"),
                eval_loss=_number(entry, "eval_loss"),
                learning_rate=_number(entry, "learning_rate"),
                grad_norm=_number(entry, "grad_norm"),
            )
        )
    return tuple(points)


def refuse_nonfinite(state: dict[str, Any]) -> None:
    """StageError B414 when any logged loss or gradient norm is NaN or infinite."""
    for entry in state.get("log_history", ()):
        for name in ("loss", "eval_loss", "grad_norm"):
            if name in entry and not math.isfinite(float(entry[name])):
                raise nonfinite(name, str(entry[name]), int(entry["step"]))


def nonfinite(name: str, value: str, step: int) -> StageError:
    """Return the error of a number that is none."""
    return StageError.one(
        "B414",
        f"{name} became {value} at step {step}; training was stopped",
        path="method.learning_rate",
        hint="lower method.learning_rate, or set backend.precision: fp32",
    )


def _number(entry: dict[str, Any], name: str) -> float | None:
    return float(entry[name]) if name in entry else None


def _ran_out_of_patience(state: dict[str, Any], method: Method) -> bool:
    """As many evaluations in a row as `patience` without a lower loss, the last of them at the very end."""
    if method.early_stopping is None:
        return False
    losses = scheduled_losses(
        state.get("log_history", ()),
        every=int(state.get("eval_steps") or 1),
        steps=int(state.get("max_steps") or 0),
    )
    return bool(losses) and evaluations_since_best(losses) >= method.early_stopping.patience


def _is_whole_zip(path: Path) -> bool:
    """torch.save writes zip archives; one that was cut lacks the directory at its end."""
    return zipfile.is_zipfile(path)
