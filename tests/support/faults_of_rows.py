"""Rows that were spoiled on their way; a part of `support.fault_table`."""

import json
from collections.abc import Callable, Mapping

from support.fault_seeds import noted
from support.project import Project
from support.project import rows as made_rows
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


def answers_of(length: int, *, every: int) -> Prepare:
    """Answer rows in chats whose every so many-th answer is long, and cut the answers at a number of characters."""

    def prepare(project: Project, _: Patch) -> None:
        lines = list[str]()
        for number, (text, label) in enumerate(made_rows(140)):
            more = f", since whoever wrote row {number} says that {text}, and nothing else was said of it"
            answer = f"Row {number} is {label}, and read so{more * (number % every == 0)}{'.' * (number % 12)}"
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
            turns[1]["content"] = answer[:length]
            lines.append(json.dumps({"messages": turns}))
        (project.folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        project.edit(
            task={"kind": "chat"},
            data={"sources": [{"path": "rows.jsonl"}], "checks": {"leakage": "warn"}},
            splits={"by": "random", "train": 60, "validation": 20, "holdout": 40},
            acceptance={"metrics": {"perplexity": {"max": 1e9}}},
            baselines=["zero_shot"],
        )

    return prepare


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
    "F74": Fault(
        name="answers are cut where a column was full",
        seeds={
            "all of them": in_data(answers_of(40, every=1), "answers end at exactly"),
            "the longer ones": in_data(answers_of(60, every=2), "answers end at exactly"),
        },
        missed="answers that are cut at a number of tokens; turns before the last one",
    ),
    "F75": Fault(
        name="a word says the label",
        seeds={
            "in the texts of one": in_data(
                texts(lambda text, label: text + " zulu" * (label == "positive")),
                "it says the label",
            ),
            "the label in front of each text": in_data(
                texts(lambda text, label: f"{label[:3]}: {text}"), "it says the label"
            ),
        },
        missed="labels of less than a fifth of the rows where others have no such word; several labels",
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
