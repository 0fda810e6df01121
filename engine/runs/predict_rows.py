"""Answers of an exported model to a file of rows, by the scorer of `verify`, in parts.

Answers are kept in the store's scratch folder, keyed by the model, the rows and the template of prompts, so that a
killed call resumes. Where the file changes meanwhile, no answer is paired with another row.
"""

from __future__ import annotations

import difflib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import batched
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast

from engine.data.examples.template import (
    MissingColumnError,
    Template,
    UnusableValueError,
    parse_template,
)
from engine.data.reading.readers import read_rows
from engine.data.reading.row import SHOWN, Row, excerpt
from engine.drafting.source_reading import drafted_encoding, table_form
from engine.environment import version_of
from engine.errors import DataError, Problem, RecipeError
from engine.files.reading import json_lines, parse_json
from engine.files.writing import write_text
from engine.progress import Progress
from engine.recipe.model import PathRef, Source, Task
from engine.recipe.prompt import answer_value
from engine.recipe.text.paths import format_of
from engine.runtime.llama.client import Answer, held_model, read_answers, request_for
from engine.runtime.rendering.task_file import FILE, TaskFile, read_task_file
from engine.runtime.rendering.windows import TooLong
from engine.store import Store, product_key, sha256_of
from engine.store.records import ACCEPTED
from engine.values import Value, replace, to_json

REVISION: Final = 4
"""Incremented when the same file and rows would get other answers."""
PART: Final = 1024
"""Rows of one part: a killed call repeats at most so many."""
PREDICTION, PROBABILITY, ABSTAINED = "prediction", "probability", "abstained"
IS_ACCEPTED: Final = "accepted"
type FileStamp = tuple[int, int, int, int]
"""Device, number, bytes and time of a file."""
type Ask = Callable[[Sequence[str], Progress], list[Answer]]

Format = Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "lines", "xml"]


class AskedModel(Protocol):
    """A model that answers rows; `places` are the files that it reads.

    `outcome` is that of its run: any but `accepted` marks its answers. Its `payload` determines the answers. `held`
    yields a function that prompts it, in memory from the first prompt to the last, and raises StageError and
    EnvironmentProblem where the model fails.
    """

    @property
    def task(self) -> TaskFile: ...
    @property
    def places(self) -> tuple[Path, ...]: ...
    @property
    def outcome(self) -> str: ...
    def payload(self) -> Mapping[str, Any]: ...
    def held(self, *, threads: int) -> AbstractContextManager[Ask]: ...


def require_answers(task: Task) -> None:
    """RecipeError R316 for a kind of task whose model does not answer rows."""
    if task.spec.by_likelihood:
        raise RecipeError.one(
            "R316",
            f"a model of kind `{task.kind}` has no answer to a row",
            hint="recipe try MODEL TEXT shows how an accepted model continues a text",
        )


class ModelFile(Value):
    gguf: Path
    task: TaskFile
    outcome: str = ACCEPTED

    @classmethod
    def of(cls, gguf: Path) -> ModelFile:
        """Return a file's model. RecipeError R316 where it does not answer rows; StageError X642."""
        model = cls(gguf=gguf, task=read_task_file(gguf.parent))
        require_answers(model.task.task)
        return model

    @property
    def places(self) -> tuple[Path, ...]:
        return self.gguf, self.gguf.parent

    def payload(self) -> Mapping[str, Any]:
        return {
            "gguf": sha256_of(self.gguf),
            "task": sha256_of(self.gguf.parent / FILE),
            "inferna": version_of("inferna"),
        }

    @contextmanager
    def held(self, *, threads: int) -> Iterator[Ask]:
        """Yield a function that prompts llama.cpp, started by the first prompt. Raises as `HeldModel.ask`, and X643."""
        with ExitStack() as stack:
            start = cache(lambda: stack.enter_context(held_model(self.gguf, threads=threads)))

            def ask(texts: Sequence[str], progress: Progress) -> list[Answer]:
                answers = start().ask(request_for(self.task, texts), progress)
                return read_answers(self.task, answers, len(texts))

            yield ask


