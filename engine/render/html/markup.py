"""HTML that cannot be injected into: plain strings are escaped, only `Markup` is taken as it is."""

from __future__ import annotations

import html
from collections.abc import Iterable

from engine.render.styled_text import printable

_VOID = frozenset({"meta", "br", "col", "link"})


class Markup(str):
    """Text that is HTML already; made only by this module's functions and constants of ours."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as HTML shows it: escaped, with control and direction characters made visible."""
    if isinstance(text, Markup):
        return text
    lines = (printable(line) for line in text.replace("\r\n", "\n").split("\n"))
    return Markup(html.escape("\n".join(lines), quote=True))


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element. `class_` is written `class`, `aria_label` `aria-label`; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    inner = "".join(escaped(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def stroke(path: str, kind: str) -> Markup:
    """A line of a drawing."""
    return tag("path", d=path, class_=kind)


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """The parts one after the other, each escaped unless it is markup."""
    return Markup(escaped(separator).join(escaped(part) for part in parts))


def _text(value: str | float) -> str:
    """Coordinates keep two decimals: a hundredth of a pixel is not seen."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
