"""Whether the files of a bundle are written as the engine writes them, and the statement repeats report and lock."""

import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from engine.bundle.contents import EVIDENCE, REPORT, RESOLVED, Contents, pages_of
from engine.bundle.row_table import ROWS
from engine.bundle.signing import statement_of, to_bytes
from engine.files.reading import key_twice
from engine.lock.coherence import Comparing
from engine.lock.file import lock_text
from engine.process import __version__
from engine.recipe import dump_resolved
from engine.render.report.page import render_json
from engine.store.records import BUNDLED_LOCK
from engine.values import brief_text

_DECIMAL: Final = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
_NUMBER: Final = re.compile(r'^\s*(?:"[^"\n]*": )?(-?\d[\d.e+-]*),?$', re.MULTILINE)
"""A number of JSON that has a line for each value."""
_UNSEEN: Final = re.compile(
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
        written[REPORT] = render_json(found.report)
    if found.is_of_this_version:
        written[RESOLVED] = dump_resolved(found.recipe)
    for name, right in written.items():
        if found.text(name) != right:
            yield f"{name} is not written as it should be: {_first_line(found.text(name), right)}"


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
        plain = render_json(found.report)
        numbers = (*_NUMBER.findall(plain), *_DECIMAL.findall(plain))
        known = known or set(map(float, numbers))
        strange = sorted(one for one in _shown(text) - _shown(right) if not _gives(one, known))
        if strange:
            yield f"{name} says {', '.join(strange[:5])}, which the report does not"


def statement_problems(found: Contents) -> Iterator[str]:
    """Yield the parts of the signed statement that are not those of report, lock and files."""
    names = [name for name in (*EVIDENCE, ROWS) if name in found.members]
    evidence = {name: found.members[name].data or b"" for name in names}
    # through JSON, since tuples would differ from the lists that were signed
    again = statement_of(found.report, found.accepted, evidence, written_with=found.written_with)
    right = json.loads(to_bytes(again))
    whole = Comparing("report and lock", is_whole=True)
    yield from whole.differences("statement", found.statement, right)


def _first_line(text: str, right: str) -> str:
    pairs = zip_longest(text.splitlines(), right.splitlines(), fillvalue="")
    for number, (here, there) in enumerate(pairs, start=1):
        if here != there:
            pairs_of = enumerate(zip(here, there, strict=False))
            at = next((at for at, (one, two) in pairs_of if one != two), min(len(here), len(there)))
            return f"line {number} goes on `{brief_text(here[at:])}`, it should `{brief_text(there[at:])}`"
    return "its line ends"


def _shown(page: str) -> set[str]:
    """The decimals that a reader meets: no lengths of the style, no coordinates of a drawing."""
    return set(_DECIMAL.findall(_UNSEEN.sub(r" \1 ", page)))


def _gives(shown: str, known: set[float]) -> bool:
    # half of the last digit that is shown, and a little for what binary fractions cannot hold
    step = 0.5 * 10 ** -len(shown.partition(".")[2]) + 1e-12
    units = (1, 100, 1e-3, 1e-6, 1e-9)
    return any(abs(abs(one) * unit - float(shown)) <= step for one in known for unit in units)
