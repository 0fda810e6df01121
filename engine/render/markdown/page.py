"""The whole report as Markdown: its parts in order, each from what has been measured."""

from __future__ import annotations

from engine.evidence import DataSummary, Report, Verdict
from engine.render import repeating, rowfit, sweeping
from engine.render.costs import COLUMNS, basis_line, cost_rows
from engine.render.learning import curve_columns, curve_rows, folds_line, model_name
from engine.render.markdown.export import exported
from engine.render.markdown.markup import absent, block, checks_table, code, listed, plain, table
from engine.render.markdown.quality import (
    calibrated,
    classes,
    compared,
    every_metric,
    forgotten,
    mistakes,
    sets,
)
from engine.render.measures import direction, told
from engine.render.proof import (
    MOST_FINDINGS,
    SOURCE_COLUMNS,
    graver_first,
    proof_lines,
    source_cells,
    split_cells,
    split_columns,
    tells_sources,
)
from engine.render.quantities import DASH, count, duration, number
from engine.render.wording import OUTCOMES, commands_and_advice, main_metric, why_absent


def render_markdown(report: Report) -> str:
    """The whole report; a part that is absent says why."""
    parts = [
        *_top(report),
        *_acceptance(report),
        *_reproduction(report),
        *compared(report),
        *every_metric(report),
        *classes(report),
        *mistakes(report),
        *calibrated(report),
        *_training(report),
        *forgotten(report),
        *_sweep(report),
        *_seeds(report),
        *_learning(report),
        *_data(report),
        *exported(report),
        *_stages(report),
        *_sources(report),
        *_environment(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _top(report: Report) -> list[str]:
    word = OUTCOMES.get(report.outcome, report.outcome).capitalize()
    commands, advice = commands_and_advice(report)
    facts = " · ".join((report.method, report.base_model, duration(report.seconds), report.started))
    steps = [*(f"- {plain(step)}" for step in advice), *(f"- {code(step)}" for step in commands)]
    notes = [f"- Warning: {plain(text)}" for text in report.warnings]
    notes += [f"- Waived: {code(one.what)}. {plain(one.why)}" for one in report.waivers]
    notes += [f"- {plain(text)}" for text in report.notes]
    return [
        f"# {plain(report.recipe_name)}: {word}",
        plain(report.description),
        f"**{plain(report.summary)}**",
        plain(facts),
        "\n".join(steps),
        "## Notes\n\n" + "\n".join(notes) if notes else "",
    ]


def _acceptance(report: Report) -> list[str]:
    gate: Verdict | None = report.gate
    shown = checks_table(gate) if gate else absent(why_absent(report, "gate"))
    power = (
        ["### What the holdout can show, estimated before training", listed(report.power)]
        if report.power
        else []
    )
    return ["## Acceptance", shown, *power]


def _reproduction(report: Report) -> list[str]:
    """The run beside its lock; nothing where there is none to compare with."""
    found = report.reproduction
    if found is None:
        return []
    told = [f"- {name}: {plain(text)}" for name, text in repeating.facts(found)]
    parts = ["## Reproduction", plain(found.summary), "\n".join(told)]
    for columns, rows in (
        (repeating.TESTED, repeating.tested_rows(found)),
        (repeating.COLUMNS, repeating.compared_rows(found)),
    ):
        cells = [[plain(cell) for cell in row] for row in rows]
        parts += [table(list(columns), cells)] if rows else []
    return parts


def _sweep(report: Report) -> list[str]:
    """The settings that were tried; nothing without a sweep."""
    found = report.sweep
    if found is None:
        return []
    rows = [[plain(cell) for cell in row] for row in sweeping.rows(found)]
    told = [plain(one[:1].upper() + one[1:]) for one in sweeping.sentences(report, found)]
    columns = [*(code(key) for key in sweeping.keys(found)), *sweeping.columns(found)]
    shown = table(columns, rows, numeric="r" * len(columns))
    return ["## Sweep", plain(sweeping.LEAD), *told, shown]


def _seeds(report: Report) -> list[str]:
    """The recipe with several seeds; nothing where that was not asked for."""
    found = report.seeds
    if found is None:
        return []
    names = repeating.seed_metrics(found)
    rows = [[plain(cell) for cell in row] for row in repeating.seed_rows(found, names)]
    columns = [*repeating.SEED_COLUMNS, *(code(name) for name in names)]
    line = plain(repeating.seeds_line(found, main_metric(report)) + ".")
    return ["## Seeds", line, table(columns, rows, numeric="l" + "r" * (len(columns) - 1))]


def _training(report: Report) -> list[str]:
    summary = report.training
    if summary is None:
        return ["## Training", absent(why_absent(report, "train"))]
    kept = summary.kept_loss
    loss = "" if kept is None else f", validation loss {number(kept)}"
    about = (
        f"{summary.backend} {summary.backend_version} on {summary.device} in {summary.precision}: "
        f"{summary.steps} steps, {summary.epochs:g} epochs, {count(summary.rows)} rows, "
        f"{duration(summary.seconds)}. Step {summary.kept_step} was kept{loss}."
    )
    shown = sets(
        report,
        (
            ("train", report.train_scores),
            ("validation", report.validation_scores),
            ("holdout", report.holdout),
            ("holdout, free decoding", report.free),
        ),
    )
    return ["## Training", plain(about), *_checkpoints(report, summary.kept_step), shown]


def _checkpoints(report: Report, kept: int) -> list[str]:
    """The main metric on the validation rows by checkpoint."""
    found = report.checkpoints
    if not found:
        return []
    name = found[0].metric.name
    rows = [
        [
            count(item.step),
            f"{item.epoch:.2f}",
            number(item.loss) if item.loss is not None else DASH,
            number(item.eval_loss) if item.eval_loss is not None else DASH,
            told(item.metric),
            "**kept**" if item.step == kept else "",
        ]
        for item in found
    ]
    columns = ["step", "epoch", "training loss", "validation loss", code(name), ""]
    title = f"Checkpoints on the validation rows ({direction(name)}):"
    return [title, table(columns, rows, numeric="rrrrrl")]


def _learning(report: Report) -> list[str]:
    """Learning curves and folds; nothing where none were asked for."""
    parts = ["## How much data"] if report.learning_curves or report.folds else []
    metric = main_metric(report)
    for curve in report.learning_curves:
        parts += [f"### {plain(model_name(curve))}, judged on {plain(curve.judged_on)}"]
        parts += [plain(f"{curve.message[:1].upper()}{curve.message[1:]}.")]
        rows = [[code(name), *cells] for name, cells in curve_rows(curve, metric)]
        columns = curve_columns(curve, metric)
        parts += [table(columns, rows, numeric="l" + "r" * (len(columns) - 1))] if rows else []
    if report.folds:
        parts += ["### Cross-validation", plain(folds_line(report.folds, metric) + ".")]
    return parts


def _data(report: Report) -> list[str]:
    summary = report.data
    if summary is None:
        return ["## Data", absent(why_absent(report, "data"))]
    dropped = "".join(f", {count(rows)} {why}" for why, rows in summary.dropped.items())
    told = (
        f"{count(summary.rows_read)} rows read{dropped}, {count(summary.rows_used)} used. "
        f"{summary.overlap_exact} holdout rows stand exactly, {summary.overlap_near} nearly in "
        "train or validation."
    )
    columns = split_columns(summary.splits)
    splits = [
        [
            item.name,
            count(item.rows),
            *map(plain, split_cells(item, columns)),
            code(item.digest[:12]),
        ]
        for item in summary.splits
    ]
    proof = [f"- {plain(line)}" for line in proof_lines(summary, report.holdout_use)]
    return [
        "## Data",
        plain(told),
        table(["split", "rows", *columns, "digest"], splits, numeric="lr" + "r" * len(columns)),
        *_lengths(report),
        "\n".join(proof),
        _origins(summary),
        *_findings(summary),
    ]


def _lengths(report: Report) -> list[str]:
    """Rows that were left out or cut for their length; nothing before they were counted."""
    if not report.lengths:
        return []
    rows = [[plain(cell) for cell in rowfit.row_cells(one)] for one in report.lengths]
    told = [f"- {plain(line)}" for line in rowfit.row_lines(report.lengths)]
    return [table(list(rowfit.COLUMNS), rows, numeric="lrrrrrr"), "\n".join(told)]


def _origins(summary: DataSummary) -> str:
    if not tells_sources(summary.sources):
        return ""
    rows = [list(map(plain, source_cells(item))) for item in summary.sources]
    return table(SOURCE_COLUMNS, rows, numeric="llrrr")


def _findings(summary: DataSummary) -> list[str]:
    found = graver_first(summary.findings)
    rows = [
        [code(item.check), item.action, count(item.count), plain(item.message)]
        for item in found[:MOST_FINDINGS]
    ]
    more = len(found) - len(rows)
    columns = ["check", "action", "found", "what"]
    return [
        table(columns, rows, numeric="llr") if rows else "",
        f"{more} more in report.json." if more else "",
    ]


def _stages(report: Report) -> list[str]:
    rows = [
        [
            item.stage,
            item.status.value,
            duration(item.seconds),
            plain("; ".join((item.reason, *item.problems))),
            code(item.key[:8]),
        ]
        for item in report.stages
    ]
    columns = ["stage", "status", "time", "why", "key"]
    return ["## Stages", table(columns, rows, numeric="llr"), *_costs(report)]


def _costs(report: Report) -> list[str]:
    rows = cost_rows(report.costs)
    if not rows:
        return []
    told = table(list(COLUMNS), rows, numeric="l" + "r" * (len(COLUMNS) - 1))
    return ["### Estimated and taken", told, plain(basis_line(report.costs))]


def _sources(report: Report) -> list[str]:
    config = report.backend_config
    return [
        "## Recipe",
        block(report.recipe_text, "yaml"),
        "## Backend config",
        block(config, "yaml") if config else absent(why_absent(report, "compile")),
    ]


def _environment(report: Report) -> list[str]:
    rows = [*report.environment.items(), *report.versions.items()]
    cells = [[plain(name), plain(value)] for name, value in rows]
    return ["## Environment", table(["what", "which"], cells)]
