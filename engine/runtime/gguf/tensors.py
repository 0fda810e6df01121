"""A quantized GGUF file compared with the 16-bit file that it was made of: every tensor, and every other fact.

How far a tensor may be off depends on the type that it is stored in. The limits were measured
(docs/explanation/what-may-be-lost.md): above all that sound quantizers leave, below what a tensor shows
that is zeroed, cut off, out of order or another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from gguf import dequantize

from engine.runtime.gguf.reader import GgufReader
from engine.values import dataclass

LIMITS: Mapping[str, tuple[float, float]] = {
    "F32": (1e-6, 1e-6),
    "F16": (0.001, 0.01),
    "BF16": (0.006, 0.02),
    "Q8": (0.02, 0.06),
    "Q6": (0.06, 0.25),
    "Q5": (0.12, 0.35),
    "Q4": (0.25, 0.6),
    "Q3": (0.45, 0.85),
    "Q2": (0.75, 0.97),
    "Q1": (0.85, 0.97),
}
"""Error of a whole tensor and of its worst row, by the beginning of a type's name without a leading `I` or `T`."""
OTHER_TYPES = (0.85, 0.97)
NEGLIGIBLE = 1e-3
"""A row shorter than this share of the usual one is measured by it: a block's scale cannot be that small."""
REVISION = 1
"""Bumped when the same files would now give other errors."""
NOTHING_ALIKE = 1e9
"""Error of a tensor that is missing, of another shape, or not of numbers."""
ROWS = 512
MADE_BY_QUANTIZING = (
    "general.file_type",
    "general.quantization_version",
    "quantize.",
    "split.",
    "GGUF.",
)
"""Facts that may differ, by how their names begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorError:
    """How far one tensor is from the one that it was made of."""

    name: str
    type: str
    """Of the quantized one: `Q8_0`, `Q4_K`, …"""
    error: float
    """Length of the difference, as a share of the tensor's length; at most `NOTHING_ALIKE`."""
    worst_row: float
    """The same of the row where it is largest."""

    @property
    def is_sound(self) -> bool:
        """Both are what quantizing into the type may leave."""
        whole, row = _limits(self.type)
        return self.error <= whole and self.worst_row <= row


def compare(
    one: GgufReader, two: GgufReader, *, threads: int = 1
) -> tuple[list[TensorError], list[str]]:
    """Return the error of every tensor of a 16-bit file and of a quantized one, and the names of facts that differ."""
    before, after = ({tensor.name: tensor for tensor in found.tensors} for found in (one, two))
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        errors = pool.map(
            lambda name: _error(name, before.get(name), after.get(name)), {**before, **after}
        )
        return list(errors), _other_facts(dict(_facts(one)), dict(_facts(two)))


def _other_facts(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _facts(reader: GgufReader) -> Iterator[tuple[str, Any]]:
    for name, field in reader.fields.items():
        if not name.startswith(MADE_BY_QUANTIZING):
            # Its parts stand one behind the other in the file.
            size = sum(part.nbytes for part in field.parts)
            yield name, reader.data[field.offset : field.offset + size].tobytes()


def _error(name: str, before: Any, after: Any) -> TensorError:
    kind = (after or before).tensor_type.name
    error = worst = NOTHING_ALIKE
    if before is not None and after is not None and list(before.shape) == list(after.shape):
        error, worst = _measured(before, after)
    return TensorError(name=name, type=kind, error=error, worst_row=worst)


def _limits(kind: str) -> tuple[float, float]:
    short = kind if kind[0] in "BF" else kind.lstrip("IT")
    found = (limits for start, limits in LIMITS.items() if short.startswith(start))
    return next(found, OTHER_TYPES)


def _weights(rows: Any, tensor: Any) -> Any:
    if tensor.tensor_type.name == "F16":
        # Twice as fast as NumPy; a copy, since torch takes no arrays that cannot be written.
        return torch.from_numpy(rows.view(np.float16).copy()).float().numpy()
    # As one row: the package's own goes through sixteen at a time, and is slower than what it computes.
    return dequantize(rows.reshape(1, -1), tensor.tensor_type).reshape(len(rows), -1)


def _measured(before: Any, after: Any) -> tuple[float, float]:
    """Return the error of the whole tensor and of its worst row."""
    one = before.data.reshape(-1, before.data.shape[-1])
    two = after.data.reshape(-1, after.data.shape[-1])
    lengths, off = np.zeros(len(one)), np.zeros(len(one))
    # A few rows at a time: a whole embedding in float32 would take four times its 8-bit size.
    for start in range(0, len(one), ROWS):
        part = slice(start, start + ROWS)
        # A damaged scale gives NaN.
        with np.errstate(all="ignore"):
            wanted = _weights(one[part], before)
            apart = _weights(two[part], after) - wanted
            lengths[part] = np.sqrt(np.einsum("ij,ij->i", wanted, wanted))
            off[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    whole = float(np.linalg.norm(lengths))
    if not np.isfinite(off).all() or not np.isfinite(whole):
        return NOTHING_ALIKE, NOTHING_ALIKE
    if whole == 0.0:
        worst = 0.0 if not off.any() else NOTHING_ALIKE
        return worst, worst
    usual = whole / np.sqrt(len(lengths))
    rows = off / np.maximum(lengths, NEGLIGIBLE * usual)
    return float(np.linalg.norm(off)) / whole, min(float(rows.max()), NOTHING_ALIKE)
