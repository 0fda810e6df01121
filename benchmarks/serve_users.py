"""What `benchmarks/serve.py` has locust do: each user asks one text after the other and compares the answer.

`SERVE_ANSWERS` is a JSON file of [text, answer, probability], `SERVE_COUNTS` where counts are left at the end. Half
of the questions are OpenAI's chat completions.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from locust import FastHttpUser, events

ANSWERS: list[tuple[str, str, float]] = json.loads(
    Path(os.environ["SERVE_ANSWERS"]).read_text(encoding="utf-8")
)
NEAR = 2e-3
"""Of a probability: shares of labels are looked into up to 1e-3, and rows that are asked together add up otherwise."""


def plain(user: Any) -> None:
    """Ask by the plain route."""
    text, *right = random.choice(ANSWERS)  # noqa: S311 - a load, no secret
    with user.client.post("/predict", json={"text": text}, catch_response=True) as found:
        if found.status_code == 200:
            (one,) = found.json()["predictions"]
            _compare(found, right, one["prediction"], one["probability"])


def chat(user: Any) -> None:
    """Ask as OpenAI's client does."""
    text, *right = random.choice(ANSWERS)  # noqa: S311 - the same
    body = {"model": "served", "messages": [{"role": "user", "content": text}]}
    with user.client.post("/v1/chat/completions", json=body, catch_response=True) as found:
        if found.status_code == 200:
            one = found.json()
            _compare(found, right, one["choices"][0]["message"]["content"], one["probability"])


def _compare(found: Any, right: list[Any], answer: str, probability: float) -> None:
    if answer != right[0]:
        found.failure("another label")
    elif abs(probability - right[1]) > NEAR:
        found.failure("another probability")


class User(FastHttpUser):  # type: ignore[misc] # locust has no types here
    """One client, which asks again as soon as it has its answer."""

    tasks: ClassVar = [plain, chat]


def _keep(environment: Any, **_: Any) -> None:
    total, failed = environment.stats.total, Counter[str]()
    for one in environment.stats.errors.values():
        failed[str(one.error)] += one.occurrences
    found = {"requests": total.num_requests, "times": total.response_times, "failed": failed}
    Path(os.environ["SERVE_COUNTS"]).write_text(json.dumps(found), encoding="utf-8")


# its own tables are written while it runs, and lack the last seconds
events.quitting.add_listener(_keep)
