"""Rows read as columns become what they become one by one."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import row_order
from support.data_stage import recipe, run

PIECES = (
    *(
        "the",
        "and",
        "you",
        " ",
        "  ",
        "Refund",
        "sI",
        "IA",
        "Iza",
        "SG.",
        "eyJ",
        "J",
        "\n",
        ".",
        "?",
    ),
    *(
        "\t",
        "\x1c",
        "\x07",
        "é",
        "日本",
        "\u200b",
        "a@b.org",
        "8.8.8.8",
        "[INST]",
        "\0",
        "Ã©",
        "",
        "İ",
    ),
)
LABELS = ("Good", "bad one", "ugly", "wörse", " ", "", "other", None)
"""The task has the first three and the fourth."""


def write_rows(path: Path, count: int, seed: int) -> None:
    draw = random.Random(seed)
    texts = [
        None if draw.random() < 0.05 else " ".join(draw.choices(PIECES[:15], k=draw.randrange(16)))
        for _ in range(count)
    ]
    for at in draw.sample(range(count), count // 4):
        texts[at] = " ".join(draw.choices(PIECES, k=draw.randrange(8)))
    labels = draw.choices(LABELS, (20, 20, 10, 10, 1, 1, 1, 1), k=count)
    numbers = [draw.choice((1, 2.5, None)) for _ in range(count)]
    rows: list[dict[str, Any]] = [
        {"text": text, "label": label, "n": number}
        for text, label, number in zip(texts, labels, numbers, strict=True)
    ]
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".jsonl":
            stream.writelines(
                json.dumps(row, ensure_ascii=draw.random() < 0.3) + "\n" for row in rows
            )
        elif path.suffix == ".csv":
            table = csv.DictWriter(stream, rows[0], lineterminator=draw.choice(("\n", "\r\n")))
            table.writeheader()
            table.writerows({**row, "text": (row["text"] or "").replace("\0", "")} for row in rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows), path)


def written(tmp_path: Path, suffix: str, checks: dict[str, str]) -> dict[str, bytes]:
    asked = recipe(
        tmp_path,
        task={
            "kind": "classification",
            "instruction": "Good, bad one, ugly or wörse?",
            "input": "{text}",
            "labels": ["Good", "bad one", "ugly", "wörse"],
        },
        data={
            "sources": [{"path": f"one.{suffix}"}, {"path": f"two.{suffix}"}],
            "label": {"column": "label"},
            "sample": {"rows": 500, "seed": 2},
            "checks": checks,
        },
        splits={"by": "stratified", "train": "all", "validation": 60, "holdout": 90, "seed": 7},
    )
    workdir, made = run(asked, tmp_path)
    files = [*workdir.iterdir(), *(one for art in made for one in art.path.glob("*.jsonl"))]
    return {one.name: one.read_bytes() for one in files}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("masked", "suffix"), [(True, "parquet"), (False, "parquet"), (True, "jsonl"), (False, "csv")]
)
def test_columns_and_rows_write_the_same(
    masked: bool, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops = (
        "empty",
        "unknown_labels",
        "duplicates",
        "conflicting_labels",
        "control_characters",
        "mojibake",
    )
    warns = ("template_tokens", "languages", "leakage")
    actions = {**dict.fromkeys(drops, "drop"), **dict.fromkeys(warns, "warn")}
    checks = {**actions, "label_errors": "off", "personal_data": "mask" if masked else "drop"}
    found = []
    for name, many in (("few", 10**9), ("many", 0), ("some", 300)):
        monkeypatch.setattr(row_order, "MANY", many)
        folder = tmp_path / name
        folder.mkdir()
        for number, file in enumerate(("one", "two")):
            write_rows(folder / f"{file}.{suffix}", 1200, seed=number)
        found.append(written(folder, suffix, checks))

    assert found[0].keys() == found[1].keys()
    assert len(found[0]["train.jsonl"].splitlines()) > 200
    assert found[0] == found[1]
    assert found[0] == found[2]
