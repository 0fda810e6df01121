"""More of the layouts that public data sets and services have, each with what a first recipe of it should say."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.layout_files import answered, labelled, lines, table, tags_of, text
from support.layout_table import Layout

NAMES = sorted({label for _, label in labelled()})
BY_LABEL = {"data.label.column": "label", "task.labels": NAMES}
ROUNDS = [(f"{question} Why?", answer) for question, answer in answered()]


def padded(path: Path) -> None:
    """Write a table below titles as Excel saves it: each line has as many commas."""
    found = [["Report of May", "", ""], ["", "", ""], ["Nr", "Comment", "Team"]]
    table(path, [*found, *([str(at), t, label] for at, (t, label) in enumerate(labelled()))])


def western(path: Path) -> None:
    """Write what Excel calls CSV on Windows in western Europe."""
    rows = "".join(f"{t} für café;{label}\n" for t, label in labelled())
    path.write_bytes(f"Anliegen;Abteilung\n{rows}".encode("cp1252"))


def pairs(path: Path) -> None:
    """Write the texts of pairs in columns whose names differ by a number alone."""
    rows = [(str(n % 2), str(n), t, f"{t} again") for n, (t, _) in enumerate(labelled())]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerows([("Quality", "#1 ID", "#1 String", "#2 String"), *rows])


def services(path: Path) -> None:
    """Write a table without names whose first column says the split."""
    splits = ["TRAIN"] * 100 + ["VALIDATION"] * 20 + ["TEST"] * 40
    table(path, [(split, *pair) for split, pair in zip(splits, labelled(), strict=True)])


def bedrock(path: Path) -> None:
    """Write conversations as Bedrock takes them: texts in parts, the system message too."""
    lines(path, [
        {
            "schemaVersion": "bedrock-conversation-2024", "system": [{"text": "Do sums."}],
            "messages": [{"role": "user", "content": [{"text": q}]}, {"role": "assistant", "content": [{"text": a}]}],
        }
        for q, a in answered()
    ])  # fmt: skip


def reviews() -> Iterator[dict[str, Any]]:
    """Yield reviews with a rating, of articles whose codes come again."""
    for at, (t, _) in enumerate(labelled()):
        yield {
            "asin": f"B{at % 20:04d}",
            "reviewText": f"{t} {at}",
            "overall": float(at % 5 + 1),
            "summary": t[:9],
        }


def classes(path: Path) -> None:
    """Write classes as numbers before a title and a text, as AG News is given out."""
    path.mkdir()
    rows = [(str(NAMES.index(label) + 1), t[:20], t) for t, label in labelled()]
    for name, cut in (("train", slice(0, 120)), ("test", slice(120, None))):
        table(path / f"{name}.csv", rows[cut])


def translated(path: Path) -> None:
    """Write lines beside their translations, whose lengths have nothing to do with each other."""
    path.mkdir()
    for name, cut in (("train", slice(0, 90)), ("test", slice(90, None))):
        some = answered()[cut]
        text(
            path / f"{name}.en",
            "".join(f"{q.split('.')[0]} {at}\n" for at, (q, _) in enumerate(some)),
        )
        text(
            path / f"{name}.de",
            "".join(f"{'ja ' * (at * 7 % 11 + 1)}{at}\n" for at in range(len(some))),
        )


Written = tuple[str, Any, str, dict[str, Any], str]
FILES: tuple[Written, ...] = (
    (
        "padded.csv",
        padded,
        "classification",
        {"task.input": "{Comment}", "data.label.column": "Team"},
        "divided",
    ),
    ("western.csv", western, "classification", {"data.sources.0.encoding": "cp1252"}, "divided"),
    ("pairs.tsv", pairs, "classification", {"task.input": "{#1 String}\n{#2 String}"}, "divided"),
    ("cloud.csv", services, "classification", BY_LABEL, "column"),
    ("bedrock.jsonl", bedrock, "chat", {}, "divided"),
    (
        "rated.jsonl",
        lambda p: lines(p, list(reviews())),
        "classification",
        {"data.label.column": "overall"},
        "divided",
    ),
    (
        "classes",
        classes,
        "classification",
        {"data.label.column": "label"},
        "files",
    ),
    ("translated", translated, "generation", {"data.answer.column": "de"}, "files"),
    (
        "at.txt",
        lambda p: text(p, "".join(f"{t} .@{label}\n" for t, label in labelled())),
        "classification",
        BY_LABEL,
        "divided",
    ),
    (
        "kinds.jsonl",
        lambda p: lines(
            p,
            [
                {"title": t[:9], "abstract": t, "categories": " ".join(tags_of(at)) or "none"}
                for at, (t, _) in enumerate(labelled())
            ],
        ),
        "multilabel",
        {"data.label.separator": " ", "task.input": "{abstract}"},
        "divided",
    ),
    (
        "posts.csv",
        lambda p: table(
            p,
            [
                ("title", "description", "fake"),
                *((t[:20], t, str(at % 2)) for at, (t, _) in enumerate(labelled())),
            ],
        ),
        "classification",
        {"task.input": "{description}"},
        "divided",
    ),
    (
        "ranked.jsonl",
        lambda p: lines(
            p, [{"question": q, "response_j": a, "response_k": f"No: {a}"} for q, a in answered()]
        ),
        "preference",
        {"data.pair.chosen": "response_j"},
        "divided",
    ),
)
MORE = tuple(
    Layout(name=name, write=write, kind=kind, says=says, splits=splits)
    for name, write, kind, says, splits in FILES
)
