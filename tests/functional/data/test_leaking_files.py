"""A published data set whose official test file leaks: refused, or cleaned on request."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import normalised, read_examples
from engine.data.prepare import UnfitDataError
from engine.evidence import DataSummary
from engine.values import from_json
from support.data_stage import holdout_of, recipe, run
from support.paths import SHARED_DATA

pytestmark = pytest.mark.thorough

TASK = {
    "kind": "classification",
    "instruction": "How does the writer feel?",
    "input": "{tweet}",
    "output": "text",
}
SLOW = dict.fromkeys(("label_errors", "languages", "near_duplicates"), "off")

needs_naija = pytest.mark.skipif(
    not (SHARED_DATA / "naijasenti_pcm").is_dir(), reason="needs ../shared/data/naijasenti_pcm"
)


def asked(folder: Path, data: str, files: tuple[str, str, str], labels: str, **checks: str) -> Any:
    places = zip(files, ("train", "validation", "holdout"), strict=True)
    sources = [{"path": str(SHARED_DATA / data / name), "into": into} for name, into in places]
    return recipe(
        folder,
        task={**TASK, "labels": labels.split()},
        data={"sources": sources, "label": {"column": "label"}, "checks": {**SLOW, **checks}},
        splits={"by": "files"},
    )


NAIJA = ("naijasenti_pcm", ("train.tsv.gz", "dev.tsv", "test.tsv.gz"), "negative neutral positive")


@needs_naija
def test_a_leaking_test_file_is_refused_with_every_row_listed(tmp_path: Path) -> None:
    with pytest.raises(UnfitDataError) as caught:
        run(asked(tmp_path, *NAIJA), tmp_path)

    leak = next(problem for problem in caught.value.problems if problem.code == "D310")
    assert "926 in train (112 of them with another label)" in leak.message
    assert leak.hint is not None
    listed = Path(leak.hint.partition("all rows: ")[2])
    rows = [json.loads(line) for line in listed.read_text("utf-8").splitlines()]
    pairs = [row for row in rows if row["check"] == "leakage" and row["similarity"] == 1.0]
    into_train = {row["holdout"] for row in pairs if row["row"].startswith("train")}
    assert len(into_train) == 926


@needs_naija
def test_with_drop_the_holdout_stays_whole_and_nothing_of_it_is_trained_on(tmp_path: Path) -> None:
    drops: dict[str, Any] = dict.fromkeys(("leakage", "conflicting_labels", "duplicates"), "drop")
    workdir, made = run(asked(tmp_path, *NAIJA, **drops), tmp_path)
    summary = from_json(DataSummary, json.loads((workdir / "summary.json").read_text("utf-8")))
    kept = read_examples(holdout_of(made).file("holdout.jsonl"))
    seen = [*read_examples(workdir / "train.jsonl"), *read_examples(workdir / "validation.jsonl")]

    assert len(kept) == 4154
    assert not {normalised(one.input) for one in kept} & {normalised(one.input) for one in seen}
    assert summary.firewall is not None
    assert (summary.firewall.left_exact, summary.firewall.left_near) == (0, 0)
    assert summary.dropped["near the holdout"] == summary.firewall.removed > 900
    assert summary.rows_read - summary.rows_used == sum(summary.dropped.values())


@pytest.mark.skipif(
    not (SHARED_DATA / "indonlu_emot_id").is_dir(), reason="needs ../shared/data/indonlu_emot_id"
)
def test_a_masked_test_file_is_refused_as_a_holdout(tmp_path: Path) -> None:
    files = ("train.csv.gz", "valid.csv", "test_masked_label.csv")
    drops: dict[str, Any] = dict.fromkeys(("leakage", "conflicting_labels"), "drop")
    masked = asked(tmp_path, "indonlu_emot_id", files, "anger fear happy love sadness", **drops)
    with pytest.raises(UnfitDataError) as caught:
        run(masked, tmp_path)

    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("D361", "splits.holdout")
    assert "every one of the 440 holdout rows has the label `happy`" in problem.message
