"""What training could not learn from is refused with one error, before a model is asked anything."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from support.project import Outcome, Project
from support.runs import manifests

CHECKS = dict.fromkeys(("near_duplicates", "output_format", "leakage", "conflicting_labels"), "off")
SPENT = {"predictions", "base_likelihoods", "train", "resampled", "probe_answers", "samples"}
"""Stages and products that a model or a trainer makes."""


def write(project: Project, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "\n".join(map(json.dumps, rows))
    (project.folder / "rows.jsonl").write_text(text, encoding="utf-8")


def preferring(project: Project, rows: Iterable[Mapping[str, Any]], **method: Any) -> None:
    write(project, rows)
    project.edit(
        task={"kind": "preference"},
        data={"sources": [{"path": "rows.jsonl"}], "checks": CHECKS},
        splits={"train": 24, "validation": 8, "holdout": 16, "seed": 7},
        acceptance={"metrics": {"preference_accuracy": {"min": 0.5}}, "decide_on": "point"},
        baselines=None,
        **{f"method__{key}": value for key, value in method.items()},
    )


def one_thumb(project: Project) -> None:
    """Every answer is wanted: KTO weighs those that are against those that are not."""
    rows = (
        {"prompt": f"question {n}: what now?", "completion": f"answer {n}", "label": True}
        for n in range(48)
    )
    preferring(project, rows, preference={"loss": "kto"})


def long_answers(project: Project) -> None:
    """One pair is longer than `max_length`: trainers would cut it, and learn of half an answer."""
    rows = [
        {"prompt": f"question {n}: what now?", "chosen": f"answer {n}", "rejected": f"no {n}"}
        for n in range(48)
    ]
    # By content, whatever the draw: every pair is long.
    long = [{**row, "rejected": row["rejected"] + " and so on" * 80} for row in rows]
    preferring(project, long, max_length=64)


def large_tokenizer(project: Project) -> None:
    """A tokenizer of more tokens than its text has pairs."""
    write(project, ({"text": f"story {n}"} for n in range(48)))
    tokenizer = {"train": "byte_pairs", "size": 4000}
    scratch = {"layers": 2, "width": 32, "heads": 2, "context": 64, "tokenizer": tokenizer}
    project.edit(
        task={"kind": "text", "input": "{text}"},
        base_model={"scratch": scratch},
        data={"sources": [{"path": "rows.jsonl"}], "checks": CHECKS},
        splits={"train": 24, "validation": 8, "holdout": 16, "seed": 7},
        acceptance={"metrics": {"bits_per_byte": {"max": 9}}, "decide_on": "point"},
        baselines=None,
        method={"kind": "full", "max_length": 64},
        export={"formats": ["safetensors"]},
    )


CASES = {"D428": one_thumb, "D390": long_answers, "X740": large_tokenizer}


@pytest.mark.parametrize(("code", "prepare"), CASES.items(), ids=CASES.keys())
def test_it_is_refused_with_one_error_before_anything_is_spent(
    code: str,
    prepare: Callable[[Project], None],
    project: Project,
    run: Callable[..., Outcome],
) -> None:
    prepare(project)

    outcome = run("run", "recipe.yaml")

    assert outcome.code not in (0, 1), outcome.err
    assert outcome.err.count("recipe explain") == 1
    assert f"recipe explain {code}" in outcome.err
    made = {one["stage"] for one in manifests(project.folder / ".recipe")}
    assert "data" in made
    assert made.isdisjoint(SPENT)


def test_answers_of_one_thumb_are_refused_when_the_data_are_shown(
    project: Project, run: Callable[..., Outcome]
) -> None:
    one_thumb(project)

    outcome = run("data", "recipe.yaml")

    assert outcome.code == 3
    assert "D428" in outcome.err
    assert "rows are trained in" not in outcome.out
