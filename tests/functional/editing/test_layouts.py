"""`recipe init` on the layouts that people have: kind, columns and splits right, and nothing that `data` refuses."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.layout_exports import EXPORTS, archive, movies, named_parquet
from support.layout_files import labelled, lines, table, tagged, text
from support.layout_more import MORE
from support.layout_odd import ODD
from support.layout_public import COPIED, PUBLIC, REFUSED
from support.layout_table import LAYOUTS, Layout
from support.project import Outcome

pytestmark = pytest.mark.thorough

Run = Callable[..., Outcome]
ALL = (*LAYOUTS, *EXPORTS, *PUBLIC, *MORE, *ODD)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part)
    return value


def divided_by(value: Any) -> str:
    by = value["splits"].get("by")
    return "column" if isinstance(by, dict) else "files" if by == "files" else "divided"


@pytest.mark.sampled(6)
@pytest.mark.parametrize("layout", ALL, ids=[layout.name for layout in ALL])
def test_a_usual_layout_gets_the_right_recipe(folder: Path, run: Run, layout: Layout) -> None:
    layout.write(folder / layout.name)
    before = {path for path in folder.rglob("*") if path.is_file()}

    outcome = run("init", layout.name, *layout.more, "-o", "draft.yaml")

    assert outcome.code == 0, outcome.err
    value = yaml.safe_load((folder / "draft.yaml").read_text(encoding="utf-8"))
    right = {"kind": layout.kind, "splits": layout.splits, **layout.says}
    got = {"kind": value["task"]["kind"], "splits": divided_by(value)}
    assert got | {path: at(value, path) for path in layout.says} == right
    made = {p.name for p in folder.rglob("*") if p.is_file() and ".recipe" not in p.parts} - {
        p.name for p in before
    }
    assert made <= {"draft.yaml", "draft.rows.jsonl"}
    data = run("data", "--no-tokens", "draft.yaml")
    assert data.code == 0, data.err


def test_rows_that_are_written_are_removed_where_no_draft_comes_of_them(
    folder: Path, run: Run
) -> None:
    text(folder / "one.txt", "".join(f"__label__good {one}\n" for one, _ in labelled()))

    outcome = run("init", "one.txt", "--kind", "preference")

    assert (outcome.code, "R030" in outcome.err) == (2, True)
    assert not (folder / "one.rows.jsonl").exists()


def test_a_file_of_rows_is_never_overwritten(folder: Path, run: Run) -> None:
    text(folder / "one.txt", "".join(f"__label__{label} {one}\n" for one, label in labelled()))
    text(folder / "one.rows.jsonl", "mine\n")

    outcome = run("init", "one.txt")

    assert (outcome.code, "one.rows.jsonl" in outcome.err) == (3, True)
    assert (folder / "one.rows.jsonl").read_text(encoding="utf-8") == "mine\n"


def test_what_was_laid_out_anew_is_reported(folder: Path, run: Run) -> None:
    text(folder / "notes.txt", "".join(f"__label__{label} {one}\n" for one, label in labelled()))

    outcome = run("init", "notes.txt")

    assert (
        "wrote notes.rows.jsonl (its rows: each line holds its labels as fastText writes them)"
        in outcome.out
    )


def test_a_test_file_without_labels_does_not_judge(folder: Path, run: Run) -> None:
    table(folder / "train.csv", [("text", "label"), *labelled()])
    table(folder / "test.csv", [("text",), *((one,) for one, _ in labelled(40))])

    outcome = run("init", "train.csv", "test.csv")

    assert "note: test.csv is left out: it has no `label`" in outcome.out
    value = yaml.safe_load((folder / "train.yaml").read_text(encoding="utf-8"))
    assert divided_by(value) == "divided"


def test_pairs_too_few_to_show_anything_are_called_so(folder: Path, run: Run) -> None:
    pairs = [{"prompt": f"Why {n}?", "chosen": f"As {n}.", "rejected": "No."} for n in range(10)]
    lines(folder / "pairs.jsonl", pairs)

    outcome = run("init", "pairs.jsonl")

    assert (outcome.code, "too few rows of `pairs.jsonl`" in outcome.err) == (2, True)
    assert "rename the column" not in outcome.err


def test_a_draft_counts_the_rows_that_its_splits_keep(folder: Path, run: Run) -> None:
    table(folder / "train.csv", [("text", "label"), *labelled()[:130]])
    table(folder / "test.csv", [("text", "label"), *labelled()[120:]])

    shown = " ".join(run("init", "train.csv", "test.csv").out.split())

    counts = re.search(r"(\d+) train, (\d+) validation, 40 holdout; validation is drawn", shown)
    assert sum(map(int, counts.groups() if counts else ())) == 120
    assert "not used of 170 rows: 10 near the holdout" in shown


def test_numbers_of_tags_that_nothing_names_are_explained(folder: Path, run: Run) -> None:
    lines(
        folder / "tags.jsonl",
        [{"tokens": words, "ner_tags": [0] * len(words)} for words, _ in tagged()],
    )

    outcome = run("init", "tags.jsonl")

    assert (outcome.code, "the tags in `ner_tags` are numbers" in outcome.err) == (2, True)


def test_files_of_no_split_and_without_labels_are_named(folder: Path, run: Run) -> None:
    movies(folder / "movies")

    outcome = run("init", "movies")

    assert "left out: named as without labels" in outcome.out
    assert "left out, of no split: imdb.vocab" in outcome.out


def test_a_broken_archive_is_refused(folder: Path, run: Run) -> None:
    whole = folder / "whole.zip"
    archive(whole, {"rows.csv": labelled()})
    (folder / "half.zip").write_bytes(whole.read_bytes()[:-60])

    outcome = run("init", "half.zip")

    assert (outcome.code, "D346" in outcome.err) == (3, True)


def test_a_damaged_table_of_columns_is_refused(folder: Path, run: Run) -> None:
    named_parquet(folder / "whole.parquet")
    (folder / "rows.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:-40])

    outcome = run("init", "rows.parquet")

    assert (outcome.code, "D328" in outcome.err) == (3, True)


@pytest.mark.parametrize(("name", "write", "says"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_holds_no_text_is_refused(
    folder: Path, run: Run, name: str, write: Callable[[Path], object], says: str
) -> None:
    write(folder / name)

    outcome = run("init", name)

    assert outcome.code in (2, 3)
    assert says in outcome.err


def test_splits_that_are_copies_are_refused(folder: Path, run: Run) -> None:
    COPIED.write(folder / "copied")

    outcome = run("init", "copied")

    assert outcome.code == 2
    assert "every training row of `copied` stands in its holdout too" in outcome.err
    assert not (folder / "copied.yaml").exists()


def test_a_label_that_no_recipe_can_hold_is_to_be_corrected_in_the_rows(
    folder: Path, run: Run
) -> None:
    rows = [(t, "two\nlines" if n % 2 else "one") for n, (t, _) in enumerate(labelled())]
    table(folder / "rows.csv", [("text", "label"), *rows])

    outcome = run("init", "rows.csv", "-o", "draft.yaml")

    assert (outcome.code, "R030" in outcome.err) == (2, True)
    assert "correct that label in the rows, or say another column" in " ".join(outcome.err.split())
