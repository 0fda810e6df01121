"""The data: what was read and split, and the proof that the holdout stands apart."""

from collections.abc import Iterator

from engine.evidence import (
    DataFinding,
    DataSummary,
    HoldoutUse,
    Report,
    SplitLengths,
    SplitSummary,
    SyntheticResult,
)
from engine.render import blocks
from engine.render.label_tables import absent, recorded_line, untrained
from engine.render.number_format import DASH, count, counted, duration, known, percent
from engine.render.report.sections import Parts
from engine.render.report.sections.comparisons import paired_table


def synthetic(report: Report) -> Parts:
    found = report.synthetic
    if found is None:
        return
    yield "lead", untrained(report)
    agreed = f"{count(found.agreed)} of {counted(found.votes, 'answer')} of `{found.judge}`"
    labels = ", ".join(f"{label} {count(n)}" for label, n in found.labels.items())
    reviewed, strange = "", ""
    if review := found.review:
        high = review.wrong_high
        most = "" if high is None else f": at most {percent(high)} of all are"
        wrong = f"{count(review.wrong)} of {counted(review.reviewed, 'row')} wrong"
        reviewed = f"{wrong} in {review.file}{most}"
        reviewed = reviewed if review.reviewed else "nobody has looked at the rows"
        strange = f"{counted(review.strange, 'mark')} of rows that are none of these"
        strange = strange if review.strange else ""
    yield blocks.facts(
        ("written by", blocks.Code(found.name)),
        ("asked", found.note),
        ("asked again", f"{agreed} are the wanted one" if found.votes else ""),
        ("labels kept", labels if found.kept else ""),
        ("review", reviewed),
        ("", strange),
        ("took", duration(found.seconds)),
        ("cost", f"{found.cost:.4f} at the recipe's prices" if found.cost else ""),
    )
    caption = f"What became of {counted(found.requested, 'synthetic row')}"
    yield blocks.tally(caption, "rows", {"trained on": found.kept, **found.refused})
    if alike := found.diversity:
        runs, words = "different runs of four words", "words in common with the nearest"
        yield blocks.table(
            f"How alike rows are to each other, of {counted(alike.rows, 'row')} each",
            "share | >synthetic | >training",
            [
                (runs, *(known(n, percent) for n in (alike.distinct, alike.real_distinct))),
                (words, *(known(n, percent) for n in (alike.nearest, alike.real_nearest))),
            ],
        )
    if gain := report.without_synthetic:
        caption = "What the synthetic rows bring: against the same training without them"
        yield paired_table(caption, gain)
    yield from (("card", line) for line in synthetic_lines(found))


def synthetic_lines(found: SyntheticResult) -> Iterator[str]:
    share = found.kept / (found.kept + found.train) if found.kept else 0.0
    kept = f"{count(found.kept)} of {counted(found.asked, 'row')} that {found.name} wrote are kept"
    yield f"synthetic rows: {kept}, {percent(share)} of the training rows"
    if found.asked < found.requested:
        left = counted(found.requested - found.asked, "row")
        yield f"{left} were not asked for: the budget does not allow them"
    if found.diversity is not None and found.diversity.is_low:
        yield "synthetic rows repeat each other: less than half as many different phrases"
    if (review := found.review) is not None:
        yield f"{count(review.reviewed)} synthetic rows reviewed, {count(review.wrong)} wrong"


_FEW_LABELS = 6
_DIGEST = 12
_MOST_FINDINGS = 40
_GRAVEST = ("fail", "drop", "mask", "warn")


def data(report: Report) -> Parts:
    summary, use = report.data, report.holdout_use
    lengths = [
        f"{item.split}: {parts}"
        for item in report.lengths
        if (parts := ", ".join(_length_parts(item)))
    ]
    yield from (("closing", line) for line in lengths)
    if use and (use.looks or use.redraws):
        yield "closing", use_line(use)
    if summary is None:
        yield absent(report, "data")
        return
    holdout = next((split for split in summary.splits if split.name == "holdout"), None)
    rows = count(holdout.rows) if holdout else "the"
    exact = blocks.Strong(f"{summary.overlap_exact} of {rows} holdout rows")
    near = blocks.Strong(str(summary.overlap_near))
    yield blocks.Paragraph(
        (exact, " are also in train or validation word for word, and ", near, " nearly so.")
    )
    firewall = list(firewall_lines(summary, use))
    yield from blocks.bullets(firewall)
    yield from (("card", line) for line in firewall)
    yield _splits(summary, report.labels)
    yield from blocks.bullets(split_lines(summary))
    if report.lengths:
        names = (
            "split | >rows of data | >used | >left out | >cut | >longest | >longer than the window"
        )
        yield blocks.table("Rows and the model's length", names, map(_length_row, report.lengths))
        yield from blocks.bullets(lengths)
    dropped = ((f"not used: {why}", count(rows)) for why, rows in summary.dropped.items())
    read, used = count(summary.rows_read), count(summary.rows_used)
    yield blocks.facts(("rows read", read), *dropped, ("rows used", used))
    plain = (
        item.shape in ("", "columns") and item.weight == 1 and not item.into
        for item in summary.sources
    )
    if len(summary.sources) >= 2 or not all(plain):
        sources = []
        for item in summary.sources:
            numbers = (count(item.rows_read), count(item.rows_used), f"{item.weight:g}")
            sources.append((item.name, item.shape, *numbers, item.into or "any"))
        columns = "source | shape | >rows read | >rows used | >weight | into"
        yield blocks.table("Sources", columns, sources)
    # by what was done about them, checks that found nothing last
    if findings := sorted(summary.findings, key=gravity):
        shown = map(_finding_row, findings[:_MOST_FINDINGS])
        yield blocks.table("Data checks", "check | action | >found | what", shown, "prose")
        if (left_out := len(findings) - _MOST_FINDINGS) > 0:
            yield blocks.Paragraph(f"{left_out} more in report.json.")


