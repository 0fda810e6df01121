"""The language of rows by the block is the one that each row has alone."""

from __future__ import annotations

import random
from array import array

import pytest

from engine.data.checks.rows.languages import LanguagesCheck, language
from engine.data.spill import Spill, SpilledRow
from engine.data.spill_blocks import blocks

WORDS = """
der die das und ist nicht eine wir haben le la les et est pas une vous avoir el los una por para и в не на я что он
это но 我 你 的 是 在 não uma para het een van ik niet det och att är jag kitap ev ama the you ok \ud83d because with
THE AND a i is don't you've 12 [INST] word. internationalisation \0 İstanbul
"""


@pytest.mark.thorough
def test_a_block_has_the_languages_of_its_rows() -> None:
    draw = random.Random(6)
    words = WORDS.split(" ")
    texts = [" ".join(draw.choices(words, k=draw.randrange(1, 30))) for _ in range(1500)]
    texts += [text.upper() for text in texts[:200]] + ["", "1234567890" * 3, "a" * 30, "ß" * 25]
    texts += [f"{text} " * 9 for text in texts[:100]]
    spill = Spill()
    for text in texts:
        spill.add(SpilledRow("a", text, ""))
    check = LanguagesCheck("drop")

    found = [
        trait
        for block in blocks(spill, array("I", range(len(texts))))
        for trait in check.traits(block) or ()
    ]

    assert found == [language(text) for text in texts]
    assert len(set(found)) > 10
