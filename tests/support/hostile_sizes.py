"""Hostile cases: texts that hide lines, and what is small to write and large, deep or slow to read."""

import io
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from engine.runs.row_drift import RowCounter
from engine.values import to_json
from support.hostile_table import Case, ask
from support.hostile_victim import Victim
from support.outside_cases import FIELDS, source, write
from support.pico import make_pico_model
from support.project import rows

BASE: Final = yaml.safe_dump(FIELDS, sort_keys=False)
READ: Final = ("validate recipe.yaml", "plan recipe.yaml", "data recipe.yaml --no-tokens")
Put = Callable[[Victim], object]


def _written(text: str) -> Put:
    return lambda victim: victim.write("recipe.yaml", text)


HIDDEN: Final[Mapping[str, str]] = {
    "U+0085 behind a comment": f"{BASE}# fine \x85allow_moving: true\n",
    "U+2028 behind a comment": f"{BASE}# fine \u2028allow_moving: true\n",
    "U+2029 behind a comment": f"{BASE}# fine \u2029allow_moving: true\n",
    "a lone CR behind a comment": f"{BASE}# fine \rallow_moving: true\n",
}
MANY: Final[Mapping[str, tuple[str, Callable[[], Mapping[str, Any]], str]]] = {
    "60,000 keys that nobody knows": (
        "key_0: 1, key_1: 1, ...", lambda: {f"key_{n}": 1 for n in range(60_000)}, "R405"),
    "15,000 keys that nobody knows": (
        "key_0: 1, key_1: 1, ...", lambda: {f"key_{n}": 1 for n in range(15_000)}, "R104"),
    "15,000 waivers that are none": (
        "waivers: [x, x, ...]", lambda: {"waivers": ["x"] * 15_000}, "R106"),
    "5,000 baselines": (
        "baselines: [{model: 0}, {model: 1}, ...]",
        lambda: {"baselines": [{"model": n} for n in range(5_000)]}, "R110"),
}  # fmt: skip


def _with(more: Callable[[], Mapping[str, Any]]) -> Put:
    """A recipe with more keys, written when its case is run: to write all of them takes seconds."""
    return lambda victim: write(victim.clone, **more())


def _recipes() -> list[Case]:
    found = [
        Case(group="lines that a review does not show", what=what, tried=repr(text[-28:]), make=_written(text),
             asks=tuple(ask(words, 2, "R122") for words in READ))
        for what, text in HIDDEN.items()
    ]  # fmt: skip
    found += [
        Case(group="recipes that take long to check", what=what, tried=tried, make=_with(more),
             asks=tuple(ask(words, 2, code) for words in READ))
        for what, (tried, more, code) in MANY.items()
    ]  # fmt: skip
    return found


def _deep(victim: Victim) -> None:
    (victim.clone / ("d/" * 120)).mkdir(parents=True)
    write(victim.clone, **source("**/*.csv"))


def _ways(victim: Victim) -> None:
    (victim.clone / ("d/" * 60)).mkdir(parents=True)
    write(victim.clone, **source("**/d/" * 12 + "**/*.csv"))


def _no_text(victim: Victim) -> None:
    (victim.clone / os.fsdecode(b"rows\xff.csv")).write_text("text,label\n", encoding="utf-8")
    write(victim.clone, **source("rows*.csv"))


PATTERNS: Final[Mapping[str, tuple[str, Put, int]]] = {
    "folders inside each other": ("**/*.csv, and 120 folders", _deep, 2),
    "many ways to the same folder": ("**/d/, 12 times, and 60 folders", _ways, 2),
    "a file whose name is no text": ("rows*.csv, and rows\\xff.csv", _no_text, 2),
}


def _patterns() -> list[Case]:
    return [
        Case(group="patterns of files", what=what, tried=tried, make=make,
             asks=tuple(ask(words, code, "R250") for words in READ))
        for what, (tried, make, code) in PATTERNS.items()
    ]  # fmt: skip


def _parquet(column: pa.Array) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": column, "label": ["a"] * len(column)}), out)
    return out.getvalue()


ROWS: Final[Mapping[str, tuple[str, Callable[[], bytes], str]]] = {
    "a field of 20 million characters": (
        "rows.csv", lambda: b'text,label\n"' + b"x " * 10_000_000 + b'",a\n', "D324"),
    "200,000 rows that are lists": ("rows.json", lambda: b"[" + b"[]," * 200_000 + b"[]]", "D326"),
    "a time zone that nobody knows": (
        "rows.parquet", lambda: _parquet(pa.array([2**40], pa.timestamp("us", tz="Mars/X"))), "D328"),
}  # fmt: skip


def _put(name: str, content: Callable[[], bytes]) -> Put:
    def make(victim: Victim) -> None:
        (victim.clone / name).write_bytes(content())
        write(victim.clone, **source(name))

    return make


def _rows() -> list[Case]:
    return [
        Case(group="rows that take long to read", what=what, tried=name, make=_put(name, content),
             asks=(ask(READ[-1], 3, code), ask(f"init {name} -o new.yaml", 3, code)))
        for what, (name, content, code) in ROWS.items()
    ]  # fmt: skip


DIVIDERS: Final[Mapping[str, str]] = {
    "a quote": '"',
    "a line break": "\n",
    "an old line break": "\r",
}


