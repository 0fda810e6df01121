"""Probes: questions that have nothing to do with the task, as options whose likelihoods are compared."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from engine.data.examples.template import MissingColumnError, lookup
from engine.data.reading.readers import read_rows
from engine.data.reading.row import SHOWN, Row
from engine.data.reading.sources import source_names
from engine.errors import DataError, Problem
from engine.files.reading import parse_json
from engine.progress import Progress
from engine.recipe.model import Probe
from engine.recipe.references import COLUMNS, PROBE_KINDS, USUAL, layout_of
from engine.sources import fetch_source
from engine.store import Cached
from engine.values import Value

BUILTIN: Final = "builtin"
FOLDER: Final = Path(__file__).resolve().parents[1] / "probes"


class ProbeItem(Value):
    """One question: the likeliest of its options shall be the right one."""

    probe: str
    kind: str
    options: tuple[tuple[str, str], ...]
    """(what stands before, what is scored); before is empty for whole sentences."""
    gold: int

    @property
    def right(self) -> str:
        return "".join(self.options[self.gold])

    @property
    def id(self) -> str:
        """The start of the sha256 of what is asked."""
        text = json.dumps([self.kind, self.options, self.gold], ensure_ascii=False)
        return sha256(text.encode()).hexdigest()[:16]


def probe_items(
    probe: Probe, *, seed: int, cached: Cached, progress: Progress
) -> tuple[ProbeItem, ...]:
    """Return what a probe of the recipe asks, drawn by `seed` where it has a limit.

    Raises:
        DataError: its file cannot be had or read, D36x a row that cannot be asked.

    """
    if probe.source is None:
        items = builtin_items()
    else:
        name = source_names([probe.source])[0]
        path = fetch_source(probe.source, cached, progress)
        rows = read_rows(path, probe.source, name=name, progress=progress)
        items = tuple(_items(probe.name, probe.kind, dict(probe.columns), rows))
    if not probe.limit or len(items) <= probe.limit:
        return items
    # By a seeded hash of the content: the order of the file decides nothing.
    ranked = sorted(items, key=lambda item: sha256(f"{seed}:{item.id}".encode()).digest())
    drawn = {item.id for item in ranked[: probe.limit]}
    return tuple(item for item in items if item.id in drawn)


def builtin_digest() -> str:
    """Return the sha256 over the files of the built-in probes."""
    digest = sha256()
    for kind in PROBE_KINDS:
        digest.update((FOLDER / f"{kind}.jsonl").read_bytes())
    return digest.hexdigest()


def builtin_items() -> tuple[ProbeItem, ...]:
    items: list[ProbeItem] = []
    for kind in PROBE_KINDS:
        with (FOLDER / f"{kind}.jsonl").open(encoding="utf-8") as stream:
            rows = [Row(origin=f"{kind}.jsonl", values=json.loads(line)) for line in stream]
        items += _items(BUILTIN, kind, {}, rows)
    return tuple(items)


def _items(
    name: str, kind: str, columns: Mapping[str, str], rows: Iterable[Row]
) -> list[ProbeItem]:
    """Return what rows ask, equal ones once. DataError with the first rows that cannot be asked."""
    items: dict[str, ProbeItem] = {}
    problems: list[Problem] = []
    for row in rows:
        values, layout = row.values, layout_of(kind, columns, row.values)
        if layout is None:
            wanted = " or ".join(", ".join(layout) for layout in COLUMNS[kind])
            usual = {part: USUAL[part][-1] for part in COLUMNS[kind][0]}
            example = ", ".join(f"{part}: {column}" for part, column in usual.items())
            raise DataError.one(
                "D385",
                f"probe `{name}`: the rows have {', '.join(map(str, values))}; {kind} needs {wanted}",
                path="acceptance.forgetting.probes",
                hint=f"say which columns they are, such as columns: {{{example}}}",
            )
        try:
            options, gold = _ASKED[kind]({part: lookup(values, layout[part]) for part in layout})
        except (MissingColumnError, ValueError) as error:
            why = f"no `{error}`" if isinstance(error, MissingColumnError) else str(error)
            message = f"probe `{name}`: {row.origin}: {why}"
            problems.append(Problem(code="D386", message=message))
            continue
        item = ProbeItem(probe=name, kind=kind, options=options, gold=gold)
        items.setdefault(item.id, item)
    if (more := len(problems) - SHOWN) > 0:
        problems[SHOWN:] = [Problem(code="D386", message=f"and {more:,} more rows")]
    if problems:
        raise DataError(problems)
    return list(items.values())


Options = tuple[tuple[str, str], ...]


def _multiple_choice(row: Mapping[str, Any]) -> tuple[Options, int]:
    """Ask as `Question: …`, `Answer:`, unless the text says so itself."""
    question = _text(row["question"], "question")
    if not question.startswith("Question:"):
        question = f"Question: {question}"
    if not question.endswith("Answer:"):
        question = f"{question}\nAnswer:"
    choices, gold = _choices(row["choices"], row["answer"], "choices")
    # The space belongs to the choice: byte-level tokenizers join it with the word that follows.
    return tuple((question, f" {choice}") for choice in choices), gold


def _cloze(row: Mapping[str, Any]) -> tuple[Options, int]:
    if "contexts" in row:
        ending = _text(row["ending"], "ending")
        contexts, gold = _choices(row["contexts"], row["answer"], "contexts")
        return tuple((text, f" {ending}") for text in contexts), gold
    context = _text(row["context"], "context")
    endings, gold = _choices(row["endings"], row["answer"], "endings")
    return tuple((context, f" {ending}") for ending in endings), gold


def _minimal_pair(row: Mapping[str, Any]) -> tuple[Options, int]:
    good, bad = _text(row["good"], "good"), _text(row["bad"], "bad")
    if good == bad:
        raise ValueError("good and bad are the same")
    return (("", good), ("", bad)), 0


_ASKED: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[Options, int]]]] = {
    "multiple_choice": _multiple_choice,
    "cloze": _cloze,
    "minimal_pairs": _minimal_pair,
}


def _text(value: object, part: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{part} is no text")
    return value.strip()


def _choices(value: object, answer: object, part: str) -> tuple[list[str], int]:
    """Return the different choices and the place of the right one; published sets repeat some."""
    if isinstance(value, str):  # a list in a table
        try:
            value = parse_json(value)
        except ValueError:
            value = None
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{part} is no list of texts")  # noqa: TRY004 - reported with its row
    texts = [_text(item, part) for item in value]
    right = texts[_place(answer, texts)]
    # The index is taken after repeats are removed: a repeat before the right one would shift it.
    different = list(dict.fromkeys(texts))
    if len(different) < 2:  # something to choose between
        raise ValueError(f"{part} does not hold two different texts")
    return different, different.index(right)


def _place(answer: object, choices: Sequence[str]) -> int:
    place = answer
    if isinstance(answer, str):
        text = answer.strip()
        # Before numbers and letters: a choice may itself be `2` or `B`.
        if text in choices:
            return choices.index(text)
        if text.isdecimal():
            place = int(text)
        elif len(text) == 1 and text.isalpha() and text.isascii():
            place = ord(text.upper()) - ord("A")
    # `bool` is an `int` in Python: `true` would otherwise mean the second choice.
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(choices):
        raise ValueError(f"the answer {answer!r} is none of {len(choices)} choices")
    return place
