"""Rows decoded together: what is fed to a transformers model, pass by pass, and what is kept of it.

What all rows share at the start goes through the model once. Each pass takes what waits to be fed, of
every row as many tokens as there are: a prompt, the token that was generated last, or several that a grammar
forces; nothing is padded (`engine.runtime.scoring.packed_cache`), and logits are computed for the last token of
each row only. A row that is done makes room for the next one, so a long answer keeps nobody waiting.

The longest row is computed the plain way as well; models whose attention is of a kind not known here, and
those with recurrent layers or windows shorter than a row, go one row at a time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from engine.progress import Progress
from engine.runtime.models.load import LoadedModel, wants_single_rows
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.packed_cache import (
    PackedCache,
    Piece,
    UnsupportedModelError,
    attending,
    feed,
)

PASS_TOKENS = {"cpu": 512, "mps": 4096, "cuda": 16384}
"""In one forward pass, unless the rows in flight have more."""
ROWS = {"cpu": 64, "mps": 64, "cuda": 512}
STORE_BYTES = {"cpu": 192 << 20, "mps": 1 << 30, "cuda": 8 << 30}
"""Keys and values of the rows in flight, unless one row has more."""
Step = Callable[[torch.Tensor, Sequence[int]], list[list[int]]]
"""`step(logits [n, V], n members)` returns the tokens to feed next to each, none where it is done."""


@torch.inference_mode()
def decode(
    loaded: LoadedModel, rows: Sequence[list[int]], *, most: int, step: Step, progress: Progress
) -> None:
    """Feed every row, then what `step` returns for it, until it returns nothing; at most `most` tokens.

    `step` knows rows by their place in `rows`. What a row says does not depend on the rows beside it but
    for rounding.
    """
    if not rows:
        return
    longest = max(map(len, rows)) + most
    if not wants_single_rows(loaded.model.config, longest):
        # raised by the first pass, before `step` has seen any logits, so no row is decoded twice
        with suppress(UnsupportedModelError):
            _Packed(loaded, rows, most).run(step, progress)
            return
    for member, row in enumerate(rows):
        state: Any = None
        waiting = list(row)
        while waiting:
            state, logits = feed(loaded, state, waiting)
            (waiting,) = step(logits, [member])
        progress.update(member + 1, len(rows), "rows")


@dataclass(slots=True, kw_only=True)
class _InFlight:
    """A row in flight."""

    member: int
    waiting: list[int]
    slots: list[int] = field(default_factory=list)
    """Where the keys and values of those that were fed stand, the shared start not counted."""


class _Packed:
    """All rows, many of them in flight at a time."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[list[int]], most: int) -> None:
        self._loaded, self._rows, self._most = loaded, rows, most
        self._prefix = common_prefix(rows)
        self._order = deque(sorted(range(len(rows)), key=lambda index: -len(rows[index])))
        self._cache = PackedCache(
            loaded,
            rows[self._order[0]],
            prefix=self._prefix,
            needs=[*map(self._needs, range(len(rows)))],
            most=STORE_BYTES[loaded.device.type],
        )
        self._slots, self._free = self._cache.room, self._cache.free

    def run(self, step: Step, progress: Progress) -> None:
        """Run every row to its end."""
        active: list[_InFlight] = []
        done = 0
        with attending(self._loaded, self._cache):
            while active or self._order:
                self._admit(active)
                pieces: list[Piece] = []
                for entry in active:
                    slots = [self._free.pop() for _ in entry.waiting]
                    start = self._prefix + len(entry.slots)
                    # A copy: the entry's own list grows below, and the piece must not see its new tokens twice.
                    seen = list(entry.slots)
                    pieces.append(
                        Piece(
                            tokens=entry.waiting, position=start, slots=slots, seen=seen, scored=1
                        )
                    )
                    entry.slots += slots
                logits = self._cache.forward(self._loaded, pieces)
                others = zip(
                    logits[1:], (self._rows[one.member] for one in active[1:]), strict=True
                )
                self._cache.compare(self._loaded, logits[0], others)
                following = step(logits, [entry.member for entry in active])
                for entry, tokens in zip(active, following, strict=True):
                    entry.waiting = tokens
                    if not tokens:
                        self._free += entry.slots
                remaining = [entry for entry in active if entry.waiting]
                if len(remaining) < len(active):
                    done += len(active) - len(remaining)
                    progress.update(done, len(self._rows), "rows")
                active = remaining

    def _needs(self, member: int) -> int:
        return len(self._rows[member]) - self._prefix + self._most

    def _admit(self, active: list[_InFlight]) -> None:
        kind = self._loaded.device.type
        tokens = sum(len(entry.waiting) for entry in active)
        reserved = sum(self._needs(entry.member) for entry in active)
        while self._order and len(active) < ROWS[kind]:
            member = self._order[0]
            own = self._rows[member][self._prefix :]
            # Reserved up to a row's longest answer, so that no row in flight runs out of slots.
            needed = reserved + self._needs(member)
            is_full = tokens + len(own) > PASS_TOKENS[kind] or needed > self._slots
            # The first row joins whatever its size: one above the budget goes through alone.
            if active and is_full:
                return
            self._order.popleft()
            active.append(_InFlight(member=member, waiting=own))
            tokens, reserved = tokens + len(own), needed
