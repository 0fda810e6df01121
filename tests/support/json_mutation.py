"""JSON that somebody broke: one value of a document replaced, taken out or nested, at random but seeded."""

import copy
import random
from collections.abc import Iterator
from typing import Any

STRANGE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e400,
    float("nan"),
    10**400,
    "",
    "pass",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "a" * 5000,
    [],
    {},
    [[]],
    {"a": {"b": []}},
    [None],
    {"": None},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value below the document itself."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


def mutated(document: Any, seed: int) -> Any:
    """A copy with one to three values that are not what they were."""
    draw = random.Random(seed)
    found = copy.deepcopy(document)
    for _ in range(draw.randint(1, 3)):
        paths = list(places(found))
        if not paths:
            break
        *parents, last = draw.choice(paths)
        node = found
        for part in parents:
            node = node[part]
        _change(node, last, draw)
    return found


def _change(node: Any, last: Any, draw: random.Random) -> None:
    how = draw.randrange(4)
    if how == 0 and isinstance(node, dict):
        del node[last]
    elif how == 1 and isinstance(node, dict):
        node[f"{last}x"] = node.pop(last)
    elif how == 2:
        node[last] = [node[last]]
    else:
        node[last] = copy.deepcopy(draw.choice(STRANGE))
