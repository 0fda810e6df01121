import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engine.evidence import ChallengeLine, ChallengeOutcome, Comparison
from engine.metrics.comparing import comparisons_with
from engine.metrics.predictions import Judging, Prediction
from engine.recipe import load_recipe
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Threshold
from engine.runs import challenge
from engine.runs.challenge import base_model_yaml, best_of, costs, notes, overall, stand
from engine.store import Store, make_key
from engine.values import replace
from support.project import BASE
from support.tasks import task

REPORT = {"training": {"total_parameters": 134_515_008, "seconds": 75.0}}


def walked(folder: Path, **files: Any) -> Any:
    """What is left of a walk: an artifact by stage."""
    store, artifacts = Store(folder / "store"), {}
    for stage, (name, content) in files.items():

        def build(made: Path, name: str = name, content: Any = content) -> None:
            (made / name).write_text(json.dumps(content), encoding="utf-8")

        artifacts[stage] = store.put(stage, make_key({"test": stage}), build)
    return SimpleNamespace(artifacts=artifacts)


def recipe_in(folder: Path) -> Recipe:
    (folder / "rows.csv").write_text("text,label\n", encoding="utf-8")
    (folder / "base").mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(dict(BASE)), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")[0]


def test_an_untouched_model_costs_its_size_and_its_answers(tmp_path: Path) -> None:
    facts = {"parameters": 361_821_120, "bytes": 723_642_240, "shots": 4}
    entry = {"name": "few_shot", "scores": {"rows": 40}, "seconds": 12.34, "facts": facts}
    state = walked(tmp_path, baseline=("baselines.json", [entry]))

    assert list(costs(state, REPORT, candidate="few_shot", trained=False)) == [
        "361.8 M parameters, 724 MB in memory (accepted: 134.5 M)",
        "answered 40 rows with 4 shots in 12.3 s",
    ]


def test_a_trained_model_costs_its_training(tmp_path: Path) -> None:
    training = {"total_parameters": 361_821_120, "seconds": 130}
    state = walked(tmp_path, train=("training.json", training))

    assert list(costs(state, REPORT, candidate="trained", trained=True)) == [
        "361.8 M parameters (accepted: 134.5 M)",
        "trained in 2 min 10 s (accepted: 1 min 15 s)",
    ]
    assert next(costs(state, {}, candidate="trained", trained=True)) == "361.8 M parameters"


def test_the_edit_names_a_path_from_the_recipe(tmp_path: Path) -> None:
    model = PathRef(path=tmp_path / "models" / "new", written="new")

    assert base_model_yaml(model, tmp_path / "recipes") == "base_model:\n  path: ../models/new\n"
    assert yaml.safe_load(base_model_yaml(HubRef(repo="a/b", revision="c" * 40), tmp_path)) == {
        "base_model": {"hub": "a/b", "revision": "c" * 40}
    }


