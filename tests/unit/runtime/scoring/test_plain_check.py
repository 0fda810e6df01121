"""Scores that a wrong cache would give are noticed, and right ones are not."""

from typing import Any

import pytest

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring import likelihood, packed_cache
from engine.runtime.scoring.label_scoring import choose
from engine.runtime.scoring.likelihood import sampled_rows
from engine.runtime.scoring.packed_cache import Piece
from support.faults_of_padding import seen

ANSWERS = ("a good film", "a good plot", "a bad film", "not a film at all")
TEXTS = [f"the film was {'good ' * (at % 5)}and the plot bad {at}" for at in range(130)]


def choices(pico: LoadedModel, progress: Any, **how: Any) -> list[Any]:
    prompts = [pico.chat.prompt([{"role": "user", "content": text}]) for text in TEXTS]
    answers = [answer + pico.chat.terminator for answer in ANSWERS]
    return choose(pico, prompts, answers, progress=progress, **how)


@pytest.mark.parametrize("distribution", [True, False])
def test_right_scores_pass(pico: LoadedModel, progress: Any, distribution: bool) -> None:
    assert len(choices(pico, progress, distribution=distribution)) == len(TEXTS)


def test_an_answer_that_does_not_see_its_row_is_noticed(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass over the rows is right, so that what looks at the longest row alone does not see it."""

    def blind(**fields: Any) -> Any:
        return Piece(**{**fields, "seen": []})

    monkeypatch.setattr("engine.runtime.scoring.label_scoring.Piece", blind)

    with pytest.raises(StageError) as caught:
        choices(pico, progress, distribution=True)

    assert caught.value.problems[0].code == "X803"


def test_an_answer_that_sees_another_row_is_noticed(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def mixed_up(**fields: Any) -> Any:
        if fields["seen"]:
            seen.append(fields["seen"])
            fields["seen"] = seen[0]
        return Piece(**fields)

    monkeypatch.setattr("engine.runtime.scoring.label_scoring.Piece", mixed_up)

    with pytest.raises(StageError) as caught:
        choices(pico, progress, distribution=True)

    assert caught.value.problems[0].code == "X803"


def test_a_row_that_sees_what_pads_it_is_noticed(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other row pads the longest."""
    real = packed_cache._group

    def group(*given: Any) -> Any:
        found = real(*given)
        seen(found)
        return found

    monkeypatch.setattr(packed_cache, "_group", group)

    with pytest.raises(StageError, match="X803"):
        choices(pico, progress)


def test_a_row_of_middle_length_is_looked_at_and_one_in_five_hundred() -> None:
    assert sampled_rows(["x", "the longest", "short", "a row"]) == {3}
    counts = (0, 1, 2, 300, 500, 1101, 5003)
    assert [len(sampled_rows(["x"] * count)) for count in counts] == [0, 1, 1, 1, 1, 3, 11]


def test_each_scoring_is_looked_at(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = list[int]()
    monkeypatch.setattr(likelihood, "_refuse", lambda _loaded, _apart, rows: looked.append(rows))

    choices(pico, progress)
    choices(pico, progress)

    assert looked == [1, 1]
