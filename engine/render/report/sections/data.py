"""The data: what was read and split, and the proof that the holdout stands apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.evidence import (
    DataFinding,
    DataSummary,
    Diversity,
    Firewall,
    HoldoutUse,
    Report,
    SplitLengths,
    SplitSummary,
    SyntheticResult,
)
from engine.render import blocks
from engine.render.labels import absent, recorded_line, untrained
from engine.render.number_format import (
    DASH,
    column_name,
    count,
    counted,
    duration,
    interval_of,
    p_values,
    percent,
    value_of,
)
from engine.render.report.sections import report_section

_LEAD = (
    "A model writes rows after examples of the training rows, and the rows that are kept are trained on with these. "
    "Holdout rows were shown to nobody: rows that are too near one of them were refused, and counted."
)


@report_section("synthetic", at=30)
def synthetic(report: Report) -> blocks.Section | None:
    found = report.synthetic
    if found is None:
        return None
    parts: list[blocks.Block] = [blocks.Facts(tuple(_facts(found))), _rows(found)]
    parts += [_diversity(found.diversity)] if found.diversity else []
    parts += [_gain(report)] if report.without_synthetic else []
    lines = synthetic_lines(found)
    return blocks.Section(
        title="Synthetic rows", lead=_LEAD + untrained(report), blocks=tuple(parts), card=lines
    )


def synthetic_lines(found: SyntheticResult) -> tuple[str, ...]:
    share = found.kept / (found.kept + found.train) if found.kept else 0.0
    kept = f"{count(found.kept)} of {counted(found.asked, 'row')} that {found.name} wrote are kept"
    lines = [f"synthetic rows: {kept}, {percent(share)} of the training rows"]
    if found.asked < found.requested:
        left = counted(found.requested - found.asked, "row")
        lines.append(f"{left} were not asked for: the budget does not allow them")
    if found.diversity is not None and found.diversity.is_low:
        lines.append("synthetic rows repeat each other: less than half as many different phrases")
    review = found.review
    if review is not None:
        seen = f"{count(review.reviewed)} synthetic rows reviewed, {count(review.wrong)} wrong"
        lines.append(seen)
    return tuple(lines)


def _facts(found: SyntheticResult) -> list[tuple[str, blocks.Cell]]:
    facts: list[tuple[str, blocks.Cell]] = [("written by", blocks.Code(found.name))]
    facts += [("asked", found.note)] if found.note else []
    if found.votes:
        agreed = f"{count(found.agreed)} of {counted(found.votes, 'answer')} of `{found.judge}`"
        facts.append(("asked again", f"{agreed} are the wanted one"))
    if found.labels and found.kept:
        shares = ", ".join(f"{label} {count(n)}" for label, n in found.labels.items())
        facts.append(("labels kept", shares))
    if (review := found.review) is not None:
        facts.append(("review", _review(found)))
        strange = counted(review.strange, "mark")
        facts += [("", f"{strange} of rows that are none of these")] if review.strange else []
    facts.append(("took", duration(found.seconds)))
    facts += [("cost", f"{found.cost:.4f} at the recipe's prices")] if found.cost else []
    return facts


def _review(found: SyntheticResult) -> str:
    review = found.review
    if review is None or not review.reviewed:
        return "nobody has looked at the rows"
    high = "" if review.wrong_high is None else f": at most {percent(review.wrong_high)} of all are"
    seen = counted(review.reviewed, "row")
    return f"{count(review.wrong)} of {seen} wrong in {review.file}{high}"


def _rows(found: SyntheticResult) -> blocks.Table:
    rows = [
        ["trained on", count(found.kept)],
        *([why, count(number)] for why, number in found.refused.items()),
    ]
    caption = f"What became of {counted(found.requested, 'synthetic row')}"
    return blocks.table(caption, "rows | >number", rows)


def _diversity(found: Diversity) -> blocks.Table:
    rows = [
        ["different runs of four words", _share(found.distinct), _share(found.real_distinct)],
        ["words in common with the nearest", _share(found.nearest), _share(found.real_nearest)],
    ]
    caption = f"How alike rows are to each other, of {counted(found.rows, 'row')} each"
    return blocks.table(caption, "share | >synthetic | >training", rows)


def _share(value: float | None) -> str:
    return DASH if value is None else percent(value)


def _gain(report: Report) -> blocks.Table:
    rows: list[list[blocks.Cell]] = [
        [
            column_name(item.metric),
            blocks.Estimate(
                value_of(item.metric, item.difference, signed=True),
                interval_of(item.metric, item.interval, signed=True),
            ),
            p_values(item.p_value, item.p_adjusted) or DASH,
            count(item.n),
        ]
        for item in report.without_synthetic
    ]
    caption = "What the synthetic rows bring: against the same training without them"
    return blocks.table(caption, "metric | >difference | p | >rows", rows)


_FEW_LABELS = 6
_DIGEST = 12
_MOST_FINDINGS = 40
_GRAVEST = ("fail", "drop", "mask", "warn")


@report_section("data", at=130)
def data(report: Report) -> blocks.Section:
    summary, use = report.data, report.holdout_use
    lengths = tuple(_length_lines(report.lengths))
    used = (use_line(use),) if use and (use.looks or use.redraws) else ()
    if summary is None:
        missing = (absent(report, "data"),)
        return blocks.Section(title="Data", blocks=missing, closing=(*lengths, *used))
    read, taken = ("rows read", count(summary.rows_read)), ("rows used", count(summary.rows_used))
    dropped = ((f"not used: {why}", count(rows)) for why, rows in summary.dropped.items())
    parts: tuple[blocks.Block, ...] = (
        _overlap(summary),
        *blocks.bullets(firewall := _firewall_lines(summary, use)),
        _splits(summary, report.labels),
        *blocks.bullets(split_lines(summary)),
        *_lengths(report.lengths, lengths),
        blocks.Facts((read, *dropped, taken)),
        *_sources(summary),
        *_findings(summary.findings),
    )
    return blocks.Section(title="Data", blocks=parts, card=firewall, closing=(*lengths, *used))


def _overlap(summary: DataSummary) -> blocks.Paragraph:
    holdout = next((split for split in summary.splits if split.name == "holdout"), None)
    rows = count(holdout.rows) if holdout else "the"
    exact = blocks.Strong(f"{summary.overlap_exact} of {rows} holdout rows")
    near = blocks.Strong(str(summary.overlap_near))
    return blocks.Paragraph(
        (exact, " also stand in train or validation word for word, and ", near, " nearly so.")
    )


def _firewall_lines(summary: DataSummary, use: HoldoutUse | None) -> tuple[str, ...]:
    beside = counted(summary.rows_beside_holdout, "row")
    lines = [_firewall_line(summary.firewall, beside)] if summary.firewall else []
    lines += [recorded_line(summary.recorded)] if summary.recorded else []
    return (*lines, *([use_line(use)] if use else []))


def _firewall_line(proof: Firewall, beside: str) -> str:
    """`…: found 2 equal and 1 near, 3 rows left out; left 0 equal and 0 near in 497 rows of …`."""
    found = f"found {count(proof.found_exact)} equal and {count(proof.found_near)} near"
    left_out = f", {counted(proof.removed, 'row')} left out"
    removed = left_out if proof.removed else ""
    left_ = f"left {count(proof.left_exact)} equal and {count(proof.left_near)} near"
    return f"{proof.method}: {found}{removed}; {left_} in {beside} of train and validation"


def split_lines(summary: DataSummary) -> tuple[str, ...]:
    """`train 382 of 400 asked: 18 dropped by leakage; no unused rows left`, for each split that checks made smaller."""
    return tuple(_split_line(split) for split in summary.splits if split.left_out)


def _split_line(split: SplitSummary) -> str:
    why = ", ".join(f"{count(rows)} dropped by {check}" for check, rows in split.left_out.items())
    asked = split.asked
    if asked is None:  # a share or all: nothing is replaced
        drawn = split.rows + sum(split.left_out.values())
        return f"{split.name} {count(split.rows)} of {count(drawn)} drawn: {why}"
    head = f"{split.name} {count(split.rows)} of {count(asked)} asked: {why}"
    if split.name != "train":
        return head
    if split.groups is not None:
        return f"{head}; groups are not replaced"
    missing = sum(split.left_out.values()) - split.replaced
    if missing <= 0:
        return f"{head}, {count(split.replaced)} unused rows in their place"
    if split.replaced:
        return (
            f"{head}, {count(split.replaced)} unused rows in their place; no more unused rows left"
        )
    return f"{head}; no unused rows left"


def use_line(use: HoldoutUse) -> str:
    """`holdout used for 4 decisions, re-split once`."""
    decisions = counted(use.looks, "decision")
    times = "once" if use.redraws == 1 else f"{count(use.redraws)} times"
    again = f", re-split {times}, as the lock records" if use.redraws else ""
    return f"holdout used for {decisions if use.looks else 'no decision yet'}{again}"


def _splits(summary: DataSummary, labels: tuple[str, ...]) -> blocks.Block:
    is_short = len(labels) <= _FEW_LABELS
    names = labels if is_short else ("rows per label",)
    columns = blocks.columns_of(
        "split | >rows | >seen in an epoch | >groups | from | to",
        *blocks.numbers(names),
        "digest",
    )
    rows = [_split_row(split, labels, is_short=is_short) for split in summary.splits]
    return blocks.table("Splits", columns, rows)


def _split_row(
    split: SplitSummary, labels: tuple[str, ...], *, is_short: bool
) -> list[blocks.Cell]:
    counts = [split.labels.get(label, 0) for label in labels]
    by_label = [count(value) for value in counts]
    if not is_short:
        by_label = [f"{min(counts)} to {max(counts)}" if counts else DASH]
    first, last = split.span or ("", "")
    return [
        split.name,
        count(split.rows),
        count(split.seen) if split.seen != split.rows else "",
        count(split.groups) if split.groups is not None else "",
        first,
        last,
        *by_label,
        blocks.Code(split.digest[:_DIGEST]),
    ]


def _lengths(lengths: Sequence[SplitLengths], lines: Sequence[str]) -> tuple[blocks.Block, ...]:
    if not lengths:
        return ()
    rows = []
    for item in lengths:
        left_out = item.left_out + item.left_out_marked
        counts = map(count, (item.given, item.used, left_out, item.cut))
        window = item.window
        longer = DASH if window is None else f"{count(item.over_window)} of {count(window)}"
        rows.append([item.split, *counts, f"{count(item.longest)} tokens", longer])
    names = "split | >rows of data | >used | >left out | >cut | >longest | >longer than the window"
    return blocks.table("Rows and the model's length", names, rows), *blocks.bullets(lines)


def _length_lines(lengths: Sequence[SplitLengths]) -> Iterator[str]:
    for item in lengths:
        if parts := ", ".join(_length_parts(item)):
            yield f"{item.split}: {parts}"


def _length_parts(item: SplitLengths) -> Iterator[str]:
    of = f"of {count(item.given)} rows"
    longer = f"longer than {count(item.max_length)} tokens"
    if item.left_out:
        yield f"{count(item.left_out)} {of} left out, {longer}"
    if item.left_out_marked:
        yield f"{count(item.left_out_marked)} {of} left out, with tokens of the chat template"
    if item.cut:
        yield f"{count(item.cut)} {of} cut, {longer}"
    if item.over_max_length:
        yield f"{count(item.over_max_length)} {of} asked whole, {longer}"
    if item.over_window:
        window = count(item.window or 0)
        yield f"{count(item.over_window)} longer than the {window} tokens that the base model reads"


def _sources(summary: DataSummary) -> tuple[blocks.Block, ...]:
    """The files, where they say more than the counts of all rows do."""
    sources = summary.sources
    plain = (
        item.shape in ("", "columns") and item.weight == 1 and not item.into for item in sources
    )
    if len(sources) < 2 and all(plain):
        return ()
    rows = []
    for item in sources:
        numbers = (count(item.rows_read), count(item.rows_used), f"{item.weight:g}")
        rows.append([item.name, item.shape, *numbers, item.into or "any"])
    columns = "source | shape | >rows read | >rows used | >weight | into"
    return (blocks.table("Sources", columns, rows),)


def _findings(findings: Sequence[DataFinding]) -> tuple[blocks.Block, ...]:
    """The findings by what was done about them, checks that found nothing last."""
    ordered = sorted(findings, key=gravity)
    rows: list[list[blocks.Cell]] = [
        [blocks.Code(item.check), item.action, count(item.count), _message(item)]
        for item in ordered[:_MOST_FINDINGS]
    ]
    if not rows:
        return ()
    columns = "check | action | >found | what"
    left_out = len(ordered) - len(rows)
    more = (blocks.Paragraph(f"{left_out} more in report.json."),) if left_out else ()
    return (blocks.table("Data checks", columns, rows, "prose"), *more)


def _message(item: DataFinding) -> blocks.Cell:
    message = blocks.Prose(item.message)
    return (message, blocks.Details("where", item.examples)) if item.examples else message


def gravity(finding: DataFinding) -> tuple[bool, int]:
    """Sorts by what is done about a finding; checks that found nothing come last."""
    known = finding.action in _GRAVEST
    return not finding.count, _GRAVEST.index(finding.action) if known else len(_GRAVEST)
