"""How good the model is, as Markdown: against the others, by class or field, calibrated, remembering."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Report, Scores
from engine.render import calibration, comparisons, forgetting
from engine.render.markdown.markup import absent, code, listed, plain, table
from engine.render.measures import (
    direction,
    is_lower_better,
    kind_of,
    short_list,
    told,
    value_of,
    whole_list,
)
from engine.render.quantities import DASH, count, duration, number
from engine.render.wording import (
    class_words,
    compared_models,
    confused_pairs,
    find_metric,
    has_classes,
    has_confusion,
    judged_by,
    main_metric,
    sentence,
    undefined,
    why_absent,
)

_PAIRS = 10


def compared(report: Report) -> list[str]:
    """Baselines, the tuned model and its file side by side, and the paired differences."""
    models = compared_models(report)
    if not models:
        return ["## Baselines", absent(why_absent(report, "baseline")), *_differences(report)]
    main = main_metric(report)
    names = short_list(kind_of(report), main, [model.scores for model in models])[:3]
    rows = [
        [
            plain(model.name),
            *(value(model.scores, name) for name in names),
            duration(model.seconds) if model.seconds is not None else DASH,
            {None: DASH, True: "yes", False: "no"}[model.passes],
            plain(model.note),
        ]
        for model in models
    ]
    columns = ["model", *map(code, names), "time", "passes", "note"]
    shown = table(columns, rows, numeric="l" + "r" * len(names) + "rll")
    lower = [f"{code(main)}: {direction(main)}."] if is_lower_better(main) else []
    return ["## Baselines and the tuned model", *lower, shown, *_differences(report)]


def _differences(report: Report) -> list[str]:
    if not report.comparisons:
        return []
    rows = [list(map(plain, comparisons.cells(item))) for item in report.comparisons]
    return [
        "### How much better, row by row",
        plain(comparisons.LEAD),
        table(comparisons.COLUMNS, rows, numeric="llrrllrl"),
        plain(comparisons.tests_of(report.comparisons)),
    ]


def value(scores: Scores | None, name: str) -> str:
    """A metric with its interval, or why there is none."""
    found = find_metric(scores, name)
    if found is None or found.value is None:
        return plain(undefined(found))
    return told(found)


def every_metric(report: Report) -> list[str]:
    """All numbers of the tuned model that are not of one class or field."""
    scores = report.folds or report.holdout
    names = whole_list(kind_of(report), scores, report.free)
    if scores is None or not names:
        return []
    free = [_free(report, name) for name in names]
    has_free = any(said != DASH for said in free)
    rows = [
        [code(name), _own(scores, name), *([said] if has_free else []), direction(name)]
        for name, said in zip(names, free, strict=True)
    ]
    columns = ["metric", judged_by(report), *(["free decoding"] if has_free else []), ""]
    return ["## Every metric", table(columns, rows, numeric="lrrl" if has_free else "lrl")]


def _own(scores: Scores, name: str) -> str:
    return value(scores, name) if find_metric(scores, name) else DASH


def _free(report: Report, name: str) -> str:
    found = find_metric(report.free, name)
    return value_of(name, found.value) if found and found.value is not None else DASH


def classes(report: Report) -> list[str]:
    """Precision, recall and F1 by class or field; nothing for kinds without."""
    if not has_classes(report):
        return []
    words = class_words(report)
    if report.holdout is None:
        return [f"## {words.title}", absent(why_absent(report, "evaluate"))]
    rows = [
        [
            code(item.label),
            number(item.precision),
            number(item.recall),
            value(report.holdout, f"f1.{item.label}"),
            count(item.support),
        ]
        for item in report.holdout.classes
    ]
    columns = [words.one, "precision", "recall", "F1", words.support]
    return [f"## {words.title}", plain(words.lead), table(columns, rows, numeric="lrrrr")]


def mistakes(report: Report) -> list[str]:
    """The most frequent confusions, where a row has one label."""
    if report.holdout is None or not has_confusion(report):
        return []
    pairs = confused_pairs(report.holdout, report.labels, most=_PAIRS)
    rows = [[code(target), code(said), count(rows)] for target, said, rows in pairs]
    if not rows:
        return ["No holdout row was labelled wrongly."]
    title = "### Most frequent mistakes"
    return [title, table(["true", "said", "rows"], rows, numeric="llr")]


def calibrated(report: Report) -> list[str]:
    """Whether probabilities mean what they say; nothing where answers have none."""
    found = report.holdout.calibration if report.holdout else None
    if found is None:
        return []
    rows = [calibration.cells(item) for item in calibration.filled(found)]
    shown = table(calibration.COLUMNS, rows, numeric="lrrrr") if rows else ""
    return ["## Calibration", listed(calibration.lines(found)), shown]


def forgotten(report: Report) -> list[str]:
    """What training cost in other things; nothing where it was not measured."""
    found = report.forgetting
    if found is None:
        return []
    check = forgetting.gate_check(report)
    gated = f"**{check.status.value}**: {plain(sentence(check))}." if check else ""
    rows = [list(map(plain, forgetting.cells(item, found))) for item in forgetting.rows(found)]
    shown = table(forgetting.COLUMNS, rows, numeric="llrrrrrlr")
    return ["## Forgetting", plain(forgetting.LEAD), gated, shown]


def sets(report: Report, found: Sequence[tuple[str, Scores | None]]) -> str:
    """The main metric on what the model saw and what it never saw."""
    metric = main_metric(report)
    rows = [[name, value(scores, metric), count(scores.rows)] for name, scores in found if scores]
    return table(["rows of", code(metric), "rows"], rows, numeric="lrr") if rows else ""
