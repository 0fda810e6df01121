"""Tokens as `recipe plan` estimates them before anything ran, beside those counted: `estimates.py --tokens`.

Real sets from a folder beside the repository (`../shared/data`), and generated rows: Korean, and receipts full of
numbers. The tokenizer is that of the base model of `recipes/quickstart.yaml`, fetched with the engine's own code.
"""

from __future__ import annotations

import csv
import gzip
import html
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.data.prepare import prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.data.token_estimate import estimated_tokens, is_english
from engine.estimate.row_tokens import mean, rows_in, sampled_sources, trained_lengths
from engine.recipe import load_recipe
from engine.recipe.model import Reference
from engine.recipe.references import base_reference
from engine.render.progress_display import SilentProgress
from engine.runtime.models.base_model import locate_tokenizer
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.render_stats import RenderStats
from engine.runtime.rendering.renderer import Renderer
from engine.store import Store

ROOT = Path(__file__).resolve().parents[1]
SETS = ROOT.parent / "shared" / "data"
SCRIPTS = Path(__file__).with_name("estimates_scripts.json")
"""The first article of the Universal Declaration of Human Rights, by language."""
KOREAN = Path(__file__).with_name("estimates_korean.json")
"""Parts of sentences that rows are put together of."""
GOAL = 0.15
ROWS = 1000
"""Of a set, drawn for training; of documents all."""
TOKEN_HEADS = (
    "set", "rows", "tokens of a row", "from characters", "off", "by the tokenizer", "off",
)  # fmt: skip
SCRIPT_HEADS = ("language", "characters a token", "by the table", "off")

METRICS: dict[str, dict[str, Any]] = {
    "classification": {"macro_f1": {"min": 0.01}},
    "extraction": {"exact_match": {"min": 0.01}},
    "text": {"perplexity": {"max": 1000}},
}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCase:
    """Rows, and what of a recipe they need."""

    name: str
    rows: Callable[[], Iterator[Row]]
    task: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    max_length: int = 4096
    most: int = ROWS


def cases() -> Iterator[TokenCase]:
    """Yield the sets that are there, and the generated ones."""
    label = {"label": {"column": "label"}}
    yield TokenCase(
        name="banking77, 77 labels in the instruction", rows=_banking, data=label,
        task=_classes("What does the customer want? One of: {labels}", [*_labels(_banking)]),
    )  # fmt: skip
    yield TokenCase(
        name="indonlu_emot_id, Indonesian tweets", rows=_indonesian, data=label,
        task=_classes("Which emotion is in the tweet?", [*_labels(_indonesian)]),
    )  # fmt: skip
    yield TokenCase(
        name="peps_text, documents in blocks of 512", rows=_documents, max_length=512, most=120,
        task={"kind": "text", "input": "{text}"},
    )  # fmt: skip
    yield TokenCase(
        name="us_addresses, as JSON", rows=_addresses,
        task=_objects("Which parts has this address?", _fields(_addresses)),
        data={"answer": {"column": "answer"}},
    )  # fmt: skip
    yield TokenCase(
        name="receipts, generated, as JSON", rows=_receipts,
        task=_objects("What was bought on this receipt, and for how much?", _fields(_receipts)),
        data={"answer": {"column": "answer"}},
    )  # fmt: skip
    yield TokenCase(
        name="Korean reviews, generated", rows=_korean, data=label,
        task=_classes(_texts()["instruction"], _texts()["labels"]),
    )  # fmt: skip


def _quickstart_model() -> Reference:
    found = base_reference(load_recipe(ROOT / "recipes" / "quickstart.yaml")[0].base_model)
    if found is None:
        raise AssertionError(ROOT)  # the quickstart names a model
    return found


def token_table(work: Path) -> tuple[list[list[str]], float]:
    """Return the lines of the table, and how far the farthest estimate from characters is off."""
    store, progress = Store(work / ".recipe"), SilentProgress()
    tokenizer = locate_tokenizer(_quickstart_model(), store.cached, progress)
    chat = load_chat(tokenizer)
    lines, farthest = list[list[str]](), 0.0
    for case in cases():
        recipe = load_recipe(_write(work / case.name.partition(",")[0].replace(" ", "-"), case))[0]
        fetched = fetch_all(recipe.data.sources, store.cached, progress)
        prepared = prepare(
            read_all(fetched, progress), recipe.task, data=recipe.data, splits=recipe.splits,
            refuse=False, thorough=False,
        )  # fmt: skip
        stats = RenderStats()
        renderer = Renderer(chat, recipe.task, LengthLimits.of(recipe))
        for _ in renderer.rendered(prepared.train, stats):
            pass
        real = stats.tokens / stats.given
        found = []
        for file in (None, tokenizer / "tokenizer.json"):
            sample = sampled_sources(recipe, file)
            trained = trained_lengths(recipe, sample.train)
            found.append(mean(trained) * rows_in(trained) / sample.rows)
        farthest = max(farthest, abs(found[0] / real - 1))
        pairs = ((f"{one:.0f}", f"{one / real - 1:+.1%}") for one in found)
        lines.append([case.name, str(stats.given), f"{real:.0f}", *itertools.chain(*pairs)])
    return lines, farthest


