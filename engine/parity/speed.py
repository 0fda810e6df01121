"""How large, how fast and how hungry the exported file is, measured once on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.artifacts.results import read_json
from engine.artifacts.stage import StageContext
from engine.evidence import Metric
from engine.render.number_format import counted

REVISION = 1
PROMPTS, TOKENS = 5, 24
"""Prompts that are timed, and tokens that are generated for each."""
FILE = "speed.json"


def measured(
    context: StageContext, path: Path, prompts: Sequence[str], *, digest: str
) -> dict[str, Any]:
    """Return what the file needs to answer one person; timed once for a file on a machine."""

    def build(folder: Path) -> None:
        from engine.runtime.llama.client import Request, ask_gguf  # only where a file is timed

        answers = ask_gguf(
            path,
            Request(prompts=spread(prompts), timed=TOKENS),
            # all cores, and not the lock's threads: it is this machine that is timed, and no
            # answer stands on it
            threads=context.device.cores,
            workdir=context.scratch,
            progress=context.progress_of("speed"),
        )
        found = {"speed": answers.speed, "peak_memory_bytes": answers.peak_memory_bytes}
        (folder / FILE).write_text(json.dumps(found), encoding="utf-8")

    payload = {
        "file": digest,
        "revision": REVISION,
        "holdout": context.inputs["holdout"],
        "device": context.device.name,
        "cores": context.device.cores,
    }
    found = read_json(context.cached("speed", payload, build), FILE)
    return {**found, "bytes": path.stat().st_size}


def spread(prompts: Sequence[str]) -> list[str]:
    order = sorted(prompts, key=len)
    if len(order) <= PROMPTS:
        return order
    return [order[round(place * (len(order) - 1) / (PROMPTS - 1))] for place in range(PROMPTS)]


def metrics(found: dict[str, Any]) -> Iterator[Metric]:
    """Yield the measurements as metrics; they have no interval."""
    speed = found["speed"] or {}
    values = {
        "file_megabytes": found["bytes"] / 1e6,
        "tokens_per_second": speed.get("tokens_per_second"),
        "first_token_milliseconds": 1e3 * speed["first_token_seconds"] if speed else None,
        "peak_memory_megabytes": found["peak_memory_bytes"] / 1e6,
    }
    for name, value in values.items():
        n = 1 if name == "file_megabytes" else speed.get("prompts", 0)
        undefined = "" if value is not None else "there was no prompt to time"
        yield Metric(name=name, value=value, n=n, undefined=undefined)


def notes(found: dict[str, Any], *, cores: int) -> dict[str, str]:
    speed = found["speed"]
    if not speed:
        return {}
    prompts = counted(speed["prompts"], "holdout prompt")
    here = f"llama.cpp on {counted(cores, 'core')} of this machine, {prompts}, one at a time"
    cached = speed["cached_seconds"]
    warm = ""
    if cached is not None:
        shared = f"the {speed['shared_tokens']} tokens that all prompts share"
        warm = f"; {1e3 * cached:.0f} ms where {shared} are cached"
    return {
        "file_megabytes": "millions of bytes",
        "tokens_per_second": f"median, greedy decoding: {here}",
        "first_token_milliseconds": f"median, the whole prompt of about {speed['prompt_tokens']:.0f} "
        f"tokens read with nothing cached: {here}{warm}",
        "peak_memory_megabytes": f"most memory held by the process: {here}",
    }
