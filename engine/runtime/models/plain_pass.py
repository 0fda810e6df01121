"""Rows passed through a model the plain way: nothing cached, nothing shared, no mask, and no padding.

Reading the weights takes as long as computing some hundred tokens, so rows pass beside each other where that is
cheaper. Behind a shorter one stands its own beginning again: no token may see what follows it, and where one does, the
row has other numbers than behind padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, cycle, islice
from typing import Any, Final

import torch

from engine.runtime.models.load import wants_single_rows

SPARED: Final = 128
"""Tokens that shorter rows may be filled up with, for each pass that is saved: one core computes 250 in the time."""
MOST: Final = 1536
"""Tokens of a pass over several rows: those of a whole vocabulary's logits take memory."""


def plain_logits(
    model: Any, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    """Return the logits of each row at the places that are wanted of it, in 32 bits."""
    width = max(map(len, rows), default=0)
    size, filled = sum(map(len, rows)), width * len(rows)
    is_cheaper = filled <= min(MOST, size + SPARED * (len(rows) - 1))
    # Of recurrent layers and windows nothing is taken for granted.
    if len(rows) > 1 and is_cheaper and not wants_single_rows(model.config, width):
        return _passed(model, rows, wanted)
    pairs = zip(rows, wanted, strict=True)
    return [one for row, places in pairs for one in _passed(model, [row], [places])]


def _passed(
    model: Any, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    width = max(map(len, rows))
    device = next(model.parameters()).device
    given = [[*islice(chain(row, cycle(row)), width)] for row in rows]
    kept = sorted({place for places in wanted for place in places})
    few = {} if len(kept) >= width - 1 else {"logits_to_keep": torch.tensor(kept, device=device)}
    # As a tensor: of a slice of several rows torch would copy the whole output matrix once a row.
    logits = model(input_ids=torch.tensor(given, device=device), use_cache=False, **few).logits
    # Some models keep all of them whatever they are asked.
    at = {place: number for number, place in enumerate(kept)}
    if logits.shape[1] == width:
        at = {place: place for place in kept}
    return [
        own[[at[place] for place in places]].float()
        for own, places in zip(logits, wanted, strict=True)
    ]
