"""Rules about the sources of rows: how files are written, which of them, how often."""

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import listed
from engine.recipe.references import REPLAY_SOURCES
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.places import (
    RELATIVE,
    climbs,
    fault_of_file,
    hint_of_path,
    is_of_one_machine,
)
from engine.recipe.teacher import SOURCES, written_sources
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import (
    FORMATS,
    absolute,
    format_of,
    is_pattern,
    listed_files,
    match,
    start_of,
)
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

_AT: Final[KeyPath] = ("data", "sources")
_HUB_ROWS: Final = "rows"
"""Stands for the format of a split of the hub, which has none."""
_OWN_COLUMN: Final = "text"
_USUAL_ENCODINGS: Final = ("utf-8", "latin-1", "cp1252", "utf-16", "ascii")
_ARRAYS: Final = ("csv", "tsv", "json", "jsonl")
_TEXTS: Final = (*_ARRAYS, "lines", "text", "xml")
_NAME_A_FORMAT: Final = (
    f"add `format:` with one of {', '.join(FORMATS)}; of a document, say"
    " whether a line (lines) or the file (text) is a row"
)
_AS_CSV: Final = "save the sheet as CSV, or let `recipe init` write its rows as JSON lines"
_WORKBOOKS: Final = (".xlsx", ".xls", ".ods")
_UNWRITTEN: Final[tuple[object, ...]] = ([], {}, "", "auto", "utf-8")
"""Defaults: a resolved recipe spells them out."""
_READ_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "header": _ARRAYS,
    "quoting": ("csv", "tsv"),
    "records": ("json", "xml"),
    "columns": ("lines",),
    "split_at": ("lines",),
    "delimiter": ("csv",),
    "encoding": _TEXTS,
    "format": FORMATS,
}


def _sources(recipe: FilledText) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    yield from (((*_AT, position), one) for position, one in enumerate(recipe["data"]["sources"]))


def _all_sources(recipe: FilledText) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    yield from _sources(recipe)
    if "teacher" in recipe.filled:
        unlabelled = written_sources(recipe["teacher"])
        yield from (((*SOURCES, position), one) for position, one in enumerate(unlabelled))
    replayed = recipe["data"].get("replay", {}).get("sources", ())
    yield from (((*REPLAY_SOURCES, position), one) for position, one in enumerate(replayed))


@rule("data.sources", "data.replay", "teacher")
def keys_fit_the_format(recipe: FilledText) -> Problems:
    for at, written in _all_sources(recipe):
        names = _names(written, recipe)
        unknown = (name for name in names if format_of(name, written["format"]) is None)
        # One name is enough: a pattern may match thousands of files.
        if (name := next(unknown, None)) is not None:
            message = f"the name {show(name.rsplit('/', 1)[-1])} does not tell the format"
            is_book = name.lower().endswith(_WORKBOOKS)
            place = (*at, "file" if "file" in written else "path")
            yield recipe.problem(
                "R231", message, at=place, hint=_AS_CSV if is_book else _NAME_A_FORMAT
            )
        found = _format(written, recipe)
        for key, formats in _READ_BY.items():
            is_written = recipe.has((*at, key)) and written[key] not in _UNWRITTEN
            if is_written and found is not None and found not in formats:
                code = "R226" if key in ("header", "quoting") else "R251"
                actual = "rows of the hub have columns"
                actual = actual if found == _HUB_ROWS else f"this one is {found}"
                message = f"`{key}` speaks of {listed(formats)} files; {actual}"
                yield recipe.problem(code, message, at=(*at, key), key=True)
        if found == "xml" and not written["records"]:
            message = "an xml file needs `records`, the element that is a row"
            yield recipe.problem("R251", message, at=at)
        if not _is_text_encoding(written["encoding"]):
            hint = suggestion(written["encoding"], _USUAL_ENCODINGS)
            message = f"no such encoding: {show(written['encoding'])}"
            yield recipe.problem("R230", message, at=(*at, "encoding"), hint=hint)
        if "hub" in written and not written["split"] and not written.get("file"):
            message = "a hub data set needs `split` or `file`"
            yield recipe.problem("R112", message, at=at, hint="add, for example, `split: train`")


def _names(written: Mapping[str, Any], recipe: FilledText) -> list[str]:
    files = listed_files(written, recipe.path.parent, recipe.judge) or ()
    names = [one.get("file", one.get("path")) for one in files]
    return [name for name in names if name is not None]


def _format(written: Mapping[str, Any], recipe: FilledText) -> str | None:
    if "hub" in written and not written.get("file"):
        return _HUB_ROWS
    found = {format_of(name, written["format"]) for name in _names(written, recipe)}
    return found.pop() if len(found) == 1 else None


