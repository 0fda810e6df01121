"""Putting the evidence together: artifacts and records in, one `Report` out, and its files into the run folder."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts import results
from engine.artifacts.mistakes import first_wrong_rows
from engine.artifacts.results import read_json
from engine.data.examples.example import iter_examples
from engine.environment import tool_versions
from engine.errors import listed
from engine.evidence import Diagnosis, FormResult, Report, Scores, StageStatus, Status, Waived
from engine.inference.exported_files import (
    IN_FOLDERS,
    calibration_file,
    exported_files,
    leaving_files,
)
from engine.metrics.diagnosis import Beside, diagnose, what_would_help
from engine.metrics.trained_case import TrainedEvidence
from engine.metrics.verdict import CLOSE
from engine.pipeline.data_outlook import measured_discordance, power_estimates
from engine.recipe import dump_resolved
from engine.recipe.baselines import ASKS_BASE_MODEL, EXPORTABLE
from engine.recipe.model import (
    ONNX,
    BaseModel,
    FewerLayers,
    HubRef,
    PackageRef,
    PathRef,
    Recipe,
    Scratch,
)
from engine.recipe.references import base_reference, layers_in_words
from engine.recipe.sweeps import methods_of
from engine.recipe.text.paths import as_typed
from engine.store import Artifact, Store
from engine.store.records import write_text
from engine.store.store import SCRATCH
from engine.values import from_json, replace

if TYPE_CHECKING:
    from engine.pipeline.loop import RunState

OF_STAGES: Final = (
    *("against_teacher", "calibrated", "checkpoints", "comparisons", "drift", "forgetting"),
    *("replay", "seeds", "soft_against_answers", "soft_targets", "start", "sweep", "synthetic"),
    *("teacher", "training", "without_synthetic"),
)
"""Parts of a report that `engine.artifacts.results` reads under the same names."""

SHIP: Final = "ship the baseline that passes, or raise the thresholds if they are too low"


def steps_of_passing(recipe: Recipe, passing: Collection[str], recipe_file: str) -> Iterator[str]:
    kinds = {one.name: one.kind for one in recipe.baselines if one.name in passing}
    fitted, untouched, models = (
        [name for name, kind in kinds.items() if kind in among]
        for among in (EXPORTABLE, ASKS_BASE_MODEL, ("model",))
    )
    if not (fitted or untouched or models):
        does = ("meets", "it learns") if len(kinds) == 1 else ("meet", "they learn")
        names = listed([*kinds])
        yield f"raise the thresholds: {names} {does[0]} them, and {does[1]} nothing of what a text means"
        return
    yield SHIP
    if recipe.splits.folds and fitted:
        yield (
            f"to ship {listed(fitted, 'or')}, run the recipe with a holdout in place of splits.folds: each row was"
            " judged by another model"
        )
    elif fitted:
        yield from export_commands(recipe, passing, recipe_file)
    if untouched:
        are = "is" if len(untouched) == 1 else "are"
        yield f"{listed(untouched)} {are} the unchanged base model: nothing has to be exported"
    if models:
        are = "is another model" if len(models) == 1 else "are other models"
        yield f"{listed(models)} {are}, to be used where it is: nothing has to be exported"


def export_commands(recipe: Recipe, passing: Collection[str], recipe_file: str) -> Iterator[str]:
    if recipe.splits.folds:
        return
    for one in recipe.baselines:
        if one.name in passing and one.kind in EXPORTABLE:
            yield f"recipe export baseline {as_typed(recipe_file)} --baseline {one.name}"


def assemble(
    state: RunState, recipe_file: str, *, notes: Sequence[str], given: Mapping[str, Any]
) -> Report:
    """The report of a run; parts whose stage left nothing are None or empty.

    `given`: parts that no stage leaves, by their names in `Report`.
    """
    from engine.process.confine import in_force  # a plan confines nothing

    recipe, artifacts = state.trained, state.artifacts
    scores, folds = results.scores(artifacts), results.folds(artifacts, recipe)
    verification = read_json(artifacts["verify"], "verify.json") if "verify" in artifacts else {}
    diagnosis = diagnosed(artifacts, recipe)
    quantized = verification.get("scores", {}).get("quantized")
    compiled, device = artifacts.get("compile"), state.inputs.device
    environment = {
        "device": device.name,
        "kind": device.kind,
        "cores": str(device.cores),
        "threads": str(device.threads),
        "memory": f"{device.memory_bytes / 2**30:.0f} GiB",
        "bfloat16": "native" if device.bf16 else "not native",
        "platform": f"{platform.system()} {platform.machine()}",
        "confined": in_force(),
    }
    notes = [*notes, *results.left_out(artifacts)]
    if folds is not None:
        how = f"the gate judged the method on {folds.rows} rows by {recipe.splits.folds} trainings"
        notes.append(
            f"{how}, each row by the model that did not see it; a file by what it changes on fold 1"
        )
    reused = [one for one in state.records if one.status is StageStatus.REUSED]
    notes += [f"{one.stage} is reused: {one.reason}" for one in reused]
    estimates = power_estimates(
        recipe,
        results.data_summary(artifacts["data"]) if "data" in artifacts else None,
        discordance=measured_discordance(recipe, artifacts),
    )
    # Where the gate has judged, its checks say how many rows would decide at the measured value.
    judged = (replace(one, is_judged="gate" in artifacts) for one in estimates.estimates)
    return Report(
        schema="report.v1",
        recipe_name=recipe.name,
        description=recipe.description,
        outcome=state.outcome,
        summary=_summary(state),
        next_steps=_next_steps(state, recipe_file, diagnosis),
        started=state.started.isoformat(timespec="seconds"),
        seconds=round((datetime.now(UTC) - state.started).total_seconds(), 1),
        labels=recipe.task.labels,
        task={
            name: getattr(recipe.task, name)
            for name in ("kind", "instruction", "output", "answer_pattern")
        },
        base_model=describe(recipe.base_model),
        method=describe_sweep(recipe)
        if recipe.sweep and "sweep" not in artifacts
        else describe_method(recipe),
        stages=tuple(state.records),
        data=results.summary(artifacts),
        baselines=results.baselines(artifacts, recipe) if "baseline" in artifacts else (),
        # With folds each row is held out once, which are more rows than those of the first.
        holdout=folds or scores.get("holdout"),
        free=scores.get("free"),
        train_scores=scores.get("train"),
        validation_scores=scores.get("validation"),
        gate=results.verdict(artifacts, "gate") if "gate" in artifacts else None,
        verify=results.verdict(artifacts, "verify") if "verify" in artifacts else None,
        quantized=from_json(Scores, quantized) if quantized else None,
        agreement=verification.get("agreement"),
        flips=tuple(verification.get("flips", ())),
        ladder=tuple(from_json(FormResult, rung) for rung in verification.get("ladder", ())),
        files=exported_files(artifacts),
        resolved_recipe=dump_resolved(state.recipe),
        backend_config=compiled.file("config.yaml").read_text("utf-8") if compiled else "",
        versions=tool_versions(),
        environment=environment,
        notes=tuple(notes),
        learning_curves=results.curves(artifacts),
        folds=folds,
        power=replace(estimates, estimates=tuple(judged)).lines,
        waivers=tuple(Waived(what=one.what, why=one.why) for one in recipe.waivers),
        **{name: getattr(results, name)(artifacts) for name in OF_STAGES},
        diagnosis=diagnosis,
        headline=recipe.headline,
        mistakes=first_wrong_rows(artifacts, recipe.task),
        command=f"recipe run {as_typed(recipe_file)}",
        **given,
    )


def diagnosed(artifacts: results.Artifacts, recipe: Recipe) -> Diagnosis | None:
    """The fault of the training, if any; None before the model was judged. `recipe` has its method."""
    training = results.training(artifacts)
    if training is None or "evaluate" not in artifacts:
        return None
    scores, passes, language = results.scores(artifacts), None, ""
    if "gate" in artifacts:
        passes = results.verdict(artifacts, "gate").status is Status.PASS
    if not passes:
        from engine.data.checks.rows.languages import unspoken  # no plan reads rows

        rows = iter_examples(artifacts["data"].file("train.jsonl"))
        language = unspoken(base_reference(recipe.base_model), (one.input for one in rows))
    evidence = TrainedEvidence(
        training=training,
        train=scores.get("train"),
        validation=scores.get("validation"),
        # With folds each row is held out once, which are more rows than those of the first.
        holdout=results.folds(artifacts, recipe) or scores.get("holdout"),
        free=scores.get("free"),
        checkpoints=results.checkpoints(artifacts),
        baselines=results.baselines(artifacts, recipe) if "baseline" in artifacts else (),
        data=results.summary(artifacts),
        passes=passes,
        unspoken=language,
    )
    return diagnose(recipe, evidence)


def write(report: Report, run: Path, artifacts: Mapping[str, Artifact], store: Store) -> None:
    """The model of an accepted run, the report's files and the recipe, into the run folder.

    DamagedError where a file of the model is not what its stage left: then no report is written.
    """
    from engine.render.report.card import render_card
    from engine.render.report.page import render_html, render_json, render_markdown

    # the model first: a damaged file ends this before a report speaks of it
    if report.outcome == "accepted":
        formats = {item.format for item in report.files}
        for name, file in leaving_files(artifacts) if "quantize" in artifacts else ():
            if file.format not in IN_FOLDERS:
                store.deliver(artifacts["quantize"], name, run / file.name)
        if kept := calibration_file(artifacts):
            store.deliver(artifacts["verify"], kept.name, run / kept.name)
        has_adapter = "train" in artifacts and (artifacts["train"].path / "adapter").is_dir()
        folders = {
            ONNX: ("quantize", ONNX in formats),
            "model": ("merge", "safetensors" in formats),
            "adapter": ("train", has_adapter),
        }
        for name, (stage, leaves) in folders.items():
            if leaves and stage in artifacts:
                store.deliver(artifacts[stage], name, run / name)
    texts = {
        "recipe.yaml": report.recipe_text,
        "recipe.resolved.yaml": report.resolved_recipe,
        **({"backend-config.yaml": report.backend_config} if report.backend_config else {}),
        "report.json": render_json(report),
        "report.md": render_markdown(report),
        "report.html": render_html(report),
        **({"README.md": render_card(report)} if report.outcome == "accepted" else {}),
    }
    for name, text in texts.items():
        write_text(run / name, text)


def describe(base: BaseModel) -> str:
    match base:
        case FewerLayers():
            return f"{describe(base.of)}, {layers_in_words(base.keep_layers)}"
        case Scratch():
            return f"a blank model of {base.layers} layers, {base.width} wide"
        case HubRef():
            return (
                f"{base.repo}@{base.revision[:12]}" if base.revision else f"{base.repo} (may move)"
            )
        case PathRef():
            return base.written
        case PackageRef():
            return f"{base.file.rpartition('/')[2]} from {base.name} {base.version}"


def describe_method(recipe: Recipe) -> str:
    """The method in one line: `lora r16 on …`."""
    method = recipe.method
    rank = "" if method.kind == "full" else f" r{method.rank}"
    return f"{method.kind}{rank} on {_model(recipe.base_model)}"


def describe_sweep(recipe: Recipe) -> str:
    return f"{len(methods_of(recipe))} settings of a sweep on {_model(recipe.base_model)}"


def _model(base: BaseModel) -> str:
    if isinstance(base, FewerLayers):
        return f"{_model(base.of)}, {layers_in_words(base.keep_layers)}"
    model = base.repo.rpartition("/")[2] if isinstance(base, HubRef) else describe(base)
    return model.partition(" from ")[0]


def accepted_summary(recipe: Recipe) -> str:
    file = "quantized" if recipe.export.has_quantized_file else "exported"
    return f"{recipe.name} meets every threshold, and so does the {file} file"


def accepted_steps(recipe: Recipe) -> tuple[str, ...]:
    name, page = recipe.name, f"recipe report {recipe.name} --open"
    if not recipe.export.has_quantized_file:
        return (page,)
    publish = f"recipe publish {name} --to hub --name OWNER/{name}"
    return (f'recipe try {name} "…"', page, f"recipe serve {name}", publish)


def _summary(state: RunState) -> str:
    recipe = state.trained
    name, why = recipe.name, state.stop.why if state.stop else ""
    if state.outcome == "inconclusive":
        judge = "verify" if "verify" in state.artifacts else "gate"
        checks = results.verdict(state.artifacts, judge).checks
        undecided = [one for one in checks if one.status is Status.INCONCLUSIVE]
        # where answers are gone, or the value is at its bound, more rows would decide nothing
        if undecided and all(one.got is None or CLOSE in one.note for one in undecided):
            return f"it cannot be decided whether {name} is good enough: {why}"
        return f"the holdout is too small to decide whether {name} is good enough: {why}"
    if state.outcome == results.INTERRUPTED:
        from engine.backends import trainer_state  # only where there may be checkpoints

        again = "reuses what is finished"
        for one in state.records:
            output = state.store.root / SCRATCH / one.key / "output"
            if one.status is StageStatus.INTERRUPTED and output.is_dir():
                found = trainer_state.checkpoints(output)
                saved = [step for step, at in found if trainer_state.is_complete(at)]
                again += "; the training starts again, for no checkpoint was saved"
                if saved:
                    again = f"continues from step {max(saved)} of the training"
        return f"the run was {why}: the same command {again}"
    if state.outcome == "accepted":
        return accepted_summary(recipe)
    words = {
        "refused": f"{name} is not good enough to ship",
        "baseline_passes": "no training needed",
        "failed": "the run could not finish",
        "stopped": "stopped as asked",
    }
    return f"{words.get(state.outcome, 'nothing was trained')}: {why}"


def _next_steps(state: RunState, shown: str, diagnosis: Diagnosis | None) -> tuple[str, ...]:
    recipe = state.trained
    again = f"recipe run {as_typed(shown)}"
    if state.outcome in ("failed", "interrupted"):
        hints = [problem.hint for problem in (state.error.problems if state.error else ())]
        return (*dict.fromkeys(hint for hint in hints if hint), again)
    if state.outcome == "accepted":
        return accepted_steps(recipe)
    if state.outcome in ("refused", "inconclusive"):
        artifacts, name = state.artifacts, recipe.name
        is_of_file = "verify" in artifacts
        gate = results.verdict(artifacts, "verify" if is_of_file else "gate")
        judged = results.folds(artifacts, recipe) or results.scores(artifacts)["holdout"]
        beside = Beside(
            curves=results.curves(artifacts),
            comparisons=results.comparisons(artifacts),
            diagnosis=diagnosis,
            is_of_file=is_of_file,
        )
        exports: tuple[str, ...] = ()
        # where the trained model is not enough better than a baseline that passes, that one can be exported
        if "over_baselines" in {one.kind for one in gate.checks if one.status is Status.FAIL}:
            exports = tuple(export_commands(recipe, _passing(state), shown))
        return (
            *what_would_help(judged, gate, task=recipe.task, beside=beside),
            *exports,
            f"recipe report {name} --mistakes",
            f'recipe try {name} --unaccepted "…"',
            f"recipe report {name} --open",
        )
    if state.outcome == "baseline_passes":
        return (
            *steps_of_passing(recipe, _passing(state), shown),
            f"to train all the same: set stop_if_baseline_passes: false in {shown}",
        )
    return (again,) if state.outcome == "stopped" else _steps_before_training(state, shown)


def _steps_before_training(state: RunState, shown: str) -> tuple[str, ...]:
    typed, found = as_typed(shown), results.synthetic(state.artifacts)
    if state.outcome == results.TEACHER_NO_BETTER:
        return (
            "name a better teacher, or train without one",
            f"to ask it all the same: set teacher.stop_if_teacher_is_no_better: false in {shown}",
        )
    if state.outcome == results.NOTHING_ADDED:
        if found is not None and not found.kept:
            changed = "change the prompt, or name another model"
            return (f"recipe synthetic {typed} --refused", changed)
        return ("give the teacher other rows, lower its keep.confidence, or name another one",)
    if found is None or found.review is None:
        return (f"recipe synthetic {typed}",)
    write = () if found.review.is_there else (f"recipe synthetic {typed} --review",)
    return (
        *write,
        f"write yes or no in the column `ok` of {found.review.file}",
        f"recipe run {typed}",
    )


def _passing(state: RunState) -> list[str]:
    found = results.baselines(state.artifacts, state.trained)
    return [one.name for one in found if one.passes]
