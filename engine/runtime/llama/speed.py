"""How fast a GGUF file answers one person on this machine, and what memory that takes."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from engine.runtime.llama.engine import TOKENS, Context, Engine
from engine.runtime.scoring.label_search import common_prefix

STATUS = Path("/proc/self/status")


def measure_speed(engine: Engine, rows: Sequence[list[int]], *, tokens: int) -> dict[str, Any]:
    """Return medians over prompts asked one after the other, each read from its first token on.

    `shared_tokens` is what all of them begin with. `first_token_seconds` is from the prompt to the first
    token; `cached_seconds` the same where what all prompts share is in the cache (None for models that
    cannot go back to it); `tokens_per_second` is of the `tokens` that follow, generated greedily and past
    any ending.
    """
    longest = max(map(len, rows))
    context = Context(engine, cells=longest + tokens + TOKENS, batch=TOKENS, lanes=2)
    prefix = common_prefix(rows)
    # A first pass warms memory and caches, and is not timed.
    context.feed(0, 0, rows[0][:TOKENS])
    context.drop(0)
    cold, cached, rates = [], list[float](), []
    rewinds = not (engine.model.is_recurrent() or engine.model.is_hybrid())
    for row in rows:
        began = time.perf_counter()
        token = _read(context, row, start=0)
        cold.append(time.perf_counter() - began)
        rates.append(tokens / _generate(context, token, start=len(row), tokens=tokens))
        if rewinds:
            context.drop(0, prefix)
            began = time.perf_counter()
            _read(context, row, start=prefix)
            cached.append(time.perf_counter() - began)
        context.drop(0)
    return {
        "prompts": len(rows),
        "prompt_tokens": median(map(len, rows)),
        "shared_tokens": prefix,
        "first_token_seconds": median(cold),
        "cached_seconds": median(cached) if cached else None,
        "tokens_per_second": median(rates),
        "tokens": tokens,
    }


def _read(context: Context, row: Sequence[int], *, start: int) -> int:
    """Read tokens from a position on; return the most probable next one."""
    place = context.feed(0, start, row[start:], wanted=True)
    return int(context.logits(place).argmax())


def _generate(context: Context, token: int, *, start: int, tokens: int) -> float:
    began = time.perf_counter()
    for position in range(start, start + tokens):
        token = int(context.logits(context.feed(0, position, [token], wanted=True)).argmax())
    return time.perf_counter() - began


def peak_memory() -> int:
    """Return the most memory this process has held, in bytes."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    except (OSError, StopIteration, ValueError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
