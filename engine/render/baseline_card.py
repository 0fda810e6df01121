"""The card of an exported baseline: README.md of its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.evidence import BaselineResult, Report
from engine.render.labels import main_metric
from engine.render.markdown import code, joined, plain, prose, table
from engine.render.metric_format import direction, kind_of, metric_text, short_list
from engine.render.number_format import count
from engine.values import Value

_CHECKED = (
    "Before this folder was written, `predict.py` was evaluated on the holdout rows of the run: each answer is the one "
    "that the scores count. `sha256sum -c SHA256SUMS` tells whether a file has changed since."
)
_MASKED = (
    "In the rows of the run, placeholders stand for personal data (`personal_data: mask`). `predict.py` puts none "
    "there: it was not judged on texts that hold such data."
)
_LICENCE = (
    "Its weights are under the licence of whoever published it, which no file of this folder states: look it up before "
    "you pass the folder on."
)
_WORDS = "`tfidf.skops` lists the words and parts of words of the training rows: whoever has the folder can read them."


class BaselineCard(Value):
    """What the card tells beside the report."""

    report: Report
    baseline: BaselineResult
    recipe_digest: str
    """sha256 of what the resolved recipe asks for, as in its lock."""
    python: str
    """The version in which the folder was checked."""
    columns: Sequence[str]
    """Of a row, which make its text."""
    has_words: bool
    """Words of the training rows stand in a file."""
    is_masked: bool
    """Personal data in the rows of the run are behind placeholders."""
    encoder: Mapping[str, str]
    """What its encoder was made from, by name: `package`, `version`, `sha256`; empty where there is none."""


def baseline_card(card: BaselineCard) -> str:
    """What it answers, how to run it, how good it is and on what, and where it comes from."""
    report, baseline = card.report, card.baseline
    several = "any number of these labels" if kind_of(report).name == "multilabel" else "one label"
    labels = ", ".join(map(code, report.labels))
    columns = ", ".join(map(code, card.columns))
    splits = {split.name: split.rows for split in report.data.splits} if report.data else {}
    rows = "".join(f" {name} rows: {count(rows)}." for name, rows in splits.items())
    recipe = f"Recipe {code(report.recipe_name)}, digest sha256 {code(card.recipe_digest)}."
    run = f"Run {code(report.run_directory.rpartition('/')[2])} of {plain(report.started)}."
    return (
        joined(
            [
                f"# {plain(report.recipe_name)}: {plain(baseline.name)}",
                plain(report.description),
                f"A text gets {several}: {labels}. The model: {prose(baseline.note)}.",
                "## Use",
                "```console\n$ pip install -r requirements.txt\n$ python predict.py rows.csv > labels.txt\n```",
                f"Rows are a CSV or TSV file or JSON Lines with {columns}, or a `.txt` file with one text a line.",
                f"The versions of `requirements.txt` were checked in Python {plain(card.python)}.",
                "## Evidence",
                _scores(report, baseline),
                _CHECKED,
                "## Making",
                f"{recipe} {run}{rows}",
                *([_MASKED] if card.is_masked else []),
                *([_encoder(card.encoder)] if card.encoder else []),
                *([_WORDS] if card.has_words else []),
            ]
        )
        + "\n"
    )


def _encoder(identity: Mapping[str, str]) -> str:
    source = ", ".join(f"{name} {code(value)}" for name, value in identity.items())
    return f"`encoder/` was made from {source}. {_LICENCE}"


def _scores(report: Report, baseline: BaselineResult) -> str:
    """The metrics on the holdout, with their intervals."""
    names = short_list(kind_of(report), main_metric(report), [baseline.scores])
    found = [baseline.scores.metric(name) for name in names]
    rows = [[code(one.name), metric_text(one), count(one.n), direction(one.name)] for one in found]
    each = [metric for metric in baseline.scores.metrics if "." in metric.name]
    rows += [[code(one.name), metric_text(one), count(one.n), ""] for one in each]
    head = f"On the {count(baseline.scores.rows)} holdout rows, which it never saw:"
    return f"{head}\n\n{table(('metric', 'value', 'rows', ''), rows, numeric='lrrl')}"