def script_table(work: Path) -> list[list[str]]:
    """Return characters for a token by language: counted, and as the table of classes has it."""
    cached = Store(work / ".recipe").cached
    chat = load_chat(locate_tokenizer(_quickstart_model(), cached, SilentProgress()))
    lines = []
    for language, text in json.loads(SCRIPTS.read_text(encoding="utf-8")).items():
        real, found = len(chat.token_ids(text)), estimated_tokens(text, english=is_english([text]))
        each = (f"{len(text) / real:.2f}", f"{len(text) / found:.2f}")
        lines.append([language, *each, f"{found / real - 1:+.1%}"])
    return lines


def _write(folder: Path, case: TokenCase) -> Path:
    """Write rows and recipe of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*case.rows()]
    _draw().shuffle(rows)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    fields = {
        "recipe": "v1",
        "name": "tokens",
        "task": case.task,
        "base_model": {"hub": "none/none", "revision": "0" * 40},
        "data": {
            "sources": [{"path": "rows.jsonl"}],
            "checks": {"leakage": "warn", "truncation": "warn", "conflicting_labels": "drop"},
            **case.data,
        },
        "splits": {"by": "random", "train": case.most, "validation": 10, "holdout": 20, "seed": 7},
        "baselines": [],
        "method": {
            "kind": "lora", "rank": 8, "epochs": 1, "batch_size": 8, "max_length": case.max_length,
        },
        "acceptance": {"metrics": METRICS[case.task["kind"]]},
        "export": {"formats": ["safetensors"]},
        "backend": {"name": "trl", "precision": "fp32"},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _draw() -> random.Random:
    return random.Random(7)  # noqa: S311 - rows and their order, no secrets


def _classes(instruction: str, labels: list[str]) -> dict[str, Any]:
    return {
        "kind": "classification", "instruction": instruction, "input": "{text}", "labels": labels,
    }  # fmt: skip


def _objects(instruction: str, names: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "additionalProperties": False,
    }
    return {
        "kind": "extraction", "instruction": instruction, "input": "{text}", "schema": schema,
    }  # fmt: skip


def _labels(rows: Callable[[], Iterator[Row]]) -> Iterator[str]:
    return iter(sorted({row["label"] for row in rows()}))


def _fields(rows: Callable[[], Iterator[Row]]) -> list[str]:
    return sorted({name for row in rows() for name in row["answer"]})


def _banking() -> Iterator[Row]:
    with (SETS / "banking77" / "train.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield {"text": row["text"], "label": row["category"]}


def _indonesian() -> Iterator[Row]:
    file = SETS / "indonlu_emot_id" / "train.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield {"text": row["tweet"], "label": row["label"]}


def _documents() -> Iterator[Row]:
    with gzip.open(SETS / "peps_text" / "peps.jsonl.gz", "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _addresses() -> Iterator[Row]:
    file = SETS / "us_addresses" / "train_labeled.xml.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    for one in re.findall("<AddressString>(.*?)</AddressString>", text, re.DOTALL):
        answer: dict[str, str] = {}
        for name, part in re.findall(r"<(\w+)>([^<]*)", one):
            answer[name] = f"{answer.get(name, '')} {html.unescape(part)}".strip()
        yield {"text": html.unescape(re.sub("<[^>]*>", "", one)).strip(), "answer": answer}


def _receipts() -> Iterator[Row]:
    draw = _draw()
    goods = ("MILK 1.5% 1L", "BREAD RYE 750G", "EGGS XL 10PC", "COFFEE 500G", "TOMATOES KG")
    for number in range(1500):
        name, day = str(100000 + number), f"{number % 28 + 1:02}.{number % 12 + 1:02}.2026"
        lines, total = [f"RECEIPT {name} {day} 14:{number % 60:02}"], 0.0
        for _ in range(4):
            count, price = draw.randrange(1, 9), draw.randrange(49, 1999) / 100
            lines.append(f"{draw.choice(goods)}  {count} x {price:.2f}  {count * price:.2f}")
            total += count * price
        lines.append(f"TOTAL EUR {total:.2f}")
        answer = {"number": name, "day": day, "total": f"{total:.2f}"}
        yield {"text": "\n".join(lines), "answer": answer}


def _texts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KOREAN.read_text(encoding="utf-8"))
    return found


def _korean() -> Iterator[Row]:
    draw, texts = _draw(), _texts()
    for number in range(1500):
        label = number % 2
        parts = [draw.choice(part) for part in (*texts["parts"], texts["endings"][label])]
        yield {"text": " ".join(parts), "label": texts["labels"][label]}
