"""Whether report, lock, recipe and statement of a bundle say the same, fact by fact."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from engine.backends import load_backend
from engine.backends.base import CompileInputs
from engine.bundle.contents import (
    CONFIG,
    EVIDENCE,
    RESOLVED,
    WRITTEN,
    Contents,
    recipe_of,
    value_of,
)
from engine.bundle.scores import all_scores, unequal, unlike
from engine.bundle.signing import statement_of, to_bytes
from engine.environment import Device
from engine.errors import DataError, EngineError, RecipeError
from engine.evidence import Metric, Repeat, Report, Reproduction, StageStatus
from engine.kinds import AnswerForm
from engine.lock.accepted_run import further_seeds, spread_of, used_versions
from engine.lock.coherence import (
    HASHES,
    LIKELIHOODS,
    NEAR,
    contradictions_of_recipe,
    has_entries,
    label_counts,
)
from engine.lock.draw import draw_of, is_drawn_by, recorded_rows
from engine.lock.file import Accepted
from engine.lock.policy import missing_parts
from engine.metrics.scoring import named_metrics
from engine.pipeline.report import describe, describe_method
from engine.recipe import resolved_mapping
from engine.recipe.sweeps import methods_of
from engine.recipe.text.dump import PINS, base_model_mapping, recipe_digest, section_digests
from engine.recipe.text.source import parse_source
from engine.stages import STAGES, load_stage, stages_of
from engine.store.runs import ACCEPTED
from engine.values import brief_text, to_json

OF_METHOD: Final = frozenset(
    f"method.{name}"
    for name in (
        *("kind", "rank", "alpha", "dropout", "dora", "rslora", "ranks", "layers", "train_only"),
        *("loss_on", "max_length", "epochs", "learning_rate", "scheduler", "weight_decay"),
        *("loraplus_lr_ratio", "neftune_alpha", "seed"),
    )
)
"""Origins of keys of a compiled config that say the same on every device and for any number of rows."""
OF_PRECISION: Final = "precision"
OF_ROWS: Final = ("max_steps",)
ANY_DEVICE: Final = Device(kind="cpu", name="", memory_bytes=0, cores=1, bf16=True)


def config_problems(found: Contents) -> Iterator[str]:
    """Yield the keys of the compiled config that are not what the recipe's method gives."""
    recipe, training = found.recipe, found.report.training
    # a sweep chose a setting that the recipe does not say; another version may compile otherwise
    if training is None or recipe.sweep is not None or not found.is_of_this_version:
        return
    data = found.report.data
    rows = {one.name: one.rows for one in data.splits} if data else {}
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
        shown, wanted = map(_parsed, (found.text(CONFIG), right.text))
    except (RecipeError, RecursionError):
        yield f"{CONFIG} is no config of the backend"
        return
    for line in right.lines:
        is_known = line.origin in OF_METHOD and line.key not in OF_ROWS
        if is_known or line.key == OF_PRECISION:
            there, asked = shown.get(line.key), wanted.get(line.key)
            if there != asked:
                yield f"{CONFIG} has `{line.key}` {_shown(there)}, the recipe asks for {_shown(asked)}"


def _parsed(text: str) -> Mapping[str, Any]:
    # as recipes are read: a stranger's YAML holds no aliases that grow
    return parse_source(text.encode(), Path(CONFIG)).value


def _shown(value: object) -> str:
    return brief_text(json.dumps(value, ensure_ascii=True, default=str))


def statement_problems(found: Contents) -> Iterator[str]:
    """Yield the parts of the signed statement that are not those of report, lock and files."""
    evidence = {name: found.members[name].data or b"" for name in EVIDENCE if name in found.members}
    # through JSON, since tuples would differ from the lists that were signed
    again = statement_of(found.report, found.accepted, evidence, written_with=found.written_with)
    right = json.loads(to_bytes(again))
    signed = found.statement
    for name in sorted({*right, *signed} - {"predicate"}):
        if signed.get(name) != right.get(name):
            yield f"`{name}` of the statement is not that of report and lock"
    predicate, wanted = signed["predicate"], right["predicate"]
    for name in sorted({*predicate, *wanted}):
        if predicate.get(name) != wanted.get(name):
            here, there = _as_json(predicate.get(name)), _as_json(wanted.get(name))
            yield f"`{name}` is {here} in the statement, {there} in report and lock"


