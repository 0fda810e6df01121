"""The section of the results page on one task by every way, out of its table."""

from __future__ import annotations

from typing import Final

from results_table import Number
from ways_recipes import LORA, PARITY, STUDENT_RATE
from ways_table import SyntheticRows, TeacherLabels, WayLine, WaysTable

from engine.render.markdown import prose, table

COMMAND: Final = "python benchmarks/ways.py run && python benchmarks/ways.py page"
TOOLS: Final = ("slm-recipe", "python", "torch", "transformers", "trl", "peft")
"""Whose versions are named."""


def section(found: WaysTable) -> str:
    """Return the section in Markdown."""
    score, holdout = f"`{found.metric}`", f"{found.sizes.holdout:,}"
    heads = (
        "way", "rows", score, "gain over LoRA, paired", "p", "M parameters", "MB", "rows a second",
        "minutes",
    )  # fmt: skip
    rows = [_row(line) for line in found.lines]
    return f"""\
## One task by every way

{found.title}: each way is a recipe, all are judged on the same {holdout} rows. One task and one seed: what is better
here may be worse elsewhere.

```console
$ {COMMAND}
```

{table(heads, rows)}

{_pairs(found)}
{_notes(found)}"""


def _row(line: WayLine) -> list[str]:
    if line.problem and line.score.mean is None:
        return [line.title, *["-"] * 7, prose(line.problem)]
    return [
        line.title,
        f"{line.rows:,}" if line.rows else "-",
        _number(line.score),
        "compared with" if line.name == LORA else _number(line.gain, sign="+"),
        "-" if line.p_adjusted is None else f"{line.p_adjusted:.3f}",
        "-" if line.parameters is None else f"{line.parameters / 1e6:.1f}",
        "-" if line.megabytes is None else f"{line.megabytes:.0f}",
        "-" if line.rows_a_second is None else f"{line.rows_a_second:.0f}",
        "-" if line.minutes is None else f"{line.minutes:.1f}",
    ]


def _number(number: Number, *, sign: str = "") -> str:
    if number.mean is None:
        return "-"
    text = f"{number.mean:{sign}.3f}"
    if number.low is None or number.high is None:
        return text
    return f"{text} ({number.low:{sign}.3f} to {number.high:{sign}.3f})"


def _pairs(found: WaysTable) -> str:
    if not found.pairs:
        return ""
    titles = {line.name: line.title for line in found.lines}
    rows = [
        [
            titles[one.first],
            titles[one.second],
            _number(one.gain, sign="+"),
            "-" if one.p_value is None else f"{one.p_value:.3f}",
        ]
        for one in found.pairs
    ]
    return (
        "Ways against each other, paired:\n\n"
        + table(("way", "against", "gain", "p, by itself"), rows)
        + "\n"
    )


def _notes(found: WaysTable) -> str:
    sizes = found.sizes
    return f"""\
- **Rows**: {sizes.gold:,} labelled rows for every way, {sizes.validation:,} validation rows, {sizes.holdout:,} held
  out. The teacher learned from {sizes.tuning:,} other labelled rows, so what was learned from it rests on more labels
  than the rest. It answered {sizes.pool:,} rows without labels. *rows* is what a way was trained on.
- **Training**: {sizes.steps:,} steps of {sizes.batch} rows for every way, so that none saw more rows than another; the
  teacher saw each of its rows once. The rest are the engine's defaults, but for the learning rate of the model with
  fewer layers, {STUDENT_RATE:g}. Merging an adapter in 16 bits had to keep {PARITY:.0%} of the answers, and not 98 %:
  models as unsure as these do not reach that.
- **Intervals** are of 95 %: of a score by itself, and of a gain over the rows that both models answered. *p* is
  corrected after Holm over the lines of the table; what learned from the teacher's rows is not among
  them.
- **Rows a second**: {sizes.timed:,} rows of the holdout, many at a time, in seconds of processor time, adapters merged.
  **MB**: the exported files. **Minutes**: by the clock, from the rows to the judged model, without
  baselines and without asking the teacher. A dash stands for what was not measured.
{_teacher(found.labels)}{_synthetic(found.synthetic)}- **Made** {_made(found)}
"""


def _teacher(labels: TeacherLabels | None) -> str:
    if labels is None:
        return ""
    kept = "" if labels.kept_right is None else f", and right on {labels.kept_right:.1%} of these"
    return f"""\
- **The teacher's answers**: {labels.right:.1%} of {labels.asked:,} rows are right, by labels that it was not shown. It
  is at least {labels.confidence:g} sure of {labels.kept:.1%}{kept}. Only those are learned from. Asking it took
  {labels.minutes:.1f} minutes, once for all ways.
"""


def _synthetic(rows: SyntheticRows | None) -> str:
    if rows is None:
        return ""
    refused = ", ".join(f"{count:,} {why}" for why, count in rows.refused.items() if count)
    return f"""\
- **Synthetic rows**: the untouched model was asked for {rows.asked:,}, and the teacher answered each again.
  {rows.kept:,} were kept; refused: {prose(refused) or "none"}.
"""


def _made(found: WaysTable) -> str:
    versions = ", ".join(
        f"{tool} {found.versions[tool]}" for tool in TOOLS if tool in found.versions
    )
    return f"""\
{found.date} on {found.hardware}; base model `{found.base_model}`; {versions}; commit {found.commit}. Rows are
  from {prose(found.origin)}, a set of development. `ways.json` beside this page holds the numbers."""
