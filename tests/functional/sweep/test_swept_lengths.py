"""A sweep over `max_length`: rows are counted, cut and replayed by lengths that are trained, and by no other."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.project import THINGS, Project, rows

pytestmark = pytest.mark.thorough

LONG = "and " * 80
NOBODYS = 20
"""`method.max_length` where each setting has its own: no row fits into it."""
LENGTHS = (64, 96)


def written_rows(project: Project) -> None:
    """Every seventh row is longer than every length that is trained."""
    found = [
        (f"{text} {LONG}" if place % 7 == 0 else text, label)
        for place, (text, label) in enumerate(rows(140))
    ]
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *found])


def lines_of(project: Project, name: str) -> list[dict[str, Any]]:
    [file] = (project.folder / ".recipe" / "store").glob(f"*/*/files/{name}")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture
def swept(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.folder)
    project.edit(method__max_length=NOBODYS, sweep={"grid": {"max_length": list(LENGTHS)}})
    return project


@pytest.fixture
def replaying(swept: Project) -> Project:
    """Chats, most of them short, beside general text in documents of all lengths."""
    found = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": label}]}
        for text, label in rows(140)
    ]
    general = [
        {"text": f"speech {number}: " + f"the {THINGS[number % 10]} was it. " * (number % 7)}
        for number in range(80)
    ]
    for name, lines in (("rows.jsonl", found), ("general.jsonl", general)):
        (swept.folder / name).write_text("\n".join(map(json.dumps, lines)), "utf-8")
    checks = dict.fromkeys(("leakage", "near_duplicates", "conflicting_labels"), "off")
    swept.edit(
        task={"kind": "chat"},
        data={
            "sources": [{"path": "rows.jsonl"}],
            "replay": {"share": 0.4, "sources": [{"path": "general.jsonl"}]},
            "checks": checks,
        },
        splits={"train": 60, "validation": 20, "holdout": 40},
        baselines=[],
        acceptance={"metrics": {"perplexity": {"max": 1e9}}, "decide_on": "point"},
    )
    return swept


def test_rows_that_are_left_out_are_counted_by_a_length_that_is_trained(swept: Project) -> None:
    written_rows(swept)
    swept.edit(data__checks__truncation="drop")

    shown = swept.run("data", "recipe.yaml")
    data = " ".join(shown.out.split())
    planned = json.loads(swept.run("plan", "recipe.yaml", "--format", "json").out)
    plan = " ".join(swept.run("plan", "recipe.yaml").out.split())
    compiled = swept.run("compile", "recipe.yaml")

    assert shown.code == 0, shown.err
    trained = planned["trained"]
    assert trained["counted"]
    assert 45 < trained["train"] < 60
    left = f"{60 - trained['train']} left out, longer than {LENGTHS[0]} tokens"
    for text in (data, plan, compiled.err):
        assert f"{trained['train']} of 60 training rows are trained; {left}" in text
    assert f"of the sweep's settings, max_length {LENGTHS[0]}:" in data


def test_what_is_left_out_is_written_once_a_setting(swept: Project) -> None:
    written_rows(swept)
    swept.edit(data__checks__truncation="drop", method__epochs=1, baselines=["majority"])

    outcome = swept.run("run", "recipe.yaml", "--until", "train")

    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.err.splitlines() if " train: D410" in line]
    assert [line.split()[0] for line in lines] == ["baseline"] * 2 + ["sweep"] * 2 + ["train"]


def test_replayed_text_fits_into_every_setting(replaying: Project) -> None:
    outcome = replaying.run("run", "recipe.yaml", "--until", "replay")

    assert outcome.code == 0, outcome.err
    sizes = [one["tokens"] for one in lines_of(replaying, "replay.jsonl")]
    assert LENGTHS[0] // 2 < max(sizes) <= LENGTHS[0]


def test_a_plan_after_the_data_says_that_text_is_replayed(replaying: Project) -> None:
    assert replaying.run("data", "recipe.yaml").code == 0

    plan = " ".join(replaying.run("plan", "recipe.yaml").out.split())
    planned = json.loads(replaying.run("plan", "recipe.yaml", "--format", "json").out)["trained"]
    ran = replaying.run("run", "recipe.yaml", "--until", "replay")

    assert "60 training rows before text is replayed" in plan
    assert not planned["counted"]
    assert ran.code == 0, ran.err
    assert abs(planned["train"] - 60 - len(lines_of(replaying, "replay.jsonl"))) <= 5


def test_rows_that_are_left_out_beside_replayed_text_are_left_out_once(replaying: Project) -> None:
    lines = (replaying.folder / "rows.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for one in found[::3]:
        one["messages"][0]["content"] += f" {LONG}"
    (replaying.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, found)), "utf-8")
    replaying.edit(data__checks__truncation="drop", sweep=None, method__max_length=LENGTHS[1])

    before = json.loads(replaying.run("plan", "recipe.yaml", "--format", "json").out)["trained"]
    shown = " ".join(replaying.run("data", "recipe.yaml").out.split())
    after = " ".join(replaying.run("plan", "recipe.yaml").out.split())

    kept = re.search(r"([0-9]+) of 60 training rows before text is replayed", shown)
    assert kept is not None, shown
    assert 30 < int(kept[1]) < 50
    assert kept[0] in after
    assert before["estimated"]
    assert int(kept[1]) < before["train"] < 60 / 0.6


def test_a_teachers_rows_have_to_fit_every_setting_and_no_other_length(swept: Project) -> None:
    known = {text for text, _ in rows(140)}
    new = [text for text, _ in rows(200, seed=5) if text not in known][:8]
    Path("unlabelled.csv").write_text("\n".join(["text", *new]), encoding="utf-8")
    swept.edit(
        teacher={
            "model": {"path": "base"},
            "inputs": {"sources": [{"path": "unlabelled.csv"}]},
            "stop_if_teacher_is_no_better": False,
        },
        splits__train=30,
        baselines=["majority"],
        data__checks={"leakage": "warn", "near_duplicates": "off"},
    )

    outcome = swept.run("run", "recipe.yaml", "--until", "teach")

    assert outcome.code == 0, outcome.err
