"""What leaves: the files, the parity ladder from the adapter to the file, and every changed row."""

from collections.abc import Sequence

from engine.evidence import Check, Flip, FormResult, Report, Status, find_metric
from engine.evidence.measures import INVALID
from engine.evidence.verdicts import EXPORTED
from engine.recipe.metrics import OF_FILES
from engine.render import blocks
from engine.render import number_format as write
from engine.render.label_tables import (
    absent,
    check_sentence,
    checks_of,
    estimate,
    file_metric,
    is_open,
    main_metric,
)
from engine.render.report.sections import Parts
from engine.render.report.sections.acceptance import verdict_blocks
from engine.render.styled_text import crop

_LOSSLESS = ("adapter", *EXPORTED, "f16")
"""Rungs that store the same weights in another form; all others are quantizations."""
_MOST_FLIPS, _LONGEST_ANSWER = 40, 160


def export(report: Report) -> Parts:
    verify, ladder, metric = report.verify, report.ladder, main_metric(report)
    if report.files:
        rows: list[tuple[blocks.Cell, ...]] = []
        for file in report.files:
            fell = f"{file.fallback_tensors} of {file.tensors}" if file.tensors else write.DASH
            bits = write.known(file.bits_per_weight, "{:.2f}".format)
            stored = (write.size(file.bytes), bits, fell, blocks.Digest(file.sha256))
            rows.append((blocks.Code(file.name), file.format, *stored))
        columns = "file | format | >size | >bits a weight | >tensors that fell back | sha256"
        yield blocks.table("Files", columns, rows)
    else:
        yield absent(report, "quantize")
    speed = speed_facts(report)
    if verify and speed:
        yield blocks.Heading(f"Size and speed, {machine(report)}")
        yield blocks.Facts(tuple(speed))
    yield from _ladder(ladder, metric)
    summary = ladder_summary(ladder, metric)
    if summary:
        yield "card", f"{metric} from the adapter to the file: {summary}"
    if verify is None:
        yield absent(report, "verify")
    else:
        yield "lead", "The exported file is judged again: same rows, the runtime it is made for."
        yield from verdict_blocks(verify, "Checks on the exported file, run with llama.cpp")
        if summary and verify.status is not Status.PASS and report.outcome != "accepted":
            yield "closing", f"{write.prose_name(metric)} from form to form: {summary}"
    if speed:
        numbers = "; ".join(f"{name} {value}" for name, value in speed)
        yield "card", f"{numbers} ({machine(report)})"
    steps = [(_before(ladder, at), rung) for at, rung in enumerate(ladder) if rung.flips]
    if not steps and (ladder or report.quantized) and not write.kind_of(report).by_likelihood:
        yield blocks.Paragraph("No row's answer changed on the way into the file.", "fine")
    for before, rung in steps:
        yield _flip_table(report, (before, rung.name), rung.flips)


def _ladder(ladder: Sequence[FormResult], metric: str) -> Parts:
    if not ladder:
        return
    lead = (
        "Every form that the model takes on its way into the file, evaluated on the same holdout rows. "
        "Agreement, changed answers and shift are against the form before; those of a quantization "
        "against the last form that should lose nothing and was evaluated on all rows."
    )
    main = blocks.Column(blocks.Code(metric), "number")
    yield blocks.Heading("From the adapter to the file")
    yield blocks.Paragraph(lead, "lead")
    yield blocks.table(
        "The parity ladder, one form of the model after the other",
        ("form | answer", main, ">agreement | >changed | >shift | >token ids"),
        (_rung_row(ladder, at, metric) for at in range(len(ladder))),
        "ladder",
    )
    if any(rung.mean_shift is not None for rung in ladder):
        shift = (
            "Shift: mean absolute change of an answer's log-probability (for chat and text: of a token's), "
            "and the largest."
        )
        yield blocks.Paragraph(shift, "fine")


def speed_facts(report: Report) -> list[tuple[str, str]]:
    """Name and value of all that was measured of the file beside its answers; empty where nothing was."""
    titles = write.WORDS["file_metrics"]
    measured = (
        (titles[spec.name], file_metric(report, spec.name))
        for spec in OF_FILES
        if spec.name in titles
    )
    return [(title, write.metric_text(metric)) for title, metric in measured if metric is not None]


