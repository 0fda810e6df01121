"""Whether report and lock of a bundle show what its recipe asks for, and speak of one run.

Most of it is one form: the right values, by the fields of report or lock, and what they follow from.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from engine.backends import load_backend
from engine.backends.base import CompileInputs, schedule
from engine.bundle.contents import CONFIG, RESOLVED, WRITTEN, Contents, recipe_of, value_of
from engine.data.similarity.near import SIMILAR
from engine.environment import Device
from engine.errors import DataError, EngineError, RecipeError
from engine.estimate.actuals import error_of
from engine.evidence import Repeat, StageStatus
from engine.files.digests import SHA256
from engine.kinds import AnswerForm
from engine.lock.accepted_run import RANKS, further_seeds, spread_of, used_versions
from engine.lock.coherence import (
    HASHES,
    LIKELIHOODS,
    Comparing,
    contradictions_of_recipe,
    has_entries,
    label_counts,
)
from engine.lock.draw import draw_of, is_drawn_by, recorded_rows
from engine.lock.policy import missing_parts
from engine.pipeline.report import accepted_steps, accepted_summary, describe, describe_method
from engine.recipe import resolved_mapping
from engine.recipe.sweeps import methods_of
from engine.recipe.text.dump import PINS, base_model_mapping, recipe_digest, section_digests
from engine.recipe.text.source import parse_source
from engine.stages import STAGES, load_stage, stages_of
from engine.store.records import ACCEPTED
from engine.values import to_json

OF_METHOD: Final = frozenset(
    f"method.{name}"
    for name in (
        *("kind", "rank", "alpha", "dropout", "dora", "rslora", "ranks", "layers", "train_only"),
        *("loss_on", "max_length", "epochs", "learning_rate", "scheduler", "weight_decay"),
        *("loraplus_lr_ratio", "neftune_alpha", "seed"),
    )
)
"""Origins of keys of a compiled config that say the same on every device and for any number of rows."""
ANY_DEVICE: Final = Device(kind="cpu", name="", memory_bytes=0, cores=1, bf16=True)
TASK: Final = ("kind", "instruction", "output", "answer_pattern")
_SLACK: Final = 0.01
"""Of the seconds of a run, which are rounded and measured around its stages."""
_by_recipe = Comparing("the recipe").differences
_by_lock = Comparing("the lock").differences
_by_report = Comparing("the rest of the report").differences
_by_engine = Comparing("the engine").differences
_complete = Comparing("the recipe", is_whole=True).differences


def recipe_problems(found: Contents) -> Iterator[str]:
    """Yield what report and lock show of the recipe, and it does not ask for."""
    report, recipe, lock, accepted = found.report, found.recipe, found.lock, found.accepted
    resolved = resolved_mapping(recipe)
    right: dict[str, Any] = {
        "schema": "report.v1",
        "outcome": ACCEPTED,
        "recipe_name": recipe.name,
        "description": recipe.description,
        "headline": recipe.headline,
        "labels": recipe.task.labels,
        "base_model": describe(recipe.base_model),
        "task": {key: getattr(recipe.task, key) for key in TASK},
        "waivers": recipe.waivers,
        "recipe_text": found.text(WRITTEN),
        "resolved_recipe": found.text(RESOLVED),
        "backend_config": found.text(CONFIG),
        "command": report.command and f"recipe run {WRITTEN}",
        "training": {"backend": recipe.backend.name},
        "data": {"folds": recipe.splits.folds},
    }
    # with a sweep the report names the setting that was chosen, which the recipe does not specify
    if not recipe.sweep:
        right["method"] = describe_method(recipe)
    if found.is_of_this_version:
        right |= {"summary": accepted_summary(recipe), "next_steps": accepted_steps(recipe)}
    texts = {
        name: getattr(report, name) for name in ("recipe_text", "resolved_recipe", "backend_config")
    }
    plain = {name: text.replace("\r\n", "\n") for name, text in texts.items()}
    yield from _by_recipe("report", to_json(report) | plain, to_json(right))
    digests = {"digest": recipe_digest(resolved), "sections": section_digests(resolved)}
    locked = {"digest": accepted.recipe["digest"], "sections": accepted.recipe["sections"]}
    yield from _complete("lock.accepted.recipe", locked, digests)
    config = hashlib.sha256(found.members[CONFIG].data or b"").hexdigest()
    yield from Comparing(CONFIG).differences("lock.accepted.config", accepted.config, config)
    yield from _by_recipe("lock.recipe", lock.recipe, recipe.name)
    if accepted.recipe["seed"] not in [method.seed for method in methods_of(recipe)]:
        yield f"the lock has the seed {accepted.recipe['seed']}, the recipe {recipe.method.seed}"
    if not is_drawn_by(lock, recipe):
        yield from _complete("lock.draw", lock.draw, draw_of(recipe))
    yield from _complete(RESOLVED, found.resolved, resolved)
    # a pin may be added later without another model: the digests of the files are compared
    names = (accepted.base_model["reference"], base_model_mapping(recipe.base_model))
    unset = {name for name in PINS if None in (one.get(name) for one in names)}
    reference, asked = ({key: one[key] for key in one.keys() - unset} for one in names)
    yield from _complete("lock.accepted.base_model.reference", reference, asked)
    yield from _config(found)
    value = value_of(found.members, WRITTEN)
    # of a recipe that extends another one, the parent stands beside it as a comment only
    if "extends" not in value:
        if isinstance(data := value.get("data"), dict):
            value = {**value, "data": {**data, "sources": found.resolved["data"]["sources"]}}
        # through JSON: plain data, without YAML's anchors and aliases
        text = yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False)
        again = resolved_mapping(recipe_of(text.encode(), WRITTEN))
        whole = Comparing(RESOLVED, is_whole=True)
        yield from whole.differences(WRITTEN, again, found.resolved)
    yield from _data_stage(found)
    yield from contradictions_of_recipe(recipe, accepted)


def _config(found: Contents) -> Iterator[str]:
    """Yield the keys of the compiled config that are not what the recipe's method gives."""
    recipe, training = found.recipe, found.report.training
    # a sweep chose a setting that the recipe does not specify; another version may compile otherwise
    if training is None or recipe.sweep is not None or not found.is_of_this_version:
        return
    rows = {one.name: one.rows for one in found.report.data.splits} if found.report.data else {}
    setting = CompileInputs(
        device=ANY_DEVICE,
        precision=found.accepted.precision,
        train_rows=training.rows,
        validation_rows=rows.get("validation", 0),
    )
    try:
        right = load_backend(recipe.backend.name).compile(recipe, setting)
    except EngineError:  # what needs a graphics card is not compiled for a processor
        return
    try:
        # as recipes are read: an untrusted YAML holds no aliases that grow
        parse = partial(parse_source, path=Path(CONFIG))
        shown, wanted = (parse(text.encode()).value for text in (found.text(CONFIG), right.text))
    except (RecipeError, RecursionError):
        yield f"{CONFIG} is no config of the backend"
        return
    known = {
        line.key: wanted.get(line.key)
        for line in right.lines
        if line.key == "precision" or (line.origin in OF_METHOD and line.key != "max_steps")
    }
    yield from _by_recipe(CONFIG, shown, known)


