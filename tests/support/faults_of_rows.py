"""Rows that were spoiled on their way; a part of `support.fault_table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from support.fault_seeds import noted
from support.project import Project
from support.seeded_faults import Fault, Patch, Prepare, Seed, rows

Rows = list[list[str]]
AT_ONCE = 10
"""Rows that one swallows."""


def texts(change: Callable[[str, str], str]) -> Prepare:
    """Change each text; `change` is given it and its label."""

    def changed(found: Rows) -> None:
        for row in found:
            row[0] = change(*row)

    return rows(changed)


def cut_at(length: int) -> Prepare:
    """Cut texts, of which every third one is long, at a number of characters."""

    def changed(found: Rows) -> None:
        for number, row in enumerate(found):
            further = f" and the {found[number - 1][0]} while {found[number - 2][0]}"
            row[0] = (row[0] + further * (number % 3 == 0))[:length]

    return rows(changed)


def unclosed(first: int) -> Prepare:
    """Open a quote in a row, which is closed some rows further on."""

    def prepare(project: Project, _: Patch) -> None:
        file = project.folder / "rows.csv"
        lines = file.read_text(encoding="utf-8").splitlines()
        lines[first] = f'"{lines[first]}'
        text, comma, label = lines[first + AT_ONCE].rpartition(",")
        lines[first + AT_ONCE] = f'{text}"{comma}{label}'
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return prepare


def in_data(prepare: Prepare, words: str) -> Seed:
    """Return a seed that is counted and shown with the data."""
    return noted(prepare, words, "data")


OF_ROWS: Mapping[str, Fault] = {
    "F68": Fault(
        name="texts are cut where a column was full",
        seeds={
            "at 90 characters": in_data(cut_at(90), "were cut before they came"),
            "at 70 characters": in_data(cut_at(70), "were cut before they came"),
        },
        missed="texts of which most end with a sentence; fewer than one in fifty",
    ),
    "F69": Fault(
        name="a quote is not closed, and a row swallows others",
        seeds={
            "at the beginning": in_data(unclosed(3), "a quote may not be closed"),
            "in the middle": in_data(unclosed(70), "a quote may not be closed"),
        },
        missed="of kinds of task without labels",
    ),
    "F70": Fault(
        name="white space says the label",
        seeds={
            "behind the texts of one": in_data(
                texts(lambda text, label: text + " " * (label == "positive")), "it says the label"
            ),
            "before the texts of one": in_data(
                texts(lambda text, label: " " * (label == "negative") + text), "it says the label"
            ),
        },
        missed="marks that readers see as well, such as a full stop, which may be a sign that is meant",
    ),
}
