"""How good the model is: against the baselines, per class, and where it errs."""

from __future__ import annotations

from engine.evidence import ClassScores, Report, Scores
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import (
    absent,
    code,
    heading,
    muted,
    prose,
    scroll,
    section,
    spread,
    table,
)
from engine.render.html.tracks import bar, meter
from engine.render.quantities import DASH, bound, count, duration, interval, number
from engine.render.wording import (
    ComparedModel,
    compared_models,
    confused_pairs,
    find_metric,
    main_check,
    main_metric,
    undefined,
    why_absent,
)

_METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "valid_output")
_FEW_LABELS = 12
"""Up to here classes stand in label order; beyond, the weakest first."""
_UPRIGHT_LABELS = 6
"""Up to here column heads are written across."""
_SHORT_LABEL = 12
_PAIRS = 12
_SHADES = 8


def baselines(report: Report) -> Markup:
    """Baselines and the tuned model, side by side on the same holdout rows."""
    models = compared_models(report)
    if not models:
        return section("baselines", "Baselines", absent(why_absent(report, "baseline")))
    lead = (
        "What the same holdout rows give without fine-tuning. A tuned model has to be worth its "
        "cost against the best of these."
    )
    return section("baselines", "Baselines", _bars(report, models), _numbers(models), lead=lead)


def _bars(report: Report, models: tuple[ComparedModel, ...]) -> Markup:
    metric, check = main_metric(report), main_check(report)
    limit = check.bound if check else None
    told = f"{metric} on the holdout"
    caption = f"{told}; the line is the bound {bound(limit)}" if limit is not None else told
    rows = join(_bar_row(model, metric, limit) for model in models)
    scale = tag("tr", tag("th"), tag("td", _scale()), tag("td"), class_="scale")
    return tag("table", heading(caption), tag("tbody", rows, scale), class_="bars")


def _bar_row(model: ComparedModel, metric: str, limit: float | None) -> Markup:
    found = find_metric(model.scores, metric)
    value = found.value if found else None
    bounds = found.interval if found else None
    told = f"{number(value)} {interval(bounds)}".strip()
    drawn = bar(value, interval=bounds, bound=limit, kind=model.kind, label=f"{model.name}: {told}")
    figure = (
        join([tag("span", number(value), class_="value"), " ", spread(bounds)])
        if value is not None
        else muted(undefined(found))
    )
    note = tag("span", prose(model.note), class_="note") if model.note else ""
    return tag(
        "tr",
        tag("th", model.name, note, scope="row"),
        tag("td", drawn, class_="drawn"),
        tag("td", figure, class_="got"),
        class_=model.kind,
    )


def _scale() -> Markup:
    marks = (tag("span", text) for text in ("0", "0.25", "0.5", "0.75", "1"))
    return tag("span", *marks, class_="ends")


def _numbers(models: tuple[ComparedModel, ...]) -> Markup:
    rows = []
    for model in models:
        values = [_value(model.scores, name) for name in _METRICS]
        took = duration(model.seconds) if model.seconds is not None else DASH
        passes = {None: DASH, True: "yes", False: "no"}[model.passes]
        rows.append([model.name, *values, took, passes])
    columns = ["model", *(name.replace("_", " ") for name in _METRICS), "time", "passes"]
    numeric = frozenset(range(1, len(columns)))
    return table("All metrics on the holdout", columns, rows, numeric=numeric)


def _value(scores: Scores, name: str) -> str:
    found = find_metric(scores, name)
    if found is None:
        return muted(DASH)
    return number(found.value) if found.value is not None else muted(undefined(found))


