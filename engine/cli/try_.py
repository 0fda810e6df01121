"""Ask an exported model something, asked as it was trained to be asked, in llama.cpp."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.confinement import confine_asking
from engine.cli.output import STORE, log_file, show_result, store_of
from engine.cli.predict import asked_model, is_unaccepted
from engine.cli.report import find_run, named_gguf
from engine.cli.streams import others_to
from engine.cli.terminal import write_error
from engine.environment import detect_device
from engine.errors import DataError
from engine.files import leases
from engine.kinds import KINDS, AnswerForm
from engine.recipe.text.paths import is_text
from engine.render.progress import SilentProgress
from engine.runs.find import is_model_file
from engine.runtime.llama.client import Answer, answer_text, held_answer, refuse_blank
from engine.store import Store


def run(options: argparse.Namespace) -> None:
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

    with leases.temporary_folder() as folder:
        return answer_text(
            gguf,
            text,
            abstain_below=options.abstain_below,
            threads=detect_device().cores,
            workdir=folder,
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
