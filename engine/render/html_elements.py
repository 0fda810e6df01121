"""Blocks as elements of a page."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from engine.evidence import Status
from engine.render import blocks
from engine.render.blocks import Section
from engine.render.html_markup import (
    Markup,
    draw_track,
    escaped,
    join,
    line_chart,
    reliability_chart,
    tag,
)

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='6' fill='%232757c4'/%3E%3C/svg%3E"
)


def html_page(
    *,
    title: str,
    header: Sequence[Markup],
    top: Markup,
    sections: Mapping[str, Section],
    footer: Sequence[str],
) -> str:
    """One self-contained page: no script, no request; for desktops, phones, the dark and paper.

    `sections` are by anchor; `top` stands before them and is not in the contents.
    """
    links = (
        tag("li", tag("a", part.title, href=f"#{anchor}")) for anchor, part in sections.items()
    )
    contents = tag("nav", tag("ol", *links), aria_label="Contents")
    parts = (_section(anchor, part) for anchor, part in sections.items())
    body = join(
        [
            tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
            tag("header", *header),
            tag(
                "div",
                contents,
                tag("main", top, *parts, id="verdict"),
                class_="page",
            ),
            tag("footer", *(tag("p", line) for line in footer)),
        ],
        "\n",
    )
    return f'<!doctype html>\n<html lang="en">\n{_page_head(title)}\n{tag("body", body)}\n</html>\n'


def _section(anchor: str, section: Section) -> Markup:
    heading = tag("h2", section.title, id=f"{anchor}-title")
    words = " ".join(filter(None, (section.lead, section.drawing_lead)))
    lead = tag("p", words, class_="lead") if words else ""
    blocks = map(element, section.blocks)
    named = f"{anchor}-title"
    if section.is_open:
        return tag("section", heading, lead, *blocks, id=anchor, aria_labelledby=named)
    # A browser unfolds what a link leads into, so the anchor is within.
    body = tag("div", lead, *blocks, id=anchor)
    fold = tag("details", tag("summary", heading), body, class_="fold")
    return tag("section", fold, aria_labelledby=named)


def _page_head(title: str) -> Markup:
    style = files("engine.render").joinpath("html", "style.css").read_text(encoding="utf-8")
    # Only this style is let through: whatever a text of the data slips in, no other one and no
    # script.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"{policy}; form-action 'none'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="icon", href=_ICON),
        tag("style", Markup(style)),
    )


GLYPHS = {Status.PASS: "✓", Status.FAIL: "✕", Status.INCONCLUSIVE: "?", Status.WARN: "!"}
_UPRIGHT = 6
"""Labels of a matrix up to which column heads are written across."""
_FEW = 3
_SHORT_LABEL = 12
_TALL = 12
"""Labels of a matrix beyond which it scrolls by itself."""
_SHADES = 8
_TAGS: Mapping[type[str], tuple[str, str | None]] = {
    blocks.Code: ("code", None),
    blocks.Digest: ("code", "digest"),
    blocks.Strong: ("strong", None),
    blocks.Muted: ("span", "muted"),
    blocks.Label: ("span", "label"),
}
"""Element and class of pieces of text."""


def element(block: blocks.Block) -> Markup:
    match block:
        case blocks.Paragraph():
            shown = tag("p", inline(block.text), class_=block.kind or None)
        case blocks.Heading():
            shown = tag("h3", block.text)
        case blocks.Bullets():
            items = (tag("li", inline(item)) for item in block.items)
            shown = tag("ul", *items, class_=block.kind)
        case blocks.Facts():
            pairs = (tag("dt", name) + tag("dd", inline(value)) for name, value in block.rows)
            shown = tag("dl", *(tag("div", Markup(pair)) for pair in pairs), class_=block.kind)
        case blocks.Absent():
            reason = blocks.Prose(blocks.capital(block.reason) + ".")
            shown = tag("p", inline(reason), class_="absent")
        case blocks.Listing():
            lines = len(block.text.splitlines())
            size = tag("span", f"{lines} line" if lines == 1 else f"{lines} lines", class_="muted")
            body = tag("pre", tag("code", block.text), tabindex="0", aria_label=block.title)
            # In HTML such an attribute counts by being there, whatever its value.
            is_open = "" if block.is_open else None
            head = tag("summary", block.title, " ", size)
            shown = tag("details", head, body, class_="listing", open=is_open)
        case blocks.LineChart():
            shown = line_chart(block)
        case blocks.ReliabilityChart():
            shown = reliability_chart(block)
        case blocks.Table():
            shown = _table(block)
        case blocks.Matrix():
            shown = _matrix(block)
        case _:
            raise TypeError(type(block))
    return shown


def _table(block: blocks.Table) -> Markup:
    shown = blocks.filled(block, drawn=True)
    is_boxed = block.layout != "cards"
    caption = _caption(block.caption + (f"; {block.legend}" if block.legend else ""))
    body = [line for row in shown.rows for line in _rows(shown, row)]
    heads = (
        (tag("th", column.name, scope="col", role="columnheader", class_=column.kind or None))
        for column in shown.columns
        if column.kind != "under"
    )
    head = tag("thead", tag("tr", *heads, role="row"), role="rowgroup")
    content = tag(
        "table",
        caption,
        head,
        tag("tbody", *body, role="rowgroup"),
        # Where CSS lays a table out as cards, screen readers need the role to take it for one.
        role="table",
        class_=None if is_boxed else block.layout,
    )
    return _box(content, block.caption, block.layout) if is_boxed else content


def _rows(block: blocks.Table, row: blocks.Row) -> list[Markup]:
    """A row, and its note in a row of its own where the table puts it there."""
    note = inline(blocks.Prose(row.note))
    beside = tag("span", note, class_="note") if row.note and not block.notes_below else ""
    head, kind = inline(row.cells[0]), block.columns[0].kind or None
    cells = [tag("th", head, beside, scope="row", role="rowheader", class_=kind)]
    for column, cell in zip(block.columns[1:], row.cells[1:], strict=True):
        if column.kind == "under":
            parts = str(cell).split(", ") if cell else []
            lines = [join([tag("br"), tag("span", text, class_="muted")]) for text in parts]
            cells[-1] = Markup(cells[-1].removesuffix("</td>") + join(lines) + "</td>")
        else:
            name = column.name if column.kind == "rows" else None
            cells.append(
                tag("td", inline(cell), role="cell", class_=column.kind or None, data_name=name)
            )
    is_below = bool(row.note) and block.notes_below
    shown = [tag("tr", *cells, role="row", class_="noted" if is_below else None)]
    if is_below:
        below = tag("td", tag("div", note), colspan=len(cells))
        shown.append(tag("tr", below, class_="because"))
    return shown


def _matrix(block: blocks.Matrix) -> Markup:
    columns = block.answers if any(row[-1] for row in block.counts) else block.answers[:-1]
    is_long = max(map(len, columns)) > _SHORT_LABEL
    is_steep = len(columns) > _UPRIGHT or (is_long and len(columns) > _FEW)
    heads = (tag("th", inline(blocks.Label(name)), scope="col") for name in columns)
    body = (
        tag(
            "tr",
            tag("th", inline(blocks.Label(label)), scope="row"),
            *(_count(counts, at, row) for at in range(len(columns))),
        )
        for row, (label, counts) in enumerate(zip(block.labels, block.counts, strict=True))
    )
    corner = tag("td", tag("span", "true ↓ · answer →", class_="muted"))
    content = tag(
        "table",
        _caption(block.caption),
        tag("thead", tag("tr", corner, *heads)),
        tag("tbody", *body),
        class_="matrix steep" if is_steep else "matrix",
    )
    return _box(content, block.caption, "tall" if len(block.labels) > _TALL else "")


def _count(counts: tuple[int, ...], column: int, row: int) -> Markup:
    value, hue = counts[column], "hit" if row == column else "miss"
    if value == 0:
        return tag("td", "0" if row == column else "", class_="zero")
    shade = max(1, round(_SHADES * value / sum(counts)))
    return tag("td", str(value), class_=f"{hue} h{shade}")


def _caption(text: str) -> Markup:
    return tag("caption", tag("span", text))


def _box(content: Markup, label: str, layout: str) -> Markup:
    return tag(
        "div",
        content,
        class_=f"box {layout}".strip(),
        role="region",
        aria_label=label,
        tabindex="0",
    )


def inline(cell: blocks.Cell) -> Markup:
    """A cell or a piece of text as HTML; plain strings are escaped."""
    match cell:
        case tuple():
            shown = join(inline(part) for part in cell)
        case blocks.Estimate():
            about = tag("span", cell.about, class_="about") if cell.about else ""
            shown = join([tag("span", cell.value, class_="value"), about], " ")
        case blocks.Badge():
            glyph = Markup("")
            if cell.sign:
                glyph = tag("span", GLYPHS[Status(cell.tone)], aria_hidden="true", class_="glyph")
            shown = tag("span", glyph, cell.word, class_=f"badge {cell.tone}".strip())
        case blocks.Details():
            lines = tag("ul", *(tag("li", line) for line in cell.lines))
            shown = tag("details", tag("summary", cell.title), lines)
        case blocks.Track():
            shown = draw_track(cell)
        case blocks.Prose():
            shown = join(
                tag("code", piece) if is_code else piece for piece, is_code in cell.pieces()
            )
        case blocks.Failure():
            shown = tag("span", inline(blocks.Prose(cell)), class_="note fail")
        case str() if type(cell) in _TAGS:
            name, kind = _TAGS[type(cell)]
            shown = tag(name, str(cell), class_=kind)
        case _:
            shown = escaped(str(cell))
    return shown
