"""The table of limits that `generate.py` writes: each names the constant in the code that holds it.

Constants are read from the source, without importing it: some stand beside libraries that are slow to start.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

ENGINE: Final = Path(__file__).parents[1] / "engine"
BYTES, COUNT, SECONDS, CHARACTERS = "bytes", "", "s of processor time", "characters"

_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}

Limit = tuple[str, str, str, str]
"""What is limited, `module:NAME` or `module:Class.field`, the unit, and the codes, if any."""
LIMITS: Final[Sequence[Limit]] = (
    ("a recipe or a parent of it", "recipe/text/source:MAX_BYTES", BYTES, "R115"),
    ("values of a recipe", "recipe/text/compose:MAX_VALUES", COUNT, "R405"),
    ("levels of lists and mappings in a recipe", "recipe/text/compose:MAX_DEPTH", COUNT, "R116"),
    ("a lock, a report, a run record", "files/reading:MAX_BYTES", BYTES, "D381, E758"),
    (
        "levels of lists and objects in a JSON file",
        "files/reading:MAX_DEPTH",
        COUNT,
        "D381, E758, X694",
    ),
    (
        "what the limit of a JSON file allows for each list or object in it",
        "files/reading:BYTES_A_PART",
        BYTES,
        "D381, E758, X694",
    ),
    (
        "how much longer a file of rows or weights may be than what is stored of it",
        "files/reading:_MOST_HOLLOW",
        "times",
        "D320",
    ),
    (
        "a line of a text file, a record, a row of a Parquet file",
        "data/reading/text:MAX_LINE",
        CHARACTERS,
        "D336",
    ),
    ("what a packed file unpacks to", "sources/archive:StreamLimits.bytes", BYTES, "D345"),
    (
        "the same, beyond 32 MiB, as a multiple of the packed size",
        "sources/archive:StreamLimits.ratio",
        "times",
        "D345",
    ),
    (
        "rows that `explode` makes of a file's lists, beyond 32 MiB, as a multiple of its size",
        "sources/archive:StreamLimits.ratio",
        "times",
        "D345",
    ),
    ("a header of a tar archive, beside its first", "sources/archive:MOST_HEADER", BYTES, "D346"),
    ("the footer of a Parquet file", "data/reading/parquet:MOST_FOOTER", BYTES, "D328"),
    (
        "rows of a Parquet file that are decoded at once",
        "data/reading/parquet:MOST_ROWS",
        COUNT,
        "D345",
    ),
    ("of these, the largest size together", "data/reading/parquet:MOST_BYTES", BYTES, "D345"),
    ("a pattern or schema of a recipe on one text", "recipe/patterns:SECONDS", SECONDS, "D425"),
    (
        "a chat template on one conversation",
        "runtime/rendering/chat:SECONDS",
        SECONDS,
        "X603",
    ),
    ("the same, memory beside what is held", "runtime/rendering/chat:MEMORY", BYTES, "X603"),
    ("the same, what it writes", "runtime/rendering/chat:LONGEST", CHARACTERS, "X603"),
    ("a settings file or a tokenizer of a model", "files/reading:MAX_BYTES", BYTES, "X694"),
    ("tokens of a tokenizer", "runtime/models/model_files:MOST_TOKENS", COUNT, "X694"),
    ("of these, beside the model's own", "runtime/models/model_files:MOST_ADDED", COUNT, "X694"),
    (
        "what a tokenizer's rules make of a text",
        "runtime/models/model_files:MOST_GROWTH",
        "times its length",
        "X694",
    ),
    (
        "files and folders in a folder that a recipe names",
        "sources/local:MOST_ENTRIES",
        COUNT,
        "D320",
    ),
    ("files of a model folder", "runtime/models/model_files:MOST_FILES", COUNT, "X691"),
    ("the header of a safetensors file", "runtime/models/weights:MAX_HEADER_BYTES", BYTES, "X607"),
    ("a number in a model's configuration, for an estimate", "estimate/shape:_MOST", COUNT, ""),
    (
        "tokens of an answer that `task.json` asks for",
        "runtime/rendering/task_file:MOST_TOKENS",
        COUNT,
        "X642",
    ),
    ("an answer of a server, unpacked", "runtime/served/http_client:MOST_BYTES", BYTES, "E763"),
    ("a bundle", "bundle/tar_archive:MOST_BYTES", BYTES, ""),
    ("files of a bundle", "bundle/tar_archive:MOST_MEMBERS", COUNT, ""),
    ("a key that signs", "bundle/signing:MOST_BYTES", BYTES, "X661"),
    ("the trials of a sweep", "recipe/sweeps:MOST", COUNT, "R287"),
    ("paths of a commit", "review/repository:MOST_LISTED", CHARACTERS, "E731"),
    ("a config of another tool", "recipe/text/source:MAX_BYTES", CHARACTERS, "R425"),
    (
        "columns of rows that are drafted from",
        "drafting/layouts:MOST_COLUMNS",
        COUNT,
        "R030",
    ),
    ("rows of a YAML file", "drafting/value_shapes:MOST_ROWS", CHARACTERS, "D325"),
    ("a workbook, unpacked", "drafting/binary_files:UNPACKED", BYTES, "D323"),
    ("cells of a sheet of it", "drafting/binary_files:MOST_CELLS", COUNT, "D323"),
    ("rows of a file of counts", "runs/row_drift:MOST_ROWS", COUNT, "D429"),
    ("labels of it", "runs/row_drift:MOST_LABELS", COUNT, "D429"),
    ("the head of a request to `serve`", "serving/app:HEAD_SECONDS", "s", ""),
    ("connections to `serve` at once", "serving/app:MOST", COUNT, ""),
    ("a message to `mcp`", "cli/mcp_server:MOST_LINE", CHARACTERS, ""),
)


def rows() -> list[tuple[str, str, str]]:
    """Return what is limited, to how much, and the code."""
    return [(what, _shown(_value(place), unit), code) for what, place, unit, code in LIMITS]


def _value(place: str) -> Any:
    """Return the value of a constant. LookupError where there is none of that name."""
    module, _, name = place.partition(":")
    tree = ast.parse((ENGINE / f"{module}.py").read_text(encoding="utf-8"))
    body: Sequence[ast.stmt] = tree.body
    *outer, last = name.split(".")
    for part in outer:
        body = next(one.body for one in body if isinstance(one, ast.ClassDef) and one.name == part)
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == last and value is not None:
            return _number(value)
    raise LookupError(place)


def _number(node: ast.expr) -> Any:
    """Return what an expression of numbers comes to."""
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_number(node.left), _number(node.right))
    return ast.literal_eval(node)


def _shown(value: float, unit: str) -> str:
    if unit != BYTES:
        return (
            f"{value:,g} {unit}".strip()
            if isinstance(value, float)
            else f"{value:,} {unit}".strip()
        )
    for size, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= size and value % size == 0:
            return f"{value // size:,} {name}"
    return f"{value:,} bytes"
