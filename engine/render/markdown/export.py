"""What leaves, as Markdown: the files, the parity ladder, and the rows that changed on the way."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import ladder
from engine.render.exported import machine, speed_facts
from engine.render.markdown.markup import absent, checks_table, code, plain, table
from engine.render.measures import kind_of
from engine.render.quantities import DASH, count, number, percent, size
from engine.render.wording import main_metric, why_absent

_MOST_FLIPS = 20
_SAID = 4
"""Cells of a changed row that are its own words; what follows is ours."""


def exported(report: Report) -> list[str]:
    """The file judged, the ladder that leads to it, the files, the changed rows."""
    gate = report.verify
    shown = checks_table(gate) if gate else absent(why_absent(report, "verify"))
    files = _files(report) if report.files else [absent(why_absent(report, "quantize"))]
    return ["## Exported file", shown, *files, *_speed(report), *_ladder(report), *_flips(report)]


def _files(report: Report) -> list[str]:
    rows = [
        [
            code(file.name),
            size(file.bytes),
            f"{file.bits_per_weight:.2f}" if file.bits_per_weight is not None else DASH,
            f"{file.fallback_tensors} of {file.tensors}" if file.tensors else DASH,
            code(file.sha256),
        ]
        for file in report.files
    ]
    columns = ["file", "size", "bits a weight", "tensors that fell back", "sha256"]
    parts = [table(columns, rows, numeric="lrrr")]
    if report.agreement is not None:
        agreed = percent(report.agreement)
        parts.append(f"The exported file agrees with the merged model on {agreed} of the holdout.")
    return parts


def _speed(report: Report) -> list[str]:
    found = speed_facts(report)
    told = "; ".join(f"{name} {value}" for name, value in found)
    return [plain(f"{told} ({machine(report)}).")] if found else []


def _ladder(report: Report) -> list[str]:
    if not report.ladder:
        return []
    metric = main_metric(report)
    heads, found = ladder.table_of(report.ladder, metric)
    rows = [
        [*map(plain, told), plain("; ".join(ladder.reasons(report.ladder, at)))]
        for at, told in enumerate(found)
    ]
    numeric = "ll" + "r" * (len(heads) - 2) + "l"
    return [
        "### From the adapter to the file",
        plain(ladder.LEAD),
        table([*map(plain, heads), "why"], rows, numeric=numeric),
        *_deltas(report),
    ]


def _deltas(report: Report) -> list[str]:
    names, rows, left = ladder.delta_rows(report.ladder)
    what = "field" if kind_of(report) == "extraction" else "label"
    if not names:
        return []
    if not rows:
        return [f"No {what}'s F1 changed on the way."]
    shown = [[code(label), *(_signed(value) for value in deltas)] for label, deltas in rows]
    more = f" {count(left)} more changed less or not at all." if left else ""
    return [
        f"F1 by {what}, change against the form before, largest losses first.{more}",
        table([what, *map(plain, names)], shown, numeric="l" + "r" * len(names)),
    ]


def _signed(value: float | None) -> str:
    return DASH if value is None else number(value, signed=True)


def _flips(report: Report) -> list[str]:
    parts = []
    for step in ladder.steps(report):
        shown = [ladder.flip_cells(report, flip) for flip in step.flips[:_MOST_FLIPS]]
        rows = [[*map(code, cells[:_SAID]), *map(plain, cells[_SAID:])] for cells in shown]
        more = len(step.flips) - len(rows)
        parts.append(plain(f"Rows whose answer changed from {step.before} to {step.after}:"))
        parts.append(table(list(map(plain, ladder.flip_columns(report, step))), rows))
        parts.append(f"{more} more in report.json." if more else "")
    return parts
