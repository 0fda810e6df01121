"""Every fact of a lock's accepted run beside the same fact of a run that repeats it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.artifacts import results
from engine.artifacts.results import read_json
from engine.artifacts.stage import REPLAYED_ROWS, SYNTHETIC_ROWS, TRAINING_ROWS
from engine.evidence import FactComparison
from engine.lock import accepted_run
from engine.lock.accepted_run import INSTRUCTIONS, RANKS, TRAINER, kind_of, read_basis
from engine.lock.coherence import answer_facts
from engine.lock.file import Accepted, ReplayFacts, SourceFacts, SyntheticFacts, TeacherFacts
from engine.recipe.model import Recipe
from engine.recipe.text.dump import PINS, base_model_mapping
from engine.store import Artifact
from engine.values import replace

Artifacts = Mapping[str, Artifact]
NUMBERS = "numbers"
IN_ORDER = (
    "data", "base model", "tokenizer", "config", "tool version", "hardware", "threads", NUMBERS,
)  # fmt: skip
SURROUNDINGS = ("tool version", "hardware", "threads")
OPTIONAL = (INSTRUCTIONS, RANKS)
"""Of the hardware: stands in the lock of some runs only."""
"""Parts that may differ although everything else is the same."""
DIGITS = 12
SAME_ROWS = ", with the same rows"
"""What follows the digest of a source that has other bytes than the lock's, and no other row."""
UNREPEATED = "not trained here"
"""What stands for a further seed of a lock that the recipe does not ask for any more."""
UNRECORDED = "not recorded"
"""What stands for a fact that an accepted run records and a lock lacks."""


def compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> tuple[FactComparison, ...]:
    """Return every fact of the lock of which this run has one too, in the order of `IN_ORDER`."""
    return tuple(sorted(_compared(recipe, locked, now), key=lambda one: IN_ORDER.index(one.part)))


def _compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    if "data" in now:
        yield from _data(locked, now["data"])
    yield from _teacher(recipe, locked, now)
    yield from _synthetic(recipe, locked, now)
    yield from compared_replay(locked.replay, accepted_run.replay_facts(now))
    if locked.replay is not None and recipe.data.replay is None:
        yield _fact("data", "replayed texts", locked.replay["texts"], None)
    elif locked.replay is None and REPLAYED_ROWS in now:
        yield _fact("data", "replayed texts", UNRECORDED, "there")
    yield _reference(recipe, locked)
    if "train" in now:
        basis = read_basis(now["train"])
        yield from _base_model(locked.base_model["files"], basis["base_model"])
        found = basis["hardware"]
        of_machine = {
            name: value for name, value in locked.hardware.items() if name not in OPTIONAL
        }
        yield from _facts("hardware", of_machine, found)
        if INSTRUCTIONS in locked.hardware or INSTRUCTIONS in found:
            yield _fact(
                "hardware",
                INSTRUCTIONS,
                *(one.get(INSTRUCTIONS, "all") for one in (locked.hardware, found)),
            )
        if RANKS in locked.hardware or RANKS in found:
            worlds: list[Any] = [one.get(RANKS, {}) for one in (locked.hardware, found)]
            counts = (int(world.get("processes", 1)) for world in worlds)
            yield _fact("hardware", "processes", *counts)
        yield from _versions(locked.versions, now["train"].versions)
        yield from _trainer(locked.trainer, basis[TRAINER])
        training = read_json(now["train"], "training.json")
        yield _fact("config", "precision", locked.precision, training["precision"])
        yield _fact("threads", "threads", locked.threads, training["threads"])
    yield from _unrecorded(recipe, locked, now)
    revisions = accepted_run.stage_revisions(now)
    for name, revision in locked.stages.items():
        if name in revisions:
            yield _fact("tool version", f"revision of {name}", revision, revisions[name])
        elif "verify" in now:  # the last stage: no other one is still to come
            yield _fact(NUMBERS, f"revision of {name}", revision, None)
    if "compile" in now:
        yield _digest("config", "backend config", locked.config, accepted_run.config_digest(now))
    method = results.trained(recipe, now).method
    yield _fact("config", "method.seed", locked.recipe["seed"], method.seed)
    for name, status in accepted_run.verdicts(now).items():
        yield _fact(NUMBERS, f"verdict of {name}", locked.verdicts.get(name), status)
    yield from _files(locked, now)
    if "evaluate" in now:
        yield from _metrics(
            locked.metrics, accepted_run.recorded_facts(recipe, accepted_run.holdout_metrics(now))
        )
        yield _answers(locked, now)
    yield from _seeds(recipe, locked, now)