def _data_stage(found: Contents) -> Iterator[str]:
    data, recipe = found.report.data, found.recipe
    if data is None:
        yield "the report has no data"
        return
    for split in data.splits:
        wanted = getattr(recipe.splits, split.name, None)
        if split.asked is not None and type(wanted) is int and wanted:
            yield from _by_recipe(f"report.data.splits.{split.name}.asked", split.asked, wanted)
    for one in data.findings:
        action = getattr(recipe.data.checks, one.check, None)
        if one.check != "splits":
            yield from _by_recipe(f"report.data.findings.{one.check}", one.action, action)
    if len(data.sources) == len(recipe.data.sources):
        asked = [{"weight": one.weight, "into": one.into} for one in recipe.data.sources]
        for shown, right in zip(data.sources, asked, strict=True):
            yield from _by_recipe("report.data.sources", to_json(shown), right)
    if not recipe.sweep:
        for lengths in found.report.lengths:
            path = f"report.lengths.{lengths.split}.max_length"
            yield from _by_recipe(path, lengths.max_length, recipe.method.max_length)


def run_problems(found: Contents) -> Iterator[str]:
    """Yield where report and lock speak of different runs, rows, files or machines."""
    report, accepted, lock = found.report, found.accepted, found.lock
    data, holdout, proof = report.data, lock.splits.get("holdout"), lock.firewall
    if data is None or holdout is None or report.holdout_use is None:
        yield "report or lock has no holdout"
        return
    right = {
        "data": {
            "splits": [
                {"name": name, "digest": one.digest, "rows": one.rows}
                for name, one in lock.splits.items()
            ],
            "rows_read": accepted.rows,
            "rows_used": sum(one.rows for one in lock.splits.values()),
            "sources": [{"name": one["name"]} for one in accepted.sources],
            "firewall": to_json(proof),
            "overlap_exact": proof.left_exact if proof else data.overlap_exact,
            "overlap_near": proof.left_near if proof else data.overlap_near,
        },
        "holdout_use": {"digest": holdout.digest, "redraws": lock.holdout.redraws},
        "files": [{"name": name, "sha256": one} for name, one in accepted.files.items()],
        "gate": {"status": accepted.verdicts.get("gate")},
        "verify": {"status": accepted.verdicts.get("verify")},
    }
    yield from _by_lock("report", to_json(report), right)
    read, used = (
        sum(getattr(one, f"rows_{name}") for one in data.sources) for name in ("read", "used")
    )
    counts = {"rows_read": read, "rows_used": used}
    yield from _by_report("report.data", to_json(data), counts)
    if data.rows_used + sum(data.dropped.values()) != data.rows_read:
        yield f"{data.rows_used} rows were used and {data.dropped} dropped of {data.rows_read}"
    further = further_seeds(report.seeds, found.recipe)
    locked: dict[str, Any] = {
        "splits": {name: one.digest for name, one in lock.splits.items()},
        "merged": {name: accepted.files.get(name, one) for name, one in accepted.merged.items()},
    }
    if further:
        locked |= {"seeds": further, "spread": spread_of(report.seeds, found.recipe)}
    shown = {name: getattr(accepted, name) for name in locked}
    whole = Comparing("the rest", is_whole=True)
    yield from whole.differences("lock.accepted", to_json(shown), to_json(locked))
    formats = {"ollama", *(file.format for file in report.files)}
    missing = [wanted for wanted in found.recipe.export.formats if wanted not in formats]
    yield from (f"no file is of the format {one}, which the recipe asks for" for one in missing)
    if absent := set(found.recipe.method.seeds) - {one["seed"] for one in further}:
        yield f"the report has no scores of the seeds {', '.join(map(str, sorted(absent)))}"
    looks = report.holdout_use.looks
    if looks < max(1, lock.holdout.looks):
        yield f"the holdout has decided {looks} times in the report, {lock.holdout.looks} in the lock"
    for name in ("inputs", "drawn_with"):
        if (digest := getattr(lock, name)) is not None and not SHA256.fullmatch(digest):
            yield f"`{name}` of the lock is no sha256"
    yield from _firewall(found)
    yield from _answers(found)
    yield from _stages(found)
    yield from _machine(found)
    yield from _training(found)
    if found.is_of_this_version:
        yield from (f"the lock does not record {one}" for one in missing_parts(accepted))
    yield from _reproduction(found)


