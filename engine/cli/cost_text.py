"""What a run will take, in words: a stage's cost in the plan, and the lines below the table."""

from __future__ import annotations

from collections.abc import Iterator

from engine.environment import Device
from engine.estimate.run import Forecast, StageForecast
from engine.render.number_format import about, count, millions, size

TIGHT = 0.9
"""Of the device's memory, from which on an estimate is close to not fitting."""
_MEASURED = {
    "probe": "training measured in trial steps on this machine",
    "run": "training measured by a run on this machine",
}


def cost_words(found: StageForecast, exact: str) -> str:
    """Return `~6 min · 2.1 GB · 50 steps`: time, memory or else disk, and what is exact."""
    parts = [f"~{about(found.seconds)}"] if found.seconds is not None else []
    if found.memory_bytes is not None:
        parts.append(size(found.memory_bytes))
    elif found.disk_bytes is not None:
        parts.append(f"{size(found.disk_bytes)} disk")
    return " · ".join(filter(None, [*parts, exact]))


def estimate_lines(found: Forecast, *, explain: bool) -> list[tuple[str, str]]:
    """Lines of what training takes, and of all stages together; with `explain` how each was derived."""
    training = found.training
    lines = [("trains", " · ".join(parts))] if (parts := list(_trained(found))) else []
    if training.shared_prefix:
        lines.append(("shared prefix", training.shared_prefix))
    if training.kernels:
        lines.append(("kernels", training.kernels))
    if training.memory_bytes is not None:
        lines.append(("memory", _memory(training.memory_bytes, found.device)))
    lines += [("in all", total)] if (total := " · ".join(_total(found))) else []
    lines += [("unknown", what) for what in training.unknown]
    return [*lines, *(training.derived if explain else ())]


def _trained(found: Forecast) -> Iterator[str]:
    """What is trained, and on how much, once it is known."""
    training = found.training
    trainable, total = training.trainable_parameters, training.total_parameters
    if trainable is None or total is None:
        return
    yield f"{millions(trainable)} of {millions(total)} parameters are trained"
    if training.tokens is not None:
        yield f"{'' if training.exact_tokens else '~'}{count(training.tokens)} tokens an epoch"
    if found.of:
        yield found.of


def _memory(peak: int, device: Device) -> str:
    """Return the peak beside what the device has, and whether it fits."""
    where = "of the GPU's" if device.kind == "cuda" else "of the machine's"
    text = f"~{size(peak)} at the peak, {where} {size(device.memory_bytes)} ({device.name})"
    if peak > device.memory_bytes:
        return f"{text}: does not fit; lower method.micro_batch_size or method.max_length"
    return f"{text}{': tight' if peak > TIGHT * device.memory_bytes else ''}"


def _total(found: Forecast) -> Iterator[str]:
    """Time, disk and cost of all stages, and what the time of training stands on."""
    others = ", ".join(found.untimed)
    if found.seconds is not None:
        known = about(found.seconds)
        yield f"at least {known}: no time is known of {others}" if others else f"~{known}"
    elif others:
        yield f"no time is known of {others}"
    if found.disk_bytes is not None:
        yield f"{size(found.disk_bytes)} disk"
    if found.cost is not None and found.price is not None:
        price = found.price
        unit = f" {price.currency}" if price.currency else ""
        bound = "at least " if others else "~"
        yield f"{bound}{found.cost:.2f}{unit} at {price.an_hour:g}{unit} an hour ({price.source})"
    if found.training.seconds is not None:
        otherwise = "training estimated, not measured: --probe measures 2 steps"
        yield _MEASURED.get(found.training.basis, otherwise)
