"""An exported model labels files: as `verify` judged it, in every format, killed or not."""

import asyncio
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.progress import Progress
from engine.render.progress_display import SilentProgress
from engine.runs import predict_rows
from engine.runs.model_forms import WeightsModel
from engine.runtime.llama.client import GgufAnswers, HeldModel, Request
from engine.serving.asker import ServedWeights
from engine.store import Store
from support.project import Project
from support.runs import run_folders

NAME = "tiny"


def verified(project: Project) -> dict[str, dict[str, Any]]:
    """What `verify` found for the shipped file, by text of the holdout."""
    store = project.folder / ".recipe" / "store"
    answers = next(iter(store.rglob("predictions.quantized.jsonl")))
    texts: dict[str, str] = {}
    for path in store.rglob("holdout.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if "input" in row:
                texts[row["id"]] = row["input"]
    found = map(json.loads, answers.read_text("utf-8").splitlines())
    return {texts[row["id"]]: row for row in found}


def write_csv(path: Path, texts: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("id", "text"), *enumerate(texts)])
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_text("utf-8")))]


def test_rows_are_answered_as_verify_answered_them_in_their_order(finished: Project) -> None:
    expected = verified(finished)
    rows = write_csv(finished.folder / "new.csv", [*expected])
    output = finished.folder / "out.csv"

    outcome = finished.run("predict", NAME, str(rows), "-o", str(output))

    found = read_csv(output)
    assert outcome.code == 0, outcome.err
    assert [row["id"] for row in found] == [str(n) for n in range(len(expected))]
    assert [*found[0]] == ["id", "text", "prediction", "probability"]
    assert [row["prediction"] for row in found] == [row["label"] for row in expected.values()]
    for row, one in zip(found, expected.values(), strict=True):
        assert float(row["probability"]) == round(one["probability"], 6)
    assert f"{len(expected)} rows" in outcome.err
    assert not any((finished.folder / ".recipe" / "scratch").glob("*/answers-*"))


@pytest.mark.thorough
def test_a_call_that_failed_half_way_asks_no_row_again_and_writes_the_same_file(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_rows, "PART", 4)
    rows = write_csv(finished.folder / "new.csv", [f"a film number {n}" for n in range(10)])
    whole, again = (finished.folder / name for name in ("whole.csv", "again.csv"))
    assert finished.run("predict", NAME, str(rows), "-o", str(whole)).code == 0
    asked: list[int] = []

    ask = HeldModel.ask

    def die_at_the_second(held: HeldModel, request: Request, progress: Progress) -> GgufAnswers:
        asked.append(len(request.prompts))
        if len(asked) == 2:
            held.child.kill()
        return ask(held, request, progress)

    monkeypatch.setattr(HeldModel, "ask", die_at_the_second)
    assert finished.run("predict", NAME, str(rows), "-o", str(again)).code == 3
    assert not again.exists()
    outcome = finished.run("predict", NAME, str(rows), "-o", str(again))

    assert asked == [4, 4, 4, 2]
    assert "4 of them were answered by an earlier call" in outcome.err
    assert again.read_bytes() == whole.read_bytes()


def test_an_interrupted_call_names_what_is_kept(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_rows, "PART", 4)
    rows = write_csv(finished.folder / "new.csv", [f"a film number {n}" for n in range(10)])
    ask = HeldModel.ask

    def interrupted_at_last(held: HeldModel, request: Request, progress: Progress) -> GgufAnswers:
        if len(request.prompts) == 2:
            raise KeyboardInterrupt
        return ask(held, request, progress)

    monkeypatch.setattr(HeldModel, "ask", interrupted_at_last)
    outcome = finished.run("predict", NAME, str(rows), "-o", str(finished.folder / "out.csv"))

    assert outcome.code == 130
    assert "8 of 10 rows are kept: the same command resumes there" in outcome.err


