"""Rows of few common words, and a scripted server that writes such rows and answers them."""

import csv
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.store import Store
from support.chat_service import Body, Service
from support.project import BAD, GOOD, Project
from support.runs import manifests


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WHO = _words(
    """
visitor painter driver baker sailor neighbour gardener clerk nurse plumber singer farmer tailor
barber lawyer waiter printer hunter miner dancer porter judge pilot guard
"""
)
PLACE = _words(
    """
harbour museum station market garden bridge tower theatre library stadium chapel quarry island
castle orchard tunnel canal meadow factory airport village forest hotel school
"""
)
DID = _words(
    """
called found repaired described watched painted visited carried measured counted borrowed returned
ordered praised ignored cleaned locked opened moved sketched praised lifted sold
"""
)
WHAT = _words(
    """
lantern bicycle carpet trumpet ladder kettle blanket mirror basket hammer candle saddle statue wagon
helmet violin barrel curtain pillow rocket compass puzzle teapot anchor
"""
)
KEYS = ("who", "did", "what", "where", "how")
Parts = Mapping[str, str]


def parts(draw: random.Random, words: tuple[str, ...]) -> Parts:
    """Draw what a row says; `words` are those of its class."""
    slots = (WHO, DID, WHAT, PLACE, words)
    return {key: draw.choice(list(slot)) for key, slot in zip(KEYS, slots, strict=True)}


def sentence(found: Parts, number: int) -> str:
    return "the {who} {did} a {what} near the {where} on day {n} and it was {how}".format(
        **found, n=number
    )


def reworded(text: str) -> str:
    """The same in another order, with other small words."""
    match = re.fullmatch(
        r"the (\w+) (\w+) a (\w+) near the (\w+) on day (\d+) and it was (\w+)", text
    )
    assert match is not None, text
    who, did, what, where, day, how = match.groups()
    return f"it was {how} on day {day}: near the {where}, a {what} is what the {who} {did}"


def labelled(count: int, *, seed: int) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    both = ((GOOD, "positive"), (BAD, "negative"))
    return [
        (sentence(parts(draw, both[number % 2][0]), draw.randrange(1000)), both[number % 2][1])
        for number in range(count)
    ]


def write_labelled(project: Project, count: int = 140) -> None:
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *labelled(count, seed=1)])


def label_of(text: str) -> str:
    return "positive" if any(word in text.split() for word in GOOD) else "negative"


def is_request(body: Body) -> bool:
    """Tell whether a row is asked for, and not the answer to one."""
    return "JSON object" in body["messages"][-1]["content"]


@dataclass(slots=True)
class Writer:
    """Writes another row for each seed, of the wanted answer; some are planted."""

    planted: dict[int, str] = field(default_factory=dict)
    """By the number of the request, from 1."""
    first_seed: int = 7

    def __call__(self, body: Body) -> str:
        text = body["messages"][-1]["content"]
        if not is_request(body):
            return label_of(text.partition("\n\n")[2] or text)
        wanted = re.search(r"about (\w+)", text)
        assert wanted is not None, text
        number = body["seed"] - self.first_seed + 1
        draw = random.Random(f"written {number}")
        words = GOOD if wanted[1] == "positive" else BAD
        written = self.planted.get(number) or sentence(parts(draw, words), draw.randrange(1000))
        return json.dumps({"text": written})


def with_synthesis(project: Project, service: Service, **more: Any) -> None:
    """Ask a server for 24 rows, half of them of each class."""
    teacher = {"endpoint": service.url, "model": "served", "price": {"input": 1.0, "output": 2.0}}
    written = {"teacher": teacher, "rows": 24, "prompt": "Write a sentence about {label}."}
    project.edit(
        allow_moving=True,
        data__synthesize={**written, **more},
        splits__train=40,
        splits__validation=20,
        baselines=["majority", "tfidf_svm"],
    )


def lines_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """The JSON lines of the newest file of that name in a store."""
    files = sorted((folder / ".recipe" / "store").rglob(name), key=lambda p: p.stat().st_mtime_ns)
    return [json.loads(line) for line in files[-1].read_text("utf-8").splitlines()]


def product_rows(folder: Path, stage: str, name: str) -> list[dict[str, Any]]:
    """The JSON lines of a file of the newest artifact of a stage, or of an inner product."""
    root = folder / ".recipe"
    *_, key = [one["key"] for one in manifests(root) if one["stage"] == stage]
    text = (Store(root).folder(key) / "files" / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]
