"""`splits.folds`: every row is judged once, by a training that did not see it, and so are the baselines."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.backends import launches, trl
from engine.backends.base import Launch, Trained
from engine.metrics.predictions import read_predictions
from engine.store import Store
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import manifests, report, statuses

pytestmark = pytest.mark.thorough

FOLDS = 3
DECIDED = (0, 1)
"""A tiny model may well lose against the SVM; what counts here is that the gate had all rows."""
WORDS = ("run", "recipe.yaml", "--until", "gate")


def folding(project: Project) -> None:
    project.edit(
        splits__train=None,
        splits__validation=0.1,
        splits__holdout=None,
        splits__folds=FOLDS,
        baselines=["majority", "tfidf_svm", "few_shot"],
        acceptance__over_baselines={"accuracy": {"min_gain": 0}},
        method__epochs=1,
    )


def watch_rows(patch: pytest.MonkeyPatch) -> list[list[object]]:
    """See which rows each training is given."""
    seen: list[list[object]] = []

    def train(launch: Launch) -> Trained:
        names = ("train.jsonl", "validation.jsonl")
        seen.append([row["id"] for name in names for row in rows(launch.rows / name)])
        return launches.train_trl(launch)

    patch.setattr(trl, "train", train)
    return seen


@pytest.fixture(scope="session")
def folded() -> RunOnce:
    """A project with folds after its run."""
    done = run_once("folded", folding, "--until", "gate", watch=watch_rows)
    assert done.outcome.code in DECIDED, done.outcome.err
    return done


def files(root: Path, stage: str) -> Path:
    """The files of the only artifact of a stage."""
    (key,) = [manifest["key"] for manifest in manifests(root) if manifest["stage"] == stage]
    return Store(root).folder(key) / "files"


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_is_judged_once_by_a_model_that_did_not_see_it(folded: RunOnce) -> None:
    root = folded.folder / ".recipe"
    seen = [set(ids) for ids in folded.seen]

    data = files(root, "data")
    examples = [
        *rows(data / "train.jsonl"),
        *rows(data / "validation.jsonl"),
        *rows(files(root, "holdout") / "holdout.jsonl"),
    ]
    fold_of = {row["id"]: row.get("fold", 0) for row in examples}
    predictions = read_predictions(files(root, "resample") / "predictions.folds.jsonl")
    assert Counter(row.id for row in predictions) == Counter(fold_of.keys())
    assert len(seen) == FOLDS
    for fold, ids in enumerate(seen):
        judged = {row for row, number in fold_of.items() if number == fold}
        assert ids.isdisjoint(judged)
        assert ids <= fold_of.keys()
    assert set.union(*seen) == set(fold_of)
    for name in ("majority", "tfidf_svm", "few_shot"):
        crossed = read_predictions(files(root, "baseline") / f"predictions.{name}.jsonl")
        assert [row.id for row in crossed] == [row.id for row in predictions]


def test_the_gate_stands_on_all_rows_and_the_report_says_so(
    folded: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    root = folded.folder / ".recipe"
    outcome = folded.outcome

    found = report(root)
    count = found["folds"]["rows"]
    assert count == found["holdout"]["rows"]  # each row was held out once
    assert count > len(read_predictions(files(root, "evaluate") / "predictions.holdout.jsonl"))
    assert {check["n"] for check in found["gate"]["checks"]} == {count}
    assert {item["scores"]["rows"] for item in found["baselines"]} == {count}
    assert any(f"on {count} rows by {FOLDS} trainings" in note for note in found["notes"])
    assert "diagnosis: underfitted" in outcome.out

    assert folded.copy_to(tmp_path, run).run(*WORDS).code in DECIDED
    assert set(list(statuses(tmp_path / ".recipe").values())[:7]) == {"reused"}
