"""What `recipe init` says of a draft: what was guessed, why, and what comes next."""

from __future__ import annotations

from typing import Final

from engine.drafting.draft import Draft

MOST_COLUMNS: Final = 8
WIDEST: Final = 44


def drafted(found: Draft, *, file: str, target: str) -> str:
    """Return the whole message."""
    shown = ", ".join(found.columns[:MOST_COLUMNS])
    more = ", …" if len(found.columns) > MOST_COLUMNS else ""
    lines = [f"{file}: {found.rows:,} rows" + (f", columns {shown}{more}" if shown else "")]
    first = max(len(what) for what, _, _ in found.reasons)
    second = min(WIDEST, max(len(_cut(guess)) for _, guess, _ in found.reasons))
    lines += [
        f"  {what:<{first}}  {_cut(guess):<{second}}  {why}".rstrip()
        for what, guess, why in found.reasons
    ]
    lines += [f"  note: {note}" for note in found.notes]
    lines.append(f"wrote {target} ({len(found.text.splitlines())} lines)")
    lines.append(f"next: recipe validate {target} && recipe data {target}")
    return "\n".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
