"""The longest text that a base model reads, and the rows that are longer. Light: the model is not loaded."""

from collections.abc import Iterable
from pathlib import Path

from engine.errors import Problem, Severity
from engine.files.reading import read_json
from engine.values import Value

WINDOWS = ("max_position_embeddings", "n_positions", "seq_length")
SHOWN = 10

Lengths = Iterable[tuple[int, int]]
"""(tokens, rows that have so many)."""


def window_of(base: Path) -> int | None:
    """Return the tokens that the model in a folder reads at most; None where its configuration does not say."""
    try:
        config = read_json(base / "config.json")
    except (OSError, ValueError):
        return None
    # Models of text and images keep the settings of the language model one level down.
    for part in (config, config.get("text_config") if isinstance(config, dict) else None):
        named = [part.get(name) for name in WINDOWS] if isinstance(part, dict) else []
        if found := next((one for one in named if isinstance(one, int) and one > 0), None):
            return found
    return None


def longer_than(lengths: Lengths, limit: int | None) -> int:
    """Return how many rows have more tokens; none without a limit."""
    return 0 if limit is None else sum(rows for tokens, rows in lengths if tokens > limit)


class TooLong(Value):
    """The length of a text that a model is not asked about, since it reads fewer tokens."""

    tokens: int
    window: int


def too_long(tokens: int, window: int | None) -> TooLong | None:
    """Return the length of a prompt that is longer than the window, as `longer_than` counts; None for one that fits."""
    if window is None or not longer_than([(tokens, 1)], window):
        return None
    return TooLong(tokens=tokens, window=window)


def too_long_words(length: TooLong) -> str:
    """Return the end of a sentence about such a text."""
    has = f"has {length.tokens:,} tokens with its instruction"
    return f"{has}, and the model reads {length.window:,} at most"


def window_notes(lengths: Lengths, window: int | None) -> list[Problem]:
    """Return D412 when rows are longer than the base model can read."""
    over = longer_than(lengths, window)
    what = f"{rows_are(over)} longer than the {window} tokens that the base model can read"
    return [_warning("D412", what)] if over else []


def length_notes(
    lengths: Lengths, max_length: int, longest: Iterable[tuple[int, str]]
) -> list[Problem]:
    """Return D413 when rows that are judged are longer than any that is trained; `longest` are tokens and place."""
    over = longer_than(lengths, max_length)
    if not over:
        return []
    named = [f"{place} ({tokens})" for tokens, place in longest if tokens > max_length][:SHOWN]
    more = f" and {over - len(named)} more" if over > len(named) else ""
    message = (
        f"{rows_are(over)} longer than method.max_length, {max_length} tokens, and asked whole"
    )
    return [_warning("D413", f"{message}: {', '.join(named)}{more}")]


def rows_are(count: int) -> str:
    """Return how a sentence about so many rows begins."""
    return "1 row is" if count == 1 else f"{count} rows are"


def _warning(code: str, message: str) -> Problem:
    return Problem(code=code, message=message, path="method.max_length", severity=Severity.WARNING)


class LengthStats(Value):
    """The lengths of some rows; all 0 for none."""

    rows: int
    median: int
    """The upper one of two in the middle."""
    p95: int
    """The length that 95 of 100 rows do not exceed, by nearest rank."""
    longest: int


def length_stats(lengths: Iterable[int]) -> LengthStats:
    ranked = sorted(lengths)
    if not ranked:
        return LengthStats(rows=0, median=0, p95=0, longest=0)
    # Rounded up in whole numbers, which a product of floats could miss by one.
    nearest = max(0, -(-len(ranked) * 95 // 100) - 1)
    return LengthStats(
        rows=len(ranked), median=ranked[len(ranked) // 2], p95=ranked[nearest], longest=ranked[-1]
    )
