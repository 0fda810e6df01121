"""Rules about the sources of rows: how files are written, which of them, how often."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.complaint import show
from engine.recipe.formats import FORMATS, format_of
from engine.recipe.nearest import nearest
from engine.recipe.source import SourceText

TABLES: Final = ("csv", "tsv")


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


def table_keys_fit_the_format(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R226: header and quoting speak of csv and tsv files."""
    for position, written in enumerate(filled["data"]["sources"]):
        name = written.get("file", written.get("path", ""))
        found = format_of(name, written["format"])
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
