"""Text that was decoded with the wrong encoding somewhere: `cafÃ©` for `café`.

The judgement is that of ftfy (Robyn Speer): character sequences that hardly occur in right text,
and that become right when the wrong decoding is undone. Both must hold: a rare sequence that cannot
be repaired is more often an unusual spelling than a broken one.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.data.checks.rows.texts import AROUND, rows_that, texts
from engine.data.kinds.base import Filled
from engine.data.reading.row import excerpt
from engine.errors import EnvironmentProblem
from engine.recipe.model import CheckAction


@dataclass(frozen=True, slots=True)
class MojibakeCheck:
    """Finds text that reads right once a wrong decoding is undone."""

    action: CheckAction
    name: str = "mojibake"

    def look(self, filled: Filled) -> str | None:
        """Return the first broken place and what it likely was, or None."""
        for text in texts(filled):
            # ASCII reads the same in every encoding that is mistaken for another here.
            if text.isascii():
                continue
            repaired = repair(text)
            if repaired is not None:
                broken, right = _difference(text, repaired)
                return f"`{excerpt(broken)}` was likely `{excerpt(right)}`"
        return None

    def message(self, count: int) -> str:
        """Return the finding's sentence."""
        verbs = ("was decoded with the wrong encoding", "were decoded with the wrong encoding")
        return rows_that(count, *verbs)


def repair(text: str) -> str | None:
    """Return what a wrongly decoded text likely was, or None where it looks right.

    Control codes that were Windows-1252 punctuation are no mojibake here: `control_characters`
    finds them.
    """
    try:
        from ftfy import badness, fix_encoding, fixes
    except ImportError as error:
        raise EnvironmentProblem.one(
            "E701",
            "the check `mojibake` needs ftfy",
            hint="pip install 'slm-recipe[data]', or write `mojibake: off` under `data.checks`",
        ) from error
    if not badness.is_bad(text):
        return None
    repaired = fix_encoding(text)
    return None if repaired in (text, fixes.fix_c1_controls(text)) else repaired


def _difference(text: str, repaired: str) -> tuple[str, str]:
    """Return both texts from a little before they begin to differ."""
    pairs = zip(text, repaired, strict=False)
    # The default is needed where the repaired text is a beginning of the broken one.
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(repaired))
    start = max(0, same - AROUND)
    mark = "…" if start else ""
    return mark + text[start:], mark + repaired[start:]
