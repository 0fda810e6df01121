"""Baselines of several labels as folders, the tuned encoder among them."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from support.declared import import_skops, predict
from support.encoders import make_tiny_encoder
from support.project import BAD, GOOD, THINGS, Outcome, Project
from support.run_once import RunOnce, run_once

pytestmark = pytest.mark.thorough
KINDS = ("tfidf_svm", "encoder_linear", "encoder_tuned")


def _several_labels(project: Project) -> None:
    make_tiny_encoder(project.folder / "encoder")
    draw = random.Random(5)
    lines = []
    for place in range(70):
        good, bad, thing = draw.choice(GOOD), draw.choice(BAD), draw.choice(THINGS)
        words, labels = draw.choice(
            [(good, "good"), (bad, "bad"), (f"{good} and {bad}", "good;bad"), ("here", "")]
        )
        lines.append({"id": place, "body": f"row {place}: the {thing} was {words}", "is": labels})
    (project.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    project.edit(
        task={
            "kind": "multilabel",
            "instruction": "which of {labels}?",
            "input": "{{{id}}} {body}",
            "labels": ["good", "bad", "never"],
        },
        data={
            "sources": [{"path": "rows.jsonl"}],
            "label": {"column": "is", "separator": ";"},
            "checks": {
                **dict.fromkeys(("leakage", "near_duplicates", "output_format"), "off"),
                "missing_classes": "warn",
            },
        },
        splits={"by": "random", "train": 40, "validation": 0, "holdout": 30},
        baselines=["tfidf_svm", *({kind: {"path": "encoder"}} for kind in KINDS[1:])],
        stop_if_baseline_passes=True,
        acceptance={"metrics": {"micro_f1": {"min": 0.2}}},
    )


@pytest.fixture(scope="module")
def passed() -> RunOnce:
    import_skops()
    return run_once("several labels pass", _several_labels)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_each_says_of_every_row_what_was_judged(
    kind: str,
    passed: RunOnce,
    tmp_path: Path,
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = passed.copy_to(tmp_path / "project", run)
    monkeypatch.chdir(project.folder)
    made = project.run("export", "baseline", "recipe.yaml", "--baseline", kind, "-o", "out")
    (file,) = project.folder.glob(f".recipe/store/*/*/files/predictions.{kind}.jsonl")
    judged = [json.loads(line)["label"] for line in file.read_text().splitlines()]
    (held_out,) = project.folder.glob(".recipe/store/*/*/files/holdout.jsonl")
    texts = [json.loads(line)["input"] for line in held_out.read_text().splitlines()]
    # The rows as the user has them, in the order of the holdout.
    columns = [text.removeprefix("{").split("} ", 1) for text in texts]
    rows = [json.dumps({"id": int(number), "body": body}) for number, body in columns]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    answered = predict(project.folder / "out", str(tmp_path / "rows.jsonl"), "--json")
    found = [json.loads(line) for line in answered.stdout.splitlines()]

    assert made.code == 0, made.err
    assert found == [[] if label == "none" else label.split(", ") for label in judged]
    assert answered.stderr == ""
    assert len({*judged}) > 1
