"""How the run went and how it is repeated: stages, costs, notes, diagnosis, lock, sources and machine."""

from collections.abc import Callable, Sequence

from engine.evidence import Diagnosis, Fit, Report, Reproduction, StageCost, StageStatus
from engine.render import blocks
from engine.render import number_format as write
from engine.render.blocks import Code, Facts, Heading, Listing
from engine.render.label_tables import why_absent
from engine.render.report.sections import Parts
from engine.values import decimal


def reproduction(report: Report) -> Parts:
    result = report.reproduction
    if result is None:
        return
    yield blocks.sentence(result.summary)
    margins = dict.fromkeys(f"{test.metric}: {test.margin_from}" for test in result.equivalence)
    agreed, needed, same = result.agreement, result.agreement_required, ""
    if agreed and agreed.value is not None:
        wanted = f"; {write.percent(needed)} expected: {result.agreement_from}" if needed else ""
        same = f"{round(agreed.value * agreed.n)} of {agreed.n}{wanted}"
    facts = blocks.facts(
        ("differs first", result.first_difference),
        ("not recomputed", ", ".join(result.reused)),
        *(("margin", margin) for margin in margins),
        ("same answers", same),
    )
    if facts.rows:
        yield facts
    if result.equivalence:
        rows = []
        for test in result.equivalence:
            spread = write.interval(test.interval, signed=True) or write.DASH
            margin = write.known(test.margin, "±{:.3f}".format)
            values = (write.value_of(test.metric, value) for value in (test.locked, test.found))
            answer = "within" if test.holds else "not within"
            rows.append((test.metric, *values, spread, margin, answer))
        caption = "Is each metric the same but for noise: the interval must lie within the margin"
        columns = "metric | >in the lock | >in this run | >difference, 90 % | >margin | "
        yield blocks.table(caption, columns, rows, "narrow")
    if result.compared:
        columns = "what | in the lock | in this run | "
        yield blocks.table("The lock and this run", columns, _compared_rows(result), "narrow")
    yield "card", result.summary
    yield "closing", result.summary


def _compared_rows(result: Reproduction) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for part in dict.fromkeys(item.part for item in result.compared):
        items = [item for item in result.compared if item.part == part]
        equal = sum(item.equal for item in items)
        for item in items:
            if not item.equal or equal == 1:
                name = item.name if item.name == part else f"{part}: {item.name}"
                rows.append((name, item.locked, item.found, "equal" if item.equal else "differs"))
        if equal > 1:
            rows.append((part, write.DASH, write.DASH, f"{equal} equal"))
    return rows


def diagnosis(report: Report) -> Parts:
    found = report.diagnosis
    if found is None:
        return
    yield "lead", write.WORDS["fits"][found.fit]
    yield from blocks.bullets(found.reasons)
    if found.edits:
        rows = ((Code(one.key), one.current, one.proposed) for one in found.edits)
        yield blocks.table("What to change", "key | >now | >proposed", rows, "narrow")
        yield Listing(title="In the recipe", text=found.yaml, is_open=True)
    else:
        yield "title", f"Diagnosis: {fit_words(found)}"
    if report.outcome != "accepted" or found.fit is not Fit.FITS or found.edits:
        yield "closing", f"diagnosis: {fit_words(found)}: {'; '.join(found.reasons[:2])}"


def fit_words(found: Diagnosis) -> str:
    return found.fit.value.replace("_", " ")


def again(report: Report) -> Parts:
    # reports of earlier versions do not hold the command
    if report.command:
        yield blocks.Paragraph(Code(report.command), "command-line")


def notes(report: Report) -> Parts:
    warning, waived = blocks.Strong("Warning"), blocks.Strong("Waived")
    items: list[blocks.Cell] = [(warning, " ", blocks.Prose(text)) for text in report.warnings]
    items += [(waived, " ", Code(one.what), ". ", one.why) for one in report.waivers]
    items += map(blocks.Prose, report.notes)
    if items:
        yield "is_open", bool(report.warnings or report.waivers)
        yield blocks.Bullets(tuple(items))
    for one in report.waivers:
        yield "closing", f"waived in the recipe: `{one.what}`, because: {one.why}"


def sources(report: Report) -> Parts:
    yield Listing(title="Recipe, as written", text=report.recipe_text, is_open=True)
    yield Listing(title="Recipe, every default written out", text=report.resolved_recipe)
    if report.backend_config:
        yield Listing(title="Backend config, compiled", text=report.backend_config)
    else:
        yield blocks.Absent("Backend config " + why_absent(report, "compile"))


def environment(report: Report) -> Parts:
    folder, schema = Code(report.run_directory), Code(report.schema)
    run = (("started", report.started), ("folder", folder), ("report schema", schema))
    machine, versions = tuple(report.environment.items()), tuple(report.versions.items())
    for title, facts in (("Machine", machine), ("Versions", versions), ("Run", run)):
        yield Heading(title)
        yield Facts(facts)


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


def stages(report: Report) -> Parts:
    rows: list[Sequence[blocks.Cell]] = []
    for item in report.stages:
        problems = (part for problem in item.problems for part in (" ", blocks.Failure(problem)))
        took = blocks.Muted(write.DASH) if item.status in _IDLE else write.duration(item.seconds)
        key = Code(item.key[:8]) if item.key else blocks.Muted(write.DASH)
        badge = blocks.Badge(item.status.value, item.status.value)
        rows.append((item.stage, badge, took, (blocks.Prose(item.reason), *problems), key))
    columns = "stage | status | >time | why | key"
    yield blocks.table("Stages in order", columns, rows, "stages")
    # those that have any estimate or whose peak was measured
    costs = [cost for cost in report.costs if cost.estimated or cost.memory_bytes is not None]
    if costs:
        columns = (
            "stage | >time estimated | >took | >off | >memory estimated | >peak | >off"
            " | >disk estimated | >left | >off"
        )
        yield blocks.table("Estimated and taken", columns, map(_cost, costs), "narrow")
    for cost in costs:
        if cost.stage == "train" and cost.estimated:
            basis = _BASES.get(cost.basis, cost.basis)
            text = f"Training was estimated {cost.estimated}: {basis}."
            yield blocks.Paragraph(blocks.Muted(text))


def _cost(cost: StageCost) -> list[str]:
    return [
        cost.stage,
        *_beside(write.duration, cost.estimated_seconds, cost.seconds, cost.seconds_error),
        *_beside(write.size, cost.estimated_memory_bytes, cost.memory_bytes, cost.memory_error),
        *_beside(write.size, cost.estimated_disk_bytes, cost.disk_bytes, cost.disk_error),
    ]


def _beside(shown: Callable[[float], str], *found: float | None) -> list[str]:
    """An estimate, what it came to, and how far it was off: `+12 %` is too high."""
    *amounts, error = found
    off = write.DASH if error is None else f"{decimal(100 * error, 0, signed=True)} %"
    return [*(write.known(amount, shown) for amount in amounts), off]
