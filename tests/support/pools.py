"""Pools of rows made by hand, for tests of the splits."""

from collections.abc import Iterable
from typing import Any

from engine.data.examples.example import content_key
from engine.data.row_index import Assignment, Pool, drawn
from engine.data.splitting.splits import ORDER, Division
from engine.recipe.model import Splits
from engine.values import Value


class Made(Value):
    """A row: its text, its labels, and what `splits.by` names."""

    text: str
    labels: tuple[str, ...] = ("a",)
    group: str = ""
    time: float = 0.0
    place: Assignment = Assignment.NONE


def asked(**changes: Any) -> Splits:
    fields = {
        "by": "stratified",
        "column": "",
        "train": 6,
        "validation": 2,
        "holdout": 4,
        "folds": 0,
        "seed": 7,
        **changes,
    }
    return Splits(**fields)


def pool_of(rows: Iterable[Made], splits: Splits) -> Pool:
    pool = Pool(is_by_place=splits.by == "files_order")
    strata: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows):
        key = content_key(row.text)
        pool.key.append(int.from_bytes(key[:8]))
        pool.rank.append(drawn("split", splits.seed, key))
        pool.answer.append(hash(row.labels) & 0xFFFF)
        pool.stratum.append(strata.setdefault(row.labels, len(strata)))
        pool.source.append(0)
        pool.alive.append(1)
        if splits.by == "group":
            pool.unit.append(drawn("split", splits.seed, row.group.encode()))
        if splits.by == "time":
            pool.time.append(row.time)
        if splits.by == "files_order":
            pool.time.append(float(number))
        if splits.by in ("files", "column"):
            pool.place.append(row.place)
        pool.origin.append(f"x:{number}")
        pool.input.append(row.text)
        pool.target.append(", ".join(row.labels))
        pool.mark.append(row.group)
        pool.payload.append("")
    pool.strata = list(strata)
    pool.arrange()
    return pool


def texts(pool: Pool, division: Division) -> dict[str, list[str]]:
    """The texts of each split in drawn order."""
    return {name: [pool.input[row] for row in division.rows(pool, name)] for name in ORDER}


def place_of_text(pool: Pool, division: Division) -> dict[int, set[int]]:
    """The splits in which each text stands, by its key; NONE only where it is in no split at all."""
    found: dict[int, set[int]] = {}
    for row in range(len(pool)):
        found.setdefault(pool.key[row], set()).add(division.places[row])
    return {key: (places - {Assignment.NONE}) or {Assignment.NONE} for key, places in found.items()}
