"""Conversations in rows of no usual format: a list of objects with a speaker and a text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from engine.drafting.profile import Profile

SPEAKERS: Final = ("speaker", "role", "from", "author", "sender", "who", "agent")
SAYINGS: Final = ("utterance", "content", "text", "value", "message", "body", "said")
ROLES: Final = {
    "user": "user", "human": "user", "customer": "user", "client": "user", "guest": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "agent": "assistant",
    "system": "assistant", "operator": "assistant",
}  # fmt: skip
"""Where two people speak, one of them called `system`, that is the one who answers."""
LOOKED_AT: Final = 2000
TWO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnColumns:
    """Where the turns of a row stand."""

    column: str
    role: str
    content: str
    roles: tuple[tuple[str, str], ...]
    """(name of a speaker, role)."""


def turns_in(profile: Profile) -> TurnColumns | None:
    """Return the column of turns between two speakers; None where there is none."""
    for column in profile.columns.values():
        if not column.objects or "." in column.name:
            continue
        turns = profile.objects(column.name, LOOKED_AT)
        role = next((name for name in SPEAKERS if turns and name in turns[0]), "")
        content = next((name for name in SAYINGS if turns and name in turns[0]), "")
        if not role or not content:
            continue
        names = Counter(str(turn.get(role)) for turn in turns)
        first = str(turns[0].get(role))
        if first.lower() == "system":
            # An instruction and a question; the answer stands elsewhere.
            continue
        if len(names) == TWO and len(turns) > len(profile.kept[:LOOKED_AT]):
            return TurnColumns(
                column=column.name, role=role, content=content, roles=_roles(list(names), first)
            )
    return None


def _roles(names: list[str], first: str) -> tuple[tuple[str, str], ...]:
    known = {name: ROLES.get(name.lower(), "") for name in names}
    if set(known.values()) != {"user", "assistant"}:
        known = {name: "user" if name == first else "assistant" for name in names}
    return tuple(known.items())
