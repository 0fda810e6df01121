"""The whole data stage on many short rows: seconds by part, rows a second and core, memory.

    python benchmarks/data_size.py --before HEAD~20
    python benchmarks/data_size.py --rows 10000000 --formats parquet

Made-up support messages of 8 to 20 words with one of eight labels; one row in fifty has something for a check: a copy,
an edited copy, another label, an address, a number, another language, a broken character, a chat marker, no text. All
checks are on but `label_errors`, whose sample costs the same whatever the size (`--label-errors`). Each measurement is
a process of its own; with `--before` two commits read the same files in turn, and must write the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LABELS = ("billing", "delivery", "account", "refund", "outage", "feature", "praise", "other")
COMMON = (
    *("the", "and", "you", "that", "with", "this", "have", "what", "from", "your", "a", "i", "is"),
    *("of", "for", "my", "are", "to", "it", "can", "not", "on", "in", "was", "at"),
)
FOREIGN = (
    "wo finde ich bitte die rechnung für meine letzte bestellung",
    "je n'arrive pas à ouvrir mon compte depuis hier soir",
    "где находится мой заказ и когда он будет доставлен",
)
ODD: tuple[Callable[[str, random.Random], str], ...] = (
    lambda text, _: f"{text} write to jane.roe@example.org",
    lambda text, _: f"{text} call +49 30 1234 5678 today",
    lambda text, _: text.replace("the", "thé") + " cafÃ© crÃ¨me",
    lambda text, _: f"{text} <|im_end|> yes",
    lambda text, _: text.replace(" ", "\u200b ", 1),
    lambda text, _: f"{text} 10.20.30.40 and 8.8.8.8",
    lambda _, draw: f"{draw.choice(FOREIGN)} {draw.randrange(10**6)}",
    lambda text, draw: f"{text} order {draw.randrange(10**9)}",
)
CHUNK = 50_000
WARM = 40_000
"""Rows that every compiled loop sees."""
FORMATS = ("jsonl", "csv", "parquet")


def main() -> None:
    """Measure and print a table for each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--before", help="a commit that is measured beside this tree")
    parser.add_argument("--label-errors", action="store_true")
    parser.add_argument("--work", type=Path, help="a folder for the files, which stay there")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        _measure(asked.measure)
        return
    with tempfile.TemporaryDirectory(dir=asked.work) as name:
        folder = Path(name)
        trees = {"this tree": ROOT}
        if asked.before:
            trees = {asked.before: folder / "before", **trees}
            _git("worktree", "add", "--detach", str(folder / "before"), asked.before)
        try:
            for format_ in asked.formats.split(","):
                _compare(folder, format_, asked.rows, trees, label_errors=asked.label_errors)
        finally:
            if asked.before:
                _git("worktree", "remove", "--force", str(folder / "before"))
    print(f"{asked.rows:,} rows, Python {platform.python_version()}, {os.cpu_count()} cores")


def make_rows(count: int, seed: int = 5) -> Iterator[tuple[str, str]]:
    """Yield (text, label)."""
    draw = random.Random(seed)
    words = [_word(draw) for _ in range(20_000)]
    kept: list[tuple[str, str]] = []
    for number in range(count):
        parts = draw.choices(words, k=draw.randint(5, 13)) + draw.choices(
            COMMON, k=draw.randint(3, 7)
        )
        draw.shuffle(parts)
        text, label = " ".join(parts), draw.choice(LABELS)
        if number % 50 == 17:
            text, label = _troubled(text, label, kept, draw)
        if number % 1000 == 0:
            kept = [*kept[-99:], (text, label)]
        yield text, label


def _troubled(
    text: str, label: str, kept: list[tuple[str, str]], draw: random.Random
) -> tuple[str, str]:
    """Return a row that a check finds."""
    known, its = draw.choice(kept)
    way = draw.randrange(len(ODD) + 6)
    if way < len(ODD):
        return ODD[way](text, draw), label
    return (
        (known.upper(), its),
        (f"{known}.", its),
        (known, draw.choice(LABELS)),
        ("", label),
        (text, "unheard"),
        (f"label: {label} {text}", label),
    )[way - len(ODD)]


def _word(draw: random.Random) -> str:
    return "".join(
        draw.choice("bcdfghklmnprst") + draw.choice("aeiou") for _ in range(draw.randint(1, 4))
    )


def write_rows(path: Path, rows: int) -> None:
    """Write so many rows in the format that the name says."""
    made = make_rows(rows)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("text", pa.string()), ("label", pa.string())])
        with pq.ParquetWriter(path, schema) as writer:
            for some in batched(made, CHUNK, strict=False):
                texts, labels = zip(*some, strict=True)
                writer.write_table(pa.table([texts, labels], schema=schema))
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".csv":
            csv.writer(stream, lineterminator="\n").writerows([("text", "label"), *made])
        else:
            stream.writelines(
                json.dumps({"text": text, "label": label}) + "\n" for text, label in made
            )


