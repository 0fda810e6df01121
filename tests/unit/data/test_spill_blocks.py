"""Rows read by the block are the rows that Python reads one by one."""

from __future__ import annotations

import random
from array import array

import numpy as np
import pytest

from engine.data import spill as spilling
from engine.data.similarity.shingles import comparable
from engine.data.spill import SpilledRow, Texts
from engine.data.spill_blocks import blocks, comparable_batches
from support.spilled import spilled

PIECES = (
    *(
        "The",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\x0b",
        "\x1c",
        "\x1f",
        "\x85",
        "\u2028",
        "\u00a0",
        "İ",
        "ß",
    ),
    *(
        "é",
        "日本",
        "\ud83d",
        "\u200b",
        "\u00ad",
        "\0",
        '"',
        "\\",
        "/",
        "\x07",
        "\x7f",
        "A b",
        "z",
        "",
    ),
)


def made_rows(count: int, seed: int) -> list[SpilledRow]:
    """Rows of pieces that some way could read differently."""
    draw = random.Random(seed)

    def text(most: int) -> str:
        return "".join(draw.choices(PIECES, k=draw.randrange(most)))

    return [
        SpilledRow(
            origin=f"a.csv:{number}" if draw.random() < 0.95 else text(3),
            input=text(8),
            target=text(3),
            labels=tuple(text(3) for _ in range(draw.randrange(3))),
            mark=text(2),
            payload={} if draw.random() < 0.9 else {"answer": text(3)},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("block", [2, 300, 1 << 20])
def test_blocks_hold_the_rows_that_were_asked_for(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "BLOCK", block)
    rows = made_rows(400, seed=block)
    spill = spilled(rows)
    asked = array("I", random.Random(1).sample(range(400), 150))

    read = [
        (row, one.record(at))
        for one in blocks(spill, asked)
        for at, row in enumerate(one.rows.tolist())
    ]

    assert read == [(row, rows[row]) for row in sorted(asked)]
    assert list(blocks(spill, array("I"))) == []


def test_texts_by_the_block_are_comparable_as_python_makes_them() -> None:
    rows = made_rows(500, seed=4)
    asked = array("I", random.Random(2).sample(range(500), 300))
    texts = Texts(spilled(rows), asked)

    def read(source: Texts | list[tuple[int, str]]) -> list[tuple[int, str]]:
        return [
            (number, codes[start:end].tobytes().decode("utf-32-le", "surrogatepass"))
            for numbers, codes, offsets in comparable_batches(source)
            for number, start, end in zip(
                numbers.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True
            )
        ]

    numbered = list(texts.numbered())
    assert read(texts) == [(number, comparable(text)) for number, text in numbered]
    assert read(numbered) == read(texts)
    assert np.array_equal([number for number, _ in numbered], np.argsort(np.asarray(asked)))


def test_texts_that_hold_a_word_are_found() -> None:
    draw = random.Random(3)
    words = ("spam", "ham", "h2", "größe")
    pieces = ("Spam", "spa", "HAM", "m", " ", "h2", "H", "größe", "é", "\0", "sham", "[", "")
    rows = [
        SpilledRow("a.csv:1", "".join(draw.choices(pieces, k=draw.randrange(5))), "x")
        for _ in range(300)
    ]
    (block,) = blocks(spilled(rows), array("I", range(300)))

    found = set(block.holding(words))

    for at, row in enumerate(rows):
        holds = any(word in row.input.casefold() for word in words)
        assert at in found or not holds
        if row.input.isascii() and "\0" not in row.input:
            assert (at in found) is holds
    assert block.holding(("a", *words)) == list(range(300))
