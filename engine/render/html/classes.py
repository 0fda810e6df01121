"""Where the model is good and where it errs: by class or by field, the confusions, every metric."""

from __future__ import annotations

from engine.evidence import ClassScores, Report, Scores
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, heading, muted, scroll, section, spread, table
from engine.render.html.tracks import meter
from engine.render.measures import direction, interval_of, kind_of, value_of, whole_list
from engine.render.quantities import DASH, count, number
from engine.render.wording import (
    class_words,
    confused_pairs,
    find_metric,
    has_classes,
    has_confusion,
    judged_by,
    undefined,
    why_absent,
)

_FEW_LABELS = 12
"""Up to here classes stand in label order; beyond, the weakest first."""
_UPRIGHT_LABELS = 6
"""Up to here column heads are written across."""
_SHORT_LABEL = 12
_PAIRS = 12
_SHADES = 8


def per_class(report: Report) -> Markup:
    """Precision, recall and F1 of every class, or field of the answer; nothing for kinds without."""
    if not has_classes(report):
        return Markup("")
    scores, words = report.holdout, class_words(report)
    if scores is None:
        return section("classes", words.title, absent(why_absent(report, "evaluate")))
    many = len(scores.classes) > _FEW_LABELS
    classes = sorted(scores.classes, key=_weakness) if many else list(scores.classes)
    rows = [_class_row(scores, item, words.support) for item in classes]
    order = "weakest first" if many else "in the recipe's order"
    columns = [
        words.one,
        "precision",
        "recall",
        "F1",
        "",
        "interval",
        words.support,
        words.predicted,
    ]
    shown = table(
        f"Every {words.one} on the holdout, {order}",
        columns,
        rows,
        kind="tall" if many else "",
        numeric=frozenset({1, 2, 3, 5, 6, 7}),
    )
    return section("classes", words.title, shown, lead=words.lead)


def every_metric(report: Report) -> Markup:
    """All numbers on the tuned model that are not of one class or field."""
    scores = report.folds or report.holdout
    names = whole_list(kind_of(report), scores, report.free)
    if scores is None or not names:
        return Markup("")
    free = [find_metric(report.free, name) for name in names]
    has_free = any(metric is not None and metric.value is not None for metric in free)
    columns = ["metric", "value", "interval", *(["free decoding"] if has_free else []), "rows", ""]
    rows = [_metric_row(scores, report.free if has_free else None, name) for name in names]
    shown = table(
        f"The tuned model on the holdout, {judged_by(report)}",
        columns,
        rows,
        kind="narrow",
        numeric=frozenset(range(1, len(columns) - 1)),
    )
    return section("metrics", "Every metric", shown)


def _metric_row(scores: Scores, free: Scores | None, name: str) -> list[str]:
    found = find_metric(scores, name)
    value = found.value if found else None
    own = value_of(name, value) if value is not None else muted(undefined(found) if found else DASH)
    told = find_metric(free, name)
    measured = found or told
    said = [value_of(name, told.value) if told and told.value is not None else muted(DASH)]
    return [
        code(name),
        own,
        tag("span", interval_of(name, found.interval if found else None), class_="muted spread"),
        *(said if free else []),
        count(measured.n) if measured else DASH,
        tag("span", direction(name), class_="muted spread"),
    ]


def _weakness(item: ClassScores) -> float:
    return -1.0 if item.f1 is None else item.f1


def _class_row(scores: Scores, item: ClassScores, support: str) -> list[str]:
    found = find_metric(scores, f"f1.{item.label}")
    told = f"F1 {number(item.f1)}"
    return [
        tag("span", item.label, class_="label"),
        _optional(item.precision, "never predicted"),
        _optional(item.recall, f"no {support}"),
        number(item.f1) if item.f1 is not None else muted(undefined(found)),
        tag("div", meter(item.f1, told), class_="meter"),
        spread(found.interval if found else None),
        count(item.support),
        count(item.predicted),
    ]


def _optional(value: float | None, reason: str) -> str:
    return number(value) if value is not None else muted(f"not computed: {reason}")


def confusion(report: Report) -> Markup:
    """The confusion matrix and the most frequent mistakes; nothing for kinds without one label a row."""
    if not has_confusion(report):
        return Markup("")
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
    steep = len(used) > _UPRIGHT_LABELS or (long and len(used) > 3)  # fits across
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
