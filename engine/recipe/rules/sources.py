"""Rules about the sources of rows: their formats, which files they are, how often their rows are seen."""

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import listed
from engine.recipe.references import written_references
from engine.recipe.rules import Problems, rule
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
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

_HUB_ROWS: Final = "rows"
"""Format of a split of the hub, which is in no file."""
_OWN_COLUMN: Final = "text"
_USUAL_ENCODINGS: Final = ("utf-8", "latin-1", "cp1252", "utf-16", "ascii")
_ARRAYS: Final = ("csv", "tsv", "json", "jsonl")
_ROWS: Final = ("jsonl", "json", "csv", "tsv", "parquet")
_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "data set": FORMATS,
    "probe": _ROWS,
    "text": (*_ROWS, "lines", "text"),
}
"""The formats of each kind of reference to rows."""
_DOCUMENTS: Final = "; of a document, say whether a line (lines) or the file (text) is a row"
_AS_CSV: Final = "save the sheet as CSV, or let `recipe init` write its rows as JSON lines"
_WORKBOOKS: Final = (".xlsx", ".xls", ".ods")
_UNWRITTEN: Final[tuple[object, ...]] = ([], {}, "", "auto", "utf-8")
"""Defaults, which a resolved recipe spells out."""
_READ_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "header": _ARRAYS,
    "quoting": ("csv", "tsv"),
    "records": ("json", "xml"),
    "columns": ("lines",),
    "split_at": ("lines",),
    "delimiter": ("csv",),
    "encoding": (*_ARRAYS, "lines", "text", "xml"),
    "format": FORMATS,
}
"""The formats in which a key of a source means something."""
Sources = Iterator[tuple[KeyPath, Mapping[str, Any]]]


def _own_sources(recipe: SourceText) -> Sources:
    for position, source in enumerate(recipe["data"]["sources"]):
        yield ("data", "sources", position), source


def _all_sources(recipe: SourceText) -> Sources:
    """Yield the sources of the recipe, of unlabelled rows for a teacher, and of replayed text."""
    references = written_references(recipe.filled)
    yield from ((at, source) for at, source, what in references if what == "data set")


@rule("data.sources", "data.replay", "teacher", "acceptance.forgetting")
def formats_are_known(recipe: SourceText) -> Problems:
    """R112, R231: a data set of the hub has a split or a file, a file has a format."""
    for at, place, what in written_references(recipe.filled):
        if what not in _FORMATS:
            continue
        if "hub" in place and not place.get("split") and not place.get("file"):
            message = "a hub data set needs `split` or `file`"
            hint = f"add, for example, `split: {'train' if what == 'data set' else 'test'}`"
            yield recipe.problem("R112", message, at=at, hint=hint)
        formats = _FORMATS[what]
        unknown = (
            name
            for name in _names(place, recipe)
            if format_of(name, place["format"]) not in formats
        )
        # One name is enough: a pattern may match thousands of files.
        if (name := next(unknown, None)) is not None:
            message = f"the name {show(name.rsplit('/', 1)[-1])} does not tell the format"
            hint = f"add `format:` with one of {', '.join(formats)}"
            hint += _DOCUMENTS if what == "data set" else ""
            hint = _AS_CSV if name.lower().endswith(_WORKBOOKS) else hint
            key = "file" if "file" in place else "path"
            yield recipe.problem("R231", message, at=(*at, key), hint=hint)


@rule("data.sources", "data.replay", "teacher")
def keys_fit_the_format(recipe: SourceText) -> Problems:
    for at, source in _all_sources(recipe):
        form = _format(source, recipe)
        for key, formats in _READ_BY.items():
            is_written = recipe.has((*at, key)) and source[key] not in _UNWRITTEN
            if is_written and form is not None and form not in formats:
                code = "R226" if key in ("header", "quoting") else "R251"
                actual = f"this one is {form}"
                actual = "rows of the hub have columns" if form == _HUB_ROWS else actual
                message = f"`{key}` is for {listed(formats)} files; {actual}"
                yield recipe.problem(code, message, at=(*at, key), key=True)
        if form == "xml" and not source["records"]:
            message = "an xml file needs `records`, the element that is a row"
            yield recipe.problem("R251", message, at=at)
        if at[:2] == ("data", "sources") and _OWN_COLUMN in source["columns"]:
            message = f"`{_OWN_COLUMN}` is the column of the source's own file"
            yield recipe.problem("R251", message, at=(*at, "columns", _OWN_COLUMN), key=True)
        if not _is_text_encoding(source["encoding"]):
            hint = suggestion(source["encoding"], _USUAL_ENCODINGS)
            message = f"no such encoding: {show(source['encoding'])}"
            yield recipe.problem("R230", message, at=(*at, "encoding"), hint=hint)


