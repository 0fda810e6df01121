"""Layouts in which something stands beside the texts that looks like labels and is none."""

import json
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from support.layout_files import answered, document, labelled, table
from support.layout_table import Layout

PEOPLE = ("Weber", "Koch", "Bauer", "Wolf"), ("Anna", "Emil", "Dora")
WORDS = ("price", "room", "staff", "food")
CITIES = ("Rome", "Oslo", "Bonn")
BY_URTEIL = {"data.label.column": "Urteil"}


def beside(
    path: Path, name: str, values: Iterator[object], label: str = "Urteil", sep: str = ";"
) -> None:
    """Write a table with a column between the texts and their labels."""
    rows = zip(labelled(), values, strict=False)
    table(
        path, [("Text", name, label), *((t, value, one) for (t, one), value in rows)], delimiter=sep
    )


def numbers() -> Iterator[int]:
    """Yield numbers in no order."""
    return (at * 37 % 100 for at in range(160))


def addresses(folder: Path) -> None:
    """Write official splits in several files of elements, of which few texts have all."""
    folder.mkdir()
    for at, name in enumerate(("train_labeled", "train_messy", "test_labeled", "test_simple")):
        rows = (
            f"<Address><Number>{4 * n + at}</Number> <Street>{t} Road</Street> <Town>{CITIES[n % 3]} {n % 41}</Town>"
            + (f" <Box>PO {n}</Box>" if n % 7 == 3 and at == 0 else "")
            + "</Address>\n"
            for n, t in enumerate(escape(t[:8]) for t, _ in labelled(80))
        )
        (folder / f"{name}.xml").write_text(f"<List>\n{''.join(rows)}</List>\n", encoding="utf-8")


def alpacas(folder: Path) -> None:
    """Write two files of instructions whose names are no labels."""
    folder.mkdir()
    for name, some in (("general", answered()[:60]), ("identity", answered()[60:])):
        rows = [{"instruction": q, "input": "", "output": a} for q, a in some]
        document(folder / f"{name}.json", rows)


def with_settings(folder: Path) -> None:
    """Write rows beside a file that holds none."""
    folder.mkdir()
    document(folder / "about.json", {"version": 3, "made": "today"})
    document(folder / "rows.json", [{"text": t, "label": one} for t, one in labelled()])


ODD = (
    Layout(
        name="amounts.csv",
        write=lambda p: beside(p, "Betrag", (f"{n % 40},{n * 7 % 43 + 10}" for n in numbers())),
        kind="classification",
        says=BY_URTEIL,
    ),
    Layout(
        name="euros.csv",
        write=lambda p: beside(p, "Preis", (f"{n % 9 + 1},{n % 4}0 €" for n in numbers())),
        kind="classification",
        says=BY_URTEIL,
    ),
    Layout(
        name="halves.csv",
        write=lambda p: table(
            p,
            [("Text", "Sterne"), *((t, ("4", "4,5", "3,5", "5", "3")[n % 5]) for n, (t, _) in enumerate(labelled()))],
            delimiter=";",
        ),
        kind="classification",
        says={"data.label.column": "Sterne"},
    ),
    Layout(
        name="people.csv",
        write=lambda p: beside(p, "Kunde", (f"{PEOPLE[0][n % 4]}, {PEOPLE[1][n % 3]}" for n in numbers())),
        kind="classification",
        says=BY_URTEIL,
    ),
    Layout(
        name="words.csv",
        write=lambda p: beside(
            p, "keywords", (f"{WORDS[n % 4]}, {WORDS[(n + 1 + n // 50) % 4]}" for n in numbers()), "sentiment"
        ),
        kind="classification",
        says={"data.label.column": "sentiment"},
    ),
    Layout(
        name="few_numbers.csv",
        write=lambda p: beside(
            p, "labels", (("3", "1,5", "2", "5,7", "7", "1", "5")[n % 7] for n in numbers()), "who"
        ),
        kind="multilabel",
        says={"data.label.column": "labels"},
    ),
    Layout(
        name="from_r.csv",
        write=lambda p: table(
            p, [("text", "label"), *((t, one if n % 16 else "NA") for n, (t, one) in enumerate(labelled()))]
        ),
        kind="classification",
        says={"data.checks.unknown_labels": "drop"},
    ),
    Layout(name="addresses", write=addresses, kind="extraction", splits="files"),
    Layout(
        name="alpacas", write=alpacas, kind="generation", says={"data.sources.0.path": "alpacas/general.json"}
    ),
    Layout(
        name="settings",
        write=with_settings,
        kind="classification",
        says={"data.sources.0.path": "settings/rows.json"},
    ),
    Layout(
        name="short.json", kind="generation", says={"data.answer.column": "answers"},
        write=lambda p: document(p, {"data": [{"title": "x", "paragraphs": [
            {"context": f"{q} {at % 9}", "qas": [{"question": q, "answers": [{"text": f"{at % 9}"}]}]}
            for at, (q, _) in enumerate(answered())
        ]}]}),
    ),
    Layout(name="texts.json", kind="text", write=lambda p: p.write_text(json.dumps([t for t, _ in labelled()]))),
)  # fmt: skip
"""Layouts of tables with numbers, names and words beside the labels, and of folders with files of several sorts."""