def firewall_lines(summary: DataSummary, use: HoldoutUse | None = None) -> Iterator[str]:
    """Every sentence on how the holdout was kept apart and how often it was used."""
    if proof := summary.firewall:
        found = f"found {count(proof.found_exact)} equal and {count(proof.found_near)} near"
        if proof.removed:
            found += f", {counted(proof.removed, 'row')} left out"
        left = f"left {count(proof.left_exact)} equal and {count(proof.left_near)} near"
        beside = counted(summary.rows_beside_holdout, "row")
        yield f"{proof.method}: {found}; {left} in {beside} of train and validation"
    if summary.recorded:
        yield recorded_line(summary.recorded)
    if use:
        yield use_line(use)


def split_lines(summary: DataSummary) -> tuple[str, ...]:
    """`train 382 of 400 asked: 18 dropped by leakage; no unused rows left`, for each split that checks made smaller."""
    return tuple(_split_line(split) for split in summary.splits if split.left_out)


def _split_line(split: SplitSummary) -> str:
    why = ", ".join(f"{count(rows)} dropped by {check}" for check, rows in split.left_out.items())
    left_out = sum(split.left_out.values())
    if split.asked is None:  # a share or all: nothing is replaced
        return f"{split.name} {count(split.rows)} of {count(split.rows + left_out)} drawn: {why}"
    head = f"{split.name} {count(split.rows)} of {count(split.asked)} asked: {why}"
    if split.name != "train":
        return head
    if split.groups is not None:
        return f"{head}; groups are not replaced"
    replaced = f"{count(split.replaced)} unused rows in their place"
    if left_out <= split.replaced:
        return f"{head}, {replaced}"
    if split.replaced:
        return f"{head}, {replaced}; no more unused rows left"
    return f"{head}; no unused rows left"


def use_line(use: HoldoutUse) -> str:
    """`holdout used for 4 decisions, re-split once`."""
    decisions = counted(use.looks, "decision")
    times = "once" if use.redraws == 1 else f"{count(use.redraws)} times"
    again = f", re-split {times}, as the lock records" if use.redraws else ""
    return f"holdout used for {decisions if use.looks else 'no decision yet'}{again}"


def _splits(summary: DataSummary, labels: tuple[str, ...]) -> blocks.Block:
    is_short = len(labels) <= _FEW_LABELS
    rows: list[tuple[blocks.Cell, ...]] = []
    for split in summary.splits:
        counts = [split.labels.get(label, 0) for label in labels]
        ends = f"{min(counts)} to {max(counts)}" if counts else DASH
        rows.append(
            (
                split.name,
                count(split.rows),
                count(split.seen) if split.seen != split.rows else "",
                "" if split.groups is None else count(split.groups),
                *(split.span or ("", "")),
                *(map(count, counts) if is_short else [ends]),
                blocks.Code(split.digest[:_DIGEST]),
            )
        )
    names = blocks.numbers(labels if is_short else ("rows per label",))
    columns = ("split | >rows | >seen in an epoch | >groups | from | to", *names, "digest")
    return blocks.table("Splits", columns, rows)


def _length_row(item: SplitLengths) -> tuple[str, ...]:
    left_out = item.left_out + item.left_out_marked
    counts = map(count, (item.given, item.used, left_out, item.cut))
    window = item.window
    longer = DASH if window is None else f"{count(item.over_window)} of {count(window)}"
    return (item.split, *counts, f"{count(item.longest)} tokens", longer)


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


def _finding_row(item: DataFinding) -> tuple[blocks.Cell, ...]:
    message: blocks.Cell = blocks.Prose(item.message)
    if item.examples:
        message = (blocks.Prose(item.message), blocks.Details("where", item.examples))
    return blocks.Code(item.check), item.action, count(item.count), message


def gravity(finding: DataFinding) -> tuple[bool, int]:
    """Sorts by what is done about a finding; checks that found nothing come last."""
    is_known = finding.action in _GRAVEST
    return not finding.count, _GRAVEST.index(finding.action) if is_known else len(_GRAVEST)
