"""Whether a bundle's numbers follow from its rows, and its gates evaluated what the recipe asks for and passed.

What a gate must have evaluated comes from the resolved recipe, never from the report: a check that is missing fails.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from engine.bundle.contents import Contents
from engine.bundle.recomputed import LOSSLESS, Recomputed
from engine.environment import version_of
from engine.evidence import Check, FormResult, Metric, Status, Verdict
from engine.evidence.verdicts import DIFFERENCES
from engine.inference.ladder import LARGEST_QUANTIZED, LARGEST_SHIFT, MEAN_SHIFT, SAMPLED, lowered
from engine.lock.accepted_run import recorded_facts
from engine.lock.coherence import Comparing, as_text
from engine.metrics.verdict import judge, verdict
from engine.recipe.model import ONNX
from engine.recipe.teacher import all_baselines
from engine.values import to_json

WHOLE: Final = ("reload", "token_parity", f"token_parity.{ONNX}", "finite", "weights", "ends_turn")
"""Checks that only all rows, or all tensors, keep."""
MOST_SHIFT: Final[Mapping[str, float]] = {
    **{f"shift.{name}": max(MEAN_SHIFT.values()) for name in LOSSLESS},
    **{f"largest_shift.{name}": max(LARGEST_SHIFT.values()) for name in LOSSLESS},
}
"""The widest bounds on how far probabilities may move."""
MEASURED: Final = (
    "parity", "shift", "largest_shift", "token_parity", "ended", "free_output", "weights", "finite", "ends_turn",
    "reload", "task_file", "against_teacher", "over_without_synthetic", "drop",
)  # fmt: skip
"""Kinds of checks whose numbers need more than the rows in the bundle."""


def gate_problems(found: Contents) -> Iterator[str]:
    """Yield where a gate did not pass, contradicts its own numbers, or the lock records another verdict."""
    for name in ("gate", "verify"):
        judged: Verdict | None = getattr(found.report, name)
        if judged is None or not judged.checks:
            yield f"{name} has no checks"
            continue
        status = verdict(judged.checks).status
        if {judged.status, status} != {Status.PASS}:
            yield f"{name} is `{judged.status.value}`, its checks say `{status.value}`"
        if (locked := found.accepted.verdicts.get(name)) != judged.status.value:
            yield f"{name} is `{judged.status.value}` in the report, `{locked}` in the lock"
        if len({(one.name, one.direction) for one in judged.checks}) != len(judged.checks):
            yield f"{name} has a check twice"
        for check in judged.checks:
            if check.decided_on not in ("point", "lower bound", "upper bound"):
                yield f"{name}: {check.name} is decided on `{check.decided_on}`"
            elif check.status is Status.PASS:
                metric = Metric(
                    name=check.name, value=check.got, n=check.n, interval=check.interval
                )
                decide_on = "point" if check.decided_on == "point" else "lower_bound"
                direction = "min" if check.direction == "min" else "max"
                right = judge(metric, direction, check.bound, decide_on=decide_on)  # type: ignore[arg-type]
                if right.status is not Status.PASS:
                    yield f"{name}: {check.name} passes, its numbers do not"


def row_problems(found: Contents) -> Iterator[str]:
    """Yield the scores, comparisons and checks that do not follow from the rows and the recipe."""
    report, recipe = found.report, found.recipe
    again = Recomputed(found, found.rows or {})
    is_exact = report.versions.get("numpy") == version_of("numpy")
    rows = Comparing("the table of rows", is_exact=is_exact)
    whole = Comparing("the table of rows", is_exact=is_exact, is_whole=True)
    locked = to_json(found.accepted.metrics)
    yield from whole.differences(
        "lock.accepted.metrics", locked, to_json(recorded_facts(recipe, again.metrics))
    )
    yield from rows.differences("report", to_json(report), again.report_values())
    asked, there = all_baselines(recipe), {one.name for one in report.baselines}
    due = {one.name for one in asked if not one.optional}
    if not due <= there <= {one.name for one in asked}:
        yield f"the baselines are {as_text(sorted(there))}, the recipe asks for {as_text(sorted(due))}"
    if recipe.stop_if_baseline_passes and any(one.passes for one in report.baselines):
        yield "a baseline passes, so nothing should have been trained"
    if report.gate is not None and report.verify is not None:
        right = to_json(tuple(again.gate()))
        names = {one["name"] for one in right}
        # how answers end follows from rows and scores where they are labels
        loose = [one for one in report.gate.checks if one.kind in ("ended", "free_output")]
        checks = [one for one in report.gate.checks if one.name in names or one not in loose]
        yield from rows.differences("report.gate.checks", to_json(tuple(checks)), right)
        yield from _ladder(found, again)
        yield from _verify(found, again, rows)


def _ladder(found: Contents, again: Recomputed) -> Iterator[str]:
    report, export = found.report, found.recipe.export
    names = [rung.name for rung in report.ladder]
    graph, sixteen = [ONNX] * export.has_graph, ["f16"] * export.has_quantized_file
    wanted = ("adapter", "merged", *graph, *sixteen)
    yield from (f"the ladder has no rung `{name}`" for name in wanted if name not in names)
    every = again.scores["holdout"].rows
    known = to_json(report.verify.checks) if report.verify else []
    for rung in report.ladder:
        yield from _of_rung(rung, every)
        # quantizations that were tried and failed stand in the ladder too; the last one is exported
        counts = rung.verdict and (rung.name in wanted or rung is report.ladder[-1])
        for check in rung.verdict.checks if rung.verdict and counts else ():
            if rung.sampled_of is not None and check.status is not Status.PASS:
                yield f"the spot check of {rung.name} does not hold: {check.name}"
            elif rung.sampled_of is None and to_json(check) not in known:
                yield f"verify has not the check of {check.name} that the rung {rung.name} has"
    if export.has_quantized_file and names:
        if names[-1] not in export.quantizations:
            yield f"the exported rung is `{names[-1]}`, which is none of the recipe's quantizations"
        elif not any(names[-1] in file.name for file in report.files):
            yield f"no file is of the quantization `{names[-1]}`"
        size = sum(one.bytes for one in report.files if one.name.endswith(".gguf")) / 1e6
        for metric in report.quantized.metrics if report.quantized else ():
            if metric.name == "file_megabytes":
                path = "report.quantized.file_megabytes"
                yield from Comparing("the GGUF file").differences(path, metric.value, size)


def _of_rung(rung: FormResult, every: int) -> Iterator[str]:
    rows = rung.scores.rows
    is_sample = rung.name == "f16" and rung.sampled_of == every >= SAMPLED and rows == 1
    if rows != every and not is_sample:
        yield f"rung {rung.name} was evaluated on {rows} of {every} rows"
    if (rung.ties or 0) > len(rung.flips):
        yield f"rung {rung.name} counts {rung.ties} ties of {len(rung.flips)} changed answers"
    if rung.agreement is not None and rung.agreement.value is not None:
        # texts that are no answer may differ too
        same = round(rung.agreement.value * rung.agreement.n)
        if len(rung.flips) > rung.agreement.n - same:
            yield f"rung {rung.name} lists {len(rung.flips)} changed answers, {same} of {rung.agreement.n} agree"


def _verify(found: Contents, again: Recomputed, rows: Comparing) -> Iterator[str]:
    report, export = found.report, found.recipe.export
    spots = [one.verdict for one in report.ladder if one.sampled_of is not None and one.verdict]
    shown = {(one.name, one.direction): one for spot in spots for one in spot.checks}
    judged = report.verify.checks if report.verify else ()
    shown |= {(one.name, one.direction): one for one in judged}
    right = {(one.name, one.direction): one for one in again.verify()}
    for key, check in right.items():
        if (there := shown.get(key)) is None:
            yield f"verify has no check of {check.name}, which the recipe asks for"
        else:
            path = f"report.verify.checks.{check.name}"
            yield from rows.differences(path, to_json(there), to_json(check))
    of_file = ["parity.f16", "weights", "token_parity"]
    due = ["parity.merged", *(of_file if export.has_quantized_file else ["reload"])]
    due += [f"token_parity.{ONNX}"] * export.has_graph
    due += [f"drop.{one.metric}" for one in export.max_drops]
    names = {name for name, _ in shown}
    missing = [name for name in due if name not in names]
    yield from (f"verify has no check of {name}, which the recipe asks for" for name in missing)
    gated = [one for one in (report.gate.checks if report.gate else ()) if one.kind in DIFFERENCES]
    for one in gated if export.has_quantized_file else ():
        there = shown.get((one.name, one.direction))
        if there is None or (there.bound, there.decided_on) != (one.bound, one.decided_on):
            yield f"verify has no check of {one.name} with the bound of the gate"
    for key, check in shown.items():
        if key not in right:
            yield from _measured(check, found)


def _measured(check: Check, found: Contents) -> Iterator[str]:
    """Yield that a check which was measured on files has another bound than it must have."""
    export = found.recipe.export
    rung = next((one for one in found.report.ladder if one.name == check.label), None)
    if check.kind not in MEASURED:
        yield f"verify has a check of {check.name}, which the recipe does not ask for"
    bound, direction = check.bound, check.direction
    if check.name in WHOLE:
        bound, direction = 1.0, "min"
    elif check.kind == "parity" and check.direction == "min" and rung is not None:
        bound = lowered(export.min_parity, rung.ties or 0, check.n)
    elif check.kind == "parity":
        bound, direction = 1 - export.min_parity, "max"
    elif check.kind in ("shift", "largest_shift"):
        most = MOST_SHIFT.get(check.name, LARGEST_QUANTIZED)
        bound, direction = min(check.bound, most), "max"
        which = "mean_shift" if check.kind == "shift" else "largest_shift"
        path = f"report.verify.checks.{check.name}.got"
        yield from Comparing("the rung").differences(path, check.got, getattr(rung, which, None))
    elif check.kind == "drop":
        drops = (one.max_drop for one in export.max_drops if one.metric == check.metric)
        bound, direction = next(drops, bound), "max"
    right = {"bound": bound, "direction": direction}
    if check.name in WHOLE or check.kind == "parity":
        right["decided_on"] = "point"
    path = f"report.verify.checks.{check.name}"
    yield from Comparing("the recipe").differences(path, to_json(check), right)
