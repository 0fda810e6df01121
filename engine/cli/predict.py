"""Queries of an exported model: for a file of rows, or for one text."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from engine.cli.confinement import confine_asking
from engine.cli.output import STORE, log_file, refuse_taken, show_result, store_of, write_file
from engine.cli.runs import find_run, named_gguf
from engine.cli.streams import others_to
from engine.cli.terminal import write, write_error
from engine.cli.watch import Console
from engine.drafting.source_reading import RECOGNISED, note_of_encoding
from engine.environment import detect_device
from engine.errors import DataError, Problem, RecipeError, StoreError
from engine.files import leases
from engine.kinds import KINDS, AnswerForm
from engine.progress import Progress
from engine.recipe.text.paths import is_text
from engine.render.progress_display import SilentProgress
from engine.render.styled_text import cleaned
from engine.runs.predict_output import Summary, output_format, write_answers, write_lines
from engine.runs.predict_rows import AnsweredRows, ModelFile, RowFile, answer_rows
from engine.runs.stored_run import exported_gguf, is_model_file
from engine.runtime.llama.client import Answer, answer_text, held_answer, refuse_blank
from engine.runtime.rendering.task_file import FileCalibration
from engine.store import Store
from engine.store.records import ACCEPTED, read_record
from engine.values import replace

if TYPE_CHECKING:
    from engine.runs.model_forms import WeightsModel


def predict(options: argparse.Namespace) -> None:
    output: Path | None = options.output
    if output is not None:
        output_format(output)
    for written in filter(None, (output, options.keep_counts)):
        # a link is not written through, which would be found when all rows are labelled
        if not (options.overwrite and written.is_file()) or written.is_symlink():
            refuse_taken(written, hint="--overwrite replaces a file, or name another")
    counts_file: Path | None = options.keep_counts
    is_same = output and counts_file and os.path.abspath(output) == os.path.abspath(counts_file)
    if is_same:
        hint = "name another file with --keep-counts"
        message = f"`{counts_file}` would hold the answers already"
        raise RecipeError.one("R005", message, hint=hint)
    root = store_of(options)
    started = time.monotonic()
    with _file(options.file) as path, ExitStack() as held:
        with others_to(log_file(root, "predict")) as terminal:
            answered, asked = _answered(options, path, root, terminal)
        held.callback(answered.close)
        counts = _counts(answered, asked, root) if options.keep_counts is not None else ""
        # the rows may stand at the place of the output, so they are read to the end before it is written
        summary = _write(answered, output)
        if options.keep_counts is not None:
            write_file(options.keep_counts, counts)
        answered.forget()
    if not options.quiet:
        if note := note_of_encoding([path.name], options.encoding, answered.rows.source.encoding):
            write_error(f"{note}\n")
        write_error(_words(summary, answered, time.monotonic() - started))


def _answered(
    options: argparse.Namespace, path: Path, root: Path, terminal: TextIO
) -> tuple[AnsweredRows, Path]:
    watcher = Console(terminal, quiet=options.quiet)
    model = asked_model(options, Store(root), watcher.stage("predict"))
    written = [one for one in (options.output, options.keep_counts) if one]
    output = [one.absolute().parent for one in written]
    confine_asking(options, model.places, root, reads=[path], writes=output)
    is_piped = options.file == "-" and options.read_as == "auto"
    given = "jsonl" if is_piped else options.read_as
    progress, bound = watcher.stage("predict"), model.task.threshold(options.abstain_below)
    try:
        rows = RowFile.of(
            path, model, format_=given, template=options.input, encoding=options.encoding
        )
        rows = replace(rows, may_be_empty=options.file == "-")
        answered = answer_rows(
            rows,
            model,
            store=Store(root),
            threads=detect_device().cores,
            progress=progress,
            abstain_below=bound,
        )
        return answered, model.places[0]
    except DataError as error:
        raise DataError([_for_command_line(problem) for problem in error.problems]) from None


def _for_command_line(problem: Problem) -> Problem:
    """Return a problem whose hint names an option in the place of a key of a source."""
    if found := re.search(r"`format: (\w+)`", problem.hint or ""):
        return replace(problem, hint=f"--read-as {found[1]}, or another format")
    if problem.code == "D322":
        return replace(problem, hint=RECOGNISED)
    return problem


def is_unaccepted(options: argparse.Namespace, run: Path) -> bool:
    return getattr(options, "unaccepted", False) and read_record(run).get("outcome") != ACCEPTED


def asked_model(
    options: argparse.Namespace, store: Store, progress: Progress
) -> ModelFile | WeightsModel:
    """Return the model that the options name, in its form. RecipeError R424; raises as `named_gguf`."""
    is_file = is_model_file(options.model)
    form = getattr(options, "form", "gguf")
    run = None if is_file else find_run(options.model, options)
    unaccepted = run is not None and is_unaccepted(options, run)
    if unaccepted and form == "gguf":
        form = "adapter"
    if form == "gguf":
        return ModelFile.of(exported_gguf(run) if run else Path(options.model))
    if run is None:
        raise RecipeError.one(
            "R424",
            f"`{options.model}` is a GGUF file, which has no form `{form}`",
            hint="name the recipe or its run, or leave --form out",
        )
    from engine.runs.model_forms import WeightsModel

    return WeightsModel(run, store, form=form, progress=progress, unaccepted=unaccepted)


def _counts(answered: AnsweredRows, asked: Path, root: Path) -> str:
    from engine.runs.row_drift import counts_of, counts_text, trained_nearness

    # beside a GGUF file stands its run, which knows the rows that it was trained on
    nearness = trained_nearness(asked.parent, Store(root))
    return counts_text(counts_of(answered, nearness))


def _write(answered: AnsweredRows, output: Path | None) -> Summary:
    if output is None:
        return write_lines(answered, lambda line: write(cleaned(line)))
    try:
        return write_answers(answered, output)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StoreError.one("E755", f"cannot write `{output}`: {why}") from error


@contextmanager
def _file(named: str) -> Iterator[Path]:
    """Yield the file of the rows; what comes through a pipe is put into one, since rows are read three times."""
    if named != "-":
        yield Path(named)
        return
    with leases.temporary_folder() as folder:
        path = folder / "stdin.jsonl"
        with path.open("wb") as stream:
            while block := sys.stdin.buffer.read(1 << 20):
                stream.write(block)
        yield path


def _words(summary: Summary, answered: AnsweredRows, seconds: float) -> str:
    asked = summary.rows - answered.resumed
    rows = f"{summary.rows:,} row{'' if summary.rows == 1 else 's'}"
    lines = [f"{rows}, {asked / max(seconds, 1e-9):,.1f} a second"]
    if answered.outcome != ACCEPTED:
        lines.insert(0, f"the model was not accepted (its run ended `{answered.outcome}`)")
    if answered.resumed:
        lines.append(f"{answered.resumed:,} of them were answered by an earlier call")
    if summary.abstained:
        lines.append(f"{summary.abstained:,} abstained: less sure than {answered.abstain_below:g}")
    lines += calibration_lines(answered.task.calibration, answered.abstain_below)
    if summary.without_answer:
        lines.append(f"{summary.without_answer:,} without an answer: blank, or cut off")
    if summary.too_long:
        named = ", ".join(f"{origin} ({one.tokens:,} tokens)" for origin, one in summary.named)
        left = summary.too_long - len(summary.named)
        named += f" and {left:,} more" if left else ""
        why = f"longer than the {summary.named[0][1].window:,} tokens that the model reads"
        advice = "shorten them, or ask their parts"
        lines.append(f"{summary.too_long:,} without an answer: {why}: {named}; {advice}")
    if summary.formulas:
        lines.append(
            f"{summary.formulas:,} with a cell that a spreadsheet would compute, as it begins with =, +, - or @:"
            " import columns as text, or write .parquet"
        )
    if summary.labels:
        lines += [f"{count:>9,}  {label}" for label, count in summary.labels.most_common()]
    return "\n".join([*lines, ""])


def calibration_lines(kept: FileCalibration | None, bound: float | None) -> list[str]:
    """Return what probabilities stand on, and whose threshold it is, for a person; nothing without a calibration."""
    if kept is None:
        return []
    lines = []
    if kept.fitted_rows:
        rows = f"{kept.fitted_rows:,} validation rows"
        lines.append(
            f"probabilities are calibrated: temperature {kept.temperature:.3g}, fitted on {rows}"
        )
    if kept.abstain_below is not None and bound == kept.abstain_below:
        lines.append(
            f"{bound:.4g} is the model's own threshold; --abstain-below 0 answers every row"
        )
    return lines


def try_(options: argparse.Namespace) -> None:
    # `echo` adds a line break that is no part of the text.
    text = sys.stdin.read().rstrip("\n") if options.text == "-" else options.text
    # bytes that are no UTF-8 come as half surrogates, from words and from stdin in some locales
    if not is_text(text):
        raise DataError.one("D322", "the text is not UTF-8", hint="iconv -f cp1252 -t utf-8")
    run = None if is_model_file(options.model) else find_run(options.model, options)
    unaccepted = run is not None and is_unaccepted(options, run)
    answer = _of_weights(options, text) if unaccepted else _of_file(options, text)
    fields = {
        "schema": "answer.v1",
        "label": answer.label,
        "probability": answer.probability,
        "abstained": answer.abstained,
        "abstain_below": answer.abstain_below,
        "free_text": answer.text,
        "free_text_is_valid": answer.is_valid,
        **({"accepted": False} if unaccepted else {}),
    }
    mark = "not accepted: " if unaccepted else ""
    show_result(options, fields, f"{mark}{_answer_lines(answer)}")
    if options.format == "text" and answer.probability is not None:
        among = "labels'" if KINDS[answer.kind].answer is AnswerForm.LABEL else "allowed answers'"
        write_error(f"{answer.probability:.0%} of the {among} probability; free: {answer.text!r}\n")


def _of_file(options: argparse.Namespace, text: str) -> Answer:
    gguf = named_gguf(options)
    confine_asking(options, (gguf, gguf.parent), Path(options.store or STORE))

    return answer_text(
        gguf,
        text,
        abstain_below=options.abstain_below,
        threads=detect_device().cores,
        progress=SilentProgress(),
    )


def _of_weights(options: argparse.Namespace, text: str) -> Answer:
    root = store_of(options)
    with others_to(log_file(root, "try")):
        model = asked_model(options, Store(root), SilentProgress())
        confine_asking(options, model.places, root)
        refuse_blank(text, model.task)
        with model.held(threads=detect_device().cores) as ask:
            (answer,) = ask([text], SilentProgress())
    return held_answer(answer, model.task.threshold(options.abstain_below))


def _answer_lines(answer: Answer) -> str:
    """Return the answer held to the task's form, why there is none, or the free text of kinds that have no form."""
    if answer.probability is None:
        return answer.text
    if answer.abstained:
        return f"no answer: less sure than {answer.abstain_below:.4g}; --abstain-below 0 shows it"
    return answer.label if answer.label is not None else "no answer: it was cut off"
