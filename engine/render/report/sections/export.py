"""What leaves: the files, the parity ladder from the adapter to the file, and every changed row."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Check, ExportedFile, Flip, FormResult, Metric, Report, Status
from engine.evidence.verdicts import EXPORTED
from engine.recipe.metrics import OF_FILES
from engine.render import blocks
from engine.render.labels import (
    absent,
    check_sentence,
    checks_of,
    estimate,
    file_metric,
    find_metric,
    is_open,
    main_metric,
)
from engine.render.number_format import (
    DASH,
    amount,
    count,
    kind_of,
    metric_text,
    percent,
    prose_name,
    size,
    value_of,
)
from engine.render.report.sections import report_section
from engine.render.report.sections.acceptance import check_table, interval_methods
from engine.render.styled_text import crop

_LOSSLESS = ("adapter", *EXPORTED, "f16")
"""Rungs that store the same weights in another form; all others are quantizations."""
_LADDER = (
    "Every form that the model takes on its way into the file, evaluated on the same holdout rows. "
    "Agreement, changed answers and shift are against the form before; those of a quantization "
    "against the last form that should lose nothing and was evaluated on all rows."
)
_SHIFT = (
    "Shift: mean absolute change of an answer's log-probability (for chat and text: of a token's), "
    "and the largest."
)
_TITLES = {
    "file_megabytes": "size of the file",
    "tokens_per_second": "speed",
    "first_token_milliseconds": "first token after",
    "peak_memory_megabytes": "peak memory",
}
_MOST_FLIPS, _LONGEST_ANSWER = 40, 160


@report_section("export", at=140)
def export(report: Report) -> blocks.Section:
    verify, metric = report.verify, main_metric(report)
    files = _files(report.files) if report.files else absent(report, "quantize")
    parts: list[blocks.Block] = [files]
    speed = speed_facts(report)
    if verify and speed:
        parts += [blocks.Heading(f"Size and speed, {machine(report)}"), blocks.Facts(tuple(speed))]
    parts += _ladder(report, metric) if report.ladder else []
    if verify is None:
        parts.append(absent(report, "verify"))
    else:
        caption = "Checks on the exported file, run with llama.cpp"
        parts += [check_table(verify, caption), *interval_methods(verify.checks)]
    summary = ladder_summary(report.ladder, metric)
    is_judged_again = verify is not None and verify.status is not Status.PASS
    is_refused = summary and is_judged_again and report.outcome != "accepted"
    lead = "The file that leaves is judged again: same rows, the runtime it is made for."
    numbers = "; ".join(f"{name} {value}" for name, value in speed)
    return blocks.Section(
        title="Exported file",
        lead=lead if verify else "",
        blocks=(*parts, *_flips(report)),
        card=(
            f"{metric} from the adapter to the file: {summary}" if summary else "",
            f"{numbers} ({machine(report)})" if numbers else "",
        ),
        closing=(f"{prose_name(metric)} from form to form: {summary}",) if is_refused else (),
    )


def _files(files: Sequence[ExportedFile]) -> blocks.Table:
    rows: list[list[blocks.Cell]] = []
    for file in files:
        bits = DASH if file.bits_per_weight is None else f"{file.bits_per_weight:.2f}"
        fell = f"{file.fallback_tensors} of {file.tensors}" if file.tensors else DASH
        stored = [size(file.bytes), bits, fell, blocks.Digest(file.sha256)]
        rows.append([blocks.Code(file.name), file.format, *stored])
    columns = "file | format | >size | >bits a weight | >tensors that fell back | sha256"
    return blocks.table("Files", columns, rows)


def speed_facts(report: Report) -> list[tuple[str, str]]:
    """Name and value of all that was measured of the file beside its answers; empty where nothing was."""
    titles = ((spec.name, _TITLES[spec.name]) for spec in OF_FILES if spec.name in _TITLES)
    measured = ((title, file_metric(report, name)) for name, title in titles)
    return [(title, metric_text(metric)) for title, metric in measured if metric is not None]


def machine(report: Report) -> str:
    """`measured on this machine: cpu, 2 cores`."""
    device, cores = (report.environment.get(name, "") for name in ("device", "cores"))
    where = ", ".join(
        filter(None, (device, f"{cores} core{'' if cores == '1' else 's'}" if cores else ""))
    )
    return f"measured on this machine: {where}" if where else "measured on this machine"


def _ladder(report: Report, metric: str) -> list[blocks.Block]:
    main, ladder = blocks.Column(blocks.Code(metric), "number"), report.ladder
    shown = blocks.table(
        "The parity ladder, one form of the model after the other",
        ("form | answer", main, ">agreement | >changed | >shift | >token ids"),
        (_rung_row(ladder, at, metric) for at in range(len(ladder))),
        "ladder",
    )
    heading = blocks.Heading("From the adapter to the file")
    has_shift = any(rung.mean_shift is not None for rung in ladder)
    shift = [blocks.Paragraph(_SHIFT, "fine")] if has_shift else []
    return [heading, blocks.Paragraph(_LADDER, "lead"), shown, *shift]


def _rung_row(ladder: Sequence[FormResult], at: int, metric: str) -> blocks.Row:
    """The numbers of a rung; its note is why it was refused, and more than what it was compared with."""
    rung = ladder[at]
    is_plain = rung.note in ("", f"compared with {_before(ladder, at)}")
    cells = (
        blocks.Code(rung.name),
        blocks.Badge(rung_answer(rung), rung.verdict.status.value if rung.verdict else "plain"),
        _main(rung, metric),
        _agreement(rung.agreement),
        DASH
        if rung.agreement is None
        else (count(len(rung.flips)) + (f", {count(rung.ties)} near a tie" if rung.ties else "")),
        _shift(rung),
        _token_parity(rung),
    )
    notes = [*map(check_sentence, broken_checks(rung)), *([] if is_plain else [rung.note])]
    if sample := sample_text(rung):
        notes.append(
            f"{sample}; it is not exported, and is evaluated on all where that does not hold"
        )
    return blocks.Row(cells=cells, note="; ".join(notes))


def _main(rung: FormResult, metric: str) -> str | blocks.Estimate:
    """The main metric; a dash for a sample, of which it says little, and F1 over all labels nothing."""
    value = find_metric(rung.scores, metric)
    return DASH if value is None or rung.sampled_of is not None else estimate(value)


def sample_text(rung: FormResult) -> str:
    """`spot check on 1 of 300 rows: 0 answers changed`; empty for a form that was evaluated on all rows."""
    if rung.sampled_of is None:
        return ""
    found = f"spot check on {count(rung.scores.rows)} of {count(rung.sampled_of)} rows"
    return f"{found}: {count(len(rung.flips))} answers changed" if rung.agreement else found


def _agreement(same: Metric | None) -> str:
    if same is None or same.value is None:
        return DASH
    return f"{count(round(same.value * same.n))} of {count(same.n)} ({percent(same.value)})"


def _shift(rung: FormResult) -> str:
    """`0.012, at most 0.31`."""
    if rung.mean_shift is None:
        return DASH
    largest = rung.largest_shift
    at_most = "" if largest is None else f", at most {amount(largest, decimals=3)}"
    return f"{amount(rung.mean_shift, decimals=4)}{at_most}"


def _token_parity(rung: FormResult) -> str:
    """`300 of 300 the same`: prompts read as the same tokens, where fewest are; a dash where not compared."""
    checks = [check for check in checks_of(rung.verdict) if check.kind == "token_parity"]
    shares = [(check.got * check.n, check.n) for check in checks if check.got is not None]
    if not shares:
        return DASH
    same, of = min(shares)
    return f"{count(round(same))} of {count(of)} the same"


def rung_answer(rung: FormResult) -> str:
    """Whether this form was taken: `kept`, `refused`, …; `not gated` where nothing was asked of it."""
    if rung.verdict is None:
        return "not gated"
    is_lossless = rung.name in _LOSSLESS
    return {
        Status.PASS: "holds" if is_lossless else "kept",
        Status.FAIL: "does not hold" if is_lossless else "refused",
        Status.INCONCLUSIVE: "not decided",
        Status.WARN: "holds, with a warning",
    }[rung.verdict.status]


def broken_checks(rung: FormResult) -> list[Check]:
    return [check for check in checks_of(rung.verdict) if is_open(check)]


def ladder_summary(ladder: Sequence[FormResult], metric: str) -> str:
    """The main metric from rung to rung: `adapter 0.896 · merged 0.896 · f16 0.896 · Q4_K_M 0.893`."""
    # the score of a sample is not comparable with theirs
    whole = (rung for rung in ladder if rung.sampled_of is None)
    values = ((rung.name, find_metric(rung.scores, metric)) for rung in whole)
    return " · ".join(
        f"{name} {value_of(metric, found.value if found else None)}" for name, found in values
    )


def _before(ladder: Sequence[FormResult], at: int) -> str:
    """What a form was compared with: the last one before it that should lose nothing and was evaluated on all rows."""
    # nothing is made of a graph
    before = (rung for rung in ladder[:at] if rung.name in ("adapter", "merged", "f16"))
    known = [rung.name for rung in before if rung.sampled_of is None]
    return known[-1] if known else "before"


def _flips(report: Report) -> list[blocks.Block]:
    steps = [(_before(report.ladder, at), rung) for at, rung in enumerate(report.ladder)]
    changes = [((before, rung.name), rung.flips) for before, rung in steps if rung.flips]
    if not changes and (report.ladder or report.quantized) and not kind_of(report).by_likelihood:
        return [blocks.Paragraph("No row's answer changed on the way into the file.", "fine")]
    return [_flip_table(report, forms, flips) for forms, flips in changes]


def _flip_table(report: Report, forms: tuple[str, str], flips: Sequence[Flip]) -> blocks.Table:
    """The rows that one step changed; `forms` are those of the model before and after it."""
    is_exact = kind_of(report).has_one_answer
    shown = flips[:_MOST_FLIPS]
    rows: list[list[blocks.Cell]] = []
    for flip in shown:
        answers = map(_answer, (flip.target, flip.before, flip.after))
        rows.append([blocks.Code(flip.id), *answers, _effect(flip) if is_exact else ""])
    more = len(flips) - len(shown)
    counted = f" (the first {len(shown)}; {more} more in report.json)" if more else ""
    caption = f"Rows whose answer changed from {' to '.join(forms)}{counted}"
    columns = blocks.columns_of("row | right answer", *map(blocks.Column, forms), "effect")
    return blocks.table(caption, columns, rows, "narrow")


def _answer(text: str | None) -> blocks.Cell:
    if text is None:
        return blocks.Muted("invalid output")
    return blocks.Code(crop(text, _LONGEST_ANSWER))


def _effect(flip: Flip) -> str:
    if flip.after == flip.target:
        return "corrected"
    return "lost" if flip.before == flip.target else "wrong either way"
