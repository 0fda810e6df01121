"""Several documents in one row of tokens, so that short ones are not padded; none of them sees another.

A packed row is `{"id", "input_ids", "labels", "attention_mask"}`. The last numbers the documents from 1, as trainers
that pack by themselves write it. A model is never given it: with a mask of ones documents see each other. It is given
positions that start again for each document (`engine.runtime.training.packed_rows`).
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.runtime.rendering.renderer import RenderedRow
from engine.runtime.rendering.segments import Segment, token_row, token_rows
from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat  # brings transformers

IGNORED = -100


class Packing(Value):
    """What became of the documents of one split."""

    documents: int
    """Each block of a long one counts."""
    lengths: Counter[int]
    """Rows, by their tokens."""
    learned: int
    """Tokens that are learned: none that begins a document, before which nothing stands."""


def first_fit_decreasing(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Return groups of places in `lengths`, in order, none of more than `room`: the longest are placed first."""
    leaves = 1 << max(0, len(lengths) - 1).bit_length()
    free = [room] * (2 * leaves)  # a tree: the most that any group below a node has room for
    groups: dict[int, list[int]] = {}
    for place in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        node = 1
        while node < leaves:
            node *= 2
            node += free[node] < lengths[place]
        groups.setdefault(node, []).append(place)
        free[node] -= lengths[place]
        while node > 1:
            node //= 2
            free[node] = max(free[2 * node], free[2 * node + 1])
    return sorted(sorted(group) for group in groups.values())


def write_packed(path: Path, rows: Iterable[RenderedRow], chat: Chat, room: int) -> Packing:
    """Write rendered documents of at most `room` tokens each as packed rows."""
    ids: list[str] = []
    tokens: list[array[int]] = []
    labels: list[array[int]] = []
    for row in rows:
        made = token_row(chat, row.segments)
        shown = zip(made.ids, made.learned, strict=True)
        learned = array("i", [token if is_learned else IGNORED for token, is_learned in shown])
        learned[:1] = array("i", [IGNORED])
        ids.append(row.id)
        tokens.append(array("i", made.ids))
        labels.append(learned)
    groups = first_fit_decreasing([len(one) for one in tokens], room)
    lengths: Counter[int] = Counter()
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for group in groups:
            written = {
                "id": ids[group[0]],
                "input_ids": [token for place in group for token in tokens[place]],
                "labels": [label for place in group for label in labels[place]],
                "attention_mask": [
                    number for number, place in enumerate(group, 1) for _ in tokens[place]
                ],
            }
            lengths[len(written["input_ids"])] += 1
            stream.write(f"{json.dumps(written, separators=(',', ':'))}\n")
    learned_tokens = sum(label != IGNORED for one in labels for label in one)
    return Packing(documents=len(tokens), lengths=lengths, learned=learned_tokens)


def trained_rows(
    written: Sequence[Mapping[str, Any]], chat: Chat, *, learn_all: bool = False
) -> list[dict[str, list[int]]]:
    """Return rows of a rendered file as tokens and labels, each segment tokenised apart; packed ones as they are."""
    texts = [one for one in written if "input_ids" not in one]
    segments = [
        [Segment(text=part["text"], supervised=bool(part["label"])) for part in one["segments"]]
        for one in texts
    ]
    made = iter(token_rows(chat, segments))
    found = []
    for one in written:
        if "input_ids" in one:
            found.append({name: one[name] for name in ("input_ids", "labels", "attention_mask")})
            continue
        row = next(made)
        shown = zip(row.ids, row.learned, strict=True)
        labels = [token if learn_all or learned else IGNORED for token, learned in shown]
        found.append({"input_ids": list(row.ids), "labels": labels})
    return found
