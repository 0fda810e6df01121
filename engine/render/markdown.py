"""The report as Markdown, for pull requests and wikis; and the escaping every Markdown text needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.evidence import Check, DataSummary, Report, Scores, Verdict
from engine.render.learning import curve_columns, curve_rows, folds_line, model_name
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
from engine.render.quantities import DASH, count, duration, interval, number, percent, size
from engine.render.spans import printable
from engine.render.wording import (
    OUTCOMES,
    check_title,
    commands_and_advice,
    compared_models,
    confused_pairs,
    find_metric,
    got,
    main_metric,
    required,
    undefined,
    why_absent,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_PAIRS = 10
_MOST_FLIPS = 20


def render_markdown(report: Report) -> str:
    """The whole report; a part that is absent says why."""
    parts = [
        *_top(report),
        *_verdict(report.gate, "Acceptance", why_absent(report, "gate")),
        *_power(report),
        *_comparison(report),
        *_classes(report),
        *_mistakes(report),
        *_training(report),
        *_learning(report),
        *_data(report),
        *_verdict(report.verify, "Quantized file", why_absent(report, "verify")),
        *_files(report),
        *_stages(report),
        *_sources(report),
        *_environment(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def code(text: str) -> str:
    """A code span, fenced by more backticks than the text holds in a row; safe in table cells."""
    shown = printable(" ".join(text.split())).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}" if shown else ""


def block(text: str, language: str) -> str:
    """A fenced block that its text cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = "\n".join(printable(line) for line in text.splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: str = "") -> str:
    """A table; `numeric` holds one letter a column: `r` for flush right, anything else for left."""
    marks = ["---:" if mark == "r" else "---" for mark in numeric.ljust(len(columns))]
    if len(marks) != len(columns):
        raise ValueError(f"{len(columns)} columns, {len(marks)} marks")
    lines = [columns, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def check_row(check: Check) -> list[str]:
    """One row of a table of checks."""
    return [
        code(check_title(check.name)),
        got(check),
        required(check),
        count(check.n),
        f"**{check.status.value}**",
        plain(check.note),
    ]


def checks_table(verdict: Verdict) -> str:
    """Every check with what was got and required."""
    columns = ["check", "got", "required", "rows", "answer", "note"]
    return table(columns, map(check_row, verdict.checks), numeric="lllrll")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _top(report: Report) -> list[str]:
    word = OUTCOMES.get(report.outcome, report.outcome).capitalize()
    commands, advice = commands_and_advice(report)
    facts = " · ".join((report.method, report.base_model, duration(report.seconds), report.started))
    steps = [*(f"- {plain(step)}" for step in advice), *(f"- {code(step)}" for step in commands)]
    notes = [f"- Warning: {plain(text)}" for text in report.warnings]
    notes += [f"- {plain(text)}" for text in report.notes]
    return [
        f"# {plain(report.recipe_name)}: {word}",
        plain(report.description),
        f"**{plain(report.summary)}**",
        plain(facts),
        "\n".join(steps),
        "## Notes\n\n" + "\n".join(notes) if notes else "",
    ]


def _verdict(verdict: Verdict | None, title: str, absence: str) -> list[str]:
    if verdict is None:
        return [f"## {title}", _absent(absence)]
    return [f"## {title}", checks_table(verdict)]


def _power(report: Report) -> list[str]:
    """What the holdout could have shown; nothing where nothing was gated."""
    lines = "\n".join(f"- {plain(sentence)}" for sentence in report.power)
    return ["### What the holdout can show", lines] if lines else []


def _absent(reason: str) -> str:
    return f"_{plain(reason)[:1].upper()}{plain(reason)[1:]}._"


def _comparison(report: Report) -> list[str]:
    models = compared_models(report)
    if not models:
        return ["## Baselines", _absent(why_absent(report, "baseline"))]
    metric = main_metric(report)
    rows = [
        [
            plain(model.name),
            _value(model.scores, metric),
            _value(model.scores, "accuracy"),
            {None: DASH, True: "yes", False: "no"}[model.passes],
            plain(model.note),
        ]
        for model in models
    ]
    columns = ["model", code(metric), "accuracy", "passes", "note"]
    return ["## Baselines and the tuned model", table(columns, rows, numeric="lrrl")]


def _value(scores: Scores | None, name: str) -> str:
    found = find_metric(scores, name)
    if found is None or found.value is None:
        return plain(undefined(found))
    return f"{number(found.value)} {interval(found.interval)}".rstrip()


def _classes(report: Report) -> list[str]:
    if report.holdout is None:
        return ["## Per class", _absent(why_absent(report, "evaluate"))]
    rows = [
        [
            code(item.label),
            number(item.precision),
            number(item.recall),
            _value(report.holdout, f"f1.{item.label}"),
            count(item.support),
        ]
        for item in report.holdout.classes
    ]
    columns = ["label", "precision", "recall", "F1", "rows"]
    return ["## Per class", table(columns, rows, numeric="lrrrr")]


def _mistakes(report: Report) -> list[str]:
    if report.holdout is None:
        return []
    pairs = confused_pairs(report.holdout, report.labels, most=_PAIRS)
    rows = [[code(target), code(said), count(rows)] for target, said, rows in pairs]
    if not rows:
        return ["No holdout row was labelled wrongly."]
    title = "### Most frequent mistakes"
    return [title, table(["true", "said", "rows"], rows, numeric="llr")]


def _training(report: Report) -> list[str]:
    summary = report.training
    if summary is None:
        return ["## Training", _absent(why_absent(report, "train"))]
    kept = [p for p in summary.history if p.step == summary.kept_step and p.eval_loss is not None]
    loss = f", validation loss {number(kept[-1].eval_loss)}" if kept else ""
    told = (
        f"{summary.backend} {summary.backend_version} on {summary.device} in {summary.precision}: "
        f"{summary.steps} steps, {summary.epochs:g} epochs, {count(summary.rows)} rows, "
        f"{duration(summary.seconds)}. Step {summary.kept_step} was kept{loss}."
    )
    sets = (
        ("train", report.train_scores),
        ("validation", report.validation_scores),
        ("holdout", report.holdout),
        ("holdout, free decoding", report.free),
    )
    metric = main_metric(report)
    rows = [[name, _value(scores, metric), count(scores.rows)] for name, scores in sets if scores]
    shown = table(["rows of", code(metric), "rows"], rows, numeric="lrr") if rows else ""
    return ["## Training", plain(told), shown]


def _learning(report: Report) -> list[str]:
    """Learning curves and folds; nothing where none were asked for."""
    parts = ["## How much data"] if report.learning_curves or report.folds else []
    for curve in report.learning_curves:
        parts += [f"### {plain(model_name(curve))}, judged on {plain(curve.judged_on)}"]
        parts += [plain(f"{curve.message[:1].upper()}{curve.message[1:]}.")]
        rows = [[code(name), *cells] for name, cells in curve_rows(curve)]
        columns = curve_columns(curve)
        parts += [table(columns, rows, numeric="l" + "r" * (len(columns) - 1))] if rows else []
    if report.folds:
        parts += ["### Cross-validation", plain(folds_line(report.folds) + ".")]
    return parts


def _data(report: Report) -> list[str]:
    summary = report.data
    if summary is None:
        return ["## Data", _absent(why_absent(report, "data"))]
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
        "\n".join(proof),
        _origins(summary),
        *_findings(summary),
    ]


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


def _files(report: Report) -> list[str]:
    if not report.files:
        return [_absent(why_absent(report, "quantize"))]
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
        parts.append(
            f"The quantized file agrees with the merged model on {percent(report.agreement)} of the holdout."
        )
    flips = [
        [code(str(flip[name])) for name in ("id", "target", "merged", "quantized")]
        for flip in report.flips[:_MOST_FLIPS]
    ]
    more = len(report.flips) - len(flips)
    if flips:
        parts.append(table(["row", "true", "merged", "quantized"], flips))
    return [*parts, f"{more} more in report.json." if more else ""]


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
    return ["## Stages", table(columns, rows, numeric="llr")]


def _sources(report: Report) -> list[str]:
    config = report.backend_config
    return [
        "## Recipe",
        block(report.recipe_text, "yaml"),
        "## Backend config",
        block(config, "yaml") if config else _absent(why_absent(report, "compile")),
    ]


def _environment(report: Report) -> list[str]:
    rows = [*report.environment.items(), *report.versions.items()]
    cells = [[plain(name), plain(value)] for name, value in rows]
    return ["## Environment", table(["what", "which"], cells)]