def _firewall(found: Contents) -> Iterator[str]:
    proof = found.lock.firewall
    try:
        members = recorded_rows(found.recipe, found.lock).members
    except DataError as error:
        yield error.problems[0].message
        return
    if proof is None:
        return
    if proof.left_exact > proof.found_exact or proof.left_near > proof.found_near:
        yield f"the firewall left {proof.left_near} matches of {proof.found_near} that it found"
    if found.is_of_this_version:
        yield from _by_engine("lock.firewall.similarity", proof.similarity, SIMILAR)
        held = members.get("holdout", frozenset())
        trained = members.get("train", frozenset()) | members.get("validation", frozenset())
        if (both := len(held & trained)) and not proof.left_exact:
            yield f"{both} recorded holdout rows are recorded for training too, the firewall left none"


def _answers(found: Contents) -> Iterator[str]:
    """Yield where the answers of the lock, or the labels of the splits, are not those that were counted."""
    report, held, task = found.report, found.held, found.recipe.task
    answers = found.accepted.answers
    if held is None or report.data is None:
        yield "the report has no scores of the holdout"
        return
    right = {"way": LIKELIHOODS if task.spec.by_likelihood else HASHES, "rows": held.rows}
    yield from _by_report("lock.accepted.answers", answers, right)
    rows = {one.name: one.rows for one in report.data.splits}
    yield from _by_report("report.holdout.rows", held.rows, rows.get("holdout"))
    if task.spec.answer is not AnswerForm.LABEL:
        return
    if has_entries(answers) and held.confusion:
        columns = [sum(column) for column in zip(*held.confusion, strict=True)]
        wanted = dict(zip((*task.labels, None), columns, strict=True))
        if label_counts(answers, task.labels) != wanted:
            yield "the answers of the lock are not those that the confusion matrix counts"
    shown = {"holdout": held, "train": report.train_scores, "validation": report.validation_scores}
    for split in report.data.splits:
        scores = shown.get(split.name)
        asked = dict(zip(task.labels, map(sum, scores.confusion), strict=False)) if scores else {}
        # of many training rows a part is evaluated
        if any(count > split.labels.get(label, 0) for label, count in asked.items()):
            yield f"the confusion matrix of {split.name} counts other labels than its rows have"
        if sum(split.labels.values()) != split.rows:
            yield f"the labels of {split.name} are those of {sum(split.labels.values())} rows"


