"""What a run will take, in words: a stage's cost in the plan, and the lines below the table."""

from __future__ import annotations

from engine.render.number_format import about, count, millions, size

TIGHT = 0.9
"""Of the device's memory, from which on an estimate is close to not fitting."""


def cost_words(
    *, seconds: float | None, memory: int | None, disk: int | None, exact: str = ""
) -> str:
    """Return `~6 min · 2.1 GB · 50 steps`: time, memory or else disk, and what is exact."""
    parts = [f"~{about(seconds)}"] if seconds is not None else []
    if memory is not None:
        parts.append(size(memory))
    elif disk is not None:
        parts.append(f"{size(disk)} disk")
    return " · ".join([*parts, *([exact] if exact else [])])


def parameter_words(trainable: int, total: int) -> str:
    """Return `4.9 M of 139.4 M parameters`."""
    return f"{millions(trainable)} of {millions(total)} parameters are trained"


def memory_words(peak: int, *, device: str, has: int, kind: str) -> str:
    """Return the peak beside what the device has, and whether it fits."""
    where = "of the GPU's" if kind == "cuda" else "of the machine's"
    text = f"~{size(peak)} at the peak, {where} {size(has)} ({device})"
    if peak > has:
        return f"{text}: does not fit; lower method.micro_batch_size or method.max_length"
    return f"{text}{': tight' if peak > TIGHT * has else ''}"


def token_words(tokens: int, *, exact: bool) -> str:
    """Return the tokens of an epoch."""
    return f"{count(tokens)} tokens an epoch" if exact else f"~{count(tokens)} tokens an epoch"


def cost_of(cost: float, currency: str, price: float, basis: str) -> str:
    """Return a cost with what it stands on."""
    unit = f" {currency}" if currency else ""
    return f"~{cost:.2f}{unit} at {price:g}{unit} an hour ({basis})"
