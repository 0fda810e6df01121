"""Rules about the sources of rows: how files are written, which of them, how often."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.formats import FORMATS, format_of
from engine.recipe.rules.places import climbs, fault_of_file, is_of_one_machine
from engine.recipe.rules.rule import rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.globs import is_pattern, listed_sources, match, start_of
from engine.recipe.text.nearest import nearest
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_AT: Final[KeyPath] = ("data", "sources")
_HUB_ROWS: Final = "rows"
"""Stands for the format of a split of the hub, which has none."""
_OWN_COLUMN: Final = "text"
_ARRAYS: Final = ("csv", "tsv", "json", "jsonl")
_TEXTS: Final = (*_ARRAYS, "lines", "text", "xml")
_UNWRITTEN: Final[tuple[object, ...]] = ([], {}, "", "auto", "utf-8")
"""Defaults: a resolved recipe spells them out."""
_READ_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "header": _ARRAYS,
    "quoting": ("csv", "tsv"),
    "records": ("json", "xml"),
    "columns": ("lines",),
    "encoding": _TEXTS,
    "format": FORMATS,
}
"""Keys that not every format reads."""


@rule("data.sources")
def formats_are_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R231: the file's name does not tell its format.

    auto looks at the ending: .jsonl, .json, .csv, .tsv, .parquet, also before .gz, .zst.

    Fix: Add format: to the source.

    Wrong:
        data:
          sources:
            - hub: owner/tickets
              revision: 0123456789abcdef0123456789abcdef01234567
              file: ▸rows.dat

    Right:
        data:
          sources:
            - hub: owner/tickets
              revision: 0123456789abcdef0123456789abcdef01234567
              file: rows.dat
              format: csv
    """
    for position, written in enumerate(filled["data"]["sources"]):
        unknown = (
            name for name in _names(written, source) if format_of(name, written["format"]) is None
        )
        # One name is enough: a pattern may match thousands of files.
        for name in islice(unknown, 1):
            shown = name.rsplit("/", 1)[-1]
            yield source.problem(
                "R231",
                f"the name {show(shown)} does not tell the format",
                at=(*_AT, position, "file" if "file" in written else "path"),
                hint=f"add `format:` with one of {', '.join(FORMATS)}; of a document, say"
                " whether a line (lines) or the file (text) is a row",
            )


def _names(written: Mapping[str, Any], source: SourceText) -> list[str]:
    """Return the names of a source's files; none for a split of the hub."""
    try:
        listed = list(listed_sources([written], source.path.parent, judge=source.judge))
    except (OSError, ValueError):  # R250 reports it
        listed = []
    names = [one.get("file", one.get("path")) for one in listed]
    return [name for name in names if name is not None]


