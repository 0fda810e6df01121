"""What leaves: the files, the parity ladder from the adapter to the file, and every changed row."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import ExportedFile, Report, Rung, Status
from engine.render.exported import machine, speed_facts
from engine.render.html.checks import check_table, methods
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import (
    absent,
    code,
    facts,
    heading,
    muted,
    prose,
    scroll,
    section,
    table,
)
from engine.render.ladder import (
    LEAD,
    SHIFT,
    Changes,
    delta_rows,
    flip_cells,
    flip_columns,
    reasons,
    steps,
    table_of,
)
from engine.render.measures import kind_of, value_of, whole_list
from engine.render.quantities import DASH, count, number, size
from engine.render.wording import find_metric, main_metric, why_absent

_MOST_FLIPS = 40
_TONES = {
    Status.PASS: "pass",
    Status.FAIL: "fail",
    Status.INCONCLUSIVE: "inconclusive",
    Status.WARN: "inconclusive",
}


def export(report: Report) -> Markup:
    """The files, the ladder, the file judged again, and the rows that changed on the way."""
    files = _files(report.files) if report.files else absent(why_absent(report, "quantize"))
    ladder = _ladder(report)
    if report.verify is None:
        verdict = absent(why_absent(report, "verify"))
        return section("export", "Exported file", files, *ladder, verdict, *_flips(report))
    parts = [
        files,
        *_speed(report),
        *ladder,
        check_table(report.verify, "Checks on the exported file, run with llama.cpp"),
        methods(report.verify.checks),
        _compared(report),
        *_flips(report),
    ]
    lead = "The file that leaves is judged again: same rows, the runtime it is made for."
    return section("export", "Exported file", *parts, lead=lead)


def _files(files: Sequence[ExportedFile]) -> Markup:
    rows = [
        [
            code(file.name),
            file.format,
            size(file.bytes),
            f"{file.bits_per_weight:.2f}" if file.bits_per_weight is not None else DASH,
            f"{file.fallback_tensors} of {file.tensors}" if file.tensors else DASH,
            tag("code", file.sha256, class_="digest"),
        ]
        for file in files
    ]
    names = ["file", "format", "size", "bits a weight", "tensors that fell back", "sha256"]
    return table("Files", names, rows, numeric=frozenset({2, 3, 4}))


def _speed(report: Report) -> list[Markup]:
    found = speed_facts(report)
    if not found:
        return []
    told = machine(report)
    return [tag("h3", f"Size and speed, {told}"), facts(found)]


def _ladder(report: Report) -> list[Markup]:
    if not report.ladder:
        return []
    metric = main_metric(report)
    caption = "The parity ladder, one form of the model after the other"
    names, found = table_of(report.ladder, metric)
    heads = join(
        tag("th", name, scope="col", class_="number" if at > 1 else None)
        for at, name in enumerate(names)
    )
    rows = join(row for at, told in enumerate(found) for row in _rung_rows(report.ladder, at, told))
    content = tag("table", heading(caption), tag("thead", tag("tr", heads)), tag("tbody", rows))
    shifted = any(rung.mean_shift is not None for rung in report.ladder)
    return [
        tag("h3", "From the adapter to the file"),
        tag("p", LEAD, class_="lead"),
        scroll(content, caption, kind="ladder"),
        tag("p", f"{SHIFT[:1].upper()}{SHIFT[1:]}.", class_="fine") if shifted else Markup(""),
        _deltas(report),
    ]


def _rung_rows(ladder: Sequence[Rung], at: int, found: Sequence[str]) -> list[Markup]:
    """The numbers of a rung, and below them why it was refused, with its note."""
    name, said, *told = found
    verdict, why = ladder[at].verdict, reasons(ladder, at)
    tone = f"badge {_TONES[verdict.status]}" if verdict else "muted spread"
    row = tag(
        "tr",
        tag("th", code(name), scope="row"),
        tag("td", tag("span", said, class_=tone)),
        *(tag("td", cell, class_="number") for cell in told),
        class_="told" if why else None,
    )
    lines = tag("div", *(tag("p", prose(line)) for line in why))
    below = tag("tr", tag("td", lines, colspan=len(found)), class_="because")
    return [row, below] if why else [row]


def _deltas(report: Report) -> Markup:
    names, rows, left = delta_rows(report.ladder)
    if not names:
        return Markup("")
    what = "field" if kind_of(report) == "extraction" else "label"
    if not rows:
        return tag("p", f"No {what}'s F1 changed on the way.", class_="fine")
    shown = [[tag("span", label, class_="label"), *map(_signed, deltas)] for label, deltas in rows]
    others = f"; {count(left)} more changed less or not at all" if left else ""
    return table(
        f"F1 by {what}, change against the form before, largest losses first{others}",
        [what, *names],
        shown,
        kind="narrow",
        numeric=frozenset(range(1, len(names) + 1)),
    )


def _signed(value: float | None) -> str:
    return muted(DASH) if value is None else number(value, signed=True)


def _compared(report: Report) -> Markup:
    if report.quantized is None or report.holdout is None:
        return Markup("")
    rows = []
    for name in whole_list(kind_of(report), report.holdout):
        before, after = find_metric(report.holdout, name), find_metric(report.quantized, name)
        if before is None or after is None or before.value is None or after.value is None:
            continue
        change = value_of(name, after.value - before.value, signed=True)
        rows.append([code(name), value_of(name, before.value), value_of(name, after.value), change])
    names = ["metric", "tuned", "exported", "change"]
    caption = "Before and after, on the holdout"
    return table(caption, names, rows, kind="narrow", numeric=frozenset({1, 2, 3}))


def _flips(report: Report) -> list[Markup]:
    found = steps(report)
    if not found:
        asked = report.ladder or report.quantized
        none = tag("p", "No row's answer changed on the way into the file.", class_="fine")
        return [none] if asked and kind_of(report) not in ("chat", "text") else []
    return [_step(report, step) for step in found]


def _step(report: Report, step: Changes) -> Markup:
    rows = [_flip_row(report, step, at) for at in range(min(len(step.flips), _MOST_FLIPS))]
    more = len(step.flips) - len(rows)
    caption = f"Rows whose answer changed from {step.before} to {step.after}"
    caption += f" (the first {len(rows)}; {more} more in report.json)" if more else ""
    return table(caption, flip_columns(report, step), rows, kind="narrow flips")


def _flip_row(report: Report, step: Changes, at: int) -> list[str]:
    row, *answers = flip_cells(report, step.flips[at])
    flip, said = step.flips[at], answers[:3]
    given = (flip.target, flip.before, flip.after)
    shown = [
        muted(text) if one is None else code(text) for text, one in zip(said, given, strict=True)
    ]
    return [code(row), *shown, *answers[3:]]
