"""Scores change together with the `REVISION` of the stages that keep them: else those of the old code are reused."""

import json
import re
from random import Random
from typing import Any

import pytest

from engine.kinds import KINDS
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import difference, pair
from engine.metrics.scoring import score
from engine.stages import load_stage
from engine.values import to_json
from support.golden import Golden
from support.json_records import record_lines
from support.paths import GOLDEN, ROOT
from support.tasks import task

PAGE = (ROOT / "docs/extending/metric.md").read_text("utf-8")
(BULLET,) = re.findall(r"- Bump `REVISION`(.*?); for", PAGE, flags=re.DOTALL)
STAGES = re.findall(r"`(\w+)`", BULLET)
"""Those that keep scores, as the page of a metric names them; `tests/test_listings.py` holds it to the code."""
SCHEMA: Any = {"properties": {"x": {"type": "integer"}, "y": {"items": {"type": "string"}}}}
GIVEN: dict[str, dict[str, Any]] = {
    "classification": {"labels": ("a", "b", "c")},
    "multilabel": {"labels": ("a", "b")},
    "extraction": {"schema": SCHEMA},
    "generation": {"answer_pattern": "#(.*)"},
}
ANSWERS = {
    "classification": ("a", "b", "c"),
    "multilabel": ("none", "a", "b", "a, b"),
    "extraction": ("{}", '{"x":1}', '{"x":2,"y":["a","b"]}', '{"y":["a","a"]}'),
    "generation": ("the cat sat on mats #1", "the cat #2", "a"),
}
ROWS = 40
DIGITS = 6
WORDS = ("undefined", "method", "test")


def answered(kind: str, seed: int) -> list[Prediction]:
    """What a model of some worth answers; targets are the same for every seed."""
    targets, model = Random(7), Random(seed)
    return [predicted(kind, f"{place:016x}", targets, model) for place in range(ROWS)]


def predicted(kind: str, name: str, targets: Random, model: Random) -> Prediction:
    if KINDS[kind].by_likelihood:
        is_pair = kind == "preference"
        return Prediction(
            id=name,
            target="",
            label=None,
            text="",
            probability=None,
            nats=model.uniform(5, 20),
            tokens=10,
            bytes=model.choice((30, 50)),
            margin=model.uniform(-1, 2) if is_pair else None,
            rejected_nats=model.uniform(5, 20) if is_pair else None,
            rejected_tokens=10 if is_pair else 0,
            rejected_bytes=40 if is_pair else 0,
        )
    target = targets.choice(ANSWERS[kind])
    label = target if model.random() < 0.7 else model.choice((*ANSWERS[kind], None))
    labels = GIVEN["classification"]["labels"]
    # the most probable label is the answer
    shares = tuple(sorted((0.7, 0.2, 0.1), reverse=label != labels[-1]))
    shares = (0.2, 0.7, 0.1) if label == labels[1] else shares
    return Prediction(
        id=name,
        target=target,
        label=label,
        text=label or "?",
        probability=0.7,
        probabilities=shares if kind == "classification" else (),
        references=(target,) if kind == "generation" else (),
    )


def rounded(value: Any) -> Any:
    """Without the last digits, in which processors differ, and without words."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items() if key not in WORDS}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def scores_of(kind: str) -> dict[str, Any]:
    judging = Judging(task=task(kind, **GIVEN.get(kind, {})), confidence=0.95, seed=3)
    first, second = answered(kind, 1), answered(kind, 2)
    models = pair(first, second, judging)
    found = {
        "scores": to_json(score(first, judging)),
        "compared": [to_json(difference(name, models)) for name in models.measures],
    }
    return dict(rounded(json.loads(json.dumps(found))))


@pytest.mark.parametrize("kind", list(KINDS))
def test_scores_change_only_with_the_revisions_of_the_stages_that_keep_them(
    kind: str, golden: Golden
) -> None:
    name = f"scores/{kind}.json"
    revisions = {stage: load_stage(stage).REVISION for stage in STAGES}
    shown = {"revisions": revisions, **scores_of(kind)}
    if (GOLDEN / name).is_file():
        kept = json.loads((GOLDEN / name).read_text("utf-8"))
        same = [stage for stage in STAGES if kept["revisions"].get(stage) == revisions[stage]]
        changed = without_revisions(kept) != without_revisions(shown)

        assert not (changed and same), f"scores differ: raise REVISION of {', '.join(same)}"

    golden(
        name,
        record_lines(shown) + "\n",
        by=lambda text: without_revisions(json.loads(text)),
    )


def without_revisions(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "revisions"}