def recipe_problems(found: Contents) -> Iterator[str]:
    """Yield where recipe, report and lock speak of different recipes."""
    report, recipe, accepted, lock = found.report, found.recipe, found.accepted, found.lock
    yield from unequal(
        (report.recipe_name, recipe.name, "the report is of `{}`, the recipe's name is `{}`"),
        (lock.recipe, recipe.name, "the lock is of `{}`, the recipe's name is `{}`"),
    )
    resolved = resolved_mapping(recipe)
    if resolved != found.resolved:
        yield f"{RESOLVED} is not resolved: {_differing(found.resolved, resolved)}"
    if (digest := recipe_digest(resolved)) != accepted.recipe["digest"]:
        yield f"the resolved recipe has the digest {digest}, the lock proves {accepted.recipe['digest']}"
    if section_digests(resolved) != accepted.recipe["sections"]:
        yield "the lock has other digests of the recipe's sections"
    if accepted.recipe["seed"] not in [method.seed for method in methods_of(recipe)]:
        yield f"the lock has the seed {accepted.recipe['seed']}, the recipe {recipe.method.seed}"
    if not is_drawn_by(lock, recipe):
        yield f"the lock records another draw: {_differing(lock.draw, draw_of(recipe))}"
    yield from _texts(found)
    yield from _repeated(found)
    value = value_of(found.members, WRITTEN)
    if "extends" in value:
        return  # its parent stands beside it as a comment only
    data = value.get("data")
    sources = found.resolved["data"]["sources"]
    if isinstance(data, dict):
        value = {**value, "data": {**data, "sources": sources}}
    # through JSON: plain data, without YAML's anchors and aliases
    text = yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False)
    again = resolved_mapping(recipe_of(text.encode(), WRITTEN))
    if again != found.resolved:
        yield f"{WRITTEN} asks for something else than {RESOLVED}: {_differing(again, found.resolved)}"


def _texts(found: Contents) -> Iterator[str]:
    report = found.report
    texts = {WRITTEN: report.recipe_text, RESOLVED: report.resolved_recipe}
    for name, text in {**texts, CONFIG: report.backend_config}.items():
        if found.text(name) != text.replace("\r\n", "\n"):
            yield f"{name} is not the one in the report"
    config = found.members[CONFIG].data or b""
    if hashlib.sha256(config).hexdigest() != found.accepted.config:
        yield f"{CONFIG} has another sha256 than the lock says"
    yield from config_problems(found)


def _repeated(found: Contents) -> Iterator[str]:
    """Yield what the report shows of the recipe, and the recipe does not say."""
    report, recipe = found.report, found.recipe
    keys = ("kind", "instruction", "output", "answer_pattern")
    facts: dict[str, tuple[Any, Any]] = {
        "description": (report.description, recipe.description),
        "labels": (report.labels, recipe.task.labels),
        "base_model": (report.base_model, describe(recipe.base_model)),
        "task": (report.task, {key: getattr(recipe.task, key) for key in keys}),
        "waivers": (list(map(to_json, report.waivers)), list(map(to_json, recipe.waivers))),
    }
    # reports from before do not name it
    if report.headline:
        facts["headline"] = (report.headline, recipe.headline)
    # with a sweep the report names the setting that was chosen, which the recipe does not say
    if not recipe.sweep:
        facts["method"] = (report.method, describe_method(recipe))
    for name, (shown, wanted) in facts.items():
        if shown != wanted:
            yield f"the report says another `{name}` than the recipe"


