"""Compare rows that a model has labelled with its holdout, by counts: labels, probabilities, lengths, abstentions.

    recipe predict tickets new.csv -o answered.csv --keep-counts new.json
    recipe drift tickets new.json

The exit code is 1 where the rows differ, 0 where no difference is shown. Counts hold no text of a row. A difference
says that what comes in is no longer what the model was judged on; how many answers are right it does not say, and
neither does the lack of one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.cli.output import show_result, store_of
from engine.cli.report import find_run
from engine.errors import ExitCode, listed
from engine.evidence import CountDifference, RowCounts
from engine.render.number_format import number
from engine.store import Store
from engine.values import to_json

CONFIDENCE: Final = 0.95
_WORDS: Final = {
    "labels": "share of rows with another label",
    "confidence": "largest distance of probabilities",
    "characters": "largest distance of lengths",
    "similarity": "largest distance of similarities to the nearest training row",
    "abstained": "difference of abstentions",
}


def run(options: argparse.Namespace) -> ExitCode:
    """Print whether the rows drifted, and what differs, with tests and effect sizes; 1 for drift."""
    from engine.metrics.row_drift import differences  # brings numpy
    from engine.runs.row_drift import holdout_counts, read_counts, require_comparable

    now = read_counts(options.counts)
    if options.model.endswith(".json"):
        reference = read_counts(Path(options.model))
    else:
        reference = holdout_counts(find_run(options.model, options), Store(store_of(options)))
    require_comparable(reference, now)
    found = differences(reference, now, confidence=CONFIDENCE)
    fields = {
        "schema": "drift.v1",
        "drift": any(one.differs for one in found),
        "rows": {"holdout": reference.rows, "new": now.rows},
        "differences": [to_json(one) for one in found],
    }
    show_result(options, fields, "\n".join(_lines(reference, now, found)))
    return ExitCode.REFUSED if fields["drift"] else ExitCode.ACCEPTED


def _lines(reference: RowCounts, now: RowCounts, found: Sequence[CountDifference]) -> list[str]:
    differing = listed([one.what for one in found if one.differs])
    answer = f"DRIFT in {differing}" if differing else "NO DRIFT SHOWN"
    lines = [f"{answer}: {now.rows:,} rows against {reference.rows:,} of the holdout"]
    for one in found:
        verdict = "differs" if one.differs else "no difference shown"
        size = f"{_WORDS[one.what]} {number(one.effect)}"
        lines.append(
            f"  {one.what:<11} {verdict}: {size}, p {one.p_value:.4f}, {one.p_adjusted:.4f} after Holm"
        )
    if not any(one.what == "abstained" for one in found):
        lines.append("  abstained   not compared: there is no threshold, or another one")
    lines.append(
        "Permutation tests of rows that are taken to be independent. Whether answers are right takes rows with labels."
    )
    return lines
