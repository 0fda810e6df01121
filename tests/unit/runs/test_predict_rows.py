"""A file of rows put to a model that needs no weights: what is written stands beside the row that was asked."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.errors import DataError, RecipeError
from engine.evidence import Mistake
from engine.progress import Progress
from engine.recipe.model import Task
from engine.render.progress_display import SilentProgress
from engine.runs import predict_output
from engine.runs.predict_output import write_answers
from engine.runs.predict_rows import AnsweredRows, Ask, RowFile, answer_rows
from engine.runs.run_comparison import as_csv
from engine.runtime.llama.client import Answer
from engine.runtime.rendering.task_file import TaskFile
from engine.store import Store
from engine.values import replace
from support.tasks import task


@dataclass(frozen=True, slots=True)
class FunctionModel:
    """A model that answers by a function of the text."""

    of: Task
    function: Callable[[str], str]
    places: tuple[Path, ...] = ()
    asks_partly_blank: bool = False
    outcome: str = "accepted"

    @property
    def task(self) -> TaskFile:
        return TaskFile(
            task=self.of, before="", after="", strips=False, answers=(), max_new_tokens=8,
            asks_partly_blank=self.asks_partly_blank,
        )  # fmt: skip

    def payload(self) -> dict[str, Any]:
        return {"model": "function"}

    @contextmanager
    def held(self, *, threads: int) -> Iterator[Ask]:
        del threads

        def ask(texts: Sequence[str], progress: Progress) -> list[Answer]:
            del progress
            return [self.answer(self.function(text)) for text in texts]

        yield ask

    def answer(self, text: str) -> Answer:
        label = text if self.of.spec.is_constrained else None
        return Answer(kind=self.of.kind, label=label, probability=0.5, text=text, is_valid=True)


LABELS = FunctionModel(task("classification", labels=("a", "b")), lambda _: "a")
ECHO = FunctionModel(task("generation"), lambda text: f"to {text}")


def answered(folder: Path, rows: Sequence[Any], model: FunctionModel) -> AnsweredRows:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return asked(path, model)


def asked(path: Path, model: FunctionModel) -> AnsweredRows:
    file = RowFile.of(path, model, format_="auto", template="")
    store = Store(path.parent / ".recipe")
    return answer_rows(file, model, store=store, threads=1, progress=SilentProgress())


@pytest.mark.parametrize(("asks", "expected"), [(False, [None, None]), (True, ["to x; ", None])])
def test_a_row_with_a_blank_column_is_asked_where_training_had_such_rows(
    tmp_path: Path, asks: bool, expected: list[str | None]
) -> None:
    of = replace(ECHO.of, input="{text}; {more}")
    model = FunctionModel(of, ECHO.function, asks_partly_blank=asks)

    rows = [{"text": "x", "more": None}, {"text": " ", "more": ""}]

    assert [answer.answer for _, answer in answered(tmp_path, rows, model)] == expected


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x1c", "\r"])
def test_an_answer_of_several_lines_is_one_answer(tmp_path: Path, end: str) -> None:
    model = FunctionModel(ECHO.of, lambda text: f"{text}{end}and more")
    found = answered(tmp_path, [{"text": "one"}, {"text": "two"}], model)

    write_answers(found, tmp_path / "out.jsonl")

    lines = (tmp_path / "out.jsonl").read_bytes().decode().split("\n")[:-1]
    given = [json.loads(line)["prediction"] for line in lines]
    assert given == [f"one{end}and more", f"two{end}and more"]


def test_a_column_that_a_later_row_has_is_kept_and_not_written_over(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": "two", "prediction": "mine"}]
    with pytest.raises(RecipeError, match="R318"):
        answered(tmp_path, rows, LABELS)

    found = answered(tmp_path, [{"text": "one"}, {"text": "two", "more": "x"}], LABELS)
    write_answers(found, tmp_path / "out.csv")

    table = "text,more,prediction,probability\none,,a,0.5\ntwo,x,a,0.5\n"
    assert (tmp_path / "out.csv").read_text("utf-8") == table


@pytest.mark.sampled(6)
@pytest.mark.parametrize("group", [1, 2, 10])
@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([1, 2.5, 3], [1.0, 2.5, 3.0]),
        ([2**60 + 1, 2.5], [str(2**60 + 1), "2.5"]),
        ([10**30, 1], [str(10**30), "1"]),
        ([None, 3], [None, 3]),
        ([1, "b", None], ["1", "b", None]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        ([{"a": 1}, {"b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"a": 1}, {"a": "x"}], ['{"a": 1}', '{"a": "x"}']),
        ([{}, {}], ["{}", "{}"]),
        ([[], ["x"]], [[], ["x"]]),
        ([["x"], {"a": 1}], ['["x"]', '{"a": 1}']),
        ([True, None], [True, None]),
    ],
)
def test_parquet_holds_every_value_as_it_is_or_as_json(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: list[Any],
    kept: list[Any],
    group: int,
) -> None:
    """Of the second ten thousand rows 3.5 was written as 3, and the key of an object was left out."""
    monkeypatch.setattr(predict_output, "GROUP", group)
    rows = [{"text": f"row {at}", "value": value} for at, value in enumerate(values)]

    write_answers(answered(tmp_path, rows, LABELS), tmp_path / "out.parquet")

    assert [row["value"] for row in pq.read_table(tmp_path / "out.parquet").to_pylist()] == kept


def test_no_answer_is_written_beside_a_row_that_was_not_asked(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": "two"}]
    found = answered(tmp_path, rows, ECHO)
    (tmp_path / "rows.jsonl").write_text('{"text": "two"}\n{"text": "one"}\n', encoding="utf-8")

    with pytest.raises(DataError, match="D436"):
        write_answers(found, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_changes_while_it_is_asked_leaves_no_answer(tmp_path: Path) -> None:
    def changes(text: str) -> str:
        (tmp_path / "rows.jsonl").write_text('{"text": "other"}\n', encoding="utf-8")
        return text

    with pytest.raises(DataError, match="D436"):
        answered(tmp_path, [{"text": "one"}], FunctionModel(ECHO.of, changes))
    again = answered(tmp_path, [{"text": "one"}], ECHO)

    assert again.resumed == 0
    assert [answer.answer for _, answer in again] == ["to one"]


def test_a_second_call_does_not_take_the_answers_of_the_first(tmp_path: Path) -> None:
    first = answered(tmp_path, [{"text": "one"}], ECHO)
    second: list[AnsweredRows] = []
    waiting = Thread(target=lambda: second.append(asked(tmp_path / "rows.jsonl", ECHO)))
    waiting.start()
    waiting.join(0.5)

    assert waiting.is_alive()
    assert [answer.answer for _, answer in first] == ["to one"]
    first.forget()
    first.close()
    waiting.join(20)
    assert [answer.answer for _, answer in second[0]] == ["to one"]


def test_a_bound_on_probabilities_that_answers_do_not_have_is_refused() -> None:
    """`predict` abstained from every row, and `try` from none."""
    with pytest.raises(RecipeError, match="R358"):
        ECHO.task.threshold(0.5)
    assert (ECHO.task.threshold(None), ECHO.task.threshold(0.0)) == (None, 0.0)
    assert LABELS.task.threshold(0.5) == 0.5


@pytest.mark.parametrize(
    ("name", "asked_in", "delimiter", "output", "written"),
    [
        ("rows.csv", "utf-8", ";", "out.csv", "name;text;prediction;probability\nzoé;one, two;a;0.5\n"),
        ("rows.csv", "utf-8-sig", "|", "out.csv", "\ufeffname|text|prediction|probability\nzoé|one, two|a|0.5\n"),
        ("rows.csv", "utf-8", ";", "out.tsv", "name\ttext\tprediction\tprobability\nzoé\tone, two\ta\t0.5\n"),
        ("rows.tsv", "utf-16", "\t", "out.tsv", "name\ttext\tprediction\tprobability\nzoé\tone, two\ta\t0.5\n"),
        ("rows.tsv", "utf-8", "\t", "out.csv", 'name,text,prediction,probability\nzoé,"one, two",a,0.5\n'),
    ],
)  # fmt: skip
def test_answers_to_a_table_are_written_as_it_is(
    tmp_path: Path, name: str, asked_in: str, delimiter: str, output: str, written: str
) -> None:
    path = tmp_path / name
    path.write_bytes(f"name{delimiter}text\nzoé{delimiter}one, two\n".encode(asked_in))

    write_answers(asked(path, LABELS), tmp_path / output)

    encoding = "utf-16" if asked_in == "utf-16" else "utf-8"
    assert (tmp_path / output).read_bytes().decode(encoding) == written


# Wrong rows as CSV: whole, and with nothing that a spreadsheet computes.
LONG = "a word, " * 1000 + '"quoted"\nand a second line'


def read(text: str) -> dict[str, str]:
    row = Mistake(
        id="=id", origin="rows.csv:7", text=text, expected="a", answer="b", confidence=0.5
    )
    (found,) = csv.DictReader(io.StringIO(as_csv([row]), newline=""))
    return found


def test_a_long_text_of_several_lines_is_read_back_whole() -> None:
    assert read(LONG) == {
        "id": "'=id",
        "origin": "rows.csv:7",
        "text": LONG,
        "expected": "a",
        "answer": "b",
        "confidence": "0.5",
        "differs": "",
    }


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t"])
def test_a_text_that_begins_as_a_formula_is_not_one(begin: str) -> None:
    assert read(f"{begin}cmd|' /C calc'!A0")["text"] == f"'{begin}cmd|' /C calc'!A0"