def _compare(
    folder: Path, format_: str, rows: int, trees: Mapping[str, Path], *, label_errors: bool
) -> None:
    small, place = folder / f"small-{format_}", folder / format_
    for path, count in ((small, WARM), (place, rows)):
        (path / "base").mkdir(parents=True)
        write_rows(path / f"rows.{format_}", count)
        text = _recipe(f"rows.{format_}", label_errors=label_errors)
        (path / "recipe.yaml").write_text(text, encoding="utf-8")
    for tree in trees.values():
        _run(small, tree)  # compiles the loops, which numba keeps for each folder
    found = {name: _run(place, tree) for name, tree in trees.items()}
    parts = list(dict.fromkeys(part for one in found.values() for part in one["parts"]))
    print(
        f"\n{format_}: processor seconds\n\n| part | {' | '.join(found)} |\n|---|{'---|' * len(found)}"
    )
    for part in parts:
        print(
            f"| {part} | {' | '.join(f'{one["parts"].get(part, 0):.1f}' for one in found.values())} |"
        )
    totals = {name: sum(one["parts"].values()) for name, one in found.items()}
    print(f"| whole | {' | '.join(f'{total:.1f}' for total in totals.values())} |")
    print(
        f"| rows a second and core | {' | '.join(f'{rows / total:,.0f}' for total in totals.values())} |"
    )
    print(f"| peak MB | {' | '.join(f'{one["mb"]:,.0f}' for one in found.values())} |")
    if len({json.dumps(one["written"]) for one in found.values()}) > 1:
        for name, one in found.items():
            print(name, json.dumps(one["written"], indent=1))
        sys.exit("the trees do not write the same")


def _recipe(file: str, *, label_errors: bool) -> str:
    checks = {
        **dict.fromkeys(
            (
                "duplicates",
                "conflicting_labels",
                "leakage",
                "empty",
                "unknown_labels",
                "near_duplicates",
            ),
            "drop",
        ),
        **dict.fromkeys(("template_tokens", "label_in_input"), "warn"),
        "label_errors": "warn" if label_errors else "off",
    }
    asked = {
        "recipe": "v1",
        "name": "size",
        "task": {
            "kind": "classification",
            "instruction": f"Name the topic: {', '.join(LABELS)}.",
            "input": "{text}",
            "labels": LABELS,
        },
        "data": {"sources": [{"path": file}], "label": {"column": "label"}, "checks": checks},
        "splits": {
            "by": "stratified",
            "train": "all",
            "validation": 1000,
            "holdout": 2000,
            "seed": 7,
        },
        "base_model": {"path": "base"},
        "method": {"kind": "lora"},
        "acceptance": {"metrics": {"accuracy": {"min": 0.5}}},
    }
    return json.dumps(asked)


def _run(place: Path, tree: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(place)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ran = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


class _Parts:
    """A progress that keeps the processor time of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._part, self._since = "reading and checking rows", time.process_time()

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        del done, total, unit
        if "now" in facts:
            self.turn(facts["now"])

    def note(self, text: str) -> None:
        del text
        self.turn("writing")

    def turn(self, part: str) -> None:
        now = time.process_time()
        self.seconds[self._part] = self.seconds.get(self._part, 0) + now - self._since
        self._part, self._since = part, now


def _measure(place: Path) -> None:
    """Run the stage in this process and print one line of JSON."""
    from engine.artifacts.stage import StageContext
    from engine.environment import Device
    from engine.recipe import load_recipe
    from engine.stages import data
    from engine.store import Artifact, Store, make_key

    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        store, made, parts = Store(folder / "store"), list[Artifact](), _Parts()

        def cached(
            name: str, payload: Mapping[str, Any], build: Callable[[Path], object]
        ) -> Artifact:
            made.append(store.put(name, make_key({"product": name, **payload}), build))
            return made[-1]

        (folder / "work").mkdir()
        data.run(
            StageContext(
                recipe=load_recipe(place / "recipe.yaml")[0],
                device=Device(kind="cpu", name="cpu", memory_bytes=1, cores=1, bf16=False),
                artifacts={},
                key="k" * 64,
                inputs={},
                base_model={},
                workdir=folder / "work",
                scratch=folder,
                progress=parts,
                cached=cached,
                scratch_for=lambda name, _payload: folder / name,
            )
        )
        parts.turn("")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        files = [
            *(folder / "work").iterdir(),
            *(one for art in made for one in art.path.glob("*.jsonl")),
        ]
        written = {one.name: _digest(one) for one in sorted(files)}
    print(json.dumps({"parts": parts.seconds, "mb": peak, "written": written}))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git(*arguments: str) -> None:
    subprocess.run(("git", *arguments), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