def per_class(report: Report) -> Markup:
    """Precision, recall and F1 of every class on the holdout."""
    scores = report.holdout
    if scores is None:
        return section("classes", "Per class", absent(why_absent(report, "evaluate")))
    many = len(scores.classes) > _FEW_LABELS
    classes = sorted(scores.classes, key=_weakness) if many else list(scores.classes)
    rows = [_class_row(scores, item) for item in classes]
    order = "weakest first" if many else "in the recipe's order"
    columns = ["label", "precision", "recall", "F1", "", "interval", "rows", "predicted"]
    shown = table(
        f"Every class on the holdout, {order}",
        columns,
        rows,
        kind="tall" if many else "",
        numeric=frozenset({1, 2, 3, 5, 6, 7}),
    )
    return section("classes", "Per class", shown)


def _weakness(item: ClassScores) -> float:
    return -1.0 if item.f1 is None else item.f1


def _class_row(scores: Scores, item: ClassScores) -> list[str]:
    found = find_metric(scores, f"f1.{item.label}")
    told = f"F1 {number(item.f1)}"
    return [
        tag("span", item.label, class_="label"),
        _optional(item.precision, "never predicted"),
        _optional(item.recall, "no rows"),
        number(item.f1) if item.f1 is not None else muted(undefined(found)),
        tag("div", meter(item.f1, told), class_="meter"),
        spread(found.interval if found else None),
        count(item.support),
        count(item.predicted),
    ]


def _optional(value: float | None, reason: str) -> str:
    return number(value) if value is not None else muted(f"not computed: {reason}")


def confusion(report: Report) -> Markup:
    """The confusion matrix and the most frequent mistakes."""
    scores = report.holdout
    if scores is None:
        return section("confusion", "Confusion", absent(why_absent(report, "evaluate")))
    lead = (
        "Rows are what is true, columns what the tuned model said. Shades are shares of the row: "
        "blue where it is right, red where it is not."
    )
    matrix = _matrix(scores, report.labels)
    return section("confusion", "Confusion", matrix, _pairs(scores, report.labels), lead=lead)


def _matrix(scores: Scores, labels: tuple[str, ...]) -> Markup:
    columns = (*labels, "invalid output")
    used = [*range(len(labels))]
    if any(row[-1] for row in scores.confusion):
        used.append(len(labels))
    long = max(len(label) for label in columns) > _SHORT_LABEL
    steep = len(used) > _UPRIGHT_LABELS or (long and len(used) > 3)  # noqa: PLR2004 - fits across
    kind = "matrix steep" if steep else "matrix"
    heads = join(
        tag("th", tag("span", columns[index], class_="label"), scope="col") for index in used
    )
    body = join(
        tag(
            "tr",
            tag("th", tag("span", label, class_="label"), scope="row"),
            *(_cell(counts, row, index) for index in used),
        )
        for row, (label, counts) in enumerate(zip(labels, scores.confusion, strict=True))
    )
    caption = f"Confusion of {len(labels)} labels on {count(scores.rows)} holdout rows"
    corner = tag("td", tag("span", "true ↓ · said →", class_="muted"))
    content = tag(
        "table",
        heading(caption),
        tag("thead", tag("tr", corner, heads)),
        tag("tbody", body),
        class_=kind,
    )
    return scroll(content, caption, kind="tall" if len(labels) > _FEW_LABELS else "")


def _cell(counts: tuple[int, ...], row: int, column: int) -> Markup:
    value = counts[column]
    hue = "hit" if row == column else "miss"
    if value == 0:
        return tag("td", "0" if row == column else "", class_="zero")
    shade = max(1, round(_SHADES * value / sum(counts)))
    return tag("td", str(value), class_=f"{hue} h{shade}")


def _pairs(scores: Scores, labels: tuple[str, ...]) -> Markup:
    pairs = confused_pairs(scores, labels, most=_PAIRS)
    if not pairs:
        return tag("p", "No holdout row was labelled wrongly.", class_="fine")
    support = {item.label: item.support for item in scores.classes}
    rows = [
        [code(target), code(said), count(rows), f"{count(rows)} of {count(support[target])}"]
        for target, said, rows in pairs
    ]
    return table(
        "Most frequent mistakes",
        ["true", "said", "rows", "of all rows of that label"],
        rows,
        kind="narrow",
        numeric=frozenset({2, 3}),
    )
