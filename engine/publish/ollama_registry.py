"""Publishing to Ollama on this machine: `ollama create` from the Modelfile, and holdout rows asked as its users ask.

Ollama keeps the file by its digest, which is compared with the one that was sent. What it answers to holdout rows
is compared with what `verify` has seen: Ollama holds no answer to the task's form, so with the free answers.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.data.examples.example import Example, read_examples
from engine.errors import EnvironmentProblem, RecipeError, StageError
from engine.metrics.predictions import Prediction, read_predictions
from engine.pipeline.plan import products
from engine.process import start as processes
from engine.process.start import program
from engine.publish.publication import Destination, Note, Publication, Published, other_file
from engine.recipe.model import Task
from engine.recipe.prompt import parse_answer, question
from engine.runs.stored_run import recipe_of
from engine.store import Store, make_key
from engine.store.records import read_record
from engine.store.store import link_file
from engine.trust.allowed import Allowed
from engine.trust.hosts import parse_address

COMMAND: Final = "ollama"
MODELFILE: Final = "Modelfile"
NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*(:[A-Za-z0-9][\w.-]*)?")
ROWS: Final = 20
"""Rows of the holdout that are evaluated."""
LEAST: Final = 0.9
"""Share of them that has to be answered as `verify` saw: another build of llama.cpp decides near ties otherwise."""
SECONDS: Final = 600.0
"""Seconds for one call; the first one loads the model."""
SHOWN: Final = 3
BLOB: Final = re.compile(r"^FROM .*sha256[-:]([0-9a-f]{64})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama(Destination):
    """A model of a name in the user's Ollama."""

    name: str
    store: Store
    given: Allowed

    def __post_init__(self) -> None:
        """RecipeError R420 for what is no name of a model."""
        if not NAME.fullmatch(self.name):
            hint = "--name NAME or NAME:TAG, of letters, digits, `-`, `_` and `.`"
            raise RecipeError.one("R420", f"`{self.name}` is no name of a model", hint=hint)

    def words(self) -> str:
        return f"Ollama at {_host()}, as {self.name}"

    def takes(self, name: str) -> bool:
        return name.endswith(".gguf") or name == "Modelfile"

    def check(self, publication: Publication) -> None:
        """Refuse what can be seen here: R422 no Modelfile, X833 no Ollama, X836 rows that would leave this machine."""
        if publication.file("Modelfile") is None or publication.file(".gguf") is None:
            hint = "add `ollama` to export.formats, and publish with --form gguf"
            raise RecipeError.one("R422", "there is no GGUF file with a Modelfile", hint=hint)
        if shutil.which(COMMAND) is None:
            raise EnvironmentProblem.one(
                "X833",
                "Ollama is not installed: there is no command `ollama`",
                hint="install it from ollama.com and start it, or publish --to folder",
            )
        written = _host()
        try:
            address = parse_address(written)
        except ValueError as error:
            raise EnvironmentProblem.one("X836", f"OLLAMA_HOST `{written}`: {error}") from error
        if not self.given.may_ask(address):
            raise EnvironmentProblem.one(
                "X836",
                f"rows of the holdout would be sent to Ollama at {address.name}",
                hint=f"--allow-host {address.name} says that they may, or unset OLLAMA_HOST",
            )

    def publish(self, publication: Publication, note: Note) -> Published:
        """Create the model, compare the digest that Ollama names, and ask it rows.

        EnvironmentProblem X833, StageError X834 where Ollama fails or answers otherwise; StoreError X832.
        """
        if _answer("show", "--modelfile", self.name, fails=True) is not None:
            hint = f"name another one, or remove it: ollama rm {self.name}"
            raise RecipeError.one("X830", f"Ollama has a model `{self.name}` already", hint=hint)
        gguf = next(one for one in publication.files if one.name.endswith(".gguf"))
        modelfile = next(one for one in publication.files if one.name == MODELFILE)
        asked, task = self._rows(publication), recipe_of(publication.run).task
        with tempfile.TemporaryDirectory(prefix="recipe-") as place:
            # the Modelfile names the file beside it
            link_file(gguf.path, Path(place) / gguf.name)
            shutil.copyfile(modelfile.path, Path(place) / MODELFILE)
            note(f"ollama create {self.name}")
            _answer("create", self.name, "-f", str(Path(place) / MODELFILE))
        kept = BLOB.search(_answer("show", "--modelfile", self.name) or "")
        if kept is not None and kept[1] != gguf.sha256:
            raise other_file(f"Ollama's {self.name}", gguf.name, sent=gguf.sha256, found=kept[1])
        named = "the digest that was sent" if kept else "no digest, so its bytes were not compared"
        return Published(
            place=f"Ollama, as {self.name}",
            digest=f"sha256:{kept[1]}" if kept else "",
            read_back=1 if kept else 0,
            lines=(f"Ollama names {named}", self._asked(task, asked, note)),
        )

    def _rows(self, publication: Publication) -> list[tuple[Example, Prediction]]:
        """Return the rows that are asked, with what `verify` saw; the same ones each time."""
        record = read_record(publication.run)
        found = self.store.whole(record.get("stages", {}).get("verify", {}).get("key", ""))
        payload = record.get("payloads", {}).get("data")
        held_out = (
            self.store.whole(products("data", make_key(payload))["holdout"]) if payload else None
        )
        if found is None or held_out is None:
            raise RecipeError.one(
                "R422",
                "the store no longer has the holdout and the answers of `verify`",
                hint="recipe run RECIPE makes them; or name the store: --store FOLDER",
            )
        name = "predictions.quantized_free.jsonl"
        if not (found.path / name).is_file() or not (found.path / name).stat().st_size:
            name = "predictions.quantized.jsonl"
        answers = {one.id: one for one in read_predictions(found.file(name))}
        rows = [row for row in read_examples(held_out.file("holdout.jsonl")) if row.id in answers]
        count = min(ROWS, len(rows))
        spread = [rows[number * len(rows) // count] for number in range(count)]
        return [(row, answers[row.id]) for row in spread]

    def _asked(self, task: Task, rows: Sequence[tuple[Example, Prediction]], note: Note) -> str:
        """Ask the rows, and say how many were answered as `verify` saw. StageError X834 for too few."""
        others = []
        for number, (row, expected) in enumerate(rows, start=1):
            note(f"asking row {number} of {len(rows)}")
            found = _answer("run", self.name, given=question(task, row.input)) or ""
            if not _is_same(task, expected, found.strip()):
                others.append(row.origin)
        same = len(rows) - len(others)
        counted = (
            f"{same} of {len(rows)} holdout rows answered as `verify` saw them answered freely"
        )
        if same < LEAST * len(rows):
            raise StageError.one(
                "X834",
                f"Ollama's {self.name} answers otherwise: {counted}; others: {', '.join(others[:SHOWN])}",
                hint=f"the model is there, and is not the one that was judged: ollama rm {self.name}",
            )
        return counted


def _is_same(task: Task, expected: Prediction, found: str) -> bool:
    """Tell whether an answer is the expected one; of one that was cut off, whether it begins so."""
    if found == expected.text.strip():
        return True
    if not expected.ended:
        return found.startswith(expected.text.strip())
    stated = parse_answer(task, found)
    return stated is not None and stated == parse_answer(task, expected.text)


def _answer(*words: str, given: str = "", fails: bool = False) -> str | None:
    """Return what `ollama` writes. StageError X834 where it fails, or None with `fails`."""
    variables = processes.environment(prefixes=("OLLAMA_",))
    try:
        answer = processes.ask(
            program(COMMAND)(*words), variables=variables, given=given, seconds=SECONDS
        )
    except OSError as error:
        raise _failed(words, error.strerror or str(error)) from error
    if answer.status == 0:
        return answer.text
    if fails:
        return None
    is_late = answer.status is None
    raise _failed(words, f"no answer in {SECONDS:g} seconds" if is_late else answer.last_error)


def _failed(words: Sequence[str], why: str) -> StageError:
    return StageError.one(
        "X834",
        f"`ollama {words[0]}` fails: {why}",
        hint="is it running? `ollama serve` starts it, `ollama list` shows its models",
    )


def _host() -> str:
    written = os.environ.get("OLLAMA_HOST", "").strip().rstrip("/") or "127.0.0.1"
    address = written if "://" in written else f"http://{written}"
    has_port = address.rpartition("]")[2].count(":") > ("://" in address.rpartition("]")[2])
    # as a server's setting it means every interface, of which a client takes the own
    return f"{address}{'' if has_port else ':11434'}".replace("//0.0.0.0", "//127.0.0.1")
