"""Rows of an XML file: one for each element of a name, read front to back, in bounded memory.

No document type is looked up and no entity is declared: what could make a small file large, or
read another one, is refused (as the library defusedxml does).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from engine.data.reading.row import Row, Trouble, excerpt
from engine.data.reading.text import COLUMN, MAX_LINE, open_bytes
from engine.errors import DataError
from engine.recipe.model import Source
from engine.recipe.text.words import nearest

PIECE = 1 << 16
DEEPEST = 1000
SHOWN = 12
TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*""")
REFERENCE = re.compile(rb"&(?!#|(?:amp|lt|gt|quot|apos);)([^;&\s]*);")
"""To an entity other than the five that need no declaration."""
ENCODED = frozenset({"utf-8", "utf8"})
"""Names of the default, with which the file's own declaration decides."""


def read_xml(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield one row for each element called as the source's `records`, prefix included.

    Columns are the tags of its children (their text; a list of texts where a tag is repeated), its attributes as
    `@name`, those of its children as `tag@name`, and `text`, all of its text with white space collapsed, unless a child
    is called that. An element of that name inside another is part of it. DataError with the line when the file is not
    well-formed XML, declares entities, or has no such element.
    """
    encoding = None if source.encoding.lower() in ENCODED else source.encoding
    reader = _RowHandlers(source.records, encoding, trouble)
    with open_bytes(path, trouble) as stream:
        while piece := stream.read(PIECE):
            yield from reader.feed(piece)
    yield from reader.feed(b"", final=True)
    reader.check_found()


class _Element:
    def __init__(self, attributes: Mapping[str, str], depth: int) -> None:
        self.depth = depth
        self.attributes = {f"@{name}": value for name, value in attributes.items()}
        self.children: dict[str, list[str]] = defaultdict(list)
        self.parts: list[str] = []
        self.size = 0
        self._child_start = 0

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.size += len(text)

    def open_child(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._child_start = len(self.parts)
        for name, value in attributes.items():
            self.children[f"{tag}@{name}"].append(value)
            self.size += len(value)

    def close_child(self, tag: str) -> None:
        self.children[tag].append("".join(self.parts[self._child_start :]))

    def columns(self) -> dict[str, Any]:
        own = {tag: texts if texts[1:] else texts[0] for tag, texts in self.children.items()}
        return {COLUMN: " ".join("".join(self.parts).split()), **self.attributes, **own}


class _RowHandlers:
    """The handlers of one parser, and the rows that are complete."""

    def __init__(self, records: str, encoding: str | None, trouble: Trouble) -> None:
        self._records = records
        self._trouble = trouble
        self._ready: list[Row] = []
        self._depth = 0
        self._row: _Element | None = None
        self._count = 0
        self._seen: Counter[str] = Counter()
        self._has_doctype = False
        self._parser = expat.ParserCreate(encoding)
        # Otherwise expat calls the handler again for every line and entity of a text.
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.SkippedEntityHandler = self._refuse_skipped
        # Entities that refer to entities make a kilobyte gigabytes ("billion laughs"), external ones read other files.
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.UnparsedEntityDeclHandler = self._refuse_entity
        self._parser.ExternalEntityRefHandler = self._refuse_entity

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[Row]:
        """Parse a piece and yield the rows that it completes."""
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            message = f"not well-formed XML: {expat.ErrorString(error.code)}"
            raise self._trouble.stop("D331", message, line=error.lineno) from error
        except (LookupError, ValueError) as error:
            message = "is in an encoding that XML is not read in"
            hint = "add `encoding:` to the source"
            raise self._trouble.stop("D322", message, line=1, hint=hint) from error
        ready, self._ready = self._ready, []
        yield from ready

    def check_found(self) -> None:
        """Raise DataError when no element was a row."""
        if self._count:
            return
        known = [name for name, _ in self._seen.most_common(SHOWN)]
        near = nearest(self._records, known)
        wanted = excerpt(self._records)
        message = f"has no element `{wanted}`" if wanted else "`records` is not given"
        listed = ", ".join(f"`{excerpt(name)}`" for name in known)
        hint = f"did you mean `{near}`?" if near else f"elements: {listed}"
        raise self._trouble.stop("D334", message, hint=hint)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._stop("D331", f"elements are nested more than {DEEPEST} deep")
        if self._row is not None:
            if self._depth == self._row.depth + 1:
                if self._has_doctype and attributes:
                    self._check_attributes()
                self._row.open_child(tag, attributes)
                self._refuse_long()
            return
        # Only to suggest names; a file with a new tag for each element must not fill the memory.
        if len(self._seen) < PIECE:
            self._seen[tag] += 1
        if tag == self._records:
            if self._has_doctype and attributes:
                self._check_attributes()
            self._row = _Element(attributes, self._depth)

    def _end(self, tag: str) -> None:
        row = self._row
        if row is not None and self._depth == row.depth + 1:
            row.close_child(tag)
        elif row is not None and self._depth == row.depth:
            self._count += 1
            spot = f"#{self._records}:{self._count}"
            self._ready.append(self._trouble.row(spot, row.columns()))
            self._row = None
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._row is None:
            return
        self._row.add(text)
        self._refuse_long()

    def _refuse_long(self) -> None:
        if self._row is not None and self._row.size > MAX_LINE:
            raise self._stop("D336", f"one element is longer than {MAX_LINE:,} characters")

    def _doctype(self, *_: object) -> None:
        self._has_doctype = True

    def _check_attributes(self) -> None:
        """Refuse an undeclared entity in the tag: expat passes over it there without a word."""
        written = (self._parser.GetInputContext() or b"").replace(b"\0", b"")
        tag = TAG.match(written)
        found = REFERENCE.search(tag[0]) if tag else None
        if found:
            self._refuse_skipped(found[1].decode(errors="replace"), is_parameter=False)

    def _refuse_skipped(self, name: str, is_parameter: bool) -> None:  # noqa: FBT001 - expat calls it
        """Refuse an entity of a document type that is not looked up: its text would be lost."""
        if not is_parameter:
            message = f"refers to the entity `{excerpt(name)}`, which the file does not declare"
            hint = f"write the character itself in place of `&{excerpt(name)};`"
            line = self._parser.CurrentLineNumber
            raise self._trouble.stop("D335", message, line=line, hint=hint)

    def _refuse_entity(self, *_: object) -> NoReturn:
        raise self._stop("D335", "declares an entity or refers to another file")

    def _stop(self, code: str, message: str) -> DataError:
        return self._trouble.stop(code, message, line=self._parser.CurrentLineNumber)
