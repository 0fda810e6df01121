"""The sections of a report: `sections.json` names their order, words and modules; each is a function of its anchor."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.evidence import Report
from engine.files.reading import parse_json
from engine.render.blocks import Absent, Block, Matrix, PageOnly, Section, Table

Parts = Iterator[Block | tuple[str, Any]]
"""What a section shows, and (place, sentence): `lead`, which is appended, `card` and `closing`, a line each, and
`title` and `is_open`, which replace those of the table. No part: no section."""

TABLE: dict[str, dict[str, Any]] = parse_json(
    Path(__file__).with_name("sections.json").read_bytes()
)
"""By anchor on the page: `module`, `title`, `lead`, `is_open` where it is unfolded, how drawings are read."""


def report_sections(report: Report) -> dict[str, Section]:
    """The sections that the report has something to say in, by anchor and in order."""
    found: dict[str, Section] = {}
    for anchor, row in TABLE.items():
        # Not at the top: these modules build on this one.
        module = import_module(f"{__name__}.{row['module']}")
        parts = list(getattr(module, anchor.replace("-", "_"))(report))
        shown = tuple(part for part in parts if not isinstance(part, tuple))
        texts = [part for part in parts if isinstance(part, tuple)]
        named = {name: text for name, text in row.items() if name != "module"}
        if not any(map(_is_drawn, shown)):
            named.pop("drawing_lead", None)
        if isinstance(next(iter(shown), None), Absent):
            named.pop("lead", None)
        named |= {place: text for place, text in texts if place in ("title", "is_open")}
        lead = "".join([named.pop("lead", ""), *(text for place, text in texts if place == "lead")])
        card, closing = (
            tuple(text for place, text in texts if place == name) for name in ("card", "closing")
        )
        if parts:
            found[anchor] = Section(**named, lead=lead, blocks=shown, card=card, closing=closing)
    return found


def _is_drawn(block: Block) -> bool:
    if isinstance(block, Table):
        return any(column.kind == "drawn" for column in block.columns)
    return isinstance(block, Matrix | PageOnly)