@rule("data.sources")
def column_files_are_there(recipe: FilledText) -> Problems:
    """What holds of a source's file holds of those read beside it (R302, R303, R304)."""
    for source, written in _sources(recipe):
        for column, file in written["columns"].items():
            at, place = (*source, "columns", column), absolute(file, recipe.path.parent)
            if column == _OWN_COLUMN:
                message = f"`{column}` is the column of the source's own file"
                yield recipe.problem("R251", message, at=at, key=True)
            if "path" not in written:
                if climbs(file):
                    message = f"{show(file)} must be a relative path without `..`"
                    yield recipe.problem("R304", message, at=at)
            elif not recipe.judge.may_read(place):
                continue  # R306 reports it
            elif (fault := fault_of_file(place)) is not None:
                hint = hint_of_path(file)
                yield recipe.problem("R302", f"{show(file)}: {fault}", at=at, hint=hint)
            elif is_of_one_machine(file):
                message = f"{show(file)} exists on one machine only"
                yield recipe.warning("R303", message, at=at, hint=RELATIVE)


@rule("data.sources", "data.replay", "teacher")
def patterns_match(recipe: FilledText) -> Problems:
    folder = recipe.path.parent
    for at, written in _all_sources(recipe):
        path = written.get("path", "")
        if not path or not is_pattern(path, folder):
            continue
        for key in ("sha256", "columns"):
            if written.get(key):
                message = f"`{key}` speaks of one file, and {show(path)} is a pattern"
                yield recipe.problem("R255", message, at=(*at, key), key=True)
        yield from _matched(recipe, path, (*at, "path"))


def _matched(recipe: FilledText, pattern: str, at: KeyPath) -> Problems:
    start = start_of(pattern, recipe.path.parent)
    if start is None or not recipe.judge.may_list(start):
        return  # R306 reports it
    try:
        found = match(pattern, recipe.path.parent, judge=recipe.judge)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield recipe.problem("R250", f"{show(pattern)} cannot be read: {reason.lower()}", at=at)
        return
    if found.links:
        count = len(found.links)
        subject = "a link leads" if count == 1 else f"{count} links lead"
        message = f"{subject} out of the recipe's folder and is left out: {show(found.links[0])}"
        yield recipe.warning("R256", message, at=at)
    if not found.files:
        yield recipe.problem("R250", f"no file matches {show(pattern)}", at=at)


@rule("data.sources", "splits.by")
def splits_and_weights_of_sources(recipe: FilledText) -> Problems:
    by_files, sources = recipe["splits"]["by"] == "files", list(_sources(recipe))
    for at, written in sources:
        if by_files and "into" not in written:
            hint = "add `into: train`, `into: validation` or `into: holdout`"
            message = "`splits.by: files` needs every source to say its split"
            yield recipe.problem("R253", message, at=at, hint=hint)
        if not by_files and "into" in written:
            message = "`into` decides the split of a source with `splits.by: files` only"
            yield recipe.problem("R252", message, at=(*at, "into"), key=True)
        if written.get("split_at") and written.get("columns"):
            message = "rows of several lines have no line in the files beside"
            hint = "delete it, or `columns`"
            yield recipe.problem("R370", message, at=(*at, "split_at"), key=True, hint=hint)
        into = written.get("into", "train")
        if written["weight"] != 1 and (into != "train" or len(sources) == 1):
            message = f"rows of {into} are seen once each, whatever their weight"
            hint = ""
            if into == "train":
                message = "there is no other source to weigh this one against"
                hint = "use `method.epochs` for more rounds, `data.sample` for fewer rows"
            yield recipe.problem("R254", message, at=(*at, "weight"), key=True, hint=hint or None)


def _is_text_encoding(name: str) -> bool:
    try:
        # Python lists codecs such as `rot13` and `base64` too, which decode no text.
        return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))
    except (LookupError, ValueError):
        return False


@rule("data.sources")
def sources_differ(recipe: FilledText) -> Problems:
    seen: dict[tuple[str, ...], int] = {}
    for position, written in enumerate(recipe["data"]["sources"]):
        firsts = [seen.setdefault(one, position) for one in _identities(written, recipe)]
        first = next((other for other in firsts if other != position), None)
        if first is not None:
            message = f"is the same as data.sources[{first}]: every row comes twice"
            if len(firsts) > 1:
                message = f"names files of data.sources[{first}]: their rows come twice"
            yield recipe.warning("R305", message, at=(*_AT, position))


def _identities(written: Mapping[str, Any], recipe: FilledText) -> list[tuple[str, ...]]:
    """Return what two sources of the same rows share, one for each file."""
    folder = recipe.path.parent
    keys = ("hub", "package", "file", "config", "split", "records", "columns", "explode")
    own = tuple(str(written.get(key, "")) for key in keys)
    files = listed_files(written, folder, recipe.judge)
    paths = (one.get("path", "") for one in ([written] if files is None else files))
    return [(*own, str(absolute(path, folder)) if path else "") for path in paths]
