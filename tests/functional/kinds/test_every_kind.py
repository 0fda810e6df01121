"""Every measured kind of task runs whole: rows in, an accepted or refused model out, judged by its own metrics."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.recipe.metrics import primary
from support.project import BAD, GOOD, THINGS, Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import report, statuses

pytestmark = pytest.mark.thorough

COUNT = 90
OF_TURNS = ("chat", "preference")
KINDS: dict[str, dict[str, Any]] = {
    "multilabel": {
        "task": {
            "kind": "multilabel",
            "instruction": "which of {labels}?",
            "labels": ["good", "bad", "long"],
        },
        "data": {"label": {"column": "labels", "separator": ";"}},
        "acceptance": {"metrics": {"macro_f1": {"min": 0}, "hamming_loss": {"max": 1}}},
        "baselines": ["majority", "tfidf_svm", "zero_shot", "few_shot"],
    },
    "extraction": {
        "task": {
            "kind": "extraction",
            "instruction": "what is it?",
            "schema": {
                "type": "object",
                "properties": {"thing": {"enum": list(THINGS)}, "count": {"type": "integer"}},
                "required": ["thing"],
                "additionalProperties": False,
            },
        },
        "data": {"answer": {"fields": {"thing": "thing", "count": "count"}}},
        "acceptance": {"metrics": {"field_f1": {"min": 0}, "f1.thing": {"min": 0}}},
        "baselines": ["majority", "zero_shot", "retrieved_few_shot"],
    },
    "generation": {
        "task": {"kind": "generation", "instruction": "say it", "max_new_tokens": 12},
        "data": {"answer": {"column": "thing"}},
        "acceptance": {"metrics": {"rouge_l": {"min": 0}, "chrf": {"min": 0}}},
        "baselines": ["majority", "zero_shot", "few_shot"],
    },
    "chat": {
        "task": {"kind": "chat", "system": "you help"},
        "data": {"messages": {"column": "messages"}},
        "acceptance": {"metrics": {"perplexity": {"max": 1e9}}},
        "baselines": ["zero_shot"],
    },
    "preference": {
        "task": {"kind": "preference", "system": "you help"},
        "data": {"pair": {"prompt": "text", "chosen": "better", "rejected": "worse"}},
        "acceptance": {"metrics": {"preference_accuracy": {"min": 0}}},
        "baselines": ["longer_answer", "untouched"],
    },
    "text": {
        "task": {"kind": "text", "input": "{text}"},
        "data": {},
        "acceptance": {"metrics": {"bits_per_byte": {"max": 100}}},
        "baselines": ["zero_shot"],
    },
}


def row(place: int, draw: random.Random) -> dict[str, Any]:
    thing, good, bad = draw.choice(THINGS), draw.choice(GOOD), draw.choice(BAD)
    count = draw.randrange(9)
    is_good, is_long = draw.random() < 0.5, draw.random() < 0.5
    text = f"row {place}: {count} times the {thing} was {good if is_good else bad}"
    text += " and that went on and on" if is_long else ""
    answers = [f"the {thing}", "ask somebody else"]
    draw.shuffle(answers)
    labels = ["good" if is_good else "bad", *(["long"] if is_long else [])]
    return {
        "text": text,
        "labels": ";".join(labels),
        "thing": thing,
        "count": count,
        **dict(zip(("better", "worse"), answers, strict=True)),
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"the {thing}"},
        ],
    }


def of_kind(kind: str) -> Callable[[Project], None]:
    def prepare(project: Project) -> None:
        draw = random.Random(5)
        lines = [json.dumps(row(place, draw)) for place in range(COUNT)]
        (project.folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
        given = KINDS[kind]
        checks = dict.fromkeys(("leakage", "near_duplicates", "output_format"), "off")
        project.edit(
            task=given["task"] if kind in OF_TURNS else {"input": "{text}", **given["task"]},
            data={"sources": [{"path": "rows.jsonl"}], "checks": checks, **given["data"]},
            splits={"by": "random", "train": 40, "validation": 10, "holdout": 30},
            acceptance={**given["acceptance"], "decide_on": "point"},
            baselines=given["baselines"],
            method__epochs=1,
            method__max_length=256,
        )

    return prepare


@pytest.fixture(params=KINDS)
def done(request: pytest.FixtureRequest) -> tuple[str, RunOnce]:
    """A kind, and a project of it after its whole run."""
    return request.param, run_once(f"kind-{request.param}", of_kind(request.param))


def test_a_whole_run_is_judged_by_the_metrics_of_its_kind(
    done: tuple[str, RunOnce], root: Path
) -> None:
    kind, project = done

    assert project.outcome.code == 0, project.outcome.err
    found = report(project.folder / ".recipe")
    schema = json.loads((root / "schemas" / "report.v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema)
    metrics = {metric["name"]: metric for metric in found["holdout"]["metrics"]}
    assert found["outcome"] == "accepted"
    assert metrics[primary(kind)]["value"] is not None
    assert metrics[primary(kind)]["interval"] is not None
    assert set(KINDS[kind]["acceptance"]["metrics"]) <= metrics.keys()
    assert [baseline["name"] for baseline in found["baselines"]] == KINDS[kind]["baselines"]
    assert all(baseline["scores"]["rows"] == 30 for baseline in found["baselines"])


def test_a_bound_that_is_missed_refuses_any_kind(
    done: tuple[str, RunOnce], tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    kind, accepted = done
    project = accepted.copy_to(tmp_path, run)
    name = primary(kind)
    bound = {"max": 1e-6} if name == "bits_per_byte" else {"min": 1}
    project.edit(acceptance__metrics={name: bound}, baselines=[])

    outcome = project.run("run", "recipe.yaml")

    assert outcome.code == 1, outcome.err
    assert "REFUSED" in outcome.out
    assert name in outcome.out


# A whole run with options of the method: planned, trained, merged, exported, and asked again as it leaves.
OPTIONS = {
    "dora": True,
    "rslora": True,
    "ranks": {"down_proj": 8, "q_proj": 2},
    "layers": "last_1",
    "loraplus_lr_ratio": 4,
}


def test_an_adapter_with_options_is_merged_and_answers_as_it_was_judged(project: Project) -> None:
    project.edit(
        baselines=["majority"], **{f"method__{key}": value for key, value in OPTIONS.items()}
    )

    planned = project.run("plan", "recipe.yaml")
    outcome = project.run("run", "recipe.yaml")

    assert (planned.code, outcome.code) == (0, 0), outcome.err
    assert set(statuses(project.folder / ".recipe").values()) == {"ran"}
    found = report(project.folder / ".recipe")
    assert found["training"]["trainable_parameters"] > 0
