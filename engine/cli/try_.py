"""Ask an exported model something, asked as it was trained to be asked, in llama.cpp."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.confinement import confine_asking
from engine.cli.output import show_result
from engine.cli.place import STORE, add_shared
from engine.cli.predict import add_threshold
from engine.cli.report import named_gguf
from engine.cli.terminal import write_error
from engine.environment import detect_device
from engine.errors import DataError
from engine.files import leases
from engine.kinds import KINDS, AnswerForm
from engine.recipe.text.paths import is_text
from engine.render.progress import SilentProgress

if TYPE_CHECKING:
    from engine.runtime.llama.client import Answer


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "model", metavar="MODEL", help="a recipe file or name, a run folder or a GGUF file"
    )
    parser.add_argument("text", metavar="TEXT", help="the input; - reads it from standard input")
    add_threshold(parser)
    add_shared(parser)


def run(options: argparse.Namespace) -> None:
    """Print the answer, and how sure the model is."""
    # `echo` adds a line break that is no part of the text.
    text = sys.stdin.read().rstrip("\n") if options.text == "-" else options.text
    # bytes that are no UTF-8 come as half surrogates, from words and from stdin in some locales
    if not is_text(text):
        raise DataError.one("D322", "the text is not UTF-8", hint="iconv -f cp1252 -t utf-8")
    gguf = named_gguf(options)
    confine_asking(options, (gguf, gguf.parent), Path(options.store or STORE))
    from engine.runtime.llama.client import answer_text  # only where a model is asked

    with leases.temporary_folder() as folder:
        answer = answer_text(
            gguf,
            text,
            abstain_below=options.abstain_below,
            threads=detect_device().cores,
            workdir=folder,
            progress=SilentProgress(),
        )
    fields = {
        "schema": "answer.v1",
        "label": answer.label,
        "probability": answer.probability,
        "abstained": answer.abstained,
        "abstain_below": answer.abstain_below,
        "free_text": answer.text,
        "free_text_is_valid": answer.is_valid,
    }
    show_result(options, fields, _answer_lines(answer))
    if options.format == "text" and answer.probability is not None:
        among = "labels'" if KINDS[answer.kind].answer is AnswerForm.LABEL else "allowed answers'"
        write_error(f"{answer.probability:.0%} of the {among} probability; free: {answer.text!r}\n")


def _answer_lines(answer: Answer) -> str:
    """Return the answer held to the task's form, why there is none, or the free text of kinds that have no form."""
    if answer.probability is None:
        return answer.text
    if answer.abstained:
        return f"no answer: less sure than {answer.abstain_below:.4g}; --abstain-below 0 shows it"
    return answer.label if answer.label is not None else "no answer: it was cut off"
