"""Tables of row statistics that somebody changed, as a table: report and lock then follow from other rows."""

import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from engine.bundle.row_table import ROWS
from support.forged_bundles import REPORT
from support.tampered_bundles import NOT, SIGNED, Bundles, Case, Files, signed_again


def _rows() -> Iterator[Case]:
    def packed(change: Callable[[dict[str, Any]], Any], files: Files, _: Bundles) -> None:
        table = json.loads(gzip.decompress(files[ROWS]))
        change(table["models"])
        files[ROWS] = gzip.compress(json.dumps(table).encode(), mtime=0)

    def all_right(models: dict[str, Any]) -> None:
        table = models["holdout"]["table"]
        table["answered"] = table["right"]

    def one_row_less(models: dict[str, Any]) -> None:
        models["holdout"]["table"]["answered"]["starts"].pop()

    def no_numbers(files: Files, bundles: Bundles) -> None:
        del files[ROWS]
        files[REPORT] = files[REPORT].replace(b'"value": 0.375', b'"value": 0.975')

    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "every answer right": all_right,
        "the baselines' answers": lambda models: models.update(
            {"baseline majority": models["baseline zero_shot"]}
        ),
        "the exported file's answers those of the tuned model": lambda models: models.update(
            quantized={**models["holdout"], "answers": [0] * 40}
        ),
        "an answer": lambda models: models["merged"]["answers"].__setitem__(0, 0),
        "no exported file": lambda models: models.pop("quantized"),
        "no holdout": lambda models: models.pop("holdout"),
        "a row less": one_row_less,
        "columns beyond its width": lambda models: models["free"]["table"]["columns"].update(
            rows=[10**6, None]
        ),
        "no table": lambda models: models.clear(),
    }
    for what, change in changes.items():
        got = partial(signed_again, partial(packed, change))
        yield Case(group="rows, signed again", what=what, expected=NOT, got=got)
    bomb = {ROWS: gzip.compress(bytes(1 << 24), mtime=0)}
    got = partial(signed_again, lambda files, _: files.update(bomb))
    yield Case(group="rows, signed again", what="zeros", expected=NOT, got=got)
    got = partial(signed_again, no_numbers)
    what = "left out, and better numbers"
    yield Case(group="rows, signed again", what=what, expected=SIGNED, got=got)


CASES: tuple[Case, ...] = tuple(_rows())
"""Each is packed and signed again."""
