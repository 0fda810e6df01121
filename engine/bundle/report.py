"""What came of checking a bundle, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.bundle.contents import Contents, has_row_texts
from engine.bundle.verify import BundleVerdict, Checking
from engine.lock.accepted_run import metric_facts
from engine.lock.file import MetricFacts
from engine.process import __version__
from engine.recipe.metrics import primary
from engine.render.labels import file_metric
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
STATED: Final[Mapping[str, tuple[str, ...]]] = {
    "when the run was made and how long each part took": (
        "started", "seconds", "run_directory", "stages.[].key", "stages.[].reason", "stages.[].seconds",
        "baselines.[].seconds", "training.seconds", "training.cpu_seconds", "costs.[].seconds",
    ),
    "memory, disk, confinement and sizes of files that are not at hand, and what was estimated": (
        "training.peak_memory_bytes", "costs.[].basis", "costs.[].estimated", "costs.[].estimated_seconds",
        "costs.[].estimated_memory_bytes", "costs.[].memory_bytes", "costs.[].estimated_disk_bytes",
        "costs.[].disk_bytes", "files.[].bytes", "files.[].bits_per_weight", "files.[].fallback_tensors",
        "files.[].tensors", "files.[].format", "environment.threads", "environment.memory", "environment.bfloat16",
        "environment.confined",
        "quantized.metrics.[].value", "quantized.metrics.[].n",
    ),
    "losses, parameters and checkpoints of the training": (
        "training.epochs", "training.supervised_tokens", "training.trainable_parameters",
        "training.total_parameters", "training.stopped_early", "training.adapter_norm", "training.history.*",
        "training.shared_prefix.*", "training.padding", "checkpoints.*",
    ),
    "that the rows are those of the holdout, and comparisons with the last accepted model": (
        "comparisons.previous.*",
    ),
    "counts of what the checks of rows found, and lengths of rows": (
        "data.splits.[].replaced", "data.findings.*", "data.sources.[].shape", "data.firewall.compared",
        "data.firewall.removed", "lengths.*", "holdout_use.looks",
    ),
    "temperatures, what they make of probabilities, and how a threshold was chosen": (
        "calibrated.*",
    ),
    "learning curves, shifts, diagnosis, warnings, notes and versions that the lock does not name": (
        "stages.[].problems", "warnings",
        "learning_curves.*", "ladder.[].mean_shift", "ladder.[].largest_shift", "*.note", "*.undefined",
        "notes", "power", "diagnosis.*", "versions.*",
    ),
    "digests of what is not in the bundle: rows and answers, sources, base model, adapter, predictions": (
        "lock.splits.*.digest", "lock.splits.*.members", "lock.splits.*.left_out", "lock.unused",
        "lock.accepted.fingerprints", "lock.accepted.answers.entries", "data.splits.[].digest",
        "holdout_use.digest", "holdout_use.redraws", "lock.holdout.redraws", "lock.inputs",
        "lock.holdout.looks", "lock.accepted.sources.[].sha256", "lock.accepted.base_model.files.*",
        "lock.accepted.predictions.*", "lock.accepted.adapter.*",
    ),
}  # fmt: skip
"""What only the signer states, by words for people: paths of report and lock (`[]` an item, `*` anything)."""
OWN_KEY = (
    "nobody here knows that key: nothing changed since it signed, and anybody may have signed; compare it with the one "
    "that its maker publishes, and name that with --key"
)
KNOWN_KEY = "that is a key you named, made or keep among your known keys"


def checked_text(found: Checking, *, name: str) -> str:
    """One line a claim, then who signed, then the answer."""
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
