"""Whether the files of a bundle are written as the engine writes them: JSON, the resolved recipe, and the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from engine.bundle.contents import REPORT, RESOLVED, Contents, pages_of
from engine.files.reading import key_twice
from engine.lock.coherence import SHA256
from engine.lock.file import lock_text
from engine.process.version import __version__
from engine.recipe import dump_resolved
from engine.render.json import render_json
from engine.store.runs import BUNDLED_LOCK
from engine.values import brief_text, to_json

_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
_UNSEEN = re.compile(
    r'<style>.*?</style>|<[a-z][^<>]*?(?:aria-label="([^"<>]*)"[^<>]*)?>', re.DOTALL
)
"""The style of a page and the tags of it, but for the words that a drawing is read out with."""


def form_problems(found: Contents) -> Iterator[str]:
    """Yield the files that hold a key twice, or that this version would write in another way."""
    if twice := key_twice(found.text(REPORT)):
        yield f"{REPORT} has the key `{brief_text(twice)}` twice in one object"
    # a lock of an older version is written as that one wrote it
    written = {BUNDLED_LOCK: lock_text(found.lock)}
    # another version may know fewer facts, or more
    if found.written_with == __version__:
        written |= {REPORT: render_json(found.report)}
    if found.is_of_this_version:
        written |= {RESOLVED: dump_resolved(found.recipe)}
    for name, right in written.items():
        if found.text(name) != right:
            yield f"{name} is not written as it should be: {_first_line(found.text(name), right)}"
    for name in ("inputs", "drawn_with"):
        digest = getattr(found.lock, name)
        if digest is not None and not SHA256.fullmatch(digest):
            yield f"`{name}` of the lock is no sha256"


def page_problems(found: Contents) -> Iterator[str]:
    """Yield where the pages for people are not those of the report.

    Another version may word a page in another way: then its numbers must still be the report's.
    """
    known: set[float] = set()
    for name, render in pages_of().items():
        text, right = found.text(name), render(found.report)
        if text == right:
            continue
        if found.written_with == __version__:
            yield f"{name} is not the page of the report: {_first_line(text, right)}"
            continue
        if found.report.recipe_name not in text:
            yield f"{name} does not name `{found.report.recipe_name}`"
        known = known or set(_numbers(json.loads(json.dumps(to_json(found.report)))))
        others = _shown_decimals(text) - _shown_decimals(right)
        strange = sorted(one for one in others if not _gives(one, known))
        if strange:
            yield f"{name} says {', '.join(strange[:5])}, which the report does not"


def _first_line(text: str, right: str) -> str:
    """Return where a page differs first, and how it goes on there."""
    pairs = zip_longest(text.splitlines(), right.splitlines(), fillvalue="")
    for number, (here, there) in enumerate(pairs, start=1):
        if here != there:
            pairs_of = enumerate(zip(here, there, strict=False))
            at = next((at for at, (one, two) in pairs_of if one != two), min(len(here), len(there)))
            return f"line {number} goes on `{brief_text(here[at:])}`, it should `{brief_text(there[at:])}`"
    return "its line ends"


def _shown_decimals(page: str) -> set[str]:
    """The decimals that a reader meets: no lengths of the style, no coordinates of a drawing."""
    return set(_DECIMAL.findall(_UNSEEN.sub(r" \1 ", page)))


def _numbers(value: Any) -> Iterator[float]:
    # a bool is an int: one `true` of the report would let 1.0 pass on a page
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, str):
        yield from map(float, _DECIMAL.findall(value))
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


def _gives(shown: str, known: set[float]) -> bool:
    """Tell whether a number of a page is one of the report, rounded, as a share or in percent."""
    decimals = len(shown.partition(".")[2])
    # half of the last digit that is shown, and a little for what binary fractions cannot hold
    step = 0.5 * 10**-decimals + 1e-12
    value = float(shown)
    return any(
        abs(abs(one) * unit - value) <= step for one in known for unit in (1, 100, 1e-3, 1e-6, 1e-9)
    )
