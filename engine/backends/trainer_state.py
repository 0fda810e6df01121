"""What a transformers trainer leaves on disk, judged: complete checkpoints, the kept one, and how training ended."""

import contextlib
import math
import re
from pathlib import Path
from typing import Any

from engine.backends.refusals import AGAIN
from engine.errors import StageError
from engine.evidence import HistoryPoint
from engine.files.digests import FILE as DIGESTS
from engine.files.digests import changed_files, read_digests
from engine.files.reading import read_json
from engine.recipe.model import Method
from engine.runtime.training.event_file import evaluations_since_best, scheduled_losses
from engine.values import Value

STATE = "trainer_state.json"
SCHEDULER = "scheduler.pt"
OPTIMIZER = ("optimizer.pt", "optimizer.bin")
"""Of one process and of data-parallel ones; of FSDP."""
RANDOM = "rng_state.pth"
RANKS = re.compile(r"rng_state_(\d+)\.pth")
"""Random states of one process; of each rank of several."""
INCOMPLETE = "incomplete"
CHECKPOINT = "checkpoint-"
ADAPTERS = "adapters"
"""Where `engine.runtime.training.saved_weights` puts the adapters of some checkpoints."""


class Ending(Value):
    steps: int
    epochs: float
    kept: Path
    kept_step: int
    stopped_early: bool
    history: tuple[HistoryPoint, ...]


def checkpoints(output: Path) -> list[tuple[int, Path]]:
    found = (one for one in output.glob(f"{CHECKPOINT}*") if one.name[len(CHECKPOINT) :].isdigit())
    return sorted((step_of(path), path) for path in found)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(CHECKPOINT))


def kept_adapters(output: Path, *, last: int) -> tuple[tuple[int, Path], ...]:
    """Return the adapters that were put aside while training, by step; whole ones up to the last step."""
    found = []
    for path in (output / ADAPTERS).glob("*"):
        with contextlib.suppress(OSError, ValueError):
            digests = read_digests(path / DIGESTS)
            is_whole = digests is not None and not changed_files(path, digests)
            if is_whole and (step := int(path.name)) <= last:
                found.append((step, path))
    return tuple(sorted(found))


def set_damaged_aside(output: Path, *, best: bool = False) -> list[tuple[str, str]]:
    """Move checkpoints that are not whole to `incomplete/`, and return their names, each with the reason.

    With `best`, also those whose best checkpoint so far is not whole: training would end without the one to keep.
    """
    moved = [(path, why) for _, path in checkpoints(output) if (why := damage_of(path))]
    names = {path.name for path, _ in moved}
    for step, path in checkpoints(output) if best else ():
        if path.name in names:
            continue
        name = f"{CHECKPOINT}{read_state(path).get('best_global_step') or step}"
        if name in names or not (output / name).is_dir():
            moved.append((path, f"it keeps {name} as the best one, which is not whole"))
    for path, _ in moved:
        set_aside(path)
    return [(path.name, why) for path, why in moved]


def set_aside(checkpoint: Path) -> Path:
    """Move a checkpoint to `incomplete/` and return where it is; nothing is deleted."""
    incomplete = checkpoint.parent / INCOMPLETE
    incomplete.mkdir(exist_ok=True)
    # Numbered: the step may be trained, and damaged, again.
    target = incomplete / f"{checkpoint.name}-{sum(1 for _ in incomplete.iterdir())}"
    return checkpoint.rename(target)


def is_complete(checkpoint: Path) -> bool:
    return not damage_of(checkpoint)


def damage_of(checkpoint: Path) -> str:
    """Return why a checkpoint is not whole; empty for one whose files all have the bytes that were saved.

    One without digests was cut short before they were written, or is of an earlier version: weights that rotted
    cannot be distinguished from others then, so it is not trained on. Nor is one behind a link.
    """
    if checkpoint.is_symlink():
        return "it is a link"
    try:
        state = read_state(checkpoint)
        digests = read_digests(checkpoint / DIGESTS)
    except (OSError, ValueError):
        return "it was not wholly written"
    names = {path.name for path in checkpoint.iterdir()}
    weights = {name for name in names if name.endswith(".safetensors")}
    ranks = sorted(int(found[1]) for name in names if (found := RANKS.fullmatch(name)))
    random = {RANDOM} & names or {f"rng_state_{rank}.pth" for rank in ranks}
    optimizer = names & set(OPTIMIZER)
    # A gap means that one of the processes had not saved its part yet.
    complete = random and ranks == list(range(len(ranks))) and optimizer and SCHEDULER in names
    archives = frozenset({*random, *optimizer, SCHEDULER}) if complete else frozenset()
    if state.get("global_step") != step_of(checkpoint) or not weights or not archives:
        return "it was not wholly written"
    if digests is None:
        return "it has no digests to be checked by"
    # The trainer would load those without a digest as well, and nothing says that they are what was saved.
    odd = [*changed_files(checkpoint, digests), *sorted((weights | archives) - digests.keys())]
    return f"{odd[0]} is not as it was saved" if odd else ""


