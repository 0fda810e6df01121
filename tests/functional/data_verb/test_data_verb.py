"""`recipe data`: everything about the rows, nothing trained, and a refusal hides nothing."""

import csv
import json
import re
from typing import Any

import pytest

from engine.errors import ExitCode
from support.project import Project, rows


def seen(project: Project, *words: str) -> dict[str, Any]:
    found = project.run("data", str(project.recipe), "--format", "json", *words)
    return {"code": found.code, **json.loads(found.out)}


def write_rows(project: Project, more: list[tuple[str, str]]) -> None:
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(140), *more])


def test_it_shows_where_rows_come_from_and_how_one_reads(project: Project) -> None:
    shown = project.run("data", str(project.recipe))

    assert shown.code == ExitCode.ACCEPTED, shown.err
    for heading in ("sources", "checks", "splits", "firewall", "lengths in tokens", "examples"):
        assert re.search(rf"^{heading}$", shown.out, flags=re.MULTILINE), heading
    assert "rows.csv" in shown.out
    assert re.search(r"│ <\|im_start\|>assistant\n  │ ⟦(positive|negative)<\|im_end\|>⟧", shown.out)
    assert "\x1b" not in shown.out
    assert max(map(len, shown.out.splitlines())) <= 100


@pytest.mark.parametrize("form", ["text", "json"])
def test_progress_is_shown_without_a_terminal(
    project: Project, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_PLAIN_SECONDS", "_PLAIN_PATIENCE_SECONDS"):
        monkeypatch.setattr(f"engine.render.progress_display.{limit}", 0)

    shown = project.run("data", str(project.recipe), "--format", form)

    assert re.search(r"^data +\S", shown.err, flags=re.MULTILINE)
    assert "\x1b" not in shown.err


def test_json_has_the_counts_the_lengths_and_the_segments(project: Project) -> None:
    found = seen(project)

    splits = {one["name"]: one["rows"] for one in found["summary"]["splits"]}
    assert splits == {"train": 60, "validation": 20, "holdout": 40}
    assert [(one["split"], one["measured"]) for one in found["lengths"]] == [*splits.items()]
    assert all(0 < one["median"] <= one["p95"] <= one["longest"] for one in found["lengths"])
    assert {one["labels"][0] for one in found["examples"]} == {"negative", "positive"}
    row = found["row"]
    assert [segment["supervised"] for segment in row["segments"]] == [False, True]
    assert found["problems"] == []


def test_the_row_is_what_is_trained(project: Project) -> None:
    row = seen(project)["row"]
    project.run("run", str(project.recipe), "--until", "baseline")

    [rendered] = (project.folder / ".recipe").rglob("rendering.json")
    lines = (rendered.parent / "train.jsonl").read_text(encoding="utf-8").splitlines()
    trained = next(line for line in map(json.loads, lines) if line["id"] == row["id"])
    assert trained["segments"] == [
        {"label": segment["supervised"], "text": segment["text"]} for segment in row["segments"]
    ]


def test_a_run_reuses_what_was_looked_at_and_no_run_is_recorded(project: Project) -> None:
    project.run("data", str(project.recipe))
    assert not (project.folder / ".recipe" / "runs").exists()

    ran = project.run("run", str(project.recipe), "--until", "data")

    assert "reused" in ran.err


def test_the_weights_are_not_needed(project: Project) -> None:
    base = project.folder / "light"
    base.mkdir()
    for file in (project.folder / "base").iterdir():
        if file.suffix != ".safetensors":
            (base / file.name).write_bytes(file.read_bytes())
    project.edit(base_model__path="light")

    assert seen(project)["unit"] == "tokens"


def test_a_row_can_be_asked_for_by_place_and_by_id(project: Project) -> None:
    example = seen(project)["examples"][-1]

    for name in (example["id"], example["origin"]):
        assert seen(project, "--row", name)["row"]["id"] == example["id"]


def test_a_row_that_is_in_no_split_is_a_usage_mistake(project: Project) -> None:
    found = project.run("data", str(project.recipe), "--row", "rows.csv:9999")

    assert (found.code, "D395" in found.err) == (ExitCode.USAGE, True)


def test_one_class_is_shown_with_more_examples(project: Project) -> None:
    found = seen(project, "--class", "negative")

    assert [one["labels"] for one in found["examples"]] == [["negative"]] * 10
    assert len(seen(project, "--class", "negative", "--examples", "3")["examples"]) == 3


@pytest.mark.parametrize("number", ["-1", "many"])
def test_a_number_of_examples_is_asked_for_in_words(
    project: Project, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        project.run("data", str(project.recipe), f"--examples={number}")

    assert ended.value.code == ExitCode.USAGE
    assert f"a whole number, 0 or more, not `{number}`" in capfd.readouterr().err


def test_an_unknown_class_is_a_usage_mistake(project: Project) -> None:
    found = project.run("data", str(project.recipe), "--class", "neutral")

    assert (found.code, "D396" in found.err) == (ExitCode.USAGE, True)


def test_without_tokens_characters_are_counted(project: Project) -> None:
    found = seen(project, "--no-tokens")

    assert (found["unit"], found["row"]["tokens"]) == ("characters", None)
    assert found["lengths"][0]["over"] is None
    assert "--no-tokens" in found["why_characters"]


def test_a_base_model_that_cannot_be_had_is_reported_in_one_line(project: Project) -> None:
    (project.folder / "base" / "tokenizer.json").resolve()
    empty = project.folder / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}", encoding="utf-8")
    project.edit(base_model__path="empty")

    shown = project.run("data", str(project.recipe))

    assert shown.code == ExitCode.ACCEPTED
    assert "lengths in characters" in shown.out
    assert re.search(r"no tokenizer, so characters are counted: X60\d", shown.out)


def test_a_refusing_check_hides_nothing(project: Project) -> None:
    text = rows(140)[0][0]
    write_rows(project, [(text, "positive"), (text, "negative")])

    shown = project.run("data", str(project.recipe))
    found = seen(project)

    assert shown.code == found["code"] == ExitCode.FAILED
    assert "conflicting_labels" in found["refusing"]
    assert re.search(r"^  fail +conflicting_labels", shown.out, flags=re.MULTILINE)
    assert re.search(r"^splits$", shown.out, flags=re.MULTILINE)
    assert "D307" in shown.err
    assert "D307" in [problem["code"] for problem in found["problems"]]
    assert project.run("run", str(project.recipe), "--until", "data").code == ExitCode.FAILED


def test_too_few_rows_are_an_error_with_what_is_known(project: Project) -> None:
    project.edit(splits={"by": "random", "train": 600, "validation": 20, "holdout": 40, "seed": 7})

    shown = project.run("data", str(project.recipe))

    assert shown.code == ExitCode.FAILED
    assert "D311" in shown.err
    assert "sources" in shown.out
    assert not re.search(r"^(splits|firewall)$|nothing found", shown.out, flags=re.MULTILINE)


def test_rows_over_the_limit_are_counted_and_refused(project: Project) -> None:
    project.edit(method__max_length=24)

    found = seen(project)

    assert found["code"] == ExitCode.FAILED
    assert [problem["code"] for problem in found["problems"]] == ["D390"]
    assert found["lengths"][0]["over"] > 0
    assert found["row"]["tokens"] > 0


def test_rows_dropped_after_the_draw_are_replaced_and_reported_by_split(project: Project) -> None:
    """Nearly every row twice, so that wherever the holdout falls, its copies are in train and validation."""
    write_rows(project, [(f"{text}s", label) for text, label in rows(140)])
    project.edit(data__checks={"leakage": "drop", "near_duplicates": "off"})

    splits = {one["name"]: one for one in seen(project)["summary"]["splits"]}
    shown = " ".join(project.run("data", str(project.recipe)).out.split())
    planned = json.loads(project.run("plan", str(project.recipe), "--format", "json").out)
    plan = " ".join(project.run("plan", str(project.recipe)).out.split())

    train, validation = splits["train"], splits["validation"]
    left = train["left_out"]["leakage"]
    expected = f"train 60 of 60 asked: {left} dropped by leakage, {left} unused rows in their place"
    assert (train["rows"], train["replaced"]) == (60, left)
    assert validation["rows"] < validation["asked"] == 20
    assert expected in shown
    assert expected in plan
    assert f"validation {validation['rows']} of 20 asked" in shown
    assert planned["splits"][0] == expected
    assert planned["trained"]["train"] == 60
    assert planned["split_sizes"] == {name: one["rows"] for name, one in splits.items()}
