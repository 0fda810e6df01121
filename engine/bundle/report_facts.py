"""What came of checking a bundle, as lines for people and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.bundle.contents import Contents, has_row_texts
from engine.bundle.verification import BundleVerdict, Checking
from engine.files.reading import parse_json
from engine.lock.accepted_run import metric_facts
from engine.lock.file import MetricFacts
from engine.process import __version__
from engine.recipe.metrics import primary
from engine.render.label_tables import file_metric
from engine.render.number_format import value_of
from engine.values import brief_text

RECOMPUTED: Final = (
    "scores, intervals, p-values and checks from the rows; verdicts and bounds from the recipe; config and digest from "
    "the recipe; answers of the holdout from the lock; digests of files at hand; pages from the report"
)
"""What a bundle with rows is held to, for people."""
NOT_RECOMPUTED: Final = (
    "it carries no rows, so nothing was recomputed: compared were its signature, its digests and what its gates say of "
    "themselves"
)
STATED: Final[Mapping[str, Sequence[str]]] = parse_json(
    Path(__file__).with_name("stated.json").read_text("utf-8")
)
"""What only the signer states, by words for people: paths of report and lock (`[]` an item, `*` anything)."""
OWN_KEY = (
    "nobody here knows that key: nothing changed since it signed, and anybody may have signed; compare it with the one "
    "that its maker publishes, and name that with --key"
)
KNOWN_KEY = "that is a key you named, made or keep among your known keys"


def checked_text(found: Checking, *, name: str) -> str:
    lines = []
    for claim in found.claims:
        problem = f": {claim.problem}" if claim.problem else ""
        lines.append(f"{'ok' if claim.holds else 'FAILED':<8}{claim.what}{problem}")
    lines.append("")
    if found.holds and found.contents:
        lines += _facts(found.contents)
    if found.signer:
        lines.append(f"signed by key {found.signer}")
        lines.append(KNOWN_KEY if found.is_known else OWN_KEY)
    what = f"{name} of {found.recipe}" if found.recipe else name
    broken = sum(not claim.holds for claim in found.claims)
    fails = "1 claim fails" if broken == 1 else f"{broken} claims fail"
    answer = {
        BundleVerdict.VERIFIED: f"VERIFIED  {what}",
        BundleVerdict.CONSISTENT: f"CONSISTENT, SIGNER UNKNOWN  {what}",
        BundleVerdict.SIGNED: f"NOT RECOMPUTED, SIGNER UNKNOWN  {what}",
        BundleVerdict.NOT_VERIFIED: f"NOT VERIFIED  {what}: {fails}",
    }
    return "\n".join([*lines, answer[found.verdict]])


def checked_json(found: Checking) -> dict[str, Any]:
    return {
        "schema": "verified.v1",
        "verdict": found.verdict.value,
        "holds": found.holds,
        "recipe": found.recipe,
        **(
            (
                {
                    "recipe_digest": found.contents.accepted.recipe["digest"],
                    "accepted": found.contents.accepted.finished,
                    "metrics": _of_file(found.contents),
                    "tuned": _scores(found.contents),
                    "recomputed": RECOMPUTED if found.contents.rows is not None else "",
                    "only_stated": {words: list(paths) for words, paths in STATED.items()},
                    "pages_written_with": found.contents.written_with,
                    "has_row_texts": has_row_texts(found.contents.report, found.contents.recipe),
                }
            )
            if found.contents
            else {}
        ),
        "signer": found.signer or None,
        "signer_is_known": found.is_known,
        "claims": [
            {"what": claim.what, "holds": claim.holds, "problem": claim.problem}
            for claim in found.claims
        ],
        "subjects": [dict(one) for one in found.subjects],
    }


def _facts(found: Contents) -> Iterator[str]:
    """Yield what the bundle is of: its recipe by digest, when it was accepted, and its scores on the holdout."""
    accepted = found.accepted
    yield f"recipe digest {accepted.recipe['digest']}"
    yield f"accepted on {accepted.finished}, by the clock of its maker"
    for whose, scores in (("exported file", _of_file(found)), ("tuned model", _scores(found))):
        for name, metric in scores.items():
            value, low, high = (value_of(name, metric[part]) for part in ("value", "low", "high"))
            yield f"{whose}: {name} {value} ({low} to {high}) on {metric['n']} rows of the holdout"
    yield NOT_RECOMPUTED if found.rows is None else f"recomputed here: {RECOMPUTED}"
    yield f"only stated by its signer, and denied by nothing here: {'; '.join(STATED)}"
    if has_row_texts(found.report, found.recipe):
        yield "it quotes texts of rows"
    if found.rows is not None and not found.is_of_this_version:
        maker = brief_text(str(found.report.versions.get("slm-recipe", "of an unknown version")))
        yield (
            f"it says that slm-recipe {maker} ran it: summary, advice, revisions of stages, the compiled config, "
            "bounds of `acceptance` on exported files and what a lock of this version holds were not compared"
        )
    if found.rows is not None and found.written_with != __version__:
        yield (
            f"its pages were written by slm-recipe {brief_text(found.written_with or 'of an unknown version')}: "
            "their numbers were compared with the report, their words were not"
        )


def _scores(found: Contents) -> dict[str, MetricFacts]:
    recipe, metrics = found.recipe, found.accepted.metrics
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    names = dict.fromkeys((main, *(bound.metric for bound in recipe.acceptance.metrics)))
    return {name: metrics[name] for name in names if name in metrics}


def _of_file(found: Contents) -> dict[str, MetricFacts]:
    known = {name: file_metric(found.report, name) for name in _scores(found)}
    return {name: metric_facts(metric) for name, metric in known.items() if metric is not None}