def test_pipes_carry_json_lines_and_blank_rows_have_no_answer(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = b'{"text": "a lovely film"}\n{"text": "  "}\n{"text": "a dull one"}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))

    outcome = finished.run("predict", NAME, "-", "--quiet")

    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0, outcome.err
    assert [row["prediction"] is None for row in found] == [False, True, False]
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", ()),
        (b"\n", ()),
        (b"id,text\n", ("--read-as", "csv")),
        (b"", ("--keep-counts", "counts.json")),
    ],
)
def test_a_pipe_without_rows_is_answered_with_none(
    finished: Project, monkeypatch: pytest.MonkeyPatch, given: bytes, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))

    outcome = finished.run("predict", NAME, "-", *words)

    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    assert outcome.err.startswith("0 rows, ")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_of_a_pipe_without_rows_a_file_is_written_that_can_be_read(
    finished: Project, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    output = finished.folder / f"out.{suffix}"

    outcome = finished.run("predict", NAME, "-", "-o", str(output))

    assert outcome.code == 0, outcome.err
    if suffix == "parquet":
        assert pq.read_table(output).to_pylist() == []
    else:
        right = {"jsonl": "", "csv": "prediction,probability\n"}
        assert output.read_text("utf-8") == right[suffix]


def test_a_file_without_rows_is_no_pipe(finished: Project) -> None:
    rows = finished.folder / "new.jsonl"
    rows.touch()

    outcome = finished.run("predict", NAME, str(rows))

    assert outcome.code == 3
    assert "D321" in outcome.err


@pytest.mark.parametrize(
    ("header", "words", "code"),
    [
        ("id,txt", (), "D301"),
        ("text,prediction", (), "R318"),
        ("text,x", ("-o", "out.docx"), "R317"),
        ("text,x", ("-o", "new.csv"), "R005"),
        ("text,x", ("-o", "out.csv", "--keep-counts", "new.csv"), "R005"),
        ("text,x", ("-o", "out.csv", "--keep-counts", "./out.csv"), "R005"),
        ("text,x", ("--input", "{text"), "D302"),
    ],
)
def test_what_cannot_be_done_is_refused_and_no_file_is_touched(
    finished: Project, header: str, words: tuple[str, ...], code: str
) -> None:
    rows = finished.folder / "new.csv"
    rows.write_text(f"{header}\na film,1\n", encoding="utf-8")

    outcome = finished.run("predict", NAME, str(rows), *words)

    assert outcome.code in (2, 3), outcome.err
    assert code in outcome.err
    assert rows.read_text("utf-8") == f"{header}\na film,1\n"


def test_a_file_of_windows_is_read_as_cp1252(finished: Project) -> None:
    rows = finished.folder / "new.csv"
    text = "\u201cA lovely film\u201d, she said \u2013 it\u2019s caf\u00e9 noir"
    rows.write_bytes(f'id,text\n1,"{text}"\n'.encode("cp1252"))

    outcome = finished.run("predict", NAME, str(rows))

    assert json.loads(outcome.out)["text"] == text
    assert "`new.csv` is not UTF-8: read as cp1252" in outcome.err


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("new.csv", "text\n\u0437\u0438\u043c\u0430\n".encode("cp1251"), "--encoding cp1250"),
        ("new.jsonl", b'[{"text": "x"}]', "--read-as json"),
        ("new", b"text\nx\n", "--read-as jsonl"),
    ],
)
def test_what_helps_is_an_option(finished: Project, name: str, content: bytes, hint: str) -> None:
    (finished.folder / name).write_bytes(content)

    assert hint in finished.run("predict", NAME, str(finished.folder / name)).err
    assert "is a folder" in finished.run("predict", NAME, str(finished.folder)).err


@pytest.mark.thorough
def test_a_row_that_is_not_asked_did_not_abstain(finished: Project) -> None:
    rows = finished.folder / "new.csv"
    rows.write_text('id,text\n1,a film\n2,\n3," "\n', encoding="utf-8")

    outcome = finished.run("predict", NAME, str(rows), "--abstain-below", "1")

    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert [one["abstained"] for one in found] == [True, False, False]
    assert "1 abstained" in outcome.err
    assert "2 without an answer" in outcome.err
    assert "R437" in finished.run("try", NAME, " ").err


@pytest.mark.thorough
def test_another_template_asks_another_column(finished: Project) -> None:
    rows = finished.folder / "new.csv"
    rows.write_text("title,body\nA film,so lovely\n", encoding="utf-8")

    outcome = finished.run("predict", NAME, str(rows), "--input", "{title}: {body}")

    assert json.loads(outcome.out)["prediction"] in ("negative", "positive")


def judged(project: Project, name: str) -> dict[str, dict[str, Any]]:
    """What a stage found for the holdout, by id."""
    store = project.folder / ".recipe" / "store"
    answers = next(iter(store.rglob(name)))
    return {row["id"]: row for row in map(json.loads, answers.read_text("utf-8").splitlines())}


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("merged", "predictions.merged.jsonl"),
        pytest.param("adapter", "predictions.holdout.jsonl", marks=pytest.mark.thorough),
    ],
)
def test_another_form_is_answered_as_its_own_stage_judged_it(
    finished: Project, form: str, name: str
) -> None:
    by_id = judged(finished, name)
    expected = [by_id[row["id"]] for row in verified(finished).values()]
    rows = write_csv(finished.folder / "new.csv", [*verified(finished)])

    outcome = finished.run("predict", NAME, str(rows), "--form", form)

    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0, outcome.err
    assert [row["prediction"] for row in found] == [row["label"] for row in expected]
    assert [row["probability"] for row in found] == pytest.approx(
        [row["probability"] for row in expected], abs=1e-6
    )


def test_a_file_has_no_other_form(finished: Project) -> None:
    (run,) = run_folders(finished.folder / ".recipe")
    rows = write_csv(finished.folder / "new.csv", ["a film"])

    outcome = finished.run("predict", str(run / "model-Q4_K_M.gguf"), str(rows), "--form", "merged")

    assert (outcome.code, "R424" in outcome.err) == (2, True)


@pytest.mark.thorough
def test_another_form_is_served_with_the_answers_of_predict(finished: Project) -> None:
    texts = ["a lovely film", "a dull film"]
    (run,) = run_folders(finished.folder / ".recipe")
    store = Store(finished.folder / ".recipe")
    model = WeightsModel(run, store, form="merged", progress=SilentProgress())
    asker = ServedWeights(model=model, task=model.task, threads=1, most_waiting=8)

    async def ask() -> list[Any]:
        assert not asker.is_ready
        async with asker.running():
            assert asker.is_ready
            return await asker.ask(texts, seconds=60)

    replies = asyncio.run(ask())
    alone = model.answers(texts, SilentProgress())

    assert [one.answer.stated for one in replies] == [one.stated for one in alone]
    assert all(one.prompt_tokens > 2 for one in replies)
    assert [one.answer_tokens for one in replies] == [
        len(model.loaded.chat.token_ids(one.text)) for one in replies
    ]
