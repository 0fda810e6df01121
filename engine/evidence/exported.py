"""What leaves, and what it kept: the exported files, and the ladder from the adapter to the quantized file."""

from __future__ import annotations

from engine.evidence.measures import Metric, Scores
from engine.evidence.verdicts import Comparison, Verdict
from engine.values import Number, Value


class ExportedFile(Value):
    """A file that leaves."""

    name: str
    format: str
    bytes: int
    sha256: str
    bits_per_weight: Number | None = None
    """Effective, from the file's tensors; None for formats without quantization."""
    fallback_tensors: int = 0
    """Tensors the quantizer stored in another type than the one asked for."""
    tensors: int = 0


class Flip(Value):
    """A row whose answer changed from one rung of the ladder to the next."""

    id: str
    target: str
    before: str | None
    after: str | None


class FormResult(Value):
    """One step of the parity ladder: another form of the model, evaluated on the same holdout."""

    name: str
    """`adapter`, `merged`, `f16`, or a quantization."""
    scores: Scores
    """Of the rows that it was asked."""
    agreement: Metric | None
    """With the rung before, on the rows of this one; None on the first one, and for kinds without answers."""
    sampled_of: int | None = None
    """Rows of the holdout, where this rung was asked only a sample of them; None where it was asked all."""
    class_deltas: tuple[tuple[str, Number | None], ...] = ()
    """(label or field, F1 minus that of the rung before)."""
    flips: tuple[Flip, ...] = ()
    ties: int | None = None
    """Of the flips: those that rounding explains, since the rung before hardly preferred its answer."""
    mean_shift: Number | None = None
    """Mean absolute difference of the answer's log-probability to the rung before, where known."""
    largest_shift: Number | None = None
    """The largest of them, that of one row in a hundred left out."""
    verdict: Verdict | None = None
    """What this rung had to keep; None where nothing was asked of it."""
    note: str = ""
    free: Scores | None = None
    """By free decoding, of an exported form whose `acceptance` that decides."""
    comparisons: tuple[Comparison, ...] = ()
    """Of an exported form with the baselines and the last accepted model, as the tuned model's."""