def _stages(found: Contents) -> Iterator[str]:
    report = found.report
    ended = (StageStatus.RAN, StageStatus.REUSED)
    done = [one.stage for one in report.stages if one.status in ended]
    yield from (f"stage {one} did not run" for one in stages_of(found.recipe) if one not in done)
    if len(set(done)) != len(report.stages):
        yield "a stage did not run, or stands twice"
    seconds = [one.seconds for one in report.stages if one.status is StageStatus.RAN]
    if min((*seconds, report.seconds)) < 0 or sum(seconds) > report.seconds * (1 + _SLACK) + 1:
        yield f"the stages took {sum(seconds):.1f} s, the whole run {report.seconds:.1f} s"
    taken = {one.stage: one.seconds for one in report.stages}
    peak = report.training.peak_memory_bytes if report.training else None
    for one in report.costs:
        is_measured = one.stage == "train" and one.memory_bytes is not None and peak is not None
        right = {
            "seconds": taken.get(one.stage),
            "memory_bytes": peak if is_measured else one.memory_bytes,
            "seconds_error": error_of(one.estimated_seconds, one.seconds),
            "memory_error": error_of(one.estimated_memory_bytes, one.memory_bytes),
            "disk_error": error_of(one.estimated_disk_bytes, one.disk_bytes),
        }
        yield from _by_report(f"report.costs.{one.stage}", to_json(one), right)
    if found.is_of_this_version and report.reproduction is None:
        locked = found.accepted.stages
        modules = {name: load_stage(name) if name in STAGES else None for name in locked}
        right = {name: getattr(module, "REVISION", None) for name, module in modules.items()}
        yield from _by_engine("lock.accepted.stages", locked, right)


def _machine(found: Contents) -> Iterator[str]:
    """Yield where the lock's run had other tools or another machine than the report's, if they are one run."""
    report, accepted, training = found.report, found.accepted, found.report.training
    repeated, locked = report.reproduction, found.accepted.hardware
    # a reused training was made with the tools of an earlier day
    if (repeated and repeated.verdict is not Repeat.EXACT) or not _has_trained(found):
        return
    names = {"kind": "device", "device": "name", "cores": "cores"}
    machine = {here: str(locked[there]) for here, there in names.items() if there in locked}
    has_platform = {"system", "machine"} <= locked.keys() and "platform" in report.environment
    if repeated is None and has_platform:
        machine["platform"] = f"{locked['system']} {locked['machine']}"
    right: dict[str, Any] = {"versions": dict(accepted.versions), "environment": machine}
    if training is not None:
        right["training"] = {"precision": accepted.precision, "threads": accepted.threads}
        if repeated is None:
            world = locked.get(RANKS)
            processes = world.get("processes") if isinstance(world, Mapping) else world
            right["training"]["processes"] = processes or (training.processes and 1)
        if not accepted.trainer:
            installed = report.versions.get(training.backend, training.backend_version)
            right["training"]["backend_version"] = installed
            # drivers and PyTorch may name a graphics card in two ways
            if report.environment.get("kind") == "cpu" and "device" in report.environment:
                right["training"]["device"] = report.environment["device"]
    yield from _by_lock("report", to_json(report), right)
    # with an environment of its own, the report's are not those that trained
    used = {} if accepted.trainer else used_versions(found.recipe, report.versions)
    missing = used.keys() - accepted.versions.keys()
    if found.is_of_this_version and missing:
        yield f"the lock does not record the version of {', '.join(sorted(missing))}"
    if repeated is None and accepted.finished < report.started:
        yield "the lock was accepted before the run began"


