"""Recipe files as text with positions: strict YAML in, plain data and the place of every key out."""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.errors import Place, Problem, RecipeError, Severity
from engine.files.reading import open_regular
from engine.kinds import KINDS, Kind
from engine.recipe.model import Json
from engine.recipe.text.compose import UNWANTED, Composer, KeyPath, SourceSpan, dotted
from engine.recipe.text.paths import is_text, names_in
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.trust.access import NOTHING, AccessCheck
from engine.trust.allowed import Allowed
from engine.values import Value, replace, to_json

MAX_BYTES: Final = 1024 * 1024

Reader = Callable[[Path], bytes]
"""Function that returns the bytes of a recipe file; FileNotFoundError or RecipeError where there is none."""

# PyYAML ends lines at all of these; counted otherwise, a problem would name a wrong line.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
HIDDEN_BREAK: Final = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
"""Line breaks of YAML that editors and reviews do not show: a key after a comment and such a break is invisible."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

# The parser of libyaml gives the same events in a fraction of the time.
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_SYNTAX: Final = (
    ("tab", "a tab is used for indentation", "indent with spaces"),
    ("'\\t'", "a tab is used for indentation", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a `:` where no key can be",
        "put text that holds `: ` in quotes, or correct the indentation of this line",
    ),
    ("unknown escape", "unknown escape in double quotes", "use single quotes, or write `\\\\`"),
    ("expected ',' or ']'", "a list opened with `[` is not closed", None),
    ("expected ',' or '}'", "a mapping opened with `{` is not closed", None),
    ("unexpected end of stream", "a quote is opened and never closed", None),
    ("cannot start any token", "an unquoted value cannot start like this", "put it in quotes"),
    ("expected key", "this line does not fit the lines above", "correct its indentation"),
    ("expected <block end>", "this line does not fit the lines above", "correct its indentation"),
    ("could not find expected ':'", "a key without a `:` behind it", "write `KEY: VALUE`"),
    ("'-' indicator", "this line does not fit the list above", "start it with `- `"),
)
_AT_THE_OPENING: Final = (
    "expected ',' or",
    "unexpected end of stream",
    "could not find expected ':'",
)


class SourceText(Value, dict=True):
    """A recipe file that could be read, with the position of every key and value."""

    file: str
    """As the user named it; shown in messages."""
    path: Path
    lines: tuple[str, ...]
    value: Mapping[str, Json]
    keys: Mapping[KeyPath, SourceSpan]
    values: Mapping[KeyPath, SourceSpan]
    written: Mapping[KeyPath, str]
    problems: tuple[Problem, ...] = ()
    """Faults of the YAML that do not end the reading."""
    broken: frozenset[KeyPath] = frozenset()
    """Values that a problem was reported for: no further one is."""
    parent: SourceText | None = None
    """The recipe that this one extends; its content is in `value` already."""
    inherited: frozenset[KeyPath] = frozenset()
    """Keys of the parent that this file does not have; their places are in the parent."""
    given: Allowed = NOTHING
    """What was allowed for this call beyond the recipe's project."""
    filled: Mapping[str, Any] = {}
    """`value` with the schema's defaults, for rules."""

    def __getitem__(self, section: str) -> Any:
        """Return a section with defaults; KeyError where the recipe has none."""
        return self.filled[section]

    @property
    def kind(self) -> Kind:
        """The task's kind; KeyError for an unknown name, which the schema reports."""
        return KINDS[self.filled["task"]["kind"]]

    @cached_property
    def judge(self) -> AccessCheck:
        return AccessCheck(recipe=self.path, given=self.given)

    def has(self, path: KeyPath) -> bool:
        return path in self.values or path in self.inherited

    def owner(self, path: KeyPath) -> SourceText:
        at = path
        while at and self.parent is not None:
            if at in self.inherited:
                return self.parent
            if at in self.values or at in self.keys:
                return self
            at = at[:-1]
        return self

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Return the place of the value at `path`, or of its key; of an absent one, the nearest key above it."""
        owner = self.owner(path)
        if owner is not self:
            return owner.place(path, key=key)
        at = path
        while at:
            span = self.keys.get(at) if key else self.values.get(at)
            span = span or self.keys.get(at) or self.values.get(at)
            if span is not None:
                parent = self.keys.get(at[:-1])
                is_above = parent is not None and parent.line == span.line - 1
                numbers = (span.line - 1, span.line) if is_above else (span.line,)
                lines = tuple((number, self.lines[number - 1]) for number in numbers)
                return Place(file=self.file, **to_json(span), snippet=lines)
            at, key = at[:-1], True
        return Place(file=self.file, line=1, column=1)

    def problem(
        self,
        code: str,
        message: str = "",
        *,
        at: KeyPath,
        key: bool = False,
        hint: str | None = None,
    ) -> Problem:
        place = self.place(at, key=key)
        # A text of the recipe that is quoted may hold line breaks.
        message, hint = message.translate(_BREAKS), hint and hint.translate(_BREAKS)
        return Problem(code=code, message=message, path=dotted(at), hint=hint, place=place)

    def warning(self, code: str, message: str = "", **place: Any) -> Problem:
        error = self.problem(code, message, **place)
        at = error.place and replace(error.place, snippet=())
        return replace(error, place=at, severity=Severity.WARNING)


_BREAKS: Final = {ord("\n"): r"\n", ord("\t"): r"\t"}
STDIN: Final = Path("-")
"""A recipe that is written to standard input; what it names is relative to the current folder."""


@cache
def standard_input() -> bytes:
    """Return the bytes of standard input; cached, since a verb may read its recipe more than once."""
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a recipe file, or of standard input for `-`. RecipeError where it cannot be read."""
    if path == STDIN:
        return standard_input()
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise _too_large(str(path), size)
            # One byte more than allowed: a file that grew since it was measured is still refused.
            return stream.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise _of_file("R103", "is a folder, not a recipe file", str(path)) from None
    except FileNotFoundError:
        raise _of_file("R103", "no such file", str(path), hint=_nearby(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _of_file("R103", f"cannot be read: {reason.lower()}", str(path)) from None


def read_source(path: Path, *, read: Reader = read_bytes) -> SourceText:
    """Read a recipe file with positions.

    `read` returns its bytes: from the disk, or from elsewhere, such as a revision of a repository. RecipeError for a
    file that is missing, not text, not YAML, too large or not a mapping; lesser mistakes are in `SourceText.problems`.
    """
    if not is_text(os.path.abspath(path)):
        raise _of_file("R103", "cannot be read: its path is not UTF-8", str(path))
    try:
        content = read(path)
    except FileNotFoundError:
        raise _of_file("R103", "no such file", str(path)) from None
    if len(content) > MAX_BYTES:
        raise _too_large(str(path), len(content))
    return parse_source(content, path)


def parse_source(content: bytes, path: Path) -> SourceText:
    # Not `resolve`: a recipe that is a link belongs to the folder of the link.
    return _parsed(content, str(path), os.path.abspath(path))


# a review reads the same few files several times in a row
@lru_cache(maxsize=8)
def _parsed(content: bytes, file: str, absolute: str) -> SourceText:
    text = decode(content, file)
    lines = split_lines(text)
    _refuse_unwanted(text, file)
    composer = Composer(file=file, lines=lines)
    try:
        value = composer.document(yaml.parse(text, Loader=PARSER))
    except yaml.YAMLError as error:
        raise RecipeError(_explain_syntax(error, file=file, lines=lines)) from None
    if not isinstance(value, dict):
        if composer.problems:
            raise RecipeError(composer.problems)
        if value is None:
            hint = "start from a shipped one: recipe init quickstart"
            raise _of_file("R114", "the recipe is empty", file, hint=hint)
        kind = "list" if isinstance(value, list) else "single value"
        place = Place(file=file, line=1, column=1, snippet=((1, lines[0]),) if lines[0] else ())
        message = f"a recipe must be a mapping of keys, not a {kind}"
        raise RecipeError.one("R106", message, place=place)
    return SourceText(
        file=file,
        path=Path(absolute),
        lines=lines,
        value=value,
        keys=composer.keys,
        values=composer.values,
        written=composer.written,
        problems=tuple(composer.problems),
        broken=frozenset(composer.broken),
    )


def _of_file(code: str, why: str, file: str, *, hint: str | None = None) -> RecipeError:
    return RecipeError.one(code, why, hint=hint, place=Place(file=file))


def _too_large(file: str, size: int) -> RecipeError:
    return _of_file("R115", f"{size:,} bytes; a recipe holds at most {MAX_BYTES:,}", file)


def _nearby(path: Path) -> str | None:
    names = [name for name in names_in(path.parent) if name.endswith((".yaml", ".yml"))]
    near = nearest_file(path.name, names)
    return did_you_mean(str(path.parent / near)) if near else None


def split_lines(text: str) -> tuple[str, ...]:
    return tuple(LINE_BREAK.split(text))


def decode(content: bytes, file: str) -> str:
    """Return the text of a recipe file; RecipeError R113 for other bytes."""
    if content.startswith(_UTF16):
        raise _of_file("R113", "is UTF-16", file, hint=f"iconv -f UTF-16 -t UTF-8 {file}")
    # A zero byte is valid UTF-8, so decoding alone would let binary files pass.
    if b"\x00" in content:
        message = f"holds binary data (a zero byte at offset {content.index(0):,})"
        raise _of_file("R113", message, file)
    try:
        # Editors on Windows put a byte order mark before the text.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start:,}"
        place = Place(file=file, line=content.count(b"\n", 0, error.start) + 1)
        raise RecipeError.one("R113", message, place=place) from None


def _refuse_unwanted(text: str, file: str) -> None:
    # A lone CR is the line break of old files; beside others it hides a line.
    breaks = HIDDEN_BREAK.finditer(text) if "\n" in text else ()
    unwanted = sorted([*UNWANTED.finditer(text), *breaks], key=re.Match.start)
    starts = [0, *(match.end() for match in LINE_BREAK.finditer(text))] if unwanted else []
    problems = []
    for match in unwanted:
        line = bisect_right(starts, match.start())
        is_break = LINE_BREAK.match(match[0]) is not None
        what = "line break that reviews do not show:" if is_break else "invisible control character"
        message = f"{what} U+{ord(match[0]):04X}"
        place = Place(file=file, line=line, column=match.start() - starts[line - 1] + 1)
        problems.append(
            Problem(code="R122", message=message, hint="delete the character", place=place)
        )
    if problems:
        raise RecipeError(problems)


def _explain_syntax(error: yaml.YAMLError, *, file: str, lines: tuple[str, ...]) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(code="R102", message=_plain(str(error)), place=Place(file=file))
    reason = error.problem or ""
    mark = error.problem_mark
    # The parser fails further down; the mistake is where the bracket or quote was opened.
    if error.context_mark is not None and any(part in reason for part in _AT_THE_OPENING):
        mark = error.context_mark
    if mark is not None and mark.line < len(lines) and lines[mark.line][mark.column :][:1] == "\t":
        reason = "tab"
    message, hint = next(
        ((text, advice) for part, text, advice in _SYNTAX if part in reason), (_plain(reason), None)
    )
    place = Place(file=file)
    if mark is not None and mark.line < len(lines):
        snippet = ((mark.line + 1, lines[mark.line]),)
        place = Place(file=file, line=mark.line + 1, column=mark.column + 1, snippet=snippet)
    return Problem(code="R102", message=message, hint=hint, place=place)


def _plain(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return f"not YAML: {first}" if first else "not YAML"
