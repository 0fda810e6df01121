"""A teacher's probabilities of the tokens that rows learn: kept in one file, and found again by a row's own tokens.

They depend on nothing but the tokens up to each place, so a row finds them wherever a trainer has shuffled it to, and
a part of the rows finds its own. The file is `targets.safetensors`, of R rows with T learned tokens and the K most
probable tokens at each:

    keys              uint8 [R, 32]     sha256 of the row's tokens and of which of them are learned
    ends              int64 [R]         where a row's tokens end among the T; they begin where those before end
    tokens            int32 [T, K]      the most probable first
    log_probabilities float16 [T, K]    natural logarithms, at temperature 1, of all tokens of the vocabulary
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from engine.runtime.rendering.packing import IGNORED
from engine.values import Value

FILE = "targets.safetensors"
Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels`, `IGNORED` where nothing is learned."""


class Targets(Value):
    """The most probable tokens at N places, and the logarithms of their probabilities."""

    tokens: torch.Tensor
    """[N, K] int32."""
    log_probabilities: torch.Tensor
    """[N, K] float16."""


class TargetTable:
    """The targets of rows, in memory."""

    def __init__(self, folder: Path) -> None:
        """Read the file in `folder`."""
        found = load_file(folder / FILE)
        ends = found["ends"].tolist()
        self._places = {
            bytes(key): (begin, end)
            for key, begin, end in zip(found["keys"].numpy(), [0, *ends[:-1]], ends, strict=True)
        }
        self._tokens, self._logs = found["tokens"], found["log_probabilities"]

    def of(self, rows: Sequence[Row]) -> Targets | None:
        """Return what is learned by a batch, row after row; None where one of its rows is not known."""
        places = [self._places.get(row_key(row)) for row in rows]
        if None in places:
            return None
        spans = [slice(*place) for place in places if place is not None]
        return Targets(
            tokens=torch.cat([self._tokens[span] for span in spans]),
            log_probabilities=torch.cat([self._logs[span] for span in spans]),
        )


def row_key(row: Row) -> bytes:
    """Return what stands for a row: the digest of its tokens, and of which are learned."""
    learned = bytes(label != IGNORED for label in row["labels"][1:])
    return sha256(array("i", row["input_ids"]).tobytes() + learned).digest()


def write_table(folder: Path, keys: Sequence[bytes], targets: Sequence[Targets]) -> None:
    """Write the targets of rows into `folder`; a row that is there twice is written once."""
    kept = dict(zip(keys, targets, strict=True))
    counts = [len(one.tokens) for one in kept.values()]
    found: dict[str, Any] = {
        "keys": torch.from_numpy(
            np.frombuffer(b"".join(kept), dtype=np.uint8).copy().reshape(len(kept), -1)
        ),
        "ends": torch.tensor(counts, dtype=torch.int64).cumsum(0),
        "tokens": torch.cat([one.tokens for one in kept.values()]),
        "log_probabilities": torch.cat([one.log_probabilities for one in kept.values()]),
    }
    save_file(found, folder / FILE)