def _unrecorded(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    """Yield the facts of this run of which the lock says nothing: nobody knows whether they are the same."""
    if "data" in now:
        read = accepted_run.facts_of_data(now["data"])
        if locked.fingerprints is None and read["fingerprints"] is not None:
            yield _fact("data", "fingerprints", UNRECORDED, "there")
        known = {one["name"]: one["sha256"] for one in read["sources"]}
        for one in locked.sources:
            if one["sha256"] is None and known.get(one["name"]) is not None:
                yield _fact("data", one["name"], UNRECORDED, known[one["name"]][:DIGITS])
    for name, revision in accepted_run.stage_revisions(now).items():
        if name not in locked.stages:
            yield _fact("tool version", f"revision of {name}", UNRECORDED, revision)
    if "train" not in now:
        return
    basis = read_basis(now["train"])
    if basis["base_model"] and not locked.base_model["files"]:
        yield _fact("base model", "files", UNRECORDED, f"{len(basis['base_model'])} files")
    versions = accepted_run.used_versions(recipe, now["train"].versions)
    for part, before, found in (
        ("hardware", locked.hardware, basis["hardware"]),
        ("tool version", locked.versions, versions),
    ):
        for name in found.keys() - before.keys() - {*OPTIONAL}:
            yield _fact(part, name, UNRECORDED, found[name])


def _teacher(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    yield from compared_teacher(locked.teacher, accepted_run.teacher_facts(recipe, now))
    if locked.teacher is not None and recipe.teacher is None:
        yield _fact("data", "teacher", _listed(locked.teacher["reference"]), None)
    elif locked.teacher is None and TRAINING_ROWS in now:
        yield _fact("data", "teacher", UNRECORDED, "there")


def _synthetic(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    yield from compared_synthetic(locked.synthetic, accepted_run.synthetic_facts(recipe, now))
    if locked.synthetic is not None and recipe.data.synthesize is None:
        yield _fact("data", "writer of rows", _listed(locked.synthetic["reference"]), None)
    elif locked.synthetic is None and SYNTHETIC_ROWS in now:
        yield _fact("data", "writer of rows", UNRECORDED, "there")


def _data(locked: Accepted, data: Artifact) -> Iterator[FactComparison]:
    found = accepted_run.facts_of_data(data)
    now = {one["name"]: one["sha256"] for one in found["sources"]}
    same_rows = None not in (locked.fingerprints, found["fingerprints"]) and (
        locked.fingerprints == found["fingerprints"]
    )
    for one in locked.sources:
        if one["sha256"] is None or now.get(one["name"]) is None:
            continue
        digest = _digest("data", one["name"], one["sha256"], now[one["name"]])
        # other bytes with equal rows, such as other line ends, train the same model: no hindrance, and no equality
        if not digest.equal and same_rows:
            digest = replace(digest, found=f"{digest.found}{SAME_ROWS}")
        yield digest
    yield _fact("data", "sources", [one["name"] for one in locked.sources], list(now))
    keys = {key for one in found["sources"] for key in one} | set(PINS)
    for one in locked.sources:
        for key in one.keys() - keys:
            yield _fact("data", f"{key} of {one['name']}", "recorded", None)
    yield _fact("data", "rows", locked.rows, found["rows"])
    if locked.fingerprints is not None and found["fingerprints"] is not None:
        marks = (_sha256(text) for text in (locked.fingerprints, found["fingerprints"]))
        yield _digest("data", "fingerprints", *marks)
    splits = accepted_run.split_digests(data)
    for name in {**locked.splits, **splits}:
        yield _digest("data", f"{name} rows", locked.splits.get(name, ""), splits.get(name, ""))


def compared_teacher(
    locked: TeacherFacts | None, now: TeacherFacts | None
) -> Iterator[FactComparison]:
    """Compare what a teacher added to the data; nothing where one of the runs has none, or has not come so far."""
    if locked is None or now is None:
        return
    yield from _sources(locked["sources"], now["sources"], "for the teacher")
    unpinned = [_unpinned(facts["reference"]) for facts in (locked, now)]
    yield _fact("data", "teacher", *map(_listed, unpinned))
    yield _fact("data", "teacher's rows", locked["rows"], now["rows"])
    yield _digest("data", "rows with the teacher's", locked["trained"], now["trained"])
    if "targets" in locked and "targets" in now:
        # Rounded like any number that a model computes: other hardware may give other bits of the same input.
        yield _digest(NUMBERS, "the teacher's probabilities", locked["targets"], now["targets"])


def compared_synthetic(
    locked: SyntheticFacts | None, now: SyntheticFacts | None
) -> Iterator[FactComparison]:
    """Compare the synthetic rows; nothing where one of the runs has none, or has not come so far."""
    if locked is None or now is None:
        return
    both = (locked, now)
    yield _fact("data", "writer of rows", *(_listed(_unpinned(one["reference"])) for one in both))
    yield _fact("data", "judge of rows", *(_listed(_unpinned(one["judge"])) for one in both))
    yield _fact("data", "synthetic rows", locked["rows"], now["rows"])
    yield _digest("data", "text of synthetic rows", locked["digest"], now["digest"])
    yield _digest("data", "rows with synthetic ones", locked["trained"], now["trained"])


def compared_replay(
    locked: ReplayFacts | None, now: ReplayFacts | None
) -> Iterator[FactComparison]:
    """Compare the text that was replayed; nothing where one of the runs has none, or has not come so far."""
    if locked is None or now is None:
        return
    yield from _sources(locked["sources"], now["sources"], "that is replayed")
    yield _fact("data", "replayed texts", locked["texts"], now["texts"])
    # What a model samples follows from numbers that other hardware may round otherwise.
    part = "data" if locked["sources"] or now["sources"] else NUMBERS
    yield _digest(part, "replayed text", locked["digest"], now["digest"])


def _sources(
    locked: Iterable[SourceFacts], now: Iterable[SourceFacts], what: str
) -> Iterator[FactComparison]:
    """Compare the bytes of sources beside those of the rows; nothing of one whose bytes are not known."""
    found = {one["name"]: one["sha256"] for one in now}
    for one in locked:
        before, after = one["sha256"], found.get(one["name"])
        if before is not None and after is not None:
            yield _digest("data", f"{one['name']} {what}", before, after)


def _unpinned(reference: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reference.items() if name not in PINS}


def _reference(recipe: Recipe, locked: Accepted) -> FactComparison:
    """Compare how the base model is named; a pin may be added, since the digests of its files are compared."""
    before, now = locked.base_model["reference"], base_model_mapping(recipe.base_model)
    unpinned = [
        {name: value for name, value in reference.items() if name not in PINS}
        for reference in (before, now)
    ]
    return _fact("base model", "reference", *map(_listed, unpinned))


def _base_model(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[FactComparison]:
    # artifacts of older versions say nothing of the base model
    for name in sorted({*locked, *found} if locked and found else ()):
        yield _digest(kind_of(name), name, locked.get(name, ""), found.get(name, ""))


def _versions(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[FactComparison]:
    yield from _facts("tool version", locked, {name: found.get(name) for name in locked})


def _trainer(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[FactComparison]:
    for name in sorted({*locked, *found} if locked else ()):
        what = f"{name} of the trainer"
        yield _fact("tool version", what, locked.get(name), found.get(name))


def _facts(
    part: str, locked: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[FactComparison]:
    for name, value in locked.items():
        yield _fact(part, name, value, found.get(name))


def _files(locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    groups = (
        ("adapter", "train", ""),
        ("predictions", "verify", "answers of "),
        ("merged", "merge", "merged "),
        ("files", "verify", ""),
    )
    found = accepted_run.model_digests(now)
    for kind, stage, called in groups:
        before, after = getattr(locked, kind), found[kind]
        for name in {**before, **after}:
            if stage in now or name in after:
                yield _digest(NUMBERS, f"{called}{name}", before.get(name, ""), after.get(name, ""))


def _metrics(
    locked: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[FactComparison]:
    """Compare each metric of the lock, its interval and its rows; those of all rows that the lock lacks too."""
    none = {"value": None, "low": None, "high": None, "n": None}
    # a name with a dot is of one label or field, which a lock records only where the recipe
    # bounds it
    for name in {**locked, **{name: 0 for name in found if "." not in name}}:
        before, now = locked.get(name, none), found.get(name, none)
        yield _fact(NUMBERS, name, before["value"], now["value"])
        yield _fact(
            NUMBERS,
            f"interval of {name}",
            *(
                (None if one["low"] is None else f"{one['low']} to {one['high']}")
                for one in (before, now)
            ),
        )
        yield _fact(NUMBERS, f"rows of {name}", before["n"], now["n"])


def _answers(locked: Accepted, now: Artifacts) -> FactComparison:
    found = answer_facts(accepted_run.holdout_answers(now))
    both = (_sha256(_listed(answers)) for answers in (locked.answers, found))
    return _digest(NUMBERS, "answers", *both)


def _seeds(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    """Compare the further seeds that both have; the spread where these are all."""
    if "seeds" not in now:
        unasked = () if recipe.method.seeds else locked.seeds
        for facts in unasked:
            yield _fact(NUMBERS, f"seed {facts['seed']}", _listed(facts), UNREPEATED)
        return
    found = results.seeds(now)
    further = {seed["seed"]: seed for seed in accepted_run.further_seeds(found, recipe)}
    before = {seed["seed"]: seed for seed in locked.seeds}
    for number, facts in before.items():
        if number in further:
            yield _fact(NUMBERS, f"seed {number}", _listed(facts), _listed(further[number]))
    if before.keys() == further.keys():
        spread = accepted_run.spread_of(found, recipe)
        yield from (
            _fact(NUMBERS, f"spread of {name}", _listed(fact), _listed(spread.get(name, {})))
            for name, fact in locked.spread.items()
        )


def _listed(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(part: str, name: str, locked: str, found: str) -> FactComparison:
    fact = _fact(part, name, locked[:DIGITS] or None, found[:DIGITS] or None)
    return replace(fact, equal=locked == found)


def _fact(part: str, name: str, locked: object, found: object) -> FactComparison:
    return FactComparison(
        part=part,
        name=name,
        equal=locked == found,
        locked="none" if locked is None else str(locked),
        found="none" if found is None else str(found),
    )
