"""How much of a draft may be laid out over lines: as much as 25 of them hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

MOST_LINES: Final = 25
WISHED: Final = 20
"""Lines that leave one blank between all sections."""
ENOUGH: Final = 22
"""Lines that leave some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What has lines of its own; what has not is written in braces or brackets on one."""

    header: bool = True
    """The comment at the head: two lines or one."""
    answer: bool = True
    """Parts of `label`, `answer` and `messages`."""
    source: bool = True
    """Keys of a source."""
    properties: bool = True
    """Properties of the schema of an answer."""
    checks: bool = True
    only_source: bool = True
    """A source on a line below `sources`, where it is the only one and one line holds both."""
    labels: bool = True
    """Several lines for a list of labels that is too long for one."""
    schema: bool = True
    """Parts of the schema of an answer."""
    sources: bool = True
    """A line for each of several sources."""


FOLDED: Final = ("header", "answer", "source", "properties", "checks", "only_source")
"""What is written closer, in this order, so that blank lines have room."""
FOLDED_LAST: Final = ("labels", "schema", "sources")
"""What is written on a long line only where nothing else is left."""
REGAINED: Final = ("only_source", "checks", "properties", "source", "answer")
"""What gets its lines back where that leaves some blank ones."""


def roomiest(count: Callable[[Room], int]) -> Room:
    """Return the room of which most is used: `count` tells the lines, without blank ones, of each."""
    room = Room()
    for most, names in ((WISHED, FOLDED), (MOST_LINES, FOLDED_LAST)):
        for name in names:
            if count(room) > most:
                room = replace(room, **{name: False})
    for name in REGAINED:
        wider = replace(room, **{name: True})
        if count(wider) <= ENOUGH:
            room = wider
    return room