class RowFile(Value):
    path: Path
    source: Source
    template: Template
    asks_partly_blank: bool = False
    may_be_empty: bool = False
    """Whether no rows are allowed, as from a pipe; an empty file is more often a failed download."""

    @classmethod
    def of(
        cls, path: Path, model: AskedModel, *, format_: str, template: str, encoding: str = "utf-8"
    ) -> RowFile:
        """Return a file that is read as in a recipe; UTF-16, delimiters of CSV and quotes of TSV are detected.

        `format_` is as in `data.sources.format`; `template` is used instead of the task's own, unless empty. DataError
        D302 for a wrong template, D320 where there is no such file.
        """
        if path.is_dir():
            raise DataError.one("D320", f"`{path}` is a folder: name one file of rows")
        written_in = drafted_encoding(path, encoding)
        delimiter, quoting = table_form(path, written_in, format_of(path.name, format_))
        source = Source(
            ref=PathRef(path=path, written=str(path)),
            format=cast("Format", format_),
            encoding=written_in,
            quoting=quoting,
            delimiter=delimiter,
        )
        return cls(
            path=path,
            source=source,
            template=parse_template(template or model.task.task.input),
            asks_partly_blank=model.task.asks_partly_blank,
        )

    def rows(self) -> Iterator[Row]:
        try:
            yield from read_rows(self.path, self.source)
        except DataError as error:
            if not self.may_be_empty or {one.code for one in error.problems} != {"D321"}:
                raise

    def stamp(self) -> FileStamp:
        """Return a mark that changes when the file is written to or replaced. DataError D320 where it is gone."""
        try:
            status = self.path.stat()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise DataError.one("D320", f"cannot read `{self.path}`: {why}") from error
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def require(self, stamp: FileStamp) -> None:
        """DataError D436 where the file no longer has that stamp."""
        if self.stamp() != stamp:
            raise DataError.one(
                "D436",
                f"`{self.path.name}` changed while its rows were answered: answers would be paired with other rows",
                hint="run the same command again: it answers the rows as they are now",
            )

    def question(self, row: Row) -> str | None:
        """Return the text of a row; None for one that is skipped, as in `Template.question`."""
        return self.template.question(row.values, asks_partly_blank=self.asks_partly_blank)