def _explode(victim: Victim) -> None:
    row = {"text": "x" * 1_000_000, "label": "a", "items": list(range(10_000))}
    victim.write("rows.jsonl", json.dumps(row))
    write(victim.clone, **source("rows.jsonl", explode="items"))


def _keys() -> list[Case]:
    group = "keys of a source"
    found = [
        Case(group=group, what=f"{what} divides its columns", tried=f"delimiter: {json.dumps(divider)}",
             make=_with(partial(source, "rows.csv", delimiter=divider)),
             asks=tuple(ask(words, 2, "R109") for words in READ))
        for what, divider in DIVIDERS.items()
    ]  # fmt: skip
    long = Case(
        group=group,
        what="a long text beside each item of a long list",
        tried="explode: items",
        make=_explode,
        asks=(ask(READ[-1], 3, "D345"),),
    )
    return [*found, long]


NUMBERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "10^9 labels": {"num_labels": 10**9},
    "100,000 layers": {"num_hidden_layers": 100_000},
    "less than no layers": {"num_hidden_layers": -1},
    "10^9 numbers a head": {"head_dim": 10**9},
    "10^6 experts": {"text_config": {"num_local_experts": 10**6}},
}


PARTS: Final[Mapping[str, tuple[str, Callable[[], str], str]]] = {
    "five million empty lists": ("extra.json", lambda: f"[{'[],' * 5_000_000}[]]", "X694"),
    "a tokenizer outside of it": (
        "special_tokens_map.json", lambda: '{"tokenizer_file": "../../models/private/config.json"}', "X609"),
    "a newer tokenizer outside of it": (
        "tokenizer_config.json", lambda: '{"fast_tokenizer_files": ["../../secret.csv"]}', "X609"),
}  # fmt: skip


def _settings(settings: Mapping[str, Any]) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = folder / "config.json"
        whole = json.loads(config.read_text(encoding="utf-8")) | settings
        config.write_text(json.dumps(whole), encoding="utf-8")

    return change


def _part(name: str, text: Callable[[], str]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text(), encoding="utf-8")


def _model(change: Callable[[Path], object]) -> Put:
    def make(victim: Victim) -> None:
        change(make_pico_model(Path(victim.clone / "base")))
        lines = "".join(f"{text},{'ab'[at % 2]}\n" for at, (text, _) in enumerate(rows(60)))
        victim.write("rows.csv", f"text,label\n{lines}")
        write(
            victim.clone,
            base_model={"path": "base"},
            baselines=["majority", "zero_shot"],
            splits={"train": 20, "validation": 8, "holdout": 12},
        )

    return make


def _models() -> list[Case]:
    found = [
        Case(group="models of numbers that no model has", what=what, tried=json.dumps(settings),
             make=_model(_settings(settings)), asks=(ask("data recipe.yaml", 0, "X694"),))
        for what, settings in NUMBERS.items()
    ]  # fmt: skip
    found += [
        Case(group="models that hold something else", what=what, tried=name,
             make=_model(_part(name, text)), asks=(ask("data recipe.yaml", 0, code),))
        for what, (name, text, code) in PARTS.items()
    ]  # fmt: skip
    return found


SCHEMAS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "a word": ("#/type", {}),
    "names of fields": ("#/properties", {}),
    "a value with a reference": ("#/default", {"default": {"$ref": "http://example.org/x"}}),
    "a value with a broken pattern": ("#/examples/0", {"examples": [{"pattern": "("}]}),
    "a name in two spellings": ("#/$defs/a%20b", {"$defs": {"a%20b": {}}}),
}


def _schemas() -> list[Case]:
    def make(reference: str, more: Mapping[str, Any]) -> Put:
        fields = {"type": {"type": "string"}, "city": {"$ref": reference}}
        schema = {"type": "object", "properties": fields, **more}
        task = {"kind": "extraction", "instruction": "Which?", "schema": schema}
        return lambda victim: write(victim.clone, task=task)

    return [
        Case(group="references that lead to no schema", what=what, tried=reference,
             make=make(reference, more), asks=tuple(ask(words, 2, "R245") for words in READ))
        for what, (reference, more) in SCHEMAS.items()
    ]  # fmt: skip


COUNTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "numbers beyond 64 bits": {"confidence": [10**30] * 20},
    "less than none": {"labels": [["a", -5]]},
    "other bins": {"confidence": [1]},
    "200,000 labels": {"labels": [[f"{at}", 0] for at in range(200_000)]},
}


def _counts() -> list[Case]:
    def make(more: Mapping[str, Any]) -> Put:
        counter = RowCounter(["a", "b"])
        counts = to_json(counter.counts(model="m", temperature=1.0, abstain_below=None))
        text = json.dumps({"schema": "row-counts.v1", "counts": {**counts, "rows": 100, **more}})
        return lambda victim: victim.write("counts.json", text)

    return [
        Case(group="counts that no rows give", what=what, tried=json.dumps(more)[:40], make=make(more),
             asks=(ask("drift counts.json counts.json", 3, "D429"),))
        for what, more in COUNTS.items()
    ]  # fmt: skip


CASES: Final = (*_recipes(), *_patterns(), *_rows(), *_keys(), *_models(), *_schemas(), *_counts())
