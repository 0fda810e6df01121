"""How much synthetic rows repeat each other beside as many training rows."""

from engine.data.examples.example import Example, content_id
from engine.data.synthetic import diversity
from support.written_rows import labelled


def examples(texts: list[str]) -> list[Example]:
    return [
        Example(id=content_id(text, "", number), origin="synthetic:1", input=text, target="a")
        for number, text in enumerate(texts)
    ]


REAL = examples([text for text, _ in labelled(40, seed=3)])
VARIED = examples([text for text, _ in labelled(40, seed=4)])
ONE = examples([f"the clerk sold a lantern near the canal on day 7 {n % 3}" for n in range(40)])


def test_rows_that_say_one_thing_are_less_diverse_than_training_rows() -> None:
    low, high = diversity(ONE, REAL), diversity(VARIED, REAL)

    assert low is not None
    assert high is not None
    assert low.is_low
    assert not high.is_low
    assert (low.rows, low.nearest) == (40, 1.0)
    assert high.nearest is not None
    assert high.nearest < 0.9


def test_as_many_rows_of_both_are_compared_and_none_without_a_row() -> None:
    few = diversity(VARIED[:1], REAL)

    assert diversity([], REAL) is None
    assert few is not None
    assert (few.rows, few.nearest) == (1, None)
