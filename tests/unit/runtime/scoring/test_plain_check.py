"""Scores that a wrong cache would give are noticed, and right ones are not."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring import likelihood, packed_cache
from engine.runtime.scoring.label_scoring import choose
from engine.runtime.scoring.label_search import SCORED, begin_run
from engine.runtime.scoring.likelihood import sampled_rows
from engine.runtime.scoring.packed_cache import Piece
from engine.values import replace
from support.faults_of_padding import seen

ANSWERS = ("a good film", "a good plot", "a bad film", "not a film at all")
TEXTS = [f"the film was {'good ' * (at % 5)}and the plot bad {at}" for at in range(130)]


@pytest.fixture(autouse=True)
def nothing_scored() -> None:
    """As at the start of a run: no test finds that one before it has scored rows of the same model."""
    begin_run()


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


def test_a_row_of_middle_length_is_looked_at_and_one_in_five_hundred(pico: LoadedModel) -> None:
    assert sampled_rows(pico, ["x", "the longest", "short", "a row"]) == {3}
    counts = (0, 1, 2, 300, 500, 1101, 5003)
    assert [len(sampled_rows(pico, ["x"] * count)) for count in counts] == [0, 1, 1, 1, 1, 3, 11]


def test_of_further_scorings_only_one_row_in_five_hundred_is_looked_at(pico: LoadedModel) -> None:
    """A larger one is looked at like the first: rows that pass alone are padded by none."""
    found = list[frozenset[int]]()
    for count in (300, 100, 300, 1, 701, 1404):
        found.append(sampled_rows(pico, ["x"] * count))
        SCORED[likelihood._kind(pico)] += count

    assert found == [{150}, set(), set(), set(), {500}, {500, 702, 1000}]


@pytest.mark.thorough
def test_each_kind_of_model_is_looked_at(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not again where such a model has scored as many rows already: one with an adapter is of another kind."""
    looked = list[int]()
    monkeypatch.setattr(likelihood, "_refuse", lambda _loaded, _apart, rows: looked.append(rows))
    settings = (pico.folder / "config.json").read_bytes()
    merged, other = [*map(tmp_path.joinpath, ("merged", "other"))]
    for folder, config in ((merged, settings), (other, settings + b"\n")):
        folder.mkdir()
        (folder / "config.json").write_bytes(config)
    adapters = (replace(pico, adapter=Path(name)) for name in ("adapter", "another"))
    models = [pico, pico, *adapters, replace(pico, folder=merged), replace(pico, folder=other)]
    seen = []
    for one in models:
        choices(one, progress)
        seen.append(len(looked))

    assert seen == [1, 1, 2, 2, 2, 3]
