"""How the run went and how it is repeated: stages, costs, notes, diagnosis, lock, sources and machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.evidence import (
    Diagnosis,
    FactComparison,
    Fit,
    Report,
    Reproduction,
    StageCost,
    StageRecord,
    StageStatus,
)
from engine.render import blocks
from engine.render.blocks import Absent, Block, Code, Facts, Heading, Listing, Section
from engine.render.labels import why_absent
from engine.render.number_format import DASH, duration, interval, percent, size, value_of
from engine.render.report.sections import report_section
from engine.values import decimal

_REPRODUCTION_LEAD = (
    "The lock beside the recipe records an accepted run. This is what was the same, and what was not, in the "
    "order in which one thing causes the next."
)


@report_section("reproduction", at=20)
def reproduction(report: Report) -> blocks.Section | None:
    result = report.reproduction
    if result is None:
        return None
    parts: list[blocks.Block] = [blocks.sentence(result.summary)]
    if facts := _facts(result):
        parts.append(blocks.Facts(facts))
    if result.equivalence:
        caption = "Is each metric the same but for noise: the interval must lie within the margin"
        columns = "metric | >in the lock | >in this run | >difference, 90 % | >margin | "
        parts.append(blocks.table(caption, columns, _tested_rows(result), "narrow"))
    if result.compared:
        columns = "what | in the lock | in this run | "
        rows: list[list[str]] = []
        for part in dict.fromkeys(item.part for item in result.compared):
            items = [item for item in result.compared if item.part == part]
            equal = [item for item in items if item.equal]
            rows += [_compared_row(item) for item in items if not item.equal or len(equal) == 1]
            rows += [[part, DASH, DASH, f"{len(equal)} equal"]] if len(equal) > 1 else []
        parts.append(blocks.table("The lock and this run", columns, rows, "narrow"))
    summary = (result.summary,)
    return blocks.Section(
        title="Reproduction",
        lead=_REPRODUCTION_LEAD,
        blocks=tuple(parts),
        card=summary,
        closing=summary,
    )


def _facts(result: Reproduction) -> tuple[tuple[str, blocks.Cell], ...]:
    facts = [("differs first", result.first_difference)] if result.first_difference else []
    if result.reused:
        facts.append(("not recomputed", ", ".join(result.reused)))
    margins = dict.fromkeys(f"{test.metric}: {test.margin_from}" for test in result.equivalence)
    facts += [("margin", margin) for margin in margins]
    if result.agreement and result.agreement.value is not None:
        same = round(result.agreement.value * result.agreement.n)
        needed = result.agreement_required
        wanted = f"; {percent(needed)} expected: {result.agreement_from}" if needed else ""
        facts.append(("same answers", f"{same} of {result.agreement.n}{wanted}"))
    return tuple(facts)


def _compared_row(item: FactComparison) -> list[str]:
    return [_name(item), item.locked, item.found, "equal" if item.equal else "differs"]


def _name(item: FactComparison) -> str:
    return item.name if item.name == item.part else f"{item.part}: {item.name}"


def _tested_rows(result: Reproduction) -> list[list[str]]:
    rows = []
    for test in result.equivalence:
        spread = interval(test.interval, signed=True) or DASH
        margin = DASH if test.margin is None else f"±{test.margin:.3f}"
        values = [value_of(test.metric, value) for value in (test.locked, test.found)]
        rows.append(
            [test.metric, *values, spread, margin, "within" if test.holds else "not within"]
        )
    return rows


_LEAD = {
    Fit.UNDERFITTED: "Training did too little.",
    Fit.OVERFITTED: "Training learned rows by heart: others are answered worse than those that it was trained on.",
    Fit.FITS: "Training did enough: nothing points at too little or too much of it.",
    Fit.NOISE_CEILING: "The labels of the rows allow no more than this.",
    Fit.NOT_KNOWN: "Whether training did too little or too much is not known.",
}


@report_section("diagnosis", at=6)
def diagnosis(report: Report) -> blocks.Section | None:
    found = report.diagnosis
    if found is None:
        return None
    shown: list[blocks.Block] = [*blocks.bullets(found.reasons)]
    if found.edits:
        rows = ((blocks.Code(one.key), one.current, one.proposed) for one in found.edits)
        shown.append(blocks.table("What to change", "key | >now | >proposed", rows, "narrow"))
        shown.append(blocks.Listing(title="In the recipe", text=found.yaml, is_open=True))
    is_plain = report.outcome == "accepted" and found.fit is Fit.FITS and not found.edits
    return blocks.Section(
        is_open=True,
        title="What would make it better" if found.edits else f"Diagnosis: {fit_words(found)}",
        lead=_LEAD[found.fit],
        blocks=tuple(shown),
        closing=()
        if is_plain
        else ((f"diagnosis: {fit_words(found)}: {'; '.join(found.reasons[:2])}"),),
    )


def fit_words(found: Diagnosis) -> str:
    return found.fit.value.replace("_", " ")


@report_section("again", at=4)
def again(report: Report) -> blocks.Section | None:
    lead = "With the same rows and versions; the run is compared with the lock of the recipe."
    line = blocks.Paragraph(blocks.Code(report.command), "command-line")
    found = blocks.Section(title="Run it again", is_open=True, lead=lead, blocks=(line,))
    return found if report.command else None


@report_section("notes", at=8)
def notes(report: Report) -> blocks.Section | None:
    warning, waived = blocks.Strong("Warning"), blocks.Strong("Waived")
    items: list[blocks.Cell] = [(warning, " ", blocks.Prose(text)) for text in report.warnings]
    items += [(waived, " ", blocks.Code(one.what), ". ", one.why) for one in report.waivers]
    items += map(blocks.Prose, report.notes)
    lines = (f"waived in the recipe: `{one.what}`, because: {one.why}" for one in report.waivers)
    if not items:
        return None
    listed = blocks.Bullets(tuple(items))
    is_open = bool(report.warnings or report.waivers)
    return blocks.Section(title="Notes", is_open=is_open, blocks=(listed,), closing=tuple(lines))


@report_section("sources", at=160)
def sources(report: Report) -> Section:
    config: Block = Absent("Backend config " + why_absent(report, "compile"))
    if report.backend_config:
        config = Listing(title="Backend config, compiled", text=report.backend_config)
    written = Listing(title="Recipe, as written", text=report.recipe_text, is_open=True)
    whole = Listing(title="Recipe, every default written out", text=report.resolved_recipe)
    return Section(title="Recipe and config", blocks=(written, whole, config))


@report_section("environment", at=170)
def environment(report: Report) -> Section:
    machine = Facts(tuple(report.environment.items()))
    versions = Facts(tuple(report.versions.items()))
    folder, schema = Code(report.run_directory), Code(report.schema)
    run = Facts((("started", report.started), ("folder", folder), ("report schema", schema)))
    titled = (("Machine", machine), ("Versions", versions), ("Run", run))
    parts = tuple(part for title, facts in titled for part in (Heading(title), facts))
    return Section(title="Environment", blocks=parts)


_IDLE = (StageStatus.REUSED, StageStatus.SKIPPED)
_BASES = {
    **dict.fromkeys(
        ("computed", "reckoned"),  # the second stands in reports of before 0.3
        "computed from tensor sizes, nothing measured",
    ),
    "probe": "measured in trial steps",
    "run": "measured by an earlier run of the same training",
    "last run": "as long as its last run",
}


@report_section("stages", at=150)
def stages(report: Report) -> blocks.Section:
    columns = "stage | status | >time | why | key"
    shown = blocks.table("Stages in order", columns, map(_row, report.stages), "stages")
    return blocks.Section(title="Stages", blocks=(shown, *_costs(report.costs)))


def _row(item: StageRecord) -> list[blocks.Cell]:
    problems = (part for problem in item.problems for part in (" ", blocks.Failure(problem)))
    return [
        item.stage,
        blocks.Badge(item.status.value, item.status.value),
        blocks.Muted(DASH) if item.status in _IDLE else duration(item.seconds),
        (blocks.Prose(item.reason), *problems),
        blocks.Code(item.key[:8]) if item.key else blocks.Muted(DASH),
    ]


def _costs(costs: Sequence[StageCost]) -> tuple[blocks.Block, ...]:
    """Estimate beside actual, of each stage that has any estimate or whose peak was measured."""
    known = [cost for cost in costs if cost.estimated or cost.memory_bytes is not None]
    if not known:
        return ()
    columns = (
        "stage | >time estimated | >took | >off | >memory estimated | >peak | >off"
        " | >disk estimated | >left | >off"
    )
    shown = blocks.table("Estimated and taken", columns, map(_cost, known), "narrow")
    train = next((cost for cost in costs if cost.stage == "train" and cost.estimated), None)
    if train is None:
        return (shown,)
    basis = _BASES.get(train.basis, train.basis)
    text = f"Training was estimated {train.estimated}: {basis}."
    return shown, blocks.Paragraph(blocks.Muted(text))


def _cost(cost: StageCost) -> list[str]:
    return [
        cost.stage,
        *_beside(duration, cost.estimated_seconds, cost.seconds, cost.seconds_error),
        *_beside(size, cost.estimated_memory_bytes, cost.memory_bytes, cost.memory_error),
        *_beside(size, cost.estimated_disk_bytes, cost.disk_bytes, cost.disk_error),
    ]


def _beside(write: Callable[[float], str], *found: float | None) -> list[str]:
    """An estimate, what it came to, and how far it was off: `+12 %` is too high."""
    *amounts, error = found
    shown = [DASH if amount is None else write(amount) for amount in amounts]
    return [*shown, DASH if error is None else f"{decimal(100 * error, 0, signed=True)} %"]
