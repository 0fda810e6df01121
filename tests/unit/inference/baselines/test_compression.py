"""Baselines of bytes: what they cost is known without a model."""

import lzma
import math
import random
from collections.abc import Sequence

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference.baselines.floors import by_frequency, by_xz
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from support.tasks import task


def rows(texts: Sequence[str]) -> tuple[Example, ...]:
    return tuple(
        Example(id=f"{place:04x}", origin="", input=text, target="", labels=())
        for place, text in enumerate(texts)
    )


def fold(train: Sequence[str], judged: Sequence[str]) -> Fold:
    return Fold(number=0, train=rows(train), validation=(), judged=rows(judged))


def bits(predictions: Sequence[Prediction]) -> float:
    return sum(row.nats or 0.0 for row in predictions) / math.log(2)


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    words = ("the", "king", "said", "that", "night", "would", "come", "again", "my", "lord")
    return [" ".join(draw.choices(words, k=12)) for _ in range(count)]


def test_a_byte_costs_by_its_share_of_the_training_rows() -> None:
    (found,) = by_frequency(fold(["ab"] * 100, ["a"]))

    # 100 of each of a, b and the end, and one of each of 257 signs
    expected = 2 * math.log((300 + 257) / 101)
    assert found.nats == pytest.approx(expected)
    assert (found.bytes, found.tokens) == (1, 0)


def test_a_byte_that_training_never_saw_has_a_price() -> None:
    (found,) = by_frequency(fold(["ab"], ["é"]))

    assert found.nats is not None
    assert math.isfinite(found.nats)
    assert found.bytes == 2


def test_rows_cost_what_they_add_to_the_compressed_file() -> None:
    train, judged = sentences(200, 1), sentences(20, 2)

    found = by_xz(fold(train, judged))

    def size(texts: Sequence[str]) -> int:
        plain = b"".join(text.encode() + b"\0" for text in texts)
        return len(lzma.compress(plain, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))

    assert bits(found) == pytest.approx(8 * (size([*train, *judged]) - size(train)), abs=64)


def test_a_row_pays_for_itself_and_not_for_its_neighbours() -> None:
    noise = "".join(map(chr, random.Random(3).choices(range(33, 126), k=400)))
    judged = [*sentences(5, 4), noise, *sentences(5, 5)]

    found = by_xz(fold(sentences(200, 1), judged))

    costs = [row.nats or 0.0 for row in found]
    assert costs.index(max(costs)) == judged.index(noise)
    assert max(costs) > 5 * sorted(costs)[-2]


def test_a_row_that_was_read_before_costs_next_to_nothing() -> None:
    (new,) = by_xz(fold(sentences(50, 1), sentences(1, 9)))
    (known,) = by_xz(fold([*sentences(50, 1), *sentences(1, 9)], sentences(1, 9)))

    assert (known.nats or 0.0) < (new.nats or 0.0) / 2


def test_no_rows_are_judged_as_none() -> None:
    assert by_xz(fold(["a"], [])) == by_frequency(fold(["a"], [])) == []


def test_what_counts_bytes_has_bits_per_byte_and_an_interval_and_no_perplexity() -> None:
    found = by_frequency(fold(sentences(50, 1), sentences(40, 2)))

    scores = score(found, Judging(task=task("text"), confidence=0.95, seed=7))

    by_name = {metric.name: metric for metric in scores.metrics}
    whole = by_name["bits_per_byte"]
    value = bits(found) / sum(row.bytes for row in found)
    assert whole.value == pytest.approx(value)
    assert whole.interval is not None
    assert 0 < whole.interval.low < value < whole.interval.high
    assert by_name["perplexity"].value is None
