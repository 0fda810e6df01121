"""Whole recipes with synthetic rows: a scripted server writes them, and answers them when it is asked again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.chat_service import Body, Service, serving
from support.project import BAD, GOOD, Project
from support.runs import report

pytestmark = pytest.mark.thorough
PLACES = ("harbour", "museum", "station", "market", "garden", "bridge", "tower", "theatre")
PEOPLE = ("visitor", "painter", "driver", "teacher", "sailor", "neighbour", "gardener", "clerk")


def is_request(body: Body) -> bool:
    """Tell whether a row is asked for, and not the answer to one."""
    return "JSON object" in body["messages"][-1]["content"]


def writer(body: Body) -> str:
    """Write a row of the wanted answer, by the seed of the request; answer rows rightly."""
    text = body["messages"][-1]["content"]
    if not is_request(body):
        return "positive" if any(word in text for word in GOOD) else "negative"
    found = re.search(r"about (\w+)", text)
    assert found is not None, text
    words = GOOD if found[1] == "positive" else BAD
    number = body["seed"]
    place, person = PLACES[number % 8], PEOPLE[number // 8 % 8]
    word = words[number % 5]
    return json.dumps({"text": f"a {person} near the {place} called walk {number} {word} today"})


def with_synthesis(project: Project, service: Service, **more: Any) -> None:
    project.edit(
        allow_moving=True,
        data__synthesize={
            "teacher": {
                "endpoint": service.url,
                "model": "served",
                "price": {"input": 1.0, "output": 2.0},
            },
            "rows": 24,
            "prompt": "Write a sentence about {label}.",
            **more,
        },
        splits__train=30,
        splits__validation=20,
        baselines=["majority", "tfidf_svm"],
        data__checks={"leakage": "warn", "near_duplicates": "off"},
    )


@pytest.fixture
def served() -> Iterator[Service]:
    with serving(Service(answer=writer)) as service:
        yield service


def found_in(project: Project) -> dict[str, Any]:
    return report(project.folder / ".recipe")


def test_written_rows_are_trained_on_and_nothing_is_asked_twice(
    project: Project, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    with_synthesis(project, served)
    outcome = project.run("run", str(project.recipe))
    assert outcome.code == 0, outcome.err
    found, asked = found_in(project), len(served.asked)
    synthetic = found["synthetic"]
    print(json.dumps(synthetic, indent=1))
    assert synthetic["asked"] == 24