def test_what_is_not_compared_or_not_pinned_is_reported(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    gated = (Threshold(metric="valid_output", direction="min", bound=0.9),)
    package = PackageRef(name="a", version="1", sha256=None, file="m.gguf")
    asked = replace(
        recipe, base_model=package, acceptance=replace(recipe.acceptance, metrics=gated)
    )

    lines = " / ".join(notes(asked))

    assert "valid_output is not compared" in lines
    assert "not pinned by a sha256" in lines
    assert "perplexity" not in lines


TASK = task("classification", labels=("a", "b"))


def answered(right: int, rows: int = 200) -> list[Prediction]:
    found = []
    for place in range(rows):
        target = "ab"[place % 2]
        label = target if place < right else "ba"[place % 2]
        found.append(
            Prediction(id=f"{place:04d}", target=target, label=label, text=label, probability=None)
        )
    return found


def compared(newcomer: int, accepted: int, **changes: Any) -> ChallengeLine:
    judging = Judging(task=TASK, confidence=0.95, seed=7)
    given: dict[str, Any] = {"margins": {}} | changes
    candidates = {"zero_shot": answered(newcomer)}
    (line,) = challenge.compared(answered(accepted), candidates, ["accuracy"], judging, **given)
    return line


@pytest.mark.parametrize(
    ("newcomer", "accepted", "standing"),
    [
        (190, 150, "better"),
        (150, 190, "worse"),
        (180, 180, "as good"),
        (176, 180, "cannot be decided"),
    ],
)
def test_a_newcomer_is_better_as_good_worse_or_unknown(
    newcomer: int, accepted: int, standing: str
) -> None:
    line = compared(newcomer, accepted)

    assert line.standing == standing
    assert line.comparison.difference == pytest.approx((newcomer - accepted) / 200)
    assert (line.newcomer, line.accepted) == (newcomer / 200, accepted / 200)


def test_an_undecided_comparison_says_how_many_rows_would_decide() -> None:
    assert (compared(178, 180, margins={"accuracy": 0.015}).rows or 0) > 200
    assert compared(180, 180).rows is None


@pytest.mark.parametrize(("ways", "times"), [(1, 1), (2, 4)])
def test_one_way_to_answer_is_compared_once(
    ways: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several, intervals are wider by their number, and are computed besides."""
    calls: list[str] = []

    def counted(name: str, *rest: Any, **options: Any) -> list[Comparison]:
        calls.append(name)
        return comparisons_with(name, *rest, **options)

    monkeypatch.setattr("engine.runs.challenge.comparisons_with", counted)
    candidates = {f"way {number}": answered(180) for number in range(ways)}
    judging = Judging(task=TASK, confidence=0.95, seed=7)
    found = challenge.compared(answered(170), candidates, ["accuracy"], judging, margins={})

    assert (len(found), len(calls)) == (ways, times)


def test_a_wider_margin_makes_more_as_good() -> None:
    assert compared(176, 180, margins={"accuracy": 0.1}).standing is ChallengeOutcome.AS_GOOD


def test_the_best_of_several_ways_is_as_good_only_where_that_is_surer() -> None:
    judging = Judging(task=TASK, confidence=0.95, seed=7)
    margins = {"accuracy": 0.05}

    def standings(ways: int) -> set[ChallengeOutcome]:
        candidates = {f"way {number}": answered(176) for number in range(ways)}
        found = challenge.compared(
            answered(180), candidates, ["accuracy"], judging, margins=margins
        )
        assert all(
            one.comparison.interval.confidence == 0.95 for one in found if one.comparison.interval
        )
        return {one.standing for one in found}

    assert standings(1) == {ChallengeOutcome.AS_GOOD}
    assert standings(5) == {ChallengeOutcome.UNKNOWN}


def likelihoods(nats: float) -> list[Prediction]:
    return [
        Prediction(
            id=str(place),
            target="",
            label=None,
            text="",
            probability=None,
            nats=nats + place % 3,
            tokens=9,
            bytes=30,
        )
        for place in range(60)
    ]


def test_less_is_better_where_it_is() -> None:
    (line,) = challenge.compared(
        likelihoods(30),
        {"zero_shot": likelihoods(20)},
        ["bits_per_byte"],
        Judging(task=task("text"), confidence=0.95, seed=7),
        margins={},
    )

    assert line.standing is ChallengeOutcome.BETTER
    assert (line.comparison.difference or 0) > 0
    assert line.comparison.interval is not None
    assert line.comparison.interval.low > 0


def test_p_values_are_corrected_over_all_ways_and_metrics() -> None:
    found = challenge.compared(
        answered(150),
        {"zero_shot": answered(160), "few_shot": answered(158)},
        ["accuracy", "macro_f1"],
        Judging(task=TASK, confidence=0.95, seed=7),
        margins={},
    )

    smallest = min(found, key=lambda line: line.comparison.p_value or 1).comparison
    assert smallest.p_value is not None
    assert smallest.p_adjusted == pytest.approx(min(1.0, 4 * smallest.p_value))
    assert best_of(found) == "zero_shot"


def line(standing: ChallengeOutcome) -> ChallengeLine:
    comparison = Comparison(
        name="zero_shot", metric="accuracy", difference=None, interval=None, p_value=None,
        p_adjusted=None, test="", n=1,
    )  # fmt: skip
    return ChallengeLine(
        comparison=comparison, standing=standing, margin=0.02, accepted=None, newcomer=None, rows=None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["better", "worse"], "worse"),
        (["better", "cannot be decided"], "cannot be decided"),
        (["better", "as good"], "better"),
        (["as good", "as good"], "as good"),
        ([], "cannot be decided"),
    ],
)
def test_over_all_metrics_the_least_good_decides(found: list[str], expected: str) -> None:
    assert overall([line(ChallengeOutcome(one)) for one in found]) == expected


def test_without_a_difference_nothing_is_reported() -> None:
    undefined = line(ChallengeOutcome.UNKNOWN).comparison

    assert stand(undefined, None, margin=0.02, confidence=0.95) == (ChallengeOutcome.UNKNOWN, None)
