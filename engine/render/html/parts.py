"""The page's vocabulary: sections, tables, badges, facts and absent values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.evidence import Interval, Status
from engine.render.html.markup import Markup, escaped, join, tag
from engine.render.quantities import interval

_GLYPHS = {
    Status.PASS: "✓",
    Status.FAIL: "✕",
    Status.INCONCLUSIVE: "?",
    Status.WARN: "!",
}


def section(anchor: str, title: str, *children: str, lead: str = "") -> Markup:
    """A part of the page with a heading the contents link to."""
    intro = tag("p", lead, class_="lead") if lead else ""
    heading = tag("h2", title, id=f"{anchor}-title")
    return tag("section", heading, intro, *children, id=anchor, aria_labelledby=f"{anchor}-title")


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    kind: str = "",
    numeric: frozenset[int] = frozenset(),
) -> Markup:
    """A table in a box of its own that scrolls; the first cell of a row is its header.

    `numeric` are the columns set flush right in figures of equal width.
    """
    classes = ["number" if index in numeric else None for index in range(len(columns))]
    heads = join(
        tag("th", name, scope="col", class_=classes[index]) for index, name in enumerate(columns)
    )
    body = join(tag("tr", *_cells(row, classes)) for row in rows)
    content = tag("table", heading(caption), tag("thead", tag("tr", heads)), tag("tbody", body))
    return scroll(content, caption, kind=kind)


def _cells(row: Sequence[str], classes: Sequence[str | None]) -> list[Markup]:
    first = tag("th", row[0], scope="row", class_=classes[0])
    rest = (tag("td", cell, class_=classes[at]) for at, cell in enumerate(row[1:], start=1))
    return [first, *rest]


def heading(caption: str) -> Markup:
    """A table's caption, no wider than the page it stands on."""
    return tag("caption", tag("span", caption))


def scroll(content: Markup, label: str, *, kind: str = "") -> Markup:
    """A box that scrolls sideways by itself, reachable with the keyboard."""
    classes = f"box {kind}".strip()
    return tag("div", content, class_=classes, role="region", aria_label=label, tabindex="0")


def badge(status: Status) -> Markup:
    """A check's answer: a glyph, a word and a colour, each enough by itself."""
    glyph = tag("span", _GLYPHS[status], aria_hidden="true", class_="glyph")
    return tag("span", glyph, status.value, class_=f"badge {status.value}")


def glyph(status: Status) -> Markup:
    """The large sign of the banner."""
    return tag("span", _GLYPHS[status], aria_hidden="true", class_="seal")


def facts(rows: Iterable[tuple[str, str]], *, kind: str = "facts") -> Markup:
    """Names and values side by side."""
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in rows)
    return tag("dl", *pairs, class_=kind)


def absent(reason: str) -> Markup:
    """The place of something that is not there, with the reason."""
    return tag("p", prose(reason[:1].upper() + reason[1:] + "."), class_="absent")


def muted(text: str) -> Markup:
    """Secondary text."""
    return tag("span", text, class_="muted")


def spread(value: Interval | None, *, signed: bool = False) -> Markup:
    """An interval, never broken over two lines."""
    return tag("span", interval(value, signed=signed), class_="muted spread")


def prose(text: str) -> Markup:
    """A sentence; what stands between backticks is set as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escaped(text)
    return join(tag("code", piece) if at % 2 else piece for at, piece in enumerate(pieces))


def code(text: str) -> Markup:
    """A word as it stands in files and commands."""
    return tag("code", text)


def listing(title: str, text: str, *, is_open: bool = False) -> Markup:
    """A file shown whole, folded unless `is_open`."""
    count = len(text.splitlines())
    lines = f"{count} line" if count == 1 else f"{count} lines"
    summary = tag("summary", title, " ", muted(lines))
    body = tag("pre", tag("code", text), tabindex="0", aria_label=title)
    return tag("details", summary, body, class_="listing", open="" if is_open else None)
