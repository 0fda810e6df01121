"""The plan's words: how rows will be divided, and what the exported file will be."""

import json
import re
from pathlib import Path

import pytest
import yaml

from engine.cli.main import main

SIZES: dict[str, object] = {"train": 20, "validation": 5, "holdout": 15}
COLUMNS = "text,topic,customer,when,split"
ROWS = [
    f"text {n},{('bug', 'login')[n % 2]},c{n % 5},2024-01-0{n % 9 + 1},train" for n in range(40)
]


def planned(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    splits: dict[str, object],
    *formats: str,
    backend: str = "axolotl",
) -> list[str]:
    (folder / "rows.csv").write_text("\n".join([COLUMNS, *ROWS]), encoding="utf-8")
    recipe = {
        "recipe": "v1",
        "name": "t",
        "allow_moving": True,
        "task": {"kind": "classification", "instruction": "?", "labels": ["bug", "login"]},
        "base_model": {"hub": "owner/model"},
        "data": {"sources": [{"path": "rows.csv"}], "label": {"column": "topic"}},
        "splits": splits,
        "method": {"kind": "lora"},
        "acceptance": {"metrics": {"macro_f1": {"min": 0.5}}},
        "export": {"formats": [*formats]},
        "backend": {"name": backend},
    }
    (folder / "t.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert main(["plan", str(folder / "t.yaml"), "--store", str(folder / "store")]) == 0
    return capsys.readouterr().out.splitlines()


def power_lines(lines: list[str]) -> str:
    first = next(at for at, line in enumerate(lines) if line.startswith("  power"))
    return " ".join(" ".join(lines[first:]).split())


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": 20, "validation": 5, "holdout": 15}, "20 train / 5 validation / 15 holdout"),
        (
            {"by": {"group": "customer"}, "validation": 5, "holdout": 15},
            "the rest train / 5 validation / 15 holdout by group customer",
        ),
        ({"by": {"column": "split"}}, "train / validation / holdout by column split"),
        (
            {"by": {"column": "split"}, "validation": 5},
            "train / 5 validation / holdout by column split",
        ),
    ],
)
def test_the_title_says_how_rows_are_divided(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    splits: dict[str, object],
    expected: str,
) -> None:
    title = planned(tmp_path, capsys, splits, "gguf")[0]

    assert title.split(" · ")[2] == expected


@pytest.mark.parametrize(("form", "cost"), [("gguf", "Q4_K_M"), ("safetensors", "wait")])
def test_only_a_quantized_file_has_a_quantization(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, cost: str
) -> None:
    lines = planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, form)

    [quantize] = [line for line in lines if line.startswith("  quantize")]
    assert quantize.split()[-1] == cost


def test_what_the_holdout_can_show_is_reported_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, "gguf")

    at = next(at for at, line in enumerate(lines) if line.startswith("  power"))
    caption, head, row, note = (line.strip() for line in lines[at : at + 4])
    assert re.split(r"  +", caption) == [
        "power",
        "on 15 holdout rows, decided on the lower bound",
    ]
    assert re.split(r"  +", head) == [
        "metric",
        "threshold",
        "0.80 from",
        "power at",
        "rows for 0.80",
    ]
    assert re.split(r"  +", row) == ["macro_f1", "min 0.50", "0.843", "0.04 at 0.55", "790"]
    assert note == "Estimates, where classes are equally good and equally large."


def test_rows_that_are_not_counted_yet_show_nothing_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits: dict[str, object] = {"train": 0.6, "validation": 0.2, "holdout": 0.2}

    lines = planned(tmp_path, capsys, splits, "gguf")

    assert power_lines(lines).startswith(
        "power What the holdout can show is known after data: its rows are not counted yet."
    )


def test_the_json_plan_holds_the_same_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, "gguf")
    options = ["--store", str(tmp_path / "store"), "--format", "json"]

    assert main(["plan", str(tmp_path / "t.yaml"), *options]) == 0

    plan = json.loads(capsys.readouterr().out)
    power = plan["power"]
    assert "on 15 holdout rows: power 0.80" in power[0]
    assert power[-1] == "Estimates, where classes are equally good and equally large."
    [estimate] = plan["power_estimates"]
    assert estimate["metric"] == "macro_f1"
    assert estimate["threshold"] == "min 0.50"
    assert estimate["decided_on"] == "lower bound"
    assert estimate["rows"] == 15
    assert estimate["note"] == ""


def test_it_says_that_unsloth_has_no_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNSLOTH_PYTHON", raising=False)
    found = " ".join(" ".join(planned(tmp_path, capsys, SIZES, "gguf", backend="unsloth")).split())

    assert "Unsloth has no environment here: UNSLOTH_PYTHON names no Python" in found
