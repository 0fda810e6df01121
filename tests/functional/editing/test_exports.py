# ruff: noqa: E501 - a case of a table is one line
"""`recipe init` on what companies export: the right recipe, and nothing left out without a word."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from functional.editing.test_layouts import at, divided_by
from support.layout_files import labelled, lines, table, tagged, text
from support.layout_files import workbook as sheets
from support.layout_office import OFFICE, tasks
from support.layout_table import Layout
from support.project import Outcome

pytestmark = pytest.mark.thorough

Run = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.sampled(3)
@pytest.mark.parametrize("layout", OFFICE, ids=[layout.name for layout in OFFICE])
def test_an_export_gets_the_right_recipe(folder: Path, run: Run, layout: Layout) -> None:
    layout.write(folder / layout.name)

    outcome = run("init", layout.name, "-o", "draft.yaml")

    assert outcome.code == 0, outcome.err
    value = yaml.safe_load((folder / "draft.yaml").read_text(encoding="utf-8"))
    right = {"kind": layout.kind, "splits": layout.splits, **layout.says}
    got = {"kind": value["task"]["kind"], "splits": divided_by(value)}
    assert got | {path: at(value, path) for path in layout.says} == right
    assert run("validate", "draft.yaml").err == ""
    data = run("data", "--no-tokens", "draft.yaml")
    assert data.code == 0, data.err


def drafted(folder: Path, run: Run, name: str) -> str:
    """Return all that `init` says of a file, as one line."""
    return " ".join(run("init", name, "-o", str(folder / "draft.yaml")).out.split())


def test_how_many_rows_hold_no_answer_is_reported(folder: Path, run: Run) -> None:
    tasks(folder / "tasks.json")

    message = drafted(folder, run, "tasks.json")

    assert "tasks.json: 120 rows" in message
    assert "40 of 160 rows hold no usable answer and are left out" in message


def _words(divider: str) -> str:
    """Return sentences of tagged words, with what stands on the line between two."""
    whole = ["".join(f"{w}\t{t}\n" for w, t in zip(*one, strict=True)) for one in tagged()]
    return f"{divider}\n".join(whole)


@pytest.mark.parametrize("blank", ["", "\t", " ", "\u00a0", "\r"])
def test_any_blank_line_ends_a_sentence_of_tagged_words(folder: Path, run: Run, blank: str) -> None:
    text(folder / "words.tsv", _words(blank))

    drafted(folder, run, "words.tsv")

    made = (folder / "draft.rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in made] == [" ".join(one) for one, _ in tagged()]


def test_sentences_that_nothing_divides_are_refused(folder: Path, run: Run) -> None:
    text(folder / "words.conll", f"{_words('')}\n{_words('. O') * 100}")

    outcome = run("init", "words.conll", "-o", "draft.yaml")

    assert outcome.code == 3
    assert "D349" in outcome.err
    assert "row words.conll#121 has" in outcome.err


def test_sheets_that_are_not_read_are_named(folder: Path, run: Run) -> None:
    owners = [("team", "owner"), ("billing", "A")]
    sheets(folder / "book.xlsx", {"Tickets": [("message", "team"), *labelled()], "Owners": owners})

    assert "of its sheets `Tickets` is read, `Owners` not" in drafted(folder, run, "book.xlsx")


ROWS = labelled()
PLAIN = ("text", "label")
NOTES = {
    "rows in no split": (PLAIN, [one for one in ROWS for _ in range(2)], ("note: not used of 320 rows: 160 duplicate", "left to train on in each")),
    "a label misspelled": (PLAIN, [(t, ("yes", "no")[n % 2] if n else "yess") for n, (t, _) in enumerate(ROWS)], ("`yess` is in 1 row: if it is `yes` misspelled",)),
    "other labels": (("text", "unit", "desk"), [(*one, "ab"[n % 2]) for n, one in enumerate(ROWS)], ("else --label unit",)),
    "a text not read": (("subject", "body", "label"), [(f"About {n} and {one[1]}", *one) for n, one in enumerate(ROWS)], ('not read: `subject`; task.input: "{subject}\\n{body}"',)),
    "long rows": (PLAIN, [(f"{n} {'so on ' * 2000}" if n < 3 else t, label) for n, (t, label) in enumerate(ROWS)], ("2048 tokens, the most that a draft asks for", "note: 3 rows may be longer than 2048 tokens")),
    "most rows long": (PLAIN, [(f"{n} and {'so on ' * 1500}", "ab"[n % 2]) for n in range(60)], ("max_length 4096 tokens, from the longest row",)),
    "two ratings": (("text", "valence", "arousal"), [(t, n % 59 / 10 - 3, n % 43 / 7) for n, (t, _) in enumerate(ROWS)], ("label valence numbers from -3 to 2.8, put into bins; else --label arousal",)),
    "a rating of most rows": (("text", "score"), [(t, n % 97 if n % 7 else "") for n, (t, _) in enumerate(ROWS)], ("numbers from 0 to 96, put into bins", "checks.empty drop")),
    "answers to most rows": (("question", "answer"), [(t, f"{t[::-1]} so" if n % 4 else "") for n, (t, _) in enumerate(ROWS)], ("kind generation", "checks.empty drop 40 rows")),
    "decimal commas": (("text", "similarity score"), [(t, f"{n % 50 / 10:.1f}".replace(".", ",")) for n, (t, _) in enumerate(ROWS)], ("kind text",)),
}  # fmt: skip


@pytest.mark.parametrize(("header", "rows", "shown"), NOTES.values(), ids=NOTES)
def test_what_the_user_should_know_is_reported(
    folder: Path, run: Run, header: tuple[str, ...], rows: list[Any], shown: tuple[str, ...]
) -> None:
    table(folder / "rows.csv", [header, *rows])

    message = drafted(folder, run, "rows.csv")

    assert [one for one in shown if one not in message] == []


def test_an_archive_says_why_its_rows_are_written(folder: Path, run: Run) -> None:
    table(folder / "rows.csv", [("text", "label"), *labelled()])
    with zipfile.ZipFile(folder / "rows.zip", "w") as archive:
        archive.write(folder / "rows.csv", "rows.csv")

    assert "(its rows: an archive is not read where" in drafted(folder, run, "rows.zip")


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("pages.zip", "a.png", "D320  `pages.zip` holds no file of data"),
        ("letter.docx", "[Content_Types].xml", "is a document of an office program"),
    ],
)
def test_an_archive_without_data_is_refused(
    folder: Path, run: Run, name: str, part: str, says: str
) -> None:
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(part, "x")

    assert says in run("init", name).err


def test_intents_that_yaml_1_1_takes_for_truth_values_are_kept(folder: Path, run: Run) -> None:
    blocks = [
        f"- intent: {name}\n  examples: |\n"
        + "".join(f"    - {one}\n" for one, _ in labelled()[at::4])
        for at, name in enumerate(("yes", "no", "on", "404"))
    ]
    text(folder / "nlu.yml", f"nlu:\n{''.join(blocks)}")
    run("init", "nlu.yml", "-o", "draft.yaml")

    labels = yaml.safe_load((folder / "draft.yaml").read_text("utf-8"))["task"]["labels"]
    assert labels == ["404", "no", "on", "yes"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("settings.yml", "port: 80\nhosts: {a: {b: c}}\n", "D326"),
        ("page.html", "<html><body><table><tr><td>a</td></tr></table></body></html>", "`page.html` is a page of HTML"),
    ],
)  # fmt: skip
def test_a_file_without_rows_is_refused(
    folder: Path, run: Run, name: str, content: str, says: str
) -> None:
    text(folder / name, content)

    outcome = run("init", name)

    assert (outcome.code, says in outcome.err) == (3, True)


def test_calls_of_tools_are_shown_without_a_tokenizer(folder: Path, run: Run) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
    lines(folder / "calls.jsonl", [
        {"messages": [
            {"role": "user", "content": one}, {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            {"role": "assistant", "content": f"It is {label}"},
        ]}
        for one, label in labelled()
    ])  # fmt: skip
    run("init", "calls.jsonl")
    # The rows as they came: those that `init` wrote beside them have the calls in the turns' text.
    recipe = folder / "calls.yaml"
    text(recipe, recipe.read_text("utf-8").replace("calls.rows.jsonl", "calls.jsonl"))

    assert "assistant: ⟦[{" in run("data", "--no-tokens", "calls.yaml").out
