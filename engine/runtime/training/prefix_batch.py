"""Rows of one batch in one sequence, unpadded, behind one copy of the tokens that they all begin with.

    [prefix | rest of row 1 | rest of row 2 | ...]      positions start again at the end of the prefix for each row

Attention is causal, so the states of a common start are the same for every row: computed once, forward and
backward, they give the same loss and the same gradients. Linear layers see no token twice and no padding; only
attention lays the rows beside each other, each as queries of its own tokens against the prefix and itself.
Autograd adds up what all rows send back to the prefix. Logits are computed where something is learned, and there only;
a row ends before its last learned token, behind which nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch

from engine.runtime.models.few_lengths import filling_of
from engine.runtime.rendering.packing import IGNORED
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.training.prefix_attention import Layout

Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels` of the same length; `IGNORED` where nothing is learned."""


def shared_prefix(rows: Sequence[Row]) -> int:
    """Return how many tokens all rows begin with, less what a row needs behind it.

    That is its first learned token and the one before, which predicts it: two rows may go on differently there.
    """
    common = common_prefix([list(row["input_ids"]) for row in rows])
    return max(0, min(common, *(_first_learned(row) - 1 for row in rows)))


def shared_batch(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as one batch of a model whose attention is that of `prefix_attention`."""
    prefix = shared_prefix(rows)
    ends = [_last_learned(row) or prefix + 1 for row in rows]
    lengths = [end - prefix for end in ends]
    shortest = lengths.index(min(lengths))
    filling = filling_of(prefix + sum(lengths))
    lengths[shortest] += filling
    starts = list(accumulate(lengths, initial=prefix))
    ids = [*rows[0]["input_ids"][:prefix]]
    positions = [*range(prefix)]
    learned: list[int] = []
    labels: list[int] = []
    for number, (row, start, end) in enumerate(zip(rows, starts, ends, strict=False)):
        filled = filling if number == shortest else 0
        ids += [*row["input_ids"][prefix:end], *[row["input_ids"][end - 1]] * filled]
        # A model that looks positions up in a table has none behind the last.
        positions += [*range(prefix, end), *[end - 1] * filled]
        for place, label in enumerate(row["labels"][prefix + 1 :]):
            if label != IGNORED:
                learned.append(start + place)
                labels.append(label)
    target, asked = (torch.tensor(one, dtype=torch.long) for one in ([labels], learned))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        # Beside the shifted ones, which the loss reads: trainers ask whether a batch has labels at all.
        "labels": target,
        "shift_labels": target,
        "logits_to_keep": asked,
        "layout": Layout.of(prefix, lengths),
    }


def _first_learned(row: Row) -> int:
    return next(
        (place for place, label in enumerate(row["labels"]) if label != IGNORED),
        len(row["labels"]),
    )


def _last_learned(row: Row) -> int:
    """Return where the last learned token stands, 0 where nothing is learned."""
    places = range(len(row["labels"]) - 1, 0, -1)
    return next((place for place in places if row["labels"][place] != IGNORED), 0)
