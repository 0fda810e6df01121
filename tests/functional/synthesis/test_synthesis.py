"""Whole recipes with synthetic rows: a scripted server writes them, and answers them when it is asked again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.chat_service import Body, Service, serving
from support.project import Project
from support.runs import report
from support.written_rows import (
    Writer,
    is_request,
    lines_of,
    product_rows,
    reworded,
    with_synthesis,
    write_labelled,
)

pytestmark = pytest.mark.thorough
PLANTED = 20


@pytest.fixture
def served() -> Iterator[Service]:
    with serving(Service(answer=Writer())) as service:
        yield service


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.folder)
    write_labelled(project)
    return project


def found_in(project: Project) -> dict[str, Any]:
    return report(project.folder / ".recipe")


def planted_rows(project: Project) -> dict[int, str]:
    """Ten holdout rows as they are and ten reworded ones, at requests that ask for their answer."""
    holdout = lines_of(project.folder, "holdout.jsonl")
    by_label = {
        label: [row["input"] for row in holdout if row["target"] == label]
        for label in ("negative", "positive")
    }
    planted: dict[int, str] = {}
    for number in range(1, PLANTED + 1):
        text = by_label["negative" if number % 2 else "positive"][(number - 1) // 2]
        planted[number] = text if number <= PLANTED // 2 else reworded(text)
    return planted


def test_copies_of_holdout_rows_are_refused_counted_and_never_trained_on(
    here: Project, served: Service
) -> None:
    assert here.run("run", "recipe.yaml", "--until", "data").code == 0
    planted = planted_rows(here)
    served.answer = Writer(planted=planted)
    with_synthesis(here, served, rows=60)
    outcome = here.run("run", "recipe.yaml", "--until", "synthesize")
    assert outcome.code == 0, outcome.err
    synthetic = found_in(here)["synthetic"]
    refused = lines_of(here.folder, "refused.jsonl")
    near = [row for row in refused if row["why"] == "too near a row that judges"]
    kept = [row["input"] for row in lines_of(here.folder, "synthetic.jsonl")]
    trained = [row["input"] for row in product_rows(here.folder, "synthetic_rows", "train.jsonl")]

    assert [row["number"] for row in near] == list(planted)
    assert synthetic["refused"]["too near a row that judges"] == PLANTED
    assert all("text" not in row for row in near), "it may be the text of a row that judges"
    assert len(kept) == synthetic["kept"] >= 30
    assert trained[-len(kept) :] == kept
    assert not set(planted.values()) & set(trained)
    shown = "".join(body["messages"][-1]["content"] for body in served.asked if is_request(body))
    judged = [row["input"] for row in lines_of(here.folder, "holdout.jsonl")]
    judged += [row["input"] for row in product_rows(here.folder, "data", "validation.jsonl")]
    assert not [text for text in judged if text in shown], "examples are training rows only"


def test_rows_are_reviewed_compared_and_asked_for_once(here: Project, served: Service) -> None:
    with_synthesis(here, served, review="look.csv", keep={"agreement": {"votes": 3, "min": 2}})
    here.edit(
        acceptance__synthetic={"reviewed": {"min": 10}, "wrong": {"max": 0.5}},
        acceptance__over_without_synthetic={"macro_f1": {"min_gain": 0.0}},
        acceptance__decide_on="point",
    )
    stopped = here.run("run", "recipe.yaml")
    first, asked = found_in(here), len(served.asked)
    written = here.run("synthetic", "recipe.yaml", "--review")
    again = here.run("synthetic", "recipe.yaml", "--review")
    lines = (here.folder / "look.csv").read_text("utf-8").splitlines()

    assert (stopped.code, first["outcome"]) == (1, "not_reviewed"), stopped.err
    assert "0 of 10 synthetic rows are reviewed in look.csv" in first["summary"]
    assert first["training"] is None
    assert asked == 24 * (1 + 3), "each row once, and three votes for each"
    assert (written.code, again.code) == (0, 2)
    assert "X755" in again.err
    assert len(lines) == 11

    marked = [line.replace(",,", ",yes,", 1) for line in lines[1:]]
    marked[0] = marked[0].replace(",yes,", ",no,", 1)
    (here.folder / "look.csv").write_text("\n".join([lines[0], *marked, ""]), "utf-8")
    outcome = here.run("run", "recipe.yaml")
    found = found_in(here)

    assert outcome.code in (0, 1), outcome.err
    assert len(served.asked) == asked
    synthetic = found["synthetic"]
    assert synthetic["review"]["reviewed"] == 10
    assert synthetic["review"]["wrong"] == synthetic["refused"]["wrong by the review"] == 1
    assert found["training"]["rows"] == 40 + synthetic["kept"]
    assert [one["name"] for one in found["without_synthetic"]] == ["without synthetic rows"]
    assert "over_without_synthetic.macro_f1" in [one["name"] for one in found["gate"]["checks"]]
    named = [one["name"] for one in found["baselines"]]
    assert "tfidf_svm_synthetic_rows" in named
    lock = json.loads((here.folder / "recipe.lock.json").read_text("utf-8"))
    assert outcome.code == 1 or lock["accepted"]["synthetic"]["rows"] == synthetic["kept"]


def test_a_run_whose_rows_are_all_refused_ends_before_training(
    here: Project, served: Service
) -> None:
    served.answer = lambda _body: "no row at all"
    with_synthesis(here, served, rows=6)
    outcome = here.run("run", "recipe.yaml")
    found = found_in(here)
    shown = here.run("synthetic", "recipe.yaml", "--refused")

    assert (outcome.code, found["outcome"]) == (1, "nothing_added"), outcome.err
    assert "no synthetic row is left to learn from (6 " in found["summary"]
    assert found["training"] is None
    assert shown.code == 0, shown.err


class Counting(Service):
    """Counts four letters as a token."""

    def completion(self, body: Body) -> Body:
        answer = super().completion(body)
        if self.usage:
            answer["usage"]["prompt_tokens"] = len(body["messages"][-1]["content"]) // 4
        return answer


@pytest.fixture
def counting() -> Iterator[Service]:
    with serving(Counting(answer=Writer())) as service:
        yield service


def test_a_budget_is_never_exceeded(here: Project, counting: Service) -> None:
    served = counting
    with_synthesis(here, served, rows=400, max_cost=0.1)
    outcome = here.run("run", "recipe.yaml", "--until", "synthesize")
    synthetic = found_in(here)["synthetic"]

    assert outcome.code == 0, outcome.err
    assert 0 < synthetic["asked"] < 400
    assert synthetic["refused"]["not asked: the budget"] == 400 - synthetic["asked"]
    assert 0.05 < synthetic["cost"] <= 0.1

    served.usage = False
    here.edit(data__synthesize__seed=8)
    served.answer = Writer(first_seed=8)
    uncounted = here.run("run", "recipe.yaml", "--until", "synthesize")

    assert uncounted.code == 3
    assert "X751" in uncounted.err


def test_a_model_in_a_folder_writes_rows_too(here: Project) -> None:
    here.edit(
        data__synthesize={"teacher": {"path": "base", "name": "own"}, "rows": 6},
        splits__train=40,
        splits__validation=20,
        baselines=["majority"],
    )
    outcome = here.run("run", "recipe.yaml", "--until", "synthesize")
    synthetic = found_in(here)["synthetic"]

    assert (outcome.code, found_in(here)["outcome"]) == (1, "nothing_added"), outcome.err
    assert synthetic["asked"] == 6
    assert sum(synthetic["refused"].values()) + synthetic["kept"] == 6
    assert synthetic["cost"] is None


def test_nothing_is_asked_where_the_recipe_cannot_be_run(here: Project, served: Service) -> None:
    with_synthesis(here, served)
    here.edit(allow_moving=False)
    moving = here.run("run", "recipe.yaml", "--until", "synthesize")
    here.edit(allow_moving=True, data__synthesize__teacher__endpoint="http://elsewhere.example/v1")
    abroad = here.run("run", "recipe.yaml", "--until", "synthesize")
    here.edit(data__synthesize__rows=None)
    unbounded = here.run("run", "recipe.yaml", "--until", "synthesize")

    assert (moving.code, abroad.code, unbounded.code) == (2, 2, 2)
    assert "R301" in moving.err
    assert "R307" in abroad.err, "rows are sent to a server only with the user's word"
    assert "R105" in unbounded.err
    assert not served.asked


def test_the_verb_shows_rows_and_says_what_is_missing(here: Project, served: Service) -> None:
    plain = here.run("synthetic", "recipe.yaml")
    with_synthesis(here, served)
    planned = here.run("plan", "recipe.yaml")
    early = here.run("synthetic", "recipe.yaml")
    assert here.run("run", "recipe.yaml", "--until", "synthesize").code == 0
    asked = len(served.asked)
    shown = here.run("synthetic", "recipe.yaml", "--rows", "2")
    as_json = here.run("synthetic", "recipe.yaml", "--format", "json")
    nameless = here.run("synthetic", "recipe.yaml", "--review")
    again = here.run("plan", "recipe.yaml")

    assert "X753" in plain.err
    assert "`teacher` is asked for 24 rows after training rows" in planned.out
    assert "at most 24 times for their answers" in planned.out
    assert "X754" in early.err
    assert "--until synthesize" in early.err
    assert shown.code == 0, shown.err
    assert "rows that teacher wrote are kept" in shown.out
    assert len([line for line in shown.out.splitlines() if line.startswith("synthetic:")]) == 2
    assert json.loads(as_json.out)["result"]["asked"] == 24
    assert "X755" in nameless.err
    assert "is asked for" not in again.out
    assert len(served.asked) == asked


def test_a_repetition_needs_the_server_or_the_stored_answers(here: Project) -> None:
    with serving(Service(answer=Writer())) as service:
        with_synthesis(here, service)
        first = here.run("run", "recipe.yaml")
        assert first.code == 0, first.err
        asked = len(service.asked)
    locked = json.loads((here.folder / "recipe.lock.json").read_text("utf-8"))["accepted"]
    stored = here.run("run", "recipe.yaml", "--force", "synthesize")
    found = found_in(here)["synthetic"]
    (here.folder / ".recipe").rename(here.folder / "elsewhere")
    without = here.run("run", "recipe.yaml")

    assert asked == 48
    assert locked["synthetic"]["digest"] == found["digest"]
    assert locked["synthetic"]["rows"] == found["kept"] == 24
    assert stored.code == 0, stored.err
    assert without.code == 3
    assert "E721" in without.err
    assert "data.synthesize.teacher" in without.err
    assert "bring the store of the run" in " ".join(without.err.split())
