"""The view of `recipe data`: every line fits, nothing is sent raw, what is learned shows without colour."""

import json
import re

import pytest
from rich.cells import cell_len

from engine.errors import Problem
from engine.evidence import (
    DataFinding,
    DataSummary,
    Firewall,
    Recorded,
    SourceSummary,
    SplitSummary,
)
from engine.evidence.data import (
    DataView,
    Lengths,
    ShownExample,
    ShownRow,
    ShownSegment,
    TrainingRows,
)
from engine.render.data import FIRST, LAST, data_json, data_text
from engine.values import replace, to_json
from support.golden import Golden

LABELS = {"bug": 30, "how_to": 20, "billing": 10}
SUMMARY = DataSummary(
    rows_read=1200,
    rows_used=1100,
    dropped={"duplicate": 60, "no bin": 0, "near the holdout": 40},
    splits=(
        SplitSummary(name="train", rows=800, labels=LABELS, digest="a", seen=1600),
        SplitSummary(name="validation", rows=100, labels=LABELS, digest="b", groups=12),
        SplitSummary(
            name="holdout", rows=200, labels=LABELS, digest="c", span=("2024-01-01", "2024-02-01")
        ),
    ),
    findings=(
        DataFinding(
            check="leakage",
            action="fail",
            count=40,
            message="40 rows of train or validation stand in the holdout too, exactly or nearly, so"
            " that the holdout would measure memory instead of skill",
            examples=tuple(f"tickets.csv:{at} = test.csv:{at}" for at in range(1, 11)),
        ),
        DataFinding(check="duplicates", action="drop", count=60, message="60 rows repeat another"),
        DataFinding(check="mojibake", action="warn", count=0, message="none"),
    ),
    overlap_exact=0,
    overlap_near=0,
    sources=(
        SourceSummary(
            name="tickets.csv", shape="columns", rows_read=1000, rows_used=900, weight=2.0
        ),
        SourceSummary(
            name="test.csv", shape="columns", rows_read=200, rows_used=200, into="holdout"
        ),
    ),
    firewall=Firewall(
        method="every row with every row: equal text, and 5-character shingles by Jaccard",
        similarity=0.8,
        compared=940,
        found_exact=30,
        found_near=10,
        removed=40,
        left_exact=0,
        left_near=0,
    ),
    recorded=Recorded(kept=190, gone=2, added=10, new_rows={"train": 30, "holdout": 0}),
)
ROW = ShownRow(
    id="0123456789abcdef",
    origin="tickets.csv:7",
    split="train",
    segments=(
        ShownSegment(
            text="<|im_start|>user\nWhich? \x1b[31mred\u202e and "
            + "a very long line " * 8
            + "<|im_end|>\n<|im_start|>assistant\n",
            supervised=False,
        ),
        ShownSegment(text="bug<|im_end|>", supervised=True),
    ),
    tokens=81,
    supervised=2,
)
VIEW = DataView(
    recipe="tickets",
    kind="classification",
    summary=SUMMARY,
    refusing=("leakage",),
    max_length=512,
    lengths=(
        Lengths(split="train", rows=80000, measured=10000, median=40, p95=90, longest=700, over=3),
        Lengths(split="holdout", rows=200, measured=200, median=41, p95=80, longest=99, over=0),
    ),
    notes=("train: 2 chats are trained on their last answer only",),
    training=TrainingRows(
        train=79990,
        validation=0,
        of=80000,
        counted=True,
        steps=5000,
        note="79990 of 80000 training rows are trained; 10 left out, longer than 512 tokens",
    ),
    examples=(
        ShownExample(
            id="0123456789abcdef",
            origin="tickets.csv:7",
            split="train",
            labels=("bug",),
            input="It\nbroke \x07" + "again and " * 20,
            target="bug",
        ),
    ),
    row=ROW,
)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = data_text(VIEW, width=width, colour=False).splitlines()

    assert max(map(cell_len, lines)) <= width


