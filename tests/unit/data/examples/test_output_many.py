"""Lines and digests by compiled loops have the bytes of those by Python."""

from __future__ import annotations

import hashlib
import random
from array import array

import numpy as np
import pytest

from engine.data.examples import output_many
from engine.data.examples.example import Example, content_id, example_line
from engine.data.examples.output import split_digest
from engine.data.examples.output_many import chosen
from engine.data.spill import SpilledRow
from engine.data.spill_blocks import joined_bytes
from engine.runtime.text import lines
from support.spilled import spilled

PIECES = (
    *(
        "The",
        " ",
        "  ",
        "\t",
        "\n",
        "\x1f",
        "\u2028",
        "İ",
        "ß",
        "é",
        "日本",
        "\U0001f3f4",
        "\u200b",
    ),
    *('"', "\\", "/", "\x07", "\x7f", "\x08", "\x0c", "A b", "z", "", "\0", "\x85"),
)


def made_rows(count: int, seed: int, more: str = "") -> list[SpilledRow]:
    draw = random.Random(seed)

    def text(most: int) -> str:
        return "".join(draw.choices([*PIECES, more], k=draw.randrange(most)))

    return [
        SpilledRow(
            origin=f"é.csv:{number}",
            input=text(9),
            target=text(3),
            labels=tuple(text(3) for _ in range(draw.randrange(3))),
            payload={} if draw.random() < 0.9 else {"answer": text(3)},
        )
        for number in range(count)
    ]


def line(row: int, record: SpilledRow) -> bytes:
    example = Example(
        id=content_id(record.input, record.target, 2 if row % 50 == 7 else 0),
        origin=record.origin,
        input=record.input,
        target=record.target,
        labels=record.labels,
        payload=record.payload,
    )
    return example_line(example).encode()


@pytest.mark.parametrize("at_once", [1, 70, 10_000])
def test_lines_are_those_of_examples(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_many, "WRITTEN", at_once)
    rows = made_rows(300, seed=3)
    asked = array("I", random.Random(1).sample(range(300), 200))
    special = {row for row in asked if row % 50 == 7}

    found = output_many.lines_in_order(spilled(rows), asked, special, line)

    assert b"".join(some.tobytes() for some in found) == b"".join(
        line(row, rows[row]) for row in asked
    )


def test_half_of_a_pair_cannot_be_written() -> None:
    spill = spilled([SpilledRow("a", "half \ud83d a pair", "")])
    with pytest.raises(UnicodeEncodeError):
        list(output_many.lines_in_order(spill, array("I", [0]), set(), line))


@pytest.mark.parametrize("at_once", [40, 10_000])
def test_the_digest_is_that_of_sorted_lines(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_many, "SORTED", at_once)
    rows = made_rows(400, seed=5, more="\ud83d")
    asked = array("I", random.Random(2).sample(range(400), 350))

    assert output_many.digest_of(spilled(rows), asked) == split_digest(rows[row] for row in asked)
    assert output_many.digest_of(spilled(rows), array("I")) == hashlib.sha256().hexdigest()


def test_texts_are_sorted_by_their_bytes() -> None:
    draw = random.Random(4)
    texts = [
        b"the same beginning of every text "[: draw.choice((0, 5, 30, 33))]
        + bytes(draw.choices(b"\0\0\0ab\xff", k=draw.randrange(20)))
        for _ in range(3000)
    ] + [b"equal" * 30] * 50
    offsets = np.cumsum([0, *map(len, texts)])

    places = lines.sorted_places(np.frombuffer(b"".join(texts), np.uint8), offsets)

    assert sorted(places.tolist()) == list(range(len(texts)))
    assert [texts[place] for place in places] == sorted(texts)


def test_texts_are_chosen_in_any_order_and_more_than_once() -> None:
    data, offsets = joined_bytes([b"one", b"", b"three"])

    found, ends = chosen(data, offsets, np.array([2, 0, 1, 2]))
    none, starts = chosen(data, offsets, np.zeros(0, np.int64))

    assert (found.tobytes(), ends.tolist()) == (b"threeonethree", [0, 5, 8, 8, 13])
    assert (none.tobytes(), starts.tolist()) == (b"", [0])
