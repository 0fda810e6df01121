"""The page around its blocks: head, policy, contents, sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from engine.render.blocks import Section
from engine.render.html.elements import element
from engine.render.html.markup import Markup, join, tag

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
    return f'<!doctype html>\n<html lang="en">\n{_head(title)}\n{tag("body", body)}\n</html>\n'


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


def _head(title: str) -> Markup:
    style = files("engine.render.html").joinpath("style.css").read_text(encoding="utf-8")
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
