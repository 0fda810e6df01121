"""A quantized GGUF file compared with the 16-bit file that it was made of: every tensor, and every other fact.

How far a tensor may be off depends on the type that it is stored in. The limits were measured
(docs/explanation/what-may-be-lost.md): above all that sound quantizers leave, below what a tensor shows
that is zeroed, cut off, out of order or another one's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import torch
from gguf import dequantize
from numpy.typing import NDArray

from engine.runtime.gguf.reader import GgufReader
from engine.runtime.models.one_thread import one_thread
from engine.values import Value

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
NUMBERS: Final = 300_000
"""Numbers that are read at a time, which stay in a processor's cache from one operation to the next."""
MADE_BY_QUANTIZING = (
    "general.file_type",
    "general.quantization_version",
    "quantize.",
    "split.",
    "GGUF.",
)
"""Facts that may differ, by how their names begin."""


class TensorError(Value):
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


class Extent(Value):
    """What stays of a tensor whose rows are put in another order."""

    length: float
    total: float
    """The sum of its numbers."""

    @classmethod
    def of(cls, parts: Iterable[torch.Tensor]) -> Extent:
        """Measure parts of float32: the sum of each row in 32 bits, which loses next to nothing, and theirs in 64."""
        squares = total = 0.0
        for part in parts:
            squares += float(torch.linalg.vector_norm(part)) ** 2
            total += float(part.sum(-1).sum(dtype=torch.float64))
        return cls(length=math.sqrt(squares), total=total)


class TensorComparison(Value):
    """A quantized file beside its 16-bit file."""

    errors: list[TensorError]
    facts: list[str]
    """Names of those that differ."""
    extents: dict[str, Extent]
    """Of the tensors of the 16-bit file that the other one has too."""


def compare(one: GgufReader, two: GgufReader, *, threads: int = 1) -> TensorComparison:
    """Compare every tensor of a 16-bit file and of a quantized one, and their facts."""
    before, after = ({tensor.name: tensor for tensor in found.tensors} for found in (one, two))
    # A tensor to each thread: within one they would wait for each other.
    with (
        one_thread(),
        ThreadPoolExecutor(
            max(threads, 1), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool,
    ):
        found = [
            *pool.map(
                lambda name: _compared(name, before.get(name), after.get(name)),
                {**before, **after},
            )
        ]
    return TensorComparison(
        errors=[error for error, _ in found],
        facts=_other_facts(dict(_facts(one)), dict(_facts(two))),
        extents={error.name: extent for error, extent in found if extent is not None},
    )


def _other_facts(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _facts(reader: GgufReader) -> Iterator[tuple[str, Any]]:
    for name, field in reader.fields.items():
        if not name.startswith(MADE_BY_QUANTIZING):
            # Its parts stand one behind the other in the file.
            size = sum(part.nbytes for part in field.parts)
            yield name, reader.data[field.offset : field.offset + size].tobytes()


def _compared(name: str, before: Any, after: Any) -> tuple[TensorError, Extent | None]:
    kind = (after or before).tensor_type.name
    error, worst, extent = NOTHING_ALIKE, NOTHING_ALIKE, None
    if before is not None and after is not None and list(before.shape) == list(after.shape):
        error, worst, extent = _measured(before, after)
    return TensorError(name=name, type=kind, error=error, worst_row=worst), extent


def _limits(kind: str) -> tuple[float, float]:
    short = kind if kind[0] in "BF" else kind.lstrip("IT")
    found = (limits for start, limits in LIMITS.items() if short.startswith(start))
    return next(found, OTHER_TYPES)


def parts_of(weight: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield some rows of a tensor at a time, in float32."""
    rows = weight.reshape(-1, weight.shape[-1])
    for start in range(0, len(rows), _rows_of(rows.shape[-1])):
        yield rows[start : start + _rows_of(rows.shape[-1])].float()


def _rows_of(width: int) -> int:
    return max(NUMBERS // width, 1)


def weights_of(rows: NDArray[Any], kind: Any) -> torch.Tensor:
    """Return rows of a tensor as float32, in memory of their own."""
    if kind.name == "F16":
        # A copy, since torch takes no arrays that cannot be written.
        return torch.from_numpy(rows.view(np.float16).copy()).float()
    if kind.name == "Q5_0":
        return _from_q5_0(rows)
    # As one row: the package's own goes through sixteen at a time, and is slower than what it computes. A quarter at a
    # time, since it makes several arrays of the same size on its way.
    step = max(len(rows) // 4, 1)
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    found = [dequantize(part.reshape(1, -1), kind).reshape(len(part), -1) for part in parts]
    return torch.from_numpy(np.concatenate(found))


def _from_q5_0(rows: NDArray[Any]) -> torch.Tensor:
    """Return what the package's own does, in a third of the time: most of a small model's file is of this type.

    A block of 32 numbers is a scale in 16 bits, the fifth bits of all, and their other four: of the first sixteen
    the lower halves of bytes, of the others the upper ones.
    """
    blocks = torch.from_numpy(rows.copy()).view(-1, 22)
    scales = blocks[:, :2].contiguous().view(torch.float16).float()
    fifth = np.unpackbits(blocks[:, 2:6].contiguous().numpy(), axis=1, bitorder="little")
    numbers, halves = torch.from_numpy(fifth) << 4, blocks[:, 6:].contiguous()
    numbers[:, :16] |= halves & 15
    numbers[:, 16:] |= halves >> 4
    return numbers.float().sub_(16).mul_(scales).view(len(rows), -1)


def _measured(before: Any, after: Any) -> tuple[float, float, Extent]:
    """Return the error of the whole tensor and of its worst row, and what the first one measures."""
    one = before.data.reshape(-1, before.data.shape[-1])
    two = after.data.reshape(-1, after.data.shape[-1])
    lengths, off = torch.zeros(len(one)), torch.zeros(len(one))
    step = _rows_of(int(before.shape[0]))

    def parts() -> Iterator[torch.Tensor]:
        # A few rows at a time: a whole embedding in float32 would take four times its 8-bit size.
        for start in range(0, len(one), step):
            part = slice(start, start + step)
            # A damaged scale gives NaN.
            with np.errstate(all="ignore"):
                wanted = weights_of(one[part], before.tensor_type)
                apart = weights_of(two[part], after.tensor_type).sub_(wanted)
            lengths[part] = torch.linalg.vector_norm(wanted, dim=1)
            off[part] = torch.linalg.vector_norm(apart, dim=1)
            yield wanted

    extent = Extent.of(parts())
    whole = float(torch.linalg.vector_norm(lengths))
    if not bool(off.isfinite().all()) or not math.isfinite(whole):
        return NOTHING_ALIKE, NOTHING_ALIKE, extent
    if whole == 0.0:
        worst = NOTHING_ALIKE if bool(off.any()) else 0.0
        return worst, worst, extent
    usual = whole / math.sqrt(len(lengths))
    worst = float((off / lengths.clamp_min(NEGLIGIBLE * usual)).max())
    return float(torch.linalg.vector_norm(off)) / whole, min(worst, NOTHING_ALIKE), extent