def model_problems(found: Contents) -> Iterator[str]:
    """Yield where report and lock speak of different models, and metrics that are not the lock's."""
    report, accepted = found.report, found.accepted
    if {file.name: file.sha256 for file in report.files} != accepted.files:
        yield "report and lock have other files"
    yield from _made_from(found)
    if len({file.name for file in report.files}) != len(report.files):
        yield "a file stands twice in the report"
    formats = {"ollama", *(file.format for file in report.files)}
    missing = [wanted for wanted in found.recipe.export.formats if wanted not in formats]
    yield from (f"no file is of the format {one}, which the recipe asks for" for one in missing)
    if report.holdout is None or found.held is None:
        yield "the report has no scores of the holdout"
        return
    if found.recipe.splits.folds and report.holdout != report.folds:
        yield "the scores of the holdout are not those of the folds"
    yield from _metrics(named_metrics(found.held, free=report.free), accepted.metrics)
    # That the answers of the lock are not those that were counted.
    answers, task = found.accepted.answers, found.recipe.task
    way = LIKELIHOODS if task.spec.by_likelihood else HASHES
    if answers["way"] != way:
        yield f"the lock holds `{answers['way']}` of a kind that has `{way}`"
    if answers["rows"] != found.held.rows:
        yield f"the lock has answers to {answers['rows']} rows, the report to {found.held.rows}"
    elif task.spec.answer is AnswerForm.LABEL and has_entries(answers) and found.held.confusion:
        counts = label_counts(answers, task.labels)
        columns = [sum(column) for column in zip(*found.held.confusion, strict=True)]
        if counts != dict(zip((*task.labels, None), columns, strict=True)):
            yield "the answers of the lock are not those that the confusion matrix counts"
    yield from _seeds(found)


def _made_from(found: Contents) -> Iterator[str]:
    accepted = found.accepted
    for name in accepted.merged.keys() & accepted.files.keys():
        if accepted.merged[name] != accepted.files[name]:
            yield f"`{name}` has two digests in the lock"
    before = accepted.base_model["reference"]
    now = base_model_mapping(found.recipe.base_model)
    for name in before.keys() | now.keys():
        # a pin may be added later without another model: the digests of the files are compared
        is_open = name in PINS and None in (before.get(name), now.get(name))
        if before.get(name) != now.get(name) and not is_open:
            here, there = _as_json(now.get(name)), _as_json(before.get(name))
            yield f"the base model's `{name}` is {here} in the recipe, {there} in the lock"


def surrounding_problems(found: Contents) -> Iterator[str]:
    """Yield where the lock's run had other tools or another machine than the report's, if they are one run."""
    report, accepted = found.report, found.accepted
    is_one = report.reproduction is None or report.reproduction.verdict is Repeat.EXACT
    trained = [one for one in report.stages if one.stage == "train"]
    # a reused training was made with the tools of an earlier day
    if not is_one or any(one.status is not StageStatus.RAN for one in trained):
        return
    yield from _versions(found)
    text = "{name} is {} in the report, {} in the lock"
    for name, shown in {"device": "kind", "name": "device", "cores": "cores"}.items():
        locked, here = accepted.hardware.get(name), report.environment.get(shown)
        if locked is not None and str(locked) != here:
            yield text.format(here, _as_json(locked), name=f"the machine's {name}")
    for name in ("precision", "threads") if report.training is not None else ():
        here, there = getattr(report.training, name), getattr(accepted, name)
        if here != there:
            yield text.format(here, _as_json(there), name=name)
    if found.is_of_this_version and report.reproduction is None:
        yield from _revisions(accepted)
    if report.reproduction is None and accepted.finished < report.started:
        yield "the lock was accepted before the run began"


def _versions(found: Contents) -> Iterator[str]:
    report, accepted = found.report, found.accepted
    for name, version in accepted.versions.items():
        if (here := report.versions.get(name)) != version:
            yield f"{name} is {here} in the report, {brief_text(version)} in the lock"
    # with an environment of its own, the report's are not those that trained
    used = {} if accepted.trainer else used_versions(found.recipe, report.versions)
    missing = used.keys() - accepted.versions.keys()
    if found.is_of_this_version and missing:
        yield f"the lock does not record the version of {', '.join(sorted(missing))}"


def _revisions(accepted: Accepted) -> Iterator[str]:
    for name, revision in accepted.stages.items():
        right = getattr(load_stage(name), "REVISION", None) if name in STAGES else None
        if revision != right:
            yield f"the stage {name} has the revision {revision} in the lock, its code {right}"


