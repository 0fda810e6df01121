"""The data stage as a whole, on files, with a real store."""

import json
from pathlib import Path

import pytest

from engine.data.examples.example import normalised, read_examples
from engine.errors import DataError
from engine.evidence import DataSummary
from engine.stages import data as stage
from engine.store import canonical_json, make_key
from engine.values import from_json
from support.data_stage import DATA, Quiet, holdout_of, recipe, run, write_rows

pytestmark = pytest.mark.thorough


def test_train_and_validation_are_the_artifact_and_the_holdout_is_elsewhere(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path / "rows.csv")
    workdir, made = run(recipe(tmp_path), tmp_path)
    holdout = holdout_of(made)
    kept = read_examples(holdout.file("holdout.jsonl"))
    seen = [*read_examples(workdir / "train.jsonl"), *read_examples(workdir / "validation.jsonl")]
    summary = from_json(DataSummary, json.loads((workdir / "summary.json").read_text("utf-8")))

    assert sorted(p.name for p in workdir.iterdir()) == [
        "membership.json",
        "read.json",
        "summary.json",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert (holdout.stage, [entry.name for entry in holdout.files]) == (
        "holdout",
        ["holdout.jsonl"],
    )
    assert [split.rows for split in summary.splits] == [60, 20, 40]
    assert (len(seen), len(kept)) == (80, 40)
    assert not {normalised(one.input) for one in kept} & {normalised(one.input) for one in seen}


def test_nothing_of_the_holdout_is_written_into_the_artifact(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv")
    workdir, made = run(recipe(tmp_path), tmp_path)
    holdout = holdout_of(made)
    written = "".join(path.read_text("utf-8") for path in workdir.iterdir())

    for one in read_examples(holdout.file("holdout.jsonl")):
        assert one.input not in written
        assert one.id not in written


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name / "rows.csv")
    first, _ = run(recipe(tmp_path / "a"), tmp_path / "a")
    second, _ = run(recipe(tmp_path / "b"), tmp_path / "b")

    for name in ("train.jsonl", "validation.jsonl", "summary.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_key_holds_no_path_and_nothing_that_changes_no_split(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name / "rows.csv")
    one = stage.recipe_slice(recipe(tmp_path / "a"))
    other = stage.recipe_slice(
        recipe(tmp_path / "b", description="else", method={"kind": "lora", "rank": 3, "alpha": 6})
    )
    truncation = recipe(
        tmp_path / "b", data={**DATA, "checks": {"leakage": "warn", "truncation": "drop"}}
    )

    assert make_key(one) == make_key(other) == make_key(stage.recipe_slice(truncation))
    assert str(tmp_path) not in canonical_json(make_key(one).payload)


def test_problems_of_all_files_are_reported_together_and_nothing_is_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "ragged.csv").write_text("text,label\nx\n")
    (tmp_path / "binary.csv").write_bytes(bytes(99))
    names = ["ragged.csv", "rows.csv", "binary.csv"]
    asked = recipe(tmp_path, data={**DATA, "sources": [{"path": name} for name in names]})
    with pytest.raises(DataError) as caught:
        run(asked, tmp_path)

    assert [problem.code for problem in caught.value.problems] == ["D324", "D323"]
    assert list((tmp_path / "work").iterdir()) == []


def test_real_reviews_are_labelled_by_bins_and_divided(tmp_path: Path, shared_data: Path) -> None:
    reviews = shared_data / "vader_rated_snippets" / "movieReviewSnippets_GroundTruth.txt.gz"
    bins = {"negative": {"max": -1.0}, "positive": {"min": 1.0}}
    source = {"path": str(reviews), "format": "tsv", "header": ["id", "rating", "text"]}
    asked = recipe(
        tmp_path,
        data={
            "sources": [source],
            "label": {"column": "rating", "bins": bins},
            "sample": {"rows": 800, "seed": 7},
        },
        splits={"by": "stratified", "train": 400, "validation": 100, "holdout": 300, "seed": 7},
    )
    workdir, _ = run(asked, tmp_path)
    summary = from_json(DataSummary, json.loads((workdir / "summary.json").read_text("utf-8")))

    assert summary.rows_read == 10_605
    assert summary.dropped["no bin"] == 1_432
    assert [split.rows for split in summary.splits] == [400, 100, 300]
    assert (summary.overlap_exact, summary.overlap_near) == (0, 0)
    assert all(not one.input.endswith("\r") for one in read_examples(workdir / "train.jsonl"))


class Telling(Quiet):
    def __init__(self) -> None:
        self.steps: list[tuple[int, int, str]] = []

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        assert unit == "rows"
        if "now" in facts:
            self.steps.append((done, total, facts["now"]))


def test_each_long_step_after_the_reading_is_reported(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv")
    progress = Telling()

    run(recipe(tmp_path), tmp_path, progress)

    assert progress.steps == [
        (140, 140, "comparing equal texts"),
        (140, 140, "looking for near duplicates"),
        (140, 140, "looking for labels in the texts"),
        (140, 140, "looking for doubtful labels"),
        (140, 140, "dividing the rows"),
        (140, 140, "comparing training rows with the holdout"),
    ]