def test_the_view_reads_as_it_should(golden: Golden) -> None:
    golden("render/data.txt", data_text(VIEW, width=80, colour=False))


def test_nothing_of_the_data_reaches_the_terminal_raw() -> None:
    shown = data_text(VIEW, width=100, colour=False)

    assert "\\x1b[31mred\\u202e" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_colour_changes_no_word() -> None:
    coloured = data_text(VIEW, width=80, colour=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)

    assert coloured != plain
    assert [line.rstrip() for line in plain.splitlines()] == data_text(
        VIEW, width=80, colour=False
    ).splitlines()


def test_what_is_learned_is_marked_across_lines() -> None:
    segments = (
        ShownSegment(text="a\n", supervised=False),
        ShownSegment(text="b\nc", supervised=True),
    )
    row = replace(ROW, segments=segments)
    shown = data_text(replace(VIEW, row=row), width=80, colour=False)

    assert "  │ a\n  │ ⟦b\n  │ c⟧\n" in shown


@pytest.mark.parametrize("split", ["train", "validation", "holdout"])
def test_only_a_training_row_is_marked_as_learned_from(split: str) -> None:
    learned = split == "train"
    view = replace(VIEW, row=replace(ROW, split=split))
    shown = data_text(view, width=100, colour=False)
    row = shown.partition(f"row {ROW.origin}")[2]

    assert ("2 learned from" in row) is learned
    assert ("⟧ is learned from" in row) is learned
    assert ("not learned from" in row or "never learned from" in row) is not learned


def test_the_lines_of_a_row_join_to_its_text() -> None:
    text = "ab\n\n" + "x" * 200 + "日" * 60 + "\nend\n"
    row = replace(ROW, segments=(ShownSegment(text=text, supervised=False),))
    shown = data_text(
        DataView(recipe="r", kind="chat", summary=None, row=row), width=60, colour=False
    )

    body = [line for line in shown.splitlines() if line.startswith(("  │", "  ┊"))]
    joined = "".join(("\n" if line[2] == "│" else "") + line[4:] for line in body)
    assert joined == "\n" + text.removesuffix("\n")
    unread = replace(VIEW, row=replace(ROW, segments=(), note="the template does not write it"))
    assert "│" not in data_text(unread, width=60, colour=False)


def test_a_long_row_is_bounded_and_says_so() -> None:
    text = "\n".join(str(number) for number in range(500))
    row = replace(ROW, segments=(ShownSegment(text=text, supervised=True),))
    shown = data_text(
        DataView(recipe="r", kind="text", summary=None, row=row), width=80, colour=False
    )

    assert f"… {500 - FIRST - LAST} lines are not shown" in shown
    assert len(shown.splitlines()) < FIRST + LAST + 10


def test_of_many_classes_the_smallest_and_largest_are_named() -> None:
    labels = {f"class_{number:03}": 1000 - number for number in range(150)}
    splits = (SplitSummary(name="train", rows=9, labels=labels, digest="a"),)
    view = DataView(recipe="r", kind="classification", summary=replace(SUMMARY, splits=splits))

    shown = data_text(view, width=80, colour=False)

    assert "… 140 classes between" in shown
    assert all(name in shown for name in ("class_000", "class_004", "class_145", "class_149"))
    assert "class_070" not in shown


def test_json_has_all_of_it() -> None:
    data = data_json(VIEW, [Problem(code="D310", message="leaks")])

    assert json.loads(json.dumps(data)) == data | {
        "lengths": [to_json(one) for one in VIEW.lengths],
        "summary": json.loads(json.dumps(data["summary"])),
        "examples": json.loads(json.dumps(data["examples"])),
        "row": json.loads(json.dumps(data["row"])),
        "refusing": ["leakage"],
        "notes": list(VIEW.notes),
        "thumbs": [],
    }
    assert data["row"]["segments"][1] == {"text": "bug<|im_end|>", "supervised": True}
    assert [problem["code"] for problem in data["problems"]] == ["D310"]