@rule("data.sources")
def keys_fit_the_format(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R226: header or quoting for a format that has none.

    They speak of csv and tsv; elsewhere they would be ignored.

    Fix: Delete the key, or correct format.

    Wrong:
        data:
          sources:
            - path: ../data/parts/a.jsonl
              ▸quoting: none

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              quoting: none

    R251: a key that this format does not read, or lacks one that it needs.

    `records` speaks of json and xml, `columns` of lines; elsewhere they would be ignored. Nothing but `records`
    tells which element of an xml file is a row.

    Fix: Delete the key, correct `format`, or add `records` to the xml source.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              ▸records: data.items

    Right:
        data:
          sources:
            - path: ../data/faq.json
              records: data.items
    """
    for position, written in enumerate(filled["data"]["sources"]):
        found = _format(written, source)
        for key, formats in _READ_BY.items():
            at = (*_AT, position, key)
            is_written = source.has(at) and written[key] not in _UNWRITTEN
            if is_written and found is not None and found not in formats:
                code = "R226" if key in ("header", "quoting") else "R251"
                actual = (
                    f"this one is {found}" if found != _HUB_ROWS else "rows of the hub have columns"
                )
                message = f"`{key}` speaks of {_listed(formats)} files; {actual}"
                yield source.problem(code, message, at=at, key=True)


def _listed(formats: tuple[str, ...]) -> str:
    return " and ".join(part for part in (", ".join(formats[:-1]), formats[-1]) if part)


@rule("data.sources")
def xml_says_which_element(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """Nothing else tells which element of an xml file is a row (R251)."""
    for position, written in enumerate(filled["data"]["sources"]):
        if _format(written, source) == "xml" and not written["records"]:
            message = "an xml file needs `records`, the element that is a row"
            yield source.problem("R251", message, at=(*_AT, position))


def _format(written: Mapping[str, Any], source: SourceText) -> str | None:
    """Return the format of a source's files; None where it is not known, or not one."""
    if "hub" in written and not written.get("file"):
        return _HUB_ROWS
    found = {format_of(name, written["format"]) for name in _names(written, source)}
    return found.pop() if len(found) == 1 else None


@rule("data.sources")
def column_files_are_there(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """What holds of a source's file holds of those read beside it (R302, R303, R304)."""
    for position, written in enumerate(filled["data"]["sources"]):
        for column, file in written["columns"].items():
            at = (*_AT, position, "columns", column)
            if column == _OWN_COLUMN:
                message = f"`{column}` is the column of the source's own file"
                yield source.problem("R251", message, at=at, key=True)
            if "path" not in written:
                if climbs(file):
                    message = f"{show(file)} must be a relative path without `..`"
                    yield source.problem("R304", message, at=at)
            elif not source.judge.may_read(absolute(file, source.path.parent)):
                continue  # R306 reports it
            elif (fault := fault_of_file(absolute(file, source.path.parent))) is not None:
                yield source.problem("R302", f"{show(file)}: {fault}", at=at)
            elif is_of_one_machine(file):
                message = f"{show(file)} exists on one machine only"
                yield source.warning("R303", message, at=at)


@rule("data.sources")
def patterns_match(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R250: a pattern that matches no file.

    A source without files gives no rows, and more often means a misspelt folder.

    Fix: Correct the pattern; it is read from the recipe's folder. * stands for any characters of a name, ** for
    any folders; hidden files are left out.

    Wrong:
        data:
          sources:
            - path: ▸../data/*.jsonl

    Right:
        data:
          sources:
            - path: ../data/parts/*.jsonl

    R255: a pattern with a key that speaks of one file.

    One sha256 is of one file; a file is read beside one other file.

    Fix: List the files, one source each, or delete the key.

    Wrong:
        data:
          sources:
            - path: ../data/*.csv
              ▸sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

    R256: a pattern that meets links it does not follow.

    A link out of the recipe's folder brings in files that nobody sees in the recipe.

    Fix: Name the linked file by its own path, or delete the link.
    """
    folder = source.path.parent
    for position, written in enumerate(filled["data"]["sources"]):
        path, at = written.get("path", ""), (*_AT, position)
        if not path or not is_pattern(path, folder):
            continue
        for key in ("sha256", "columns"):
            if written.get(key):
                message = f"`{key}` speaks of one file, and {show(path)} is a pattern"
                yield source.problem("R255", message, at=(*at, key), key=True)
        yield from _matched(source, path, (*at, "path"))


def _matched(source: SourceText, pattern: str, at: KeyPath) -> Iterator[Problem]:
    start = start_of(pattern, source.path.parent)
    if start is None or not source.judge.may_list(start):
        return  # R306 reports it
    try:
        found = match(pattern, source.path.parent, judge=source.judge)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield source.problem("R250", f"{show(pattern)} cannot be read: {reason.lower()}", at=at)
        return
    if found.links:
        count = len(found.links)
        subject = "a link leads" if count == 1 else f"{count} links lead"
        message = f"{subject} out of the recipe's folder and is left out: {show(found.links[0])}"
        yield source.warning("R256", message, at=at)
    if not found.files:
        yield source.problem("R250", f"no file matches {show(pattern)}", at=at)


@rule("data.sources", "splits.by")
def into_goes_with_files(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R252: a source is put into a split that the recipe draws.

    `into` decides where rows go; with any other way to split, something else decides.

    Fix: Write `splits.by: files`, or delete `into`.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              ▸into: train
        splits:
          by: random

    Right:
        data:
          sources:
            - path: ../data/rows.csv
        splits:
          by: random

    R253: with splits by files, a source that belongs to none.

    Its rows would be in no split.

    Fix: Add `into: train`, `into: validation` or `into: holdout` to the source.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              into: holdout
            - ▸path: ../data/parts/*.jsonl
        splits:
          by: files
          validation: 0
          # no train
          # no holdout

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              into: holdout
            - path: ../data/parts/*.jsonl
              into: train
        splits:
          by: files
          validation: 0
          # no train
          # no holdout
    """
    by_files = filled["splits"]["by"] == "files"
    for position, written in enumerate(filled["data"]["sources"]):
        at = (*_AT, position)
        if by_files and "into" not in written:
            hint = "add `into: train`, `into: validation` or `into: holdout`"
            message = "`splits.by: files` needs every source to say its split"
            yield source.problem("R253", message, at=at, hint=hint)
        if not by_files and "into" in written:
            message = "`into` decides the split of a source with `splits.by: files` only"
            yield source.problem("R252", message, at=(*at, "into"), key=True)


@rule("data.sources")
def weights_change_something(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R254: a weight that changes nothing.

    Only training rows are repeated or thinned, and a weight means something beside other sources only.

    Fix: Delete `weight`, or use `method.epochs` or `data.sample`.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              ▸weight: 2

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              weight: 2
            - path: ../data/parts/*.jsonl
    """
    sources = filled["data"]["sources"]
    for position, written in enumerate(sources):
        at, into = (*_AT, position, "weight"), written.get("into", "train")
        if written["weight"] != 1 and into != "train":
            message = f"rows of {into} are seen once each, whatever their weight"
            yield source.problem("R254", message, at=at, key=True)
        elif written["weight"] != 1 and len(sources) == 1:
            message = "there is no other source to weigh this one against"
            hint = "use `method.epochs` for more rounds, `data.sample` for fewer rows"
            yield source.problem("R254", message, at=at, key=True, hint=hint)


@rule("data.sources")
def encodings_exist(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R230: no such encoding.

    The file cannot be decoded.

    Fix: Usual: utf-8, latin-1, cp1252, utf-16.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              encoding: ▸utf8-bom

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              encoding: utf-8
    """
    for position, written in enumerate(filled["data"]["sources"]):
        if not _is_text_encoding(written["encoding"]):
            at = (*_AT, position, "encoding")
            near = nearest(written["encoding"], ("utf-8", "latin-1", "cp1252", "utf-16", "ascii"))
            hint = f"did you mean `{near}`?" if near else None
            message = f"no such encoding: {show(written['encoding'])}"
            yield source.problem("R230", message, at=at, hint=hint)


def _is_text_encoding(name: str) -> bool:
    try:
        # Python lists codecs such as `rot13` and `base64` too, which decode no text.
        return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))
    except (LookupError, ValueError):
        return False


@rule("data.sources")
def hub_says_which_rows(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """A hub data set has several splits and files (R112)."""
    for position, written in enumerate(filled["data"]["sources"]):
        if "hub" in written and not written["split"] and not written.get("file"):
            message = "a hub data set needs `split` or `file`"
            at = (*_AT, position)
            yield source.problem("R112", message, at=at, hint="add, for example, `split: train`")


@rule("data.sources")
def sources_differ(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R305: the same source twice.

    Every row would come twice and be dropped as a duplicate, or leak between splits.

    Fix: Delete one of the two.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
            - ▸path: ../data/*.csv

    Right:
        data:
          sources:
            - path: ../data/*.csv
    """
    seen: dict[tuple[str, ...], int] = {}
    for position, written in enumerate(filled["data"]["sources"]):
        firsts = [seen.setdefault(one, position) for one in _identities(written, source)]
        first = next((other for other in firsts if other != position), None)
        if first is not None:
            message = f"is the same as data.sources[{first}]: every row comes twice"
            if len(firsts) > 1:
                message = f"names files of data.sources[{first}]: their rows come twice"
            yield source.warning("R305", message, at=(*_AT, position))


def _identities(written: Mapping[str, Any], source: SourceText) -> list[tuple[str, ...]]:
    """Return what two sources of the same rows share, one for each file."""
    folder = source.path.parent
    keys = ("hub", "package", "file", "config", "split", "records", "columns", "explode")
    own = tuple(str(written.get(key, "")) for key in keys)
    try:
        listed = list(listed_sources([written], folder, judge=source.judge))
    except (OSError, ValueError):
        listed = [written]
    paths = (one.get("path", "") for one in listed)
    return [(*own, str(absolute(path, folder)) if path else "") for path in paths]
