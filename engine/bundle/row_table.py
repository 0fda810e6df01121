"""The table of row statistics in a bundle: of every model's answers to each row, numbers and no text.

Every metric, interval and p-value of a report is computed from sums of it, by the code of the gate.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts.results import ASKING, BASELINES, read_json
from engine.bundle.tar_archive import KEPT
from engine.files.reading import parse_json
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.model import ONNX, Recipe, Task
from engine.store import Artifact, Store
from engine.store.records import read_record
from engine.values import replace

if TYPE_CHECKING:
    from engine.metrics.table import RowStatistics, Table

ROWS: Final = "rows.json.gz"
MOST_BYTES: Final = 1 << 30
MOST_COLUMNS: Final = 100_000
BASELINE: Final = "baseline "
_OF_STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "evaluate": ("holdout", "free", "train", "validation"),
    "resample": ("folds", "folds_free"),
    "verify": ("merged", ONNX, "quantized", "quantized_free"),
}
"""Predictions of each stage, by the name that their rows have in the table."""


def rows_of_run(run: Path, recipe: Recipe) -> bytes | None:
    """Return the table of a run, packed; None where the store no longer has its answers, or it would be too large."""
    store, stages = Store(run.absolute().parents[2]), read_record(run).get("stages", {})
    due = {
        name: stages[name].get("key") or "-" for name in (*_OF_STAGES, *ASKING) if name in stages
    }
    made = {name: store.whole(key) for name, key in due.items()}
    artifacts = {name: artifact for name, artifact in made.items() if artifact is not None}
    if not {"evaluate", "baseline", "verify"} <= artifacts.keys():
        return None
    known: dict[tuple[str | None, str], int] = {
        (label, ""): n for n, label in enumerate(recipe.task.labels)
    }
    return packed(
        {
            name: statistics_of(read_predictions(path), recipe.task, known)
            for name, path in _answers(artifacts)
        }
    )


def packed(models: Mapping[str, RowStatistics]) -> bytes | None:
    """Return the table of these models; None where it would be too large."""
    shown = {
        name: {
            "table": _table_json(kept.table),
            "plain": None if kept.plain is None else _table_json(kept.plain),
            "has_shares": kept.has_shares,
            "answers": list(kept.answers),
        }
        for name, kept in models.items()
    }
    text = json.dumps({"schema": "rows.v1", "models": shown}, separators=(",", ":"))
    found = gzip.compress(text.encode(), mtime=0)
    return found if len(found) <= KEPT and len(text) <= MOST_BYTES else None


def _answers(artifacts: Mapping[str, Artifact]) -> Iterator[tuple[str, Path]]:
    for stage, names in _OF_STAGES.items():
        for name in names if stage in artifacts else ():
            path = artifacts[stage].path / f"predictions.{name}.jsonl"
            if path.is_file() and path.stat().st_size:
                yield name, path
    for made in (artifacts[name] for name in ASKING if name in artifacts):
        for item in read_json(made, BASELINES):
            yield f"{BASELINE}{item['name']}", made.file(f"predictions.{item['name']}.jsonl")


def statistics_of(
    rows: Sequence[Prediction], task: Task, known: dict[tuple[str | None, str], int]
) -> RowStatistics:
    """Return what is kept of a model's predictions; `known` numbers the answers of all models."""
    from engine.metrics import resampling  # brings numpy

    kept = resampling.statistics_of(rows, task)
    if task.spec.by_likelihood:
        return kept
    answers = ((row.label, row.text if row.label is None else "") for row in rows)
    numbers = tuple(known.setdefault(answer, len(known)) for answer in answers)
    return replace(kept, answers=numbers)


def _table_json(table: Table) -> dict[str, Any]:
    matrices = {
        name: {
            "starts": matrix.indptr.tolist(),
            "places": matrix.indices.tolist(),
            "values": [int(one) if one == int(one) else one for one in matrix.data.tolist()],
        }
        for name in ("answered", "right", "wrong")
        for matrix in [getattr(table, name)]
    }
    groups = None if table.groups is None else table.groups.tolist()
    columns = {name: list(place) for name, place in table.columns.items()}
    return {"columns": columns, "names": list(table.names), "groups": groups, **matrices}


def read_rows(packed: bytes) -> dict[str, RowStatistics]:
    """Return the rows of each model, by name. ValueError, KeyError, TypeError for a table that cannot be read."""
    from engine.metrics.table import RowStatistics  # brings numpy

    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"it is no gzip file ({error})") from error
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it is larger than any table, cut off, or something follows it")
    found = parse_json(text)
    if found["schema"] != "rows.v1" or found.keys() != {"schema", "models"}:
        raise ValueError("it is no table of rows of this version")
    return {
        str(name): RowStatistics(
            table=_table(one["table"]),
            plain=None if one["plain"] is None else _table(one["plain"]),
            has_shares=one["has_shares"] is True,
            answers=tuple(map(int, one["answers"])),
        )
        for name, one in found["models"].items()
    }


def _table(data: Mapping[str, Any]) -> Table:
    import numpy as np
    from scipy import sparse

    from engine.metrics.table import Table

    columns = {str(name): (int(at), width) for name, (at, width) in data["columns"].items()}
    width = max(at + (1 if size is None else int(size)) for at, size in columns.values())
    rows = len(data["answered"]["starts"]) - 1
    if not 0 < width <= MOST_COLUMNS or rows < 0:
        raise ValueError("it has no rows, no columns or too many")
    matrices = {}
    for name in ("answered", "right", "wrong"):
        values, places, starts = (
            np.asarray(data[name][part], dtype=kind)
            for part, kind in (("values", float), ("places", np.int32), ("starts", np.int32))
        )
        matrices[name] = sparse.csr_array((values, places, starts), shape=(rows, width))
        matrices[name].check_format(full_check=True)
    groups = data["groups"]
    return Table(
        columns=columns,
        names=tuple(map(str, data["names"])),
        groups=None if groups is None else np.asarray(groups, dtype=np.intp),
        **matrices,
    )
