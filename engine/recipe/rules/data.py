"""Rules about the rows: where labels come from, how files are written."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.complaint import show
from engine.recipe.nearest import nearest
from engine.recipe.source import SourceText

FORMATS: Final = ("jsonl", "json", "csv", "tsv", "parquet")
TABLES: Final = ("csv", "tsv")
_OTHER_NAMES: Final = {"ndjson": "jsonl", "pq": "parquet"}
_WRAPPERS: Final = (".gz", ".zst", ".bz2", ".xz")
_LABEL: Final = ("data", "label")


def targets_are_labels(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R212: relabel and bins lead to labels of the task."""
    labels, label = filled["task"]["labels"], filled["data"]["label"]
    for value, target in label["relabel"].items():
        if target not in labels:
            yield no_such_label(source, target, labels=labels, at=(*_LABEL, "relabel", value))
    for target in label["bins"]:
        if target not in labels:
            yield no_such_label(
                source, target, labels=labels, at=(*_LABEL, "bins", target), key=True
            )


def no_such_label(
    source: SourceText,
    name: str,
    *,
    labels: list[str],
    at: tuple[str | int, ...],
    key: bool = False,
) -> Problem:
    """Return the problem of a label that the task does not have."""
    near = nearest(name, labels)
    few = 12
    known = f"labels are {', '.join(labels)}" if len(labels) <= few else f"{len(labels)} labels"
    hint = f"{known}; did you mean `{near}`?" if near else known
    return source.problem("R212", f"no such label: {show(name)}", at=at, key=key, hint=hint)


def relabel_or_bins(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R214: a value is looked up or measured, not both."""
    label = filled["data"]["label"]
    if label["relabel"] and label["bins"]:
        message = "relabel and bins exclude each other"
        yield source.problem("R214", message, at=(*_LABEL, "bins"), key=True)


def bins_are_intervals(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R213: no interval is empty, and no number lies in two of them."""
    bins = filled["data"]["label"]["bins"]
    ends = {label: (bin_.get("min", -inf), bin_.get("max", inf)) for label, bin_ in bins.items()}
    for label, (low, high) in ends.items():
        if low > high:
            message = f"is empty: min {low} is above max {high}"
            yield source.problem("R213", message, at=(*_LABEL, "bins", label), key=True)
    for (one, first), (other, second) in combinations(ends.items(), 2):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        if low <= high:
            where = f"at {low}" if low == high else f"from {low} to {high}"
            message = f"overlaps {show(one)} {where}; both ends belong to a bin"
            yield source.problem("R213", message, at=(*_LABEL, "bins", other), key=True)


def bins_reach_every_label(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R223: a label without a bin would have no rows."""
    bins = filled["data"]["label"]["bins"]
    missing = [label for label in filled["task"]["labels"] if label not in bins] if bins else []
    for label in missing:
        message = f"no bin leads to {show(label)}, so it would have no rows"
        yield source.problem("R223", message, at=(*_LABEL, "bins"), key=True)


def formats_are_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R231: with `format: auto` the file's name tells the format."""
    for position, written in enumerate(filled["data"]["sources"]):
        name = written.get("file", written.get("path"))
        if name is not None and written["format"] == "auto" and format_of(name) is None:
            shown = name.rsplit("/", 1)[-1]
            yield source.problem(
                "R231",
                f"the name {show(shown)} does not tell the format",
                at=("data", "sources", position, "file" if "file" in written else "path"),
                hint=f"add `format:` with one of {', '.join(FORMATS)}",
            )


def format_of(name: str) -> str | None:
    """Return the format that a file's name tells, looking behind .gz and the like; None if none."""
    name = name.lower()
    for wrapper in _WRAPPERS:
        name = name.removesuffix(wrapper)
    ending = name.rsplit(".", 1)[-1]
    ending = _OTHER_NAMES.get(ending, ending)
    return ending if ending in FORMATS else None


def table_keys_fit_the_format(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R226: header and quoting speak of csv and tsv files."""
    for position, written in enumerate(filled["data"]["sources"]):
        name = written.get("file", written.get("path", ""))
        found = format_of(name) if written["format"] == "auto" else written["format"]
        for key in ("header", "quoting"):
            at = ("data", "sources", position, key)
            is_said = source.has(at) and written[key] not in ([], "auto")
            if is_said and found is not None and found not in TABLES:
                message = f"`{key}` speaks of csv and tsv files; this one is {found}"
                yield source.problem("R226", message, at=at, key=True)


def encodings_exist(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R230: the encoding is one that Python decodes text with."""
    for position, written in enumerate(filled["data"]["sources"]):
        if not _is_text_encoding(written["encoding"]):
            at = ("data", "sources", position, "encoding")
            near = nearest(written["encoding"], ("utf-8", "latin-1", "cp1252", "utf-16", "ascii"))
            hint = f"did you mean `{near}`?" if near else None
            message = f"no such encoding: {show(written['encoding'])}"
            yield source.problem("R230", message, at=at, hint=hint)


def _is_text_encoding(name: str) -> bool:
    try:
        return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))
    except (LookupError, ValueError):
        return False


def hub_says_which_rows(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R112: a hub data set has several splits and files."""
    for position, written in enumerate(filled["data"]["sources"]):
        if "hub" in written and not written["split"] and not written.get("file"):
            message = "a hub data set needs `split` or `file`"
            at = ("data", "sources", position)
            yield source.problem("R112", message, at=at, hint="add, for example, `split: train`")


def sources_differ(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R305, a warning: a source listed twice gives every row twice."""
    seen: dict[tuple[str, ...], int] = {}
    keys = ("hub", "path", "package", "file", "config", "split")
    for position, written in enumerate(filled["data"]["sources"]):
        identity = tuple(str(written.get(key, "")) for key in keys)
        first = seen.setdefault(identity, position)
        if first != position:
            message = f"is the same as data.sources[{first}]: every row comes twice"
            yield source.warning("R305", message, at=("data", "sources", position))