def _metrics(shown: Mapping[str, Metric], locked: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield each number of the holdout that is another one in the lock than in the report."""
    for name, before in locked.items():
        metric = shown.get(name)
        interval = metric.interval if metric else None
        ends = (interval.low, interval.high) if interval else (None, None)
        values = (metric.value if metric else None, *ends)
        for part, value in zip(("value", "low", "high"), values, strict=True):
            if not _near(value, before[part]):
                here, there = _number(value), _number(before[part])
                yield f"{part} of {name} is {here} in the report, {there} in the lock"
        if metric is not None and metric.n != before["n"]:
            yield f"{name} stands on {metric.n} rows in the report, on {before['n']} in the lock"
    for name in shown.keys() - locked.keys():
        if "." not in name:
            yield f"{name} is in the report and not in the lock"


def _seeds(found: Contents) -> Iterator[str]:
    seeds, recipe, accepted = found.report.seeds, found.recipe, found.accepted
    further = {one["seed"]: one for one in further_seeds(seeds, recipe)}
    locked = {one["seed"]: dict(one) for one in accepted.seeds}
    if missing := set(recipe.method.seeds) - further.keys():
        yield f"the report has no scores of the seeds {', '.join(map(str, sorted(missing)))}"
    if further and further != locked:
        yield "report and lock have other seeds, or other scores of them"
    elif further and spread_of(seeds, recipe) != accepted.spread:
        yield "report and lock have other spreads over the seeds"


def run_problems(found: Contents) -> Iterator[str]:
    """Yield where the run was not accepted, left a stage out, or contradicts its own lock."""
    report = found.report
    if report.schema != "report.v1":
        yield f"the report is a `{brief_text(report.schema)}`"
    if report.outcome != ACCEPTED:
        yield f"the run ended `{report.outcome}`"
    ended = (StageStatus.RAN, StageStatus.REUSED)
    done = {one.stage for one in report.stages if one.status in ended}
    counts = Counter(one.stage for one in report.stages)
    yield from (f"stage {one} did not run" for one in stages_of(found.recipe) if one not in done)
    yield from (f"stage {stage} stands twice" for stage, count in counts.items() if count > 1)
    yield from contradictions_of_recipe(found.recipe, found.accepted)
    if found.is_of_this_version:
        yield from (f"the lock does not record {one}" for one in missing_parts(found.accepted))
    try:
        recorded_rows(found.recipe, found.lock)
    except DataError as error:
        yield error.problems[0].message
    if report.reproduction is not None:
        yield from _reproduction(report, report.reproduction, found.accepted)


def _reproduction(report: Report, repeated: Reproduction, accepted: Accepted) -> Iterator[str]:
    """Yield where a report has a run repeat its lock, and did not compare, or not compute, what shows it."""
    differing = [one.name for one in repeated.compared if not one.equal]
    if repeated.verdict is Repeat.WITHIN_NOISE and not (differing or repeated.equivalence):
        yield "it is called reproduced within noise, and nothing differs"
    if repeated.verdict is not Repeat.EXACT:
        return
    if differing or repeated.first_difference:
        yield f"it is called reproduced exactly although {', '.join(differing) or 'an input'} differs"
    due = {"backend config", "precision", "threads", "method.seed", *accepted.versions}
    if missing := due - {one.name for one in repeated.compared}:
        yield f"it is called reproduced exactly and did not compare {', '.join(sorted(missing))}"
    trained = [one for one in report.stages if one.stage == "train"]
    if repeated.reused or any(one.status is not StageStatus.RAN for one in trained):
        yield "it is called reproduced exactly, and results of the store were taken"


def score_problems(found: Contents) -> Iterator[str]:
    """Yield scores that contradict themselves."""
    for name, scores in all_scores(found.report):
        yield from unlike(name, scores, found.recipe)


def _near(value: float | None, locked: float | None) -> bool:
    if value is None or locked is None:
        return value is locked
    return abs(value - locked) <= NEAR


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], at: str = "") -> str:
    for name in dict.fromkeys((*one, *other)):
        here, there = one.get(name), other.get(name)
        if here == there:
            continue
        path = f"{at}.{name}" if at else str(name)
        if isinstance(here, dict) and isinstance(there, dict):
            return _differing(here, there, path)
        return f"`{path}` is {_as_json(here)} and {_as_json(there)}"
    return "the order of its keys"


def _as_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"  # of one line
