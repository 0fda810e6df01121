"""A tokenizer.json whose words, merges and numbers do not belong together, by its text alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from transformers.convert_slow_tokenizer import bytes_to_unicode

from engine.errors import Problem, Severity
from engine.files.reading import read_json

UNREACHED: Final = 0.1
"""Share of words that no merge makes from which merges are missing."""
SWAPPED: Final = 0.02
"""Share of words out of order below which they are exceptions in a vocabulary that has one."""
MOST_BYTES: Final = 4
"""Bytes out of order that may be swapped pairs; a vocabulary with an order of its own has more."""
REVERSED: Final = 0.9
"""Share of words out of order from which merges stand the other way round."""
FEW_BYTES: Final = 100


def vocabulary_problems(folder: Path) -> Iterator[Problem]:
    """Yield X841, a warning, for words that merges cannot make, and for those with the number of others."""
    path = folder / "tokenizer.json"
    whole = read_json(path) if path.is_file() else {}
    model = whole.get("model") or {}
    words = model.get("vocab")
    if model.get("type") != "BPE" or not isinstance(words, dict):
        return
    yield from _other_numbers(folder / "vocab.json", words)
    yield from _swapped_bytes(words)
    made = [*dict.fromkeys(_product(one) for one in model.get("merges") or ())]
    known = {*made, *(one.get("content") for one in whole.get("added_tokens") or ())}
    unreached = [
        one for one in words if len(one) > 1 and not one.startswith("<") and one not in known
    ]
    if len(unreached) > UNREACHED * len(words) and not model.get("ignore_merges"):
        yield _warning(
            f"has {len(unreached):,} words of {len(words):,} that no merge makes, such as {unreached[0]!r}"
        )
    # Training a tokenizer numbers words as it makes them.
    order = [words[one] for one in made if one in words]
    back = [later for one, later in pairwise(order) if one > later]
    if 0 < len(back) <= SWAPPED * len(order):
        names = {number: word for word, number in words.items()}
        yield _warning(
            f"gives {_words(len(back))} a number out of order, such as {names[back[0]]!r}: words may be swapped"
        )
    elif len(back) > REVERSED * len(order):
        yield _warning(
            f"has its {len(made):,} merges the other way round: the last ones come first"
        )


def _words(count: int) -> str:
    return f"{count:,} word{'' if count == 1 else 's'}"


def _other_numbers(path: Path, words: Mapping[str, int]) -> Iterator[Problem]:
    beside = read_json(path) if path.is_file() else {}
    if not isinstance(beside, dict):
        return
    odd = [word for word, number in beside.items() if words.get(word, number) != number]
    if odd:
        yield _warning(
            f"gives {_words(len(odd))} another number than vocab.json, such as {odd[0]!r}"
        )


def _swapped_bytes(words: Mapping[str, int]) -> Iterator[Problem]:
    """Yield X841 where two bytes have each other's number: any text comes back, and the model reads another one.

    Bytes are numbered by their own order, or by that of the letters that stand for them.
    """
    letters = bytes_to_unicode()
    orders = [
        [one for one in order if one in words]
        for order in ((letters[byte] for byte in range(256)), sorted(letters.values()))
    ]
    orders.append([name for byte in range(256) if (name := f"<0x{byte:02X}>") in words])
    odd = [_out_of_order(order, words) for order in orders if len(order) > FEW_BYTES]
    found = min(odd, key=len, default=[])
    if 0 < len(found) <= MOST_BYTES:
        yield _warning(f"gives bytes each other's numbers: {', '.join(map(repr, found))}")


def _out_of_order(order: Sequence[str], words: Mapping[str, int]) -> list[str]:
    numbers = [words[one] for one in order]
    return [
        one
        for one, number, right in zip(order, numbers, sorted(numbers), strict=True)
        if number != right
    ]


def _product(merge: Any) -> str:
    return "".join(merge.split(" ", 1) if isinstance(merge, str) else merge)


def _warning(what: str) -> Problem:
    return Problem(
        code="X841",
        message=f"the tokenizer of the base model {what}",
        path="base_model",
        hint="take the tokenizer files of the same revision of the same model",
        severity=Severity.WARNING,
    )
