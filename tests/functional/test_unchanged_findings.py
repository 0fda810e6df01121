"""What the data stage writes of many seeded rows, every check on: the same bytes whatever is made faster."""

import csv
import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from support.data_stage import recipe, run
from support.golden import Golden
from support.paths import ROOT

MADE = runpy.run_path(str(ROOT / "benchmarks" / "data_size.py"))
ROWS = 3_000
DROPS = dict.fromkeys(
    ("duplicates", "conflicting_labels", "leakage", "empty", "unknown_labels", "near_duplicates"),
    "drop",
)
CHECKS = {**DROPS, "label_errors": "off", "template_tokens": "drop", "label_in_input": "drop"}
COUNTS = {"train": "all", "validation": 200, "holdout": 400, "seed": 7}
CLASSES: dict[str, Any] = {
    "kind": "classification",
    "instruction": "billing, delivery, account, refund, outage, feature, praise or other?",
    "input": "{text}",
    "labels": list(MADE["LABELS"]),
}
ANSWERS: dict[str, Any] = {
    "kind": "generation",
    "instruction": "Go on.",
    "input": "{label}: {text}",
}
CASES: dict[str, dict[str, Any]] = {
    "jsonl": {"path": "rows.jsonl"},
    "csv": {"path": "rows.csv"},
    "parquet": {"path": "rows.parquet"},
    "mask": {"path": "rows.csv", "checks": {**CHECKS, "personal_data": "mask"}},
    "group": {"path": "rows.csv", "splits": {"by": {"group": "group"}, **COUNTS}},
    "time": {"path": "rows.csv", "splits": {"by": {"time": "when"}, **COUNTS}},
    "column": {
        "path": "rows.csv",
        "splits": {
            "by": {"column": "split"},
            "train": "all",
            "validation": "all",
            "holdout": "all",
        },
    },
    "shares": {
        "path": "rows.csv",
        "splits": {"by": "random", "train": 0.7, "validation": 0.1, "holdout": 0.2, "seed": 3},
        "sample": {"rows": 2000, "seed": 4},
        "label": {"column": "label", "relabel": {"praise": "other"}},
        "checks": {**CHECKS, "missing_classes": "warn"},
    },
    "warn": {
        "path": "rows.csv",
        "checks": {**dict.fromkeys(CHECKS, "warn"), "label_errors": "off", "leakage": "warn"},
    },
    "answers": {"path": "rows.csv", "task": ANSWERS, "label": None, "answer": {"column": "other"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rows")
    for ending in ("jsonl", "parquet"):
        MADE["write_rows"](place / f"rows.{ending}", ROWS)
    made = list(MADE["make_rows"](2 * ROWS))
    with (place / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("text", "label", "group", "when", "split", "other"))
        for number, ((text, label), (other, _)) in enumerate(
            zip(made[:ROWS], made[ROWS:], strict=True)
        ):
            split = ("train", "train", "train", "validation", "holdout")[number * 7 % 5]
            writer.writerow(
                (text, label, number * 31 % 700, 10_000 + number * 17 % 900, split, other)
            )
    return place


def digests(folder: Path, work: Path, asked: dict[str, Any]) -> str:
    """The sha256 of each file that the stage writes."""
    given = {**asked}
    task, splits = given.pop("task", CLASSES), given.pop("splits", {"by": "stratified", **COUNTS})
    data = {
        "sources": [{"path": str(folder / given.pop("path"))}],
        "label": {"column": "label"},
        "checks": CHECKS,
        **given,
    }
    if data["label"] is None:
        del data["label"]
    changes: dict[str, Any] = {"task": task, "splits": splits, "data": data}
    if task is ANSWERS:
        changes |= {"baselines": [], "acceptance": {"metrics": {"rouge_l": {"min": 0.1}}}}
    workdir, made = run(recipe(work, **changes), work)
    files = [
        *workdir.iterdir(),
        *(one for artifact in made for one in artifact.path.glob("*.jsonl")),
    ]
    found = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(files)}
    return json.dumps(found, indent=1) + "\n"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES)
def test_the_stage_writes_the_same_bytes(
    case: str, folder: Path, tmp_path: Path, golden: Golden
) -> None:
    golden(f"data/{case}.json", digests(folder, tmp_path, CASES[case]))