def read_state(checkpoint: Path) -> dict[str, Any]:
    """`trainer_state.json`; OSError or ValueError when it is not there or not whole."""
    state: dict[str, Any] = read_json(checkpoint / STATE)
    return state


def judge_ending(output: Path, method: Method, *, steps: int, best: bool) -> Ending:
    """Return the proof that training finished: all of `steps` steps, or stopped early for the reason it may.

    `best` keeps the checkpoint of lowest validation loss, else the last. StageError: B412 without
    a complete checkpoint, B413 when it stopped before its time, B453 when another has a lower validation loss.
    """
    # From the last one: every byte of a checkpoint that is looked at is read.
    complete = (item for item in reversed(checkpoints(output)) if is_complete(item[1]))
    if (found := next(complete, None)) is None:
        raise StageError.one("B412", "training left no complete checkpoint")
    last_step, last = found
    state = read_state(last)
    history = history_of(state)
    early, patience = last_step < steps, method.early_stopping
    losses = scheduled_losses(
        state.get("log_history", ()),
        every=int(state.get("eval_steps") or 1),
        steps=int(state.get("max_steps") or 0),
    )
    ran_out = patience and losses and evaluations_since_best(losses) >= patience.patience
    if early and not ran_out:
        raise StageError.one(
            "B413",
            f"training stopped at step {last_step} of {steps}, and early stopping was not the reason",
            hint="run the same command again: it continues from the last checkpoint",
        )
    kept_step = int(state.get("best_global_step") or last_step) if best else last_step
    # What was measured before the first step has no checkpoint.
    measured = [one for one in history if best and one.step and one.eval_loss is not None]
    lowest = min(measured, key=lambda one: one.eval_loss or 0.0, default=None)
    if lowest is not None and not any(
        one.eval_loss == lowest.eval_loss for one in measured if one.step == kept_step
    ):
        raise StageError.one(
            "B453",
            f"the trainer takes step {kept_step} for the best one, and the validation loss was lowest at step"
            f" {lowest.step}: {lowest.eval_loss:.4g}",
            path="method.keep",
            hint=AGAIN,
        )
    kept = output / f"{CHECKPOINT}{kept_step}"
    if kept != last and not is_complete(kept):
        raise StageError.one(
            "B412",
            f"the checkpoint of the lowest validation loss, step {kept_step}, is not whole",
            hint="run the same command again: it trains on from an older checkpoint",
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

    def number(entry: dict[str, Any], name: str) -> float | None:
        # None for one of a step that was passed over, too.
        found = float(entry.get(name, math.nan))
        return found if math.isfinite(found) else None

    names = ("loss", "eval_loss", "learning_rate", "grad_norm")
    return tuple(
        HistoryPoint(
            step=int(entry["step"]),
            epoch=float(entry["epoch"]),
            **{name: number(entry, name) for name in names},
        )
        for entry in state.get("log_history", ())
        # The last entry sums the whole training up, and is no moment of it.
        if "loss" in entry or "eval_loss" in entry
    )


def nonfinite(name: str, value: str, step: int) -> StageError:
    """Return the error of a loss or gradient norm that is not finite; up to step 1 no rate has changed one."""
    message = f"{name} became {value} at step {step}; training was stopped"
    path, first = "method.learning_rate", "lower method.learning_rate"
    if step <= 1:
        message = f"{message} before anything was learned"
        path, first = "base_model", "use another base model, whose weights are all finite"
    hint = f"{first}, or set backend.precision: fp32"
    return StageError.one("B414", message, path=path, hint=hint)