def _names(place: Mapping[str, Any], recipe: SourceText) -> list[str]:
    files = listed_files(place, recipe.path.parent, recipe.judge) or ()
    names = [file.get("file", file.get("path")) for file in files]
    return [name for name in names if name is not None]


def _format(source: Mapping[str, Any], recipe: SourceText) -> str | None:
    if "hub" in source and not source.get("file"):
        return _HUB_ROWS
    forms = {format_of(name, source["format"]) for name in _names(source, recipe)}
    return forms.pop() if len(forms) == 1 else None


def _is_text_encoding(name: str) -> bool:
    try:
        # Python lists codecs such as `rot13` and `base64`, too, which decode no text.
        return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))
    except (LookupError, ValueError):
        return False


@rule("data.sources", "data.replay", "teacher")
def patterns_match(recipe: SourceText) -> Problems:
    folder = recipe.path.parent
    for at, source in _all_sources(recipe):
        path = source.get("path", "")
        if not path or not is_pattern(path, folder):
            continue
        for key in ("sha256", "columns"):
            if source.get(key):
                message = f"`{key}` is for one file, and {show(path)} is a pattern"
                yield recipe.problem("R255", message, at=(*at, key), key=True)
        yield from _matched(recipe, path, (*at, "path"))


def _matched(recipe: SourceText, pattern: str, at: KeyPath) -> Problems:
    start = start_of(pattern, recipe.path.parent)
    if start is None or not recipe.judge.may_list(start):
        return  # R306 reports it
    try:
        matches = match(pattern, recipe.path.parent, judge=recipe.judge)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield recipe.problem("R250", f"{show(pattern)} cannot be read: {reason.lower()}", at=at)
        return
    if matches.links:
        count = len(matches.links)
        subject = "a link leads" if count == 1 else f"{count} links lead"
        first = show(matches.links[0])
        message = f"{subject} out of the recipe's folder and is left out: {first}"
        yield recipe.warning("R256", message, at=at)
    if not matches.files:
        yield recipe.problem("R250", f"no file matches {show(pattern)}", at=at)


@rule("data.sources", "splits.by")
def splits_and_weights_of_sources(recipe: SourceText) -> Problems:
    by_files, sources = recipe["splits"]["by"] == "files", list(_own_sources(recipe))
    for at, source in sources:
        if by_files and "into" not in source:
            yield recipe.problem("R253", at=at)
        if source.get("split_at") and source.get("columns"):
            yield recipe.problem("R370", at=(*at, "split_at"), key=True)
        into, way_out = source.get("into", "train"), None
        if source["weight"] != 1 and (into != "train" or len(sources) == 1):
            message = f"rows of {into} are seen once each, whatever their weight"
            if into == "train":
                message = "there is no other source to weigh this one against"
                way_out = "use `method.epochs` for more rounds, `data.sample` for fewer rows"
            yield recipe.problem("R254", message, at=(*at, "weight"), key=True, hint=way_out)


@rule("data.sources")
def sources_differ(recipe: SourceText) -> Problems:
    seen: dict[tuple[str, ...], int] = {}
    for position, (at, source) in enumerate(_own_sources(recipe)):
        firsts = [seen.setdefault(file, position) for file in _identities(source, recipe)]
        first = next((other for other in firsts if other != position), None)
        if first is not None:
            message = f"is the same as data.sources[{first}]: every row comes twice"
            if len(firsts) > 1:
                message = f"names files of data.sources[{first}]: their rows come twice"
            yield recipe.warning("R305", message, at=at)


def _identities(source: Mapping[str, Any], recipe: SourceText) -> list[tuple[str, ...]]:
    """Return what sources of the same rows have in common, for each file."""
    folder = recipe.path.parent
    keys = ("hub", "package", "file", "config", "split", "records", "columns", "explode")
    own = tuple(str(source.get(key, "")) for key in keys)
    files = listed_files(source, folder, recipe.judge)
    paths = (file.get("path", "") for file in ([source] if files is None else files))
    return [(*own, str(absolute(path, folder)) if path else "") for path in paths]
