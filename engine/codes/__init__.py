"""Codes of problems, each with its page: what it means, the reason of the rule, what to do.

The pages are in this folder, one Markdown file for each area and, in `rules`, for each subject of rules. A code is
never reused and never changes its meaning.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Final

from engine.values import Value


class Code(Value):
    title: str
    """The rule in one line, lower-case, no full stop."""
    why: str
    """The consequences without the rule, in one or two sentences."""
    fix: str
    """What to edit or run; it may have a short example over several lines."""
    wrong: str = ""
    """Part of a recipe that breaks the rule, with `▸` before the place that is reported; empty without an example."""
    right: str = ""
    """The same part, corrected."""

    @property
    def as_hint(self) -> str:
        return f"{self.fix[0].lower()}{self.fix[1:]}".removesuffix(".")


_PAGE: Final = re.compile(r"^(?:## )?(?P<code>[A-Z]\d{3}): ", re.MULTILINE)
_SECTION: Final = re.compile(r"^(Fix|Wrong|Right):[ \n]", re.MULTILINE)


@cache
def all_codes() -> Mapping[str, Code]:
    """Return every page, sorted by code; KeyError for a code with two pages."""
    codes: dict[str, Code] = {}
    for file in sorted(Path(__file__).parent.rglob("*.md")):
        pages = pages_in(file.read_text(encoding="utf-8"))
        if twice := codes.keys() & pages.keys():
            raise KeyError(f"registered twice: {', '.join(sorted(twice))}")
        codes |= pages
    return dict(sorted(codes.items()))


def code_page(code: str) -> Code | None:
    return all_codes().get(code.upper())


def pages_in(text: str) -> dict[str, Code]:
    """Return the pages of a text, by code: title, why, `Fix:`, and of a rule `Wrong:` and `Right:`."""
    _, *parts = _PAGE.split(text)
    return {code: _page(page) for code, page in zip(parts[::2], parts[1::2], strict=True)}


def _page(text: str) -> Code:
    head, *parts = _SECTION.split(text)
    title, _, why = head.partition("\n\n")
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return Code(
        title=_joined(title).removesuffix("."),
        why=_joined(why),
        fix=_joined(sections["Fix"]),
        wrong=dedent(sections.get("Wrong", "")).strip("\n"),
        right=dedent(sections.get("Right", "")).strip("\n"),
    )


def _joined(text: str) -> str:
    """Return the lines of a sentence as one; an example that is indented keeps its lines."""
    bare = text.lstrip("\n")
    return dedent(bare).strip() if bare.startswith("    ") else " ".join(bare.split())
