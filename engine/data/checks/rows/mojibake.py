"""Text that was decoded with the wrong encoding somewhere: `cafÃ©` for `café`.

The judgement is that of ftfy (Robyn Speer): character sequences that hardly occur in right text,
and that become right when the wrong decoding is undone. Both must hold: a rare sequence that cannot
be repaired is more often an unusual spelling than a broken one.
"""

from __future__ import annotations

from engine.data.checks.rows.base import RowCheck
from engine.data.checks.rows.texts import AROUND
from engine.data.reading.row import excerpt
from engine.errors import needs_extra


class MojibakeCheck(RowCheck):
    """Finds text that reads right once a wrong decoding is undone."""

    name = "mojibake"
    finding = ("was decoded with the wrong encoding", "were decoded with the wrong encoding")

    def fault(self, text: str) -> str | None:
        """Return the first broken place and what it likely was, or None."""
        # ASCII reads the same in every encoding that is mistaken for another here.
        repaired = None if text.isascii() else repair(text)
        if repaired is None:
            return None
        broken, right = _difference(text, repaired)
        return f"`{excerpt(broken)}` was likely `{excerpt(right)}`"


def repair(text: str) -> str | None:
    """Return what a wrongly decoded text likely was, or None where it looks right.

    Control codes that were Windows-1252 punctuation are no mojibake here: `control_characters`
    finds them.
    """
    instead = ", or write `mojibake: off` under `data.checks`"
    with needs_extra("the check `mojibake` needs ftfy", "data", instead=instead):
        from ftfy import badness, fix_encoding, fixes
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
