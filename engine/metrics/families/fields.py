"""Comparison of answers: as text, by a pattern, as a number, or by the fields of an object."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter, deque
from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from engine.files.reading import parse_json
from engine.metrics.predictions import Prediction
from engine.recipe.model import Json
from engine.recipe.patterns import compiled, in_time, validator
from engine.recipe.prompt import read_object

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

ARTICLES = re.compile(r"\b(a|an|the)\b")
NUMBER = re.compile(
    r"""(?:(?<!\w)[-+]\s?)?            # a sign, not the dash of a range
        (?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)
        (?:e[-+]?\d{1,3}(?!\w))?""",
    re.VERBOSE | re.IGNORECASE,
)


def normalised(text: str) -> str:
    """Normalise a text as SQuAD's evaluation does, after folding Unicode.

    NFKC, case folded, without punctuation and the articles a, an and the, single spaces. If nothing would be left, as
    of the answer `A`, articles (then punctuation) stay.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(
        letter
        for letter in folded
        if not (letter in string.punctuation or unicodedata.category(letter).startswith("P"))
    )
    texts = (" ".join(text.split()) for text in (ARTICLES.sub(" ", bare), bare, folded))
    return next(filter(None, texts), "")


def answer_in(text: str, pattern: str) -> str | None:
    """Return the first group of the pattern's last match, or the match. DataError D425 where that takes too long."""
    with in_time("task.answer_pattern", f"a text of {len(text):,} characters"):
        matches = deque(_compiled(pattern).finditer(text), maxlen=1)
    if not matches:
        return None
    found = matches[0].group(1 if matches[0].re.groups else 0)
    return None if found is None else found.strip()


def number_in(text: str, pattern: str = "") -> Decimal | None:
    """Return the last number of the text, or of the pattern's match if any.

    Commas between thousands, currency signs and percent signs are ignored: `$1,234.50` is 1234.5, and `50 %` is 50.
    """
    match = answer_in(text, pattern) if pattern else None
    normal = unicodedata.normalize("NFKC", text if match is None else match)
    normal = normal.replace("\N{MINUS SIGN}", "-")  # which NFKC keeps
    # in `-$5` a currency sign separates the sign from its number
    plain = "".join(letter for letter in normal if unicodedata.category(letter) != "Sc")
    numbers = NUMBER.findall(plain)
    if not numbers:
        return None
    try:
        # Not a float, in which numbers of twenty digits become equal.
        return Decimal(re.sub(r"[,\s]", "", numbers[-1]))
    except InvalidOperation:
        return None


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return compiled(pattern)


Leaves = Counter[tuple[str, str]]
"""Count of each (field, canonical value) in an answer."""


def leaves_of(value: Any, known: Collection[str]) -> Leaves:
    """Count the values of an object by the dotted path of their field, without indexes of lists.

    At a path in `known` any value, or any item of a list, is one value; elsewhere objects are walked through.
    """
    return Counter(_leaves(value, None, frozenset(known)))


def canonical(value: Any) -> str:
    """Return one text for equal values: 1 and 1.0 are equal, and so are objects in any order of keys.

    Strings are compared exactly, true is not 1, and the order of a list counts.
    """
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def is_right(row: Prediction) -> bool:
    """Tell whether an answer is right, as `exact_match` does: the target, a reference, or an object of equal values."""
    if row.label is None:
        return False
    if row.label.strip() in {one.strip() for one in (row.target, *row.references)}:
        return True
    answer, target = (read_object(one) for one in (row.label, row.target))
    return answer is not None and target is not None and canonical(answer) == canonical(target)


def fits(text: str, schema: Json) -> tuple[bool, bool]:
    """Tell of an output whether it fits the schema, and whether it is JSON with a value of a wrong type."""
    # a cache needs keys that can be hashed
    return _fits(text.strip(), json.dumps(schema))


@lru_cache(maxsize=1 << 15)
def _fits(text: str, schema: str) -> tuple[bool, bool]:
    try:
        value = parse_json(text)
    except ValueError:
        return False, False
    checker = _validator(schema)
    # A pattern of the schema may backtrack without end on a model's text.
    with in_time("task.schema", f"an answer of {len(text):,} characters"):
        errors = list(checker.iter_errors(value))
    return not errors and read_object(text) is not None, any(map(_is_of_type, errors))


@lru_cache(maxsize=8)
def _validator(schema: str) -> Draft202012Validator:
    found = json.loads(schema)
    return validator(found if isinstance(found, dict | bool) else {})


def _is_of_type(error: ValidationError) -> bool:
    """Tell whether an error is about a type, or each of its alternatives is."""
    if error.validator == "type":
        return True
    by_branch: dict[object, bool] = {}
    for inner in error.context or ():
        branch = inner.schema_path[0] if inner.schema_path else None
        by_branch[branch] = by_branch.get(branch, False) or _is_of_type(inner)
    return bool(by_branch) and all(by_branch.values())


def _leaves(value: Any, path: str | None, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    # None is the object itself: a field may be called "".
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item, path, known)
    elif isinstance(value, dict) and path not in known:
        for key, below in value.items():
            yield from _leaves(below, key if path is None else f"{path}.{key}", known)
    else:
        yield path or "", canonical(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return value
