"""Plain text: files of which each line is a row, and files that are one row."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import zip_longest
from pathlib import Path

from engine.data.reading.row import Row, Trouble
from engine.data.reading.text import MAX_LINE, chunks, lines
from engine.recipe.model import Source

COLUMN = "text"
"""What the file itself is called as a column."""


def read_lines(
    path: Path, beside: Mapping[str, Path], *, encoding: str, trouble: Trouble
) -> Iterator[Row]:
    """Yield one row a line, blank lines too: the column `text`, and one for each file of `beside`.

    The end of a line (LF or CR LF) is no part of its text. DataError at the end when the
    files do not have as many lines as each other.
    """
    names = (COLUMN, *beside)
    files = [(path, trouble), *((file, Trouble(file.name)) for file in beside.values())]
    counts = [0] * len(files)
    with ExitStack() as opened:
        texts = [
            opened.enter_context(closing(_stripped(file, encoding, faults)))
            for file, faults in files
        ]
        # Not `zip`: it stops at the shortest file, and a missing line would go unseen.
        for number, line in enumerate(zip_longest(*texts), 1):
            for position, text in enumerate(line):
                counts[position] += text is not None
            if None not in line:
                yield trouble.row(f":{number}", dict(zip(names, line, strict=True)))
    if len(set(counts)) > 1:
        lengths = [
            f"`{of.file}` has {count:,}" for (_, of), count in zip(files, counts, strict=True)
        ]
        hint = "line n of each file belongs to row n: find where they part"
        raise trouble.stop(
            "D330", f"unequal numbers of lines: {', '.join(lengths)}", line=None, hint=hint
        )


def read_paragraphs(path: Path, *, encoding: str, trouble: Trouble) -> Iterator[Row]:
    """Yield the lines between blank ones as one row with the column `text`, joined by line feeds.

    A line of nothing but white space is blank; the ends of lines (LF or CR LF) within a row become LF.
    """
    part: list[str] = []
    length = start = 0
    for number, line in enumerate(_stripped(path, encoding, trouble), 1):
        if line.strip():
            start = start if part else number
            part.append(line)
            length += len(line)
            if length > MAX_LINE:
                message = f"has no blank line within {MAX_LINE:,} characters"
                raise trouble.stop("D336", message, line=start, hint="take `split_at` out")
        elif part:
            yield trouble.row(f":{start}", {COLUMN: "\n".join(part)})
            part, length = [], 0
    if part:
        yield trouble.row(f":{start}", {COLUMN: "\n".join(part)})


def read_document(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the whole file as one row with the column `text`, not a character changed."""
    parts: list[str] = []
    length = 0
    for part in chunks(path, source.encoding, trouble):
        parts.append(part)
        length += len(part)
        if length > MAX_LINE:
            message = f"is a text of more than {MAX_LINE:,} characters"
            hint = "use `format: lines`, or divide the file"
            raise trouble.stop("D336", message, hint=hint)
    yield trouble.row(":1", {COLUMN: "".join(parts)})


def _stripped(path: Path, encoding: str, trouble: Trouble) -> Generator[str]:
    for line in lines(path, encoding, trouble):
        yield line.removesuffix("\n").removesuffix("\r")
