"""Which validation rows the tuned model answers wrongly; those of the holdout stay unseen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from engine.evidence import Mistake, Report
from engine.render import blocks
from engine.render.labels import confused_pairs, find_metric
from engine.render.metric_format import kind_of, right_share
from engine.render.number_format import count, counted, percent
from engine.render.report.sections import report_section

_HIDDEN = (
    "Holdout rows are not shown: a recipe that is changed after reading them is fitted to them, and their score no "
    "longer holds for new rows."
)
_PAIRS = 6


@report_section("mistakes", at=2)
def mistakes(report: Report) -> blocks.Section | None:
    """Nothing where no tuned model was evaluated, or no row is right or wrong."""
    kind, scores = kind_of(report), report.validation_scores
    share = find_metric(scores, right_share(report) or kind.right_share)
    if scores is None or share is None or share.value is None:
        return None
    wrong = scores.rows - round(scores.rows * share.value)
    lead = f"{count(wrong)} of {counted(scores.rows, 'validation row')} are answered wrongly"
    parts: list[blocks.Block] = []
    if report.mistakes:
        lead = f"{lead}, the most confident answers first. {_HIDDEN}"
        more = wrong - len(report.mistakes)
        rest = f"{count(more)} more are not shown; all" if more else "All"
        every = f"recipe report {shlex.quote(report.recipe_name)} --mistakes"
        whole = (f"{rest} with whole texts:", " ", blocks.Code(every), " ", "(or --format csv)")
        parts += [mistake_table(report.mistakes), blocks.Paragraph(whole)]
    if pairs := confused_pairs(scores, report.labels, most=_PAIRS):
        cells = ([blocks.Label(one), blocks.Label(other), count(n)] for one, other, n in pairs)
        parts.append(
            blocks.table("By pair of labels", "expected | answer | >rows", cells, "narrow")
        )
    return blocks.Section(title="Mistakes", is_open=True, lead=lead, blocks=tuple(parts))


def mistake_table(rows: Sequence[Mistake]) -> blocks.Table:
    """Rows in the order given, but those with the same expected and given answer together."""
    place: dict[tuple[str, str], int] = {}
    for row in rows:
        place.setdefault((row.expected, row.answer), len(place))
    together = sorted(rows, key=lambda row: place[row.expected, row.answer])
    files = {row.origin.rpartition(":")[0] for row in rows}
    # one file is named once
    file = files.pop() if len(files) == 1 else ""
    caption = f"Wrong rows of {file}" if file else "Wrong rows"
    columns = "expected → answer | confidence:status | text:text | row:number"
    return blocks.table(caption, columns, (_row(row, file) for row in together), "cards")


def _row(row: Mistake, file: str) -> blocks.Row:
    answer: blocks.Cell = (blocks.Label(row.expected), " → ", blocks.Label(row.answer))
    if row.differs:  # of an object the fields that differ say it all
        answer = blocks.Label("; ".join(row.differs))
    sure = "" if row.confidence is None else percent(row.confidence)
    origin = row.origin.replace(f"{file}:", "line ", 1) if file else row.origin
    return blocks.Row(cells=(answer, sure, row.text, origin))
