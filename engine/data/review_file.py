"""The file in which people mark synthetic rows: CSV or JSON Lines, written once, read back by the ids of the rows."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from engine.data.examples.example import Example
from engine.errors import Place, Problem, StageError
from engine.files.reading import open_regular, parse_json

COLUMNS: Final = ("id", "ok", "answer", "text", "remark")
"""Of these `id` and `ok` are read back."""
MARKS: Final[Mapping[str, bool]] = {
    "yes": True, "y": True, "1": True, "true": True, "ok": True,
    "no": False, "n": False, "0": False, "false": False, "wrong": False,
}  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes a cell that starts with one of these."""
MOST_BYTES: Final = 64 * 1024 * 1024


def drawn_for_review(rows: Sequence[Example], count: int, *, seed: int) -> list[Example]:
    ranked = sorted(rows, key=lambda row: sha256(f"review:{seed}:{row.id}".encode()).digest())
    drawn = {row.id for row in ranked[:count]}
    return [row for row in rows if row.id in drawn]


def review_text(rows: Iterable[Example], *, suffix: str) -> str:
    entries = [
        {"id": row.id, "ok": "", "answer": row.target, "text": row.input, "remark": ""}
        for row in rows
    ]
    if suffix == ".jsonl":
        return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        # the id stands for the row when it is read back, so what is shown may be changed
        shown = {name: inert(value) for name, value in entry.items()}
        writer.writerow(shown)
    return stream.getvalue()


def read_marks(path: Path, shown: str) -> dict[str, bool] | None:
    """Return whether each marked row is right, by its id; None without a file. StageError X752."""
    try:
        with open_regular(path, follow=False) as stream:
            text = stream.read(MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StageError.one("X752", f"`{shown}` cannot be read: {error}", path=AT) from error
    found: dict[str, bool] = {}
    problems: list[Problem] = []
    for line, entry in _entries(text, path.suffix, shown):
        mark = str(entry.get("ok") if entry.get("ok") is not None else "").strip().lower()
        name = str(entry.get("id") or "").strip()
        if not mark or not name:
            continue
        if mark in MARKS:
            found[name] = MARKS[mark]
        else:
            problems.append(
                Problem(
                    code="X752",
                    message=f"`{mark[:20]}` is no mark",
                    path=AT,
                    place=Place(file=shown, line=line),
                    hint="write yes or no in the column `ok`",
                )
            )
    if problems:
        raise StageError(problems)
    return found


AT: Final = "data.synthesize.review"


def _entries(text: str, suffix: str, shown: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if not {"id", "ok"} <= set(reader.fieldnames or ()):
            message = f"`{shown}` has no columns `id` and `ok`"
            raise StageError.one("X752", message, path=AT, hint=HINT)
        return [(reader.line_num, row) for row in reader]
    found: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line)
        except ValueError:
            entry = None
        if not isinstance(entry, Mapping):
            place = Place(file=shown, line=number)
            problem = Problem(
                code="X752", message="no JSON object", path=AT, place=place, hint=HINT
            )
            raise StageError([problem])
        found.append((number, entry))
    return found


HINT: Final = "write it anew under another name: recipe synthetic RECIPE --review"


def inert(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA) else value
