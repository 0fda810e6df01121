"""A file of rows put to a model that needs no weights: what is written stands beside the row that was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.progress import Progress
from engine.recipe.model import Task
from engine.render.progress import SilentProgress
from engine.runs.predict_output import write_answers
from engine.runs.predict_rows import AnsweredRows, Ask, Asking, RowFile, answer_rows
from engine.runtime.llama.client import Answer
from engine.runtime.rendering.task_file import TaskFile
from engine.store import Store
from support.tasks import task


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model that answers by a function of the text."""

    of: Task
    say: Callable[[str], str]
    places: tuple[Path, ...] = ()

    @property
    def task(self) -> TaskFile:
        return TaskFile(
            task=self.of, before="", after="", strips=False, answers=(), max_new_tokens=8
        )

    def payload(self) -> dict[str, Any]:
        return {"model": "speaker"}

    @contextmanager
    def held(self, *, threads: int) -> Iterator[Ask]:
        del threads

        def ask(texts: Sequence[str], progress: Progress) -> list[Answer]:
            del progress
            return [self.answer(self.say(text)) for text in texts]

        yield ask

    def answer(self, text: str) -> Answer:
        label = text if self.of.spec.is_constrained else None
        return Answer(kind=self.of.kind, label=label, probability=0.5, text=text, is_valid=True)


LABELS = Speaker(task("classification", labels=("a", "b")), lambda _: "a")
ECHO = Speaker(task("generation"), lambda text: f"to {text}")


def answered(folder: Path, rows: Sequence[Any], model: Speaker) -> AnsweredRows:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    file = RowFile.of(path, model, format_="auto", template="")
    asking = Asking(store=Store(folder / ".recipe"), threads=1, progress=SilentProgress())
    return answer_rows(file, model, asking)


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x1c", "\r"])
def test_an_answer_of_several_lines_is_one_answer(tmp_path: Path, end: str) -> None:
    model = Speaker(ECHO.of, lambda text: f"{text}{end}and more")
    found = answered(tmp_path, [{"text": "one"}, {"text": "two"}], model)

    write_answers(found, tmp_path / "out.jsonl")

    lines = (tmp_path / "out.jsonl").read_bytes().decode().split("\n")[:-1]
    said = [json.loads(line)["prediction"] for line in lines]
    assert said == [f"one{end}and more", f"two{end}and more"]
