"""What a page is made of, as values: the HTML, the Markdown and the terminal writer each show all of them.

A cell of a table or a piece of a paragraph is a string or one of its classes below, an `Estimate`, a `Badge`, a
drawing, or a tuple of them. A plain string is shown as it is; only `Prose` gives backticks a meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.evidence import CalibrationBin, Interval, Metric, Status
from engine.render.number_format import DASH, count
from engine.values import Value, replace

# 20 is needed: three steps of 10 may span less than what is seen.
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
_ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)
_TICKS = 4


Measured = tuple[float | None, Interval | None]


def numbers_of(measured: Iterable[Measured]) -> list[float]:
    numbers = ((value, *((ends.low, ends.high) if ends else ())) for value, ends in measured)
    return [number for found in numbers for number in found if number is not None]


def around(measured: Iterable[Measured], limit: float | None, *, has_zero: bool) -> Axis:
    """An axis around values and their limit with round ends and a quarter of room on both sides.

    `has_zero` puts zero on it, for differences; other values never go below it.
    """
    seen = numbers_of([*measured, (limit, None)])
    seen = [*seen, 0.0] if has_zero or not seen else seen
    low, high = min(seen), max(seen)
    room = (high - low) * 0.25 or abs(high) * 0.25 or 0.1
    low, high = low - room, high + room
    step = 10.0 ** math.floor(math.log10(high - low)) / 2
    start = math.floor(low / step) * step
    return Axis(start if has_zero else max(0.0, start), math.ceil(high / step) * step)


def above(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to the lowest round number above every value."""
    top = max(values, default=1.0) or 1.0
    unit = 10.0 ** math.floor(math.log10(top))
    return 0.0, next(unit * factor for factor in _ROUND if unit * factor >= top)


def nice_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = high - low or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(room / _TICKS))
    step = next(unit * factor for factor in _STEPS if unit * factor * (_TICKS - 1) >= room)
    floor = math.floor(low / step) * step
    return floor, floor + step * _TICKS


_MOST_LABELS = 12
"""Of a matrix that is still read as a table; the most frequent mistakes are listed anyway."""


class Code(str):
    """A word as it stands in files and commands."""

    __slots__ = ()


class Muted(str):
    __slots__ = ()


class Strong(str):
    __slots__ = ()


class Prose(str):
    """A sentence; text between backticks is code."""

    __slots__ = ()

    def pieces(self) -> list[tuple[str, bool]]:
        """Return the sentence in pieces, and of each whether it is code.

        Code ends at a backtick where a word ends: a label that holds one stays whole.
        """
        found = _QUOTED.split(self)
        return [(piece, at % 2 == 1) for at, piece in enumerate(found) if piece]


_QUOTED: Final = re.compile(r"(?<![\w`])`(.+?)`(?![\w`])")


class Label(str):
    """A class or field of the data, in whatever script."""

    __slots__ = ()


class Digest(str):
    """A long hash, of which a page may show the start."""

    __slots__ = ()


class Failure(str):
    __slots__ = ()


class Estimate(Value, kw_only=False):
    """A measured value and what belongs to it, mostly its interval: `0.896` and `[0.858, 0.930]`."""

    value: str
    about: str = ""

    def __str__(self) -> str:
        between = " " if self.about.startswith("[") else ", "
        return between.join(filter(None, (self.value, self.about)))


class Badge(Value, kw_only=False):
    """An answer in a word and a colour; with `sign` a glyph too, and Markdown sets it bold."""

    word: str
    tone: str = ""
    """A value of `Status`, of a stage's status, or `plain`."""
    sign: bool = False


class PageOnly(Value):
    """What only the page shows: every number in it stands elsewhere too."""


class Details(PageOnly, kw_only=False):
    title: str
    lines: tuple[str, ...]


class Axis(Value, kw_only=False):
    """A stretch of numbers drawn from 0 to 100."""

    low: float
    high: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return 100.0 * min(1.0, max(0.0, share))


class Drawing(PageOnly):
    """A drawing, in a cell or of its own."""

    label: str
    """The same in words, for those who do not see it."""


class Track(Drawing):
    """A value with its interval on an axis, beside a threshold."""

    axis: Axis
    value: float | None
    interval: Interval | None
    threshold: float | None = None
    allowed: str = ""
    """Which side of the threshold is shaded: `min` above it, `max` below it; empty for none."""
    zero: str = ""
    """How zero is marked: `axis` by a notch, `zero` by a dashed line; empty for not at all."""
    tone: str = "plain"


Piece = str | Estimate | Badge | PageOnly
Cell = Piece | tuple[Piece, ...]


class Column(Value, kw_only=False):
    name: str
    kind: str = ""
    """`number` is flush right; `drawn` holds drawings; `under` stands below the cell before it on the page; `got`,
    `required`, `rows` and `status` are where a card on a phone looks for them."""

    @property
    def is_right(self) -> bool:
        return self.kind in ("number", "rows", "got")


class Row(Value):
    cells: tuple[Cell, ...]
    note: str = ""
    """A sentence about it."""


class Table(Value):
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    layout: str = ""
    """`cards` on phones; else a box that scrolls, `narrow`, `tall`, `stacked` or a mix."""
    legend: str = ""
    """What lines in its drawings mean."""

    @property
    def notes_below(self) -> bool:
        """Whether the page shows notes in a line of their own instead of in the first cell."""
        return self.layout == "ladder"