class RowAnswer(Value):
    answer: Any
    """A label, a list of labels, an object or a text; None for none."""
    probability: float | None
    """The answer's share of what was allowed, 0 to 1; None for free text."""
    abstained: bool
    stated: str | None
    """Answer of a model that does not abstain."""
    too_long: TooLong | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        stated: str | None,
        probability: float | None,
        *,
        abstain_below: float | None,
    ) -> RowAnswer:
        """Return an answer as it is written: none with a probability below `abstain_below`."""
        # the model is not unsure of a skipped row
        is_asked = stated is not None or probability is not None
        is_unsure = (
            abstain_below is not None
            and is_asked
            and (probability is None or probability < abstain_below)
        )
        value = None if stated is None or is_unsure else answer_value(task, stated)
        return cls(answer=value, probability=probability, abstained=is_unsure, stated=stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRows:
    """The answers to a file, in the store until they are written."""

    rows: RowFile
    task: TaskFile
    folder: Path
    columns: tuple[str, ...]
    stamp: FileStamp
    resumed: int
    count: int
    abstain_below: float | None
    model: str
    """sha256 of the model file, or the key of the weights."""
    outcome: str = ACCEPTED
    held: ExitStack = field(default_factory=ExitStack)
    """Lock of these answers."""

    def __iter__(self) -> Iterator[tuple[Row, RowAnswer]]:
        """Yield each row with its answer. DataError D436, also at the end, where the file changed."""
        self.rows.require(self.stamp)
        parts = (_part(self.folder, number) for number in range(-(-self.count // PART)))
        lines = (line for part in parts for line in json_lines(part.read_text("utf-8")))
        for row, line in zip(self.rows.rows(), lines, strict=True):
            kept, bound = parse_json(line), self.abstain_below
            answer = RowAnswer.of(
                self.task.task, kept["answer"], kept["probability"], abstain_below=bound
            )
            length = kept.get("too_long")
            yield row, replace(answer, too_long=TooLong(**length)) if length else answer
        self.rows.require(self.stamp)

    @property
    def marks(self) -> dict[str, bool]:
        return {} if self.outcome == ACCEPTED else {IS_ACCEPTED: False}

    def close(self) -> None:
        self.held.close()

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def answer_rows(
    rows: RowFile,
    model: AskedModel,
    *,
    store: Store,
    threads: int,
    progress: Progress,
    abstain_below: float | None = None,
) -> AnsweredRows:
    """Prompt the model with every row that was not answered before.

    DataError D301, D302 and of reading, before the first prompt; D436 the file changed meanwhile; RecipeError R318 the
    rows have a column of the answers already; StageError, EnvironmentProblem where the model or its program fails.
    """
    stamp = rows.stamp()
    columns, count = _checked(rows)
    added = [PREDICTION, PROBABILITY]
    added += [] if abstain_below is None else [ABSTAINED]
    added += [] if model.outcome == ACCEPTED else [IS_ACCEPTED]
    if taken := [name for name in added if name in columns]:
        raise RecipeError.one(
            "R318",
            f"the rows have a column `{taken[0]}` already, which the answers would replace",
            hint="rename it in the file: earlier answers are not overwritten",
        )
    kept, asked = model.task.calibration, model.payload()
    payload = {
        "revision": REVISION,
        **asked,
        # the kept probabilities depend on it
        **({} if kept is None else {"temperature": kept.temperature}),
        "rows": sha256_of(rows.path),
        # the suffix of the name decides how rows are read
        "read_as": [rows.source.format, rows.source.encoding, *rows.path.suffixes],
        "template": [*rows.template.pieces, *rows.template.columns],
    }
    key = product_key("predict", payload).digest
    with ExitStack() as stack:
        waits = "another call labels the same rows with the same model: waiting for its end"
        stack.enter_context(store.lock(key, waits=lambda: progress.note(waits)))
        folder = store.scratch(key)
        with model.held(threads=threads) as ask:
            resumed = _ask_parts(ask, rows, folder, count, stamp=stamp, progress=progress)
        return AnsweredRows(
            rows=rows, task=model.task, folder=folder, columns=columns, count=count, resumed=resumed, stamp=stamp,
            abstain_below=abstain_below, model=str(asked.get("gguf") or asked["model"]), held=stack.pop_all(),
            outcome=model.outcome,
        )  # fmt: skip


def _ask_parts(
    ask: Ask, rows: RowFile, folder: Path, count: int, *, stamp: FileStamp, progress: Progress
) -> int:
    resumed = number = 0
    try:
        for number, part in enumerate(batched(rows.rows(), PART, strict=False)):
            if _part(folder, number).is_file():
                resumed += len(part)
                continue
            texts = [rows.question(row) for row in part]
            asked, lines = [text for text in texts if text is not None], ""
            found = iter(ask(asked, _Shifted(progress, number * PART, count)) if asked else ())
            for text in texts:
                answer: dict[str, Any] = {"answer": None, "probability": None}
                if text is not None:
                    one = next(found)
                    answer = {"answer": one.stated, "probability": one.probability}
                    answer |= {"too_long": to_json(one.too_long)} if one.too_long else {}
                lines += f"{json.dumps(answer, ensure_ascii=False)}\n"
            # the key has the digest of the file
            rows.require(stamp)
            write_text(_part(folder, number), lines, durable=True)
    except KeyboardInterrupt:
        done = number * PART
        more = "the same command resumes there" if done else f"answers are kept {PART:,} at a time"
        progress.note(f"{done:,} of {count:,} rows are kept: {more}")
        raise
    return resumed


def _checked(rows: RowFile) -> tuple[tuple[str, ...], int]:
    """Return the columns of the rows and their number. DataError with the problems of the first rows."""
    columns: dict[str, None] = {}
    count = 0
    problems: list[Problem] = []
    for row in rows.rows():
        if not row.values.keys() <= columns.keys():
            columns |= dict.fromkeys(row.values)
        count += 1
        try:
            rows.question(row)
        except MissingColumnError as error:
            near = difflib.get_close_matches(str(error), row.values, n=1)
            names = ", ".join(f"`{name}`" for name in [*row.values][:8])
            template = shlex.quote(f"{{{near[0] if near else 'COLUMN'}}}")
            hint = f"--input {template} names another column: there are {names}"
            what = f"{row.origin} has no column `{error}`"
            problems.append(Problem(code="D301", message=what, hint=hint))
        except UnusableValueError as error:
            what = f"{row.origin} cannot be used: {excerpt(str(error))}"
            problems.append(Problem(code="D302", message=what))
        del problems[SHOWN:]
    if problems:
        raise DataError(problems)
    return tuple(columns), count


def _part(folder: Path, number: int) -> Path:
    return folder / f"answers-{number:06}.jsonl"


class _Shifted(Value, kw_only=False):
    inner: Progress
    before: int
    count: int

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        del total
        self.inner.update(self.before + done, self.count, unit, **facts)

    def note(self, text: str) -> None:
        self.inner.note(text)
