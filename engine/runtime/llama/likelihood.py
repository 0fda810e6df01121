"""Negative log-likelihood of given tokens by llama.cpp: conversations and documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.runtime.llama.engine import Context, Engine
from engine.runtime.llama.jobs import normaliser
from engine.runtime.scoring.label_search import common_prefix

TOKENS = 128
"""Tokens in one batch: each of them may want logits, which take 4 bytes a token of the vocabulary."""


def likelihoods(
    engine: Engine, rows: Sequence[dict[str, Any]], *, report: Callable[[int], None]
) -> list[tuple[float, bool]]:
    """Return the nats of the learned tokens of each row, `{"ids": […], "learned": [0 or 1, …]}`.

    With each row's, whether its last learned token is the one that the model finds most probable there.

    A row's first token has nothing before it and is never scored.
    """
    ids = [row["ids"] for row in rows]
    first = min((row["learned"][1:].index(1) for row in rows if 1 in row["learned"][1:]), default=0)
    # No scored token may be in the shared part: its logits are read once for each row.
    prefix = min(common_prefix(ids), first)
    cells = max(map(len, ids)) + TOKENS
    context = Context(engine, cells=cells, batch=TOKENS, lanes=2)
    context.feed(0, 0, ids[0][:prefix])
    results = []
    for done, row in enumerate(rows, start=1):
        if prefix:
            context.share(0, 1)
        results.append(_nll(context, row["ids"], row["learned"], start=prefix))
        context.drop(1)
        report(done)
    return results


def _nll(
    context: Context, ids: Sequence[int], learned: Sequence[int], *, start: int
) -> tuple[float, bool]:
    total, ends = 0.0, False
    last = max((place for place, flag in enumerate(learned) if flag), default=0)
    # The last learned token is only predicted: nothing is asked behind it.
    for begin in range(start, last, TOKENS):
        end = min(begin + TOKENS, last)
        wanted = [bool(flag) for flag in learned[begin + 1 : end + 1]]
        context.add(1, begin, ids[begin:end], wanted=wanted)
        context.decode()
        for offset, want in enumerate(wanted):
            if want:
                logits = context.logits(offset)
                token = ids[begin + offset + 1]
                total += normaliser(logits) - float(logits[token])
                ends = int(logits.argmax()) == token
    return total, ends