def _has_trained(found: Contents) -> bool:
    trained = (one.status for one in found.report.stages if one.stage == "train")
    return all(status is StageStatus.RAN for status in trained)


def _training(found: Contents) -> Iterator[str]:
    """Yield where steps, rows and checkpoints of the training are not those of the rest."""
    report, recipe, training = found.report, found.recipe, found.report.training
    if training is None:
        return
    kept = [one.step for one in report.checkpoints]
    last = max((*kept, *(point.step for point in training.history), training.kept_step))
    epoch = max((point.epoch for point in training.history), default=0)
    if last > training.steps or epoch > training.epochs * (1 + _SLACK) + _SLACK:
        yield f"a step or epoch of the training is beyond its {training.steps} steps"
    if kept and training.kept_step not in kept:
        yield f"the checkpoint of step {training.kept_step} was kept, and none is of that step"
    losses = {one.step: one.eval_loss for one in training.history if one.eval_loss is not None}
    rows = report.validation_scores.rows if report.validation_scores else None
    for one in report.checkpoints:
        metric = {} if rows is None else {"n": rows}
        right: dict[str, Any] = {"eval_loss": losses.get(one.step, one.eval_loss), "metric": metric}
        yield from _by_report(f"report.checkpoints.{one.step}", to_json(one), right)
        value, ends = one.metric.value, one.metric.interval
        if value is not None and ends is not None and not ends.low <= value <= ends.high:
            yield f"checkpoint {one.step} is {value:g}, outside of its interval"
    # documents count by their blocks, and others add rows
    if not recipe.task.spec.has_labels or recipe.teacher is not None or recipe.splits.folds:
        return
    seen = {split.name: split.seen for split in report.data.splits} if report.data else {}
    for split in report.lengths:
        left_out = split.left_out + split.left_out_marked
        right = {"given": seen.get(split.split), "used": split.given - left_out}
        yield from _by_report(f"report.lengths.{split.split}", to_json(split), right)
        if split.split == "train" and training.packed_documents is None:
            right = {"rows": split.used}
            if not any((recipe.data.synthesize, recipe.data.replay, recipe.sweep)):
                # None where they were not counted
                for name, count in (("rows_left_out", left_out), ("rows_cut", split.cut)):
                    right[name] = count or (None if getattr(training, name) is None else 0)
                if not training.stopped_early and recipe.method.tokens is None:
                    plan = schedule(recipe.method, train_rows=training.rows, validation_rows=0)
                    right["steps"] = plan.steps
            yield from _by_report("report.training", to_json(training), right)


def _reproduction(found: Contents) -> Iterator[str]:
    """Yield where a report has a run repeat its lock, and did not compare, or not compute, what shows it."""
    repeated = found.report.reproduction
    if repeated is None:
        return
    differing = [one.name for one in repeated.compared if not one.equal]
    if repeated.verdict is Repeat.WITHIN_NOISE and not (differing or repeated.equivalence):
        yield "it is called reproduced within noise, and nothing differs"
    if repeated.verdict is not Repeat.EXACT:
        return
    if differing or repeated.first_difference:
        yield f"it is called reproduced exactly although {', '.join(differing) or 'an input'} differs"
    due = {"backend config", "precision", "threads", "method.seed", *found.accepted.versions}
    if missing := due - {one.name for one in repeated.compared}:
        yield f"it is called reproduced exactly and did not compare {', '.join(sorted(missing))}"
    if repeated.reused or not _has_trained(found):
        yield "it is called reproduced exactly, and results of the store were taken"