class Matrix(Value):
    """Counts of rows by true label and by answer."""

    caption: str
    labels: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def as_table(self, corner: str, note: str = "") -> Table | None:
        """The same as a table; None where there are more labels than a table of texts can show."""
        if len(self.labels) > _MOST_LABELS:
            return None
        counted = zip(self.labels, self.counts, strict=True)
        rows = ((Label(label), *map(str, counts)) for label, counts in counted)
        return table(self.caption + note, (Column(corner), *numbers(self.answers)), rows)


class Paragraph(Value, kw_only=False):
    """Text; `kind` is `lead`, `fine`, `muted` or empty."""

    text: Cell
    kind: str = ""


class Heading(Value, kw_only=False):
    text: str


class Bullets(Value, kw_only=False):
    items: tuple[Cell, ...]
    kind: str = "sentences"


class Facts(Value, kw_only=False):
    rows: tuple[tuple[str, Cell], ...]
    kind: str = "facts"


def facts(*pairs: tuple[str, Cell]) -> Facts:
    return Facts(tuple(pair for pair in pairs if pair[1] != ""))


class Listing(Value):
    """A file shown whole; the page folds it unless `is_open`."""

    title: str
    text: str
    language: str = "yaml"
    is_open: bool = False


class Absent(Value, kw_only=False):
    """The place of something that is not there, with the reason."""

    reason: str


class Curve(Value):
    """A line of a chart through (x, y), with intervals (x, low, high)."""

    points: tuple[tuple[float, float], ...]
    kind: str = "validation"
    """`train` is a thin line without dots."""
    whiskers: tuple[tuple[float, float, float], ...] = ()

    @property
    def heights(self) -> list[float]:
        ends = (end for _, *ends in self.whiskers for end in ends)
        return [*(height for _, height in self.points), *ends]


class LineChart(Drawing):
    """Curves over 0 to `end` across and over `span` upwards; drawn once, for every width."""

    curves: tuple[Curve, ...]
    end: float
    span: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    across: str
    """What the ticks count."""
    mark: tuple[float, str] | None = None
    legend: tuple[tuple[str, str], ...] = ()
    """Names of the curves with their kinds."""


class ReliabilityChart(Drawing):
    """The share of right answers by their probability, over a strip of counts."""

    bins: tuple[CalibrationBin, ...]


Block = Table | Matrix | Paragraph | Heading | Bullets | Facts | Listing | Absent | PageOnly


class Section(Value):
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
    drawing_lead: str = ""
    """How its drawings are read, which only the page has."""
    is_open: bool = False
    """The page shows it unfolded: what every reader needs."""
    card: tuple[str, ...] = ()
    """Sentences that the model card takes from it; empty ones are none."""
    closing: tuple[str, ...] = ()
    """Sentences that the last lines of a run take from it; empty ones are none."""


def numbers(names: Iterable[str]) -> tuple[str | Column, ...]:
    return tuple(Column(name, "number") for name in names)


def measured_curve(measured: Iterable[tuple[float, Metric | None]]) -> Curve:
    known = [(x, item.value, item.interval) for x, item in measured if item]
    return Curve(
        points=tuple((x, value) for x, value, _ in known if value is not None),
        whiskers=tuple((x, ends.low, ends.high) for x, _, ends in known if ends),
    )


def status_badge(status: Status) -> Badge:
    return Badge(status.value, status.value, sign=True)


def capital(text: str) -> str:
    """The text begun with a capital letter; one that begins with a key, such as `micro_f1`, as it is."""
    return text if "_" in text.split(" ", 1)[0] else text[:1].upper() + text[1:]


def sentence(text: str) -> Paragraph:
    return Paragraph(Prose(capital(text)))


def bullets(lines: Sequence[str]) -> tuple[Bullets, ...]:
    """Sentences as a list, each with a capital letter and a full stop; nothing for none."""
    items = tuple(Prose(capital(line).removesuffix(".") + ".") for line in lines)
    return (Bullets(items),) if items else ()


def columns_of(*names: str | Column) -> tuple[Column, ...]:
    """Columns; `form | >rows | share:drawn` are one of text, one of numbers and one of another kind."""
    found = list[Column]()
    for name in names:
        if isinstance(name, Column):
            found.append(name)
            continue
        for text in name.split(" | "):
            title, _, kind = text.partition(":")
            is_right = title.startswith(">")
            found.append(Column(title.removeprefix(">"), "number" if is_right else kind))
    return tuple(found)


def table(
    caption: str,
    columns: str | Iterable[str | Column],
    rows: Iterable[Sequence[Cell] | Row],
    layout: str = "",
    *,
    legend: str = "",
) -> Table:
    return Table(
        caption=caption,
        columns=columns_of(columns) if isinstance(columns, str) else columns_of(*columns),
        rows=tuple(row if isinstance(row, Row) else Row(cells=tuple(row)) for row in rows),
        layout=layout,
        legend=legend,
    )


def tally(caption: str, what: str, counts: Mapping[str, int]) -> Table:
    rows = ((name, count(number)) for name, number in counts.items())
    return table(caption, f"{what} | >number", rows)


def filled(table: Table, *, drawn: bool = False) -> Table:
    """The table with the columns that say something; those of drawings only where `drawn`."""
    kept = [
        at
        for at, column in enumerate(table.columns)
        if (drawn or column.kind != "drawn")
        and (at == 0 or any(row.cells[at] not in ("", DASH) for row in table.rows))
    ]
    rows = (replace(row, cells=tuple(row.cells[at] for at in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[at] for at in kept), rows=tuple(rows))
