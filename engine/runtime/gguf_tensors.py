"""A quantized GGUF file held against the 16-bit file that it was made of: every tensor, and every other fact.

How far a tensor may be off depends on the type that it is stored in. The limits were measured
(docs/explanation/what-may-be-lost.md): above all that sound quantizers leave, below what a tensor shows
that is zeroed, cut off, out of order or another one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize
from numpy.typing import NDArray

from engine.errors import StageError

LIMITS = {
    "F32": 1e-6,
    "F16": 0.002,
    "BF16": 0.01,
    "Q8": 0.03,
    "Q6": 0.08,
    "Q5": 0.15,
    "Q4": 0.30,
    "Q3": 0.45,
    "Q2": 0.70,
}
"""By the beginning of a type's name without a leading `I` or `T`: error of a row as a share of its length."""
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
    """Length of the difference of the worst row, as a share of the row's length; at most `NOTHING_ALIKE`."""
    limit: float


def tensor_errors(sixteen: Path, quantized: Path) -> list[TensorError]:
    """Return the error of every tensor of both files, in their order. StageError X634 for no whole file."""
    try:
        before = {tensor.name: tensor for tensor in GGUFReader(sixteen).tensors}
        after = {tensor.name: tensor for tensor in GGUFReader(quantized).tensors}
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise StageError.one("X634", f"`{quantized.name}` cannot be read back: {error}") from error
    return [_error(name, before.get(name), after.get(name)) for name in {**before, **after}]


def other_facts(sixteen: Path, quantized: Path) -> list[str]:
    """Return the names of facts, beside the tensors, that the quantized file has otherwise."""
    one, two = (dict(_facts(path)) for path in (sixteen, quantized))
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _facts(path: Path) -> Iterator[tuple[str, Any]]:
    for name, field in GGUFReader(path).fields.items():
        if not name.startswith(MADE_BY_QUANTIZING):
            yield name, [part.tobytes() for part in field.parts[2:]]


def _error(name: str, before: Any, after: Any) -> TensorError:  # noqa: ANN401 - tensors of a GGUFReader or None
    kind = (after or before).tensor_type.name
    limit = _limit(kind)
    if before is None or after is None or list(before.shape) != list(after.shape):
        return TensorError(name=name, type=kind, error=NOTHING_ALIKE, limit=limit)
    return TensorError(name=name, type=kind, error=_worst(before, after), limit=limit)


def _limit(kind: str) -> float:
    short = kind if kind[0] in "BF" else kind.lstrip("IT")
    return next((limit for start, limit in LIMITS.items() if short.startswith(start)), 0.9)


def _worst(before: Any, after: Any) -> float:  # noqa: ANN401 - tensors of a GGUFReader
    one = before.data.reshape(-1, before.data.shape[-1])
    two = after.data.reshape(-1, after.data.shape[-1])
    worst = 0.0
    for start in range(0, len(one), ROWS):
        part = slice(start, start + ROWS)
        wanted = dequantize(one[part], before.tensor_type).astype(np.float64)
        given = dequantize(two[part], after.tensor_type).astype(np.float64)
        worst = max(worst, float(_shares(wanted, given).max()))
    return worst


def _shares(wanted: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Return each row's error as a share of its length."""
    length = np.linalg.norm(wanted, axis=1)
    off = np.linalg.norm(given - wanted, axis=1)
    shares = np.divide(off, length, out=np.where(off > 0, NOTHING_ALIKE, 0.0), where=length > 0)
    return np.where(np.isfinite(shares), np.minimum(shares, NOTHING_ALIKE), NOTHING_ALIKE)