def machine(report: Report) -> str:
    """`measured on this machine: cpu, 2 cores`."""
    device, cores = (report.environment.get(name, "") for name in ("device", "cores"))
    counted = f"{cores} core{'' if cores == '1' else 's'}" if cores else ""
    where = ", ".join(filter(None, (device, counted)))
    return f"measured on this machine: {where}" if where else "measured on this machine"


def _rung_row(ladder: Sequence[FormResult], at: int, metric: str) -> blocks.Row:
    """The numbers of a rung; its note is why it was refused, and more than what it was compared with."""
    rung = ladder[at]
    # of a sample the main metric says little, and F1 over all labels nothing
    value = find_metric(rung.scores, metric) if rung.sampled_of is None else None
    same = agreed = changed = shift = write.DASH
    if (found := rung.agreement) is not None:
        near = f", {write.count(rung.ties)} near a tie" if rung.ties else ""
        changed = f"{write.count(len(rung.flips))}{near}"
        if found.value is not None:
            rows = f"{write.count(round(found.value * found.n))} of {write.count(found.n)}"
            agreed = f"{rows} ({write.percent(found.value)})"
    if rung.mean_shift is not None:
        largest = rung.largest_shift
        most = "" if largest is None else f", at most {write.number(largest)}"
        shift = f"{write.amount(rung.mean_shift, decimals=4)}{most}"
    # prompts that are read as the same tokens, where fewest are
    checks = [check for check in checks_of(rung.verdict) if check.kind == "token_parity"]
    if shares := [(check.got * check.n, check.n) for check in checks if check.got is not None]:
        fewest, of = min(shares)
        same = f"{write.count(round(fewest))} of {write.count(of)} the same"
    status = rung.verdict.status.value if rung.verdict else "plain"
    badge = blocks.Badge(rung_answer(rung), status)
    shown = estimate(value) if value else write.DASH
    cells = (blocks.Code(rung.name), badge, shown, agreed, changed, shift, same)
    notes = [*map(check_sentence, broken_checks(rung))]
    if rung.note not in ("", f"compared with {_before(ladder, at)}"):
        notes.append(rung.note)
    if sample := sample_text(rung):
        notes.append(
            f"{sample}; it is not exported, and is evaluated on all where that does not hold"
        )
    return blocks.Row(cells=cells, note="; ".join(notes))


def sample_text(rung: FormResult) -> str:
    """`spot check on 1 of 300 rows: 0 answers changed`; empty for a form that was evaluated on all rows."""
    if rung.sampled_of is None:
        return ""
    found = f"spot check on {write.count(rung.scores.rows)} of {write.count(rung.sampled_of)} rows"
    return f"{found}: {write.count(len(rung.flips))} answers changed" if rung.agreement else found


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
        f"{name} {write.value_of(metric, found.value if found else None)}" for name, found in values
    )


def _before(ladder: Sequence[FormResult], at: int) -> str:
    """What a form was compared with: the last one before it that should lose nothing and was evaluated on all rows."""
    # nothing is made of a graph
    before = (rung for rung in ladder[:at] if rung.name in ("adapter", "merged", "f16"))
    whole = [rung.name for rung in before if rung.sampled_of is None]
    return whole[-1] if whole else "before"


def _flip_table(report: Report, forms: tuple[str, str], flips: Sequence[Flip]) -> blocks.Table:
    """The rows that one step changed; `forms` are those of the model before and after it."""
    rows: list[tuple[blocks.Cell, ...]] = []
    for flip in flips[:_MOST_FLIPS]:
        effect = "lost" if flip.before == flip.target else "wrong either way"
        effect = "corrected" if flip.after == flip.target else effect
        answers = (
            blocks.Muted(INVALID) if text is None else blocks.Code(crop(text, _LONGEST_ANSWER))
            for text in (flip.target, flip.before, flip.after)
        )
        is_exact = write.kind_of(report).has_one_answer
        rows.append((blocks.Code(flip.id), *answers, effect if is_exact else ""))
    more = len(flips) - len(rows)
    counted = f" (the first {len(rows)}; {more} more in report.json)" if more else ""
    caption = f"Rows whose answer changed from {' to '.join(forms)}{counted}"
    columns = blocks.columns_of("row | right answer", *map(blocks.Column, forms), "effect")
    return blocks.table(caption, columns, rows, "narrow")
