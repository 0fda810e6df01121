"""Every fact of a lock's accepted run compared with the same fact of a run that repeats it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.artifacts import results
from engine.artifacts.results import read_json
from engine.artifacts.stage import REPLAYED_ROWS, SYNTHETIC_ROWS, TRAINING_ROWS
from engine.evidence import FactComparison
from engine.files.digests import SHA256
from engine.lock import accepted_run
from engine.lock.accepted_run import INSTRUCTIONS, RANKS, TRAINER, kind_of, read_basis
from engine.lock.coherence import answer_facts
from engine.lock.file import Accepted
from engine.recipe.model import Recipe
from engine.recipe.text.dump import PINS, base_model_mapping
from engine.store import Artifact
from engine.values import replace

Artifacts = Mapping[str, Artifact]
NUMBERS: Final = "numbers"
IN_ORDER: Final = (
    "data", "base model", "tokenizer", "config", "tool version", "hardware", "threads", NUMBERS,
)  # fmt: skip
SURROUNDINGS: Final = ("tool version", "hardware", "threads")
"""Parts that may differ although everything else is the same."""
OPTIONAL: Final = (INSTRUCTIONS, RANKS)
"""Of the hardware: in the lock of some runs only."""
DIGITS: Final = 12
SAME_ROWS: Final = ", with the same rows"
"""What follows the digest of a source that has other bytes than the lock's, and no other row."""
UNREPEATED: Final = "not trained here"
"""What stands for a further seed of a lock that the recipe does not ask for any more."""
UNRECORDED: Final = "not recorded"
"""What stands for a fact that an accepted run records and a lock lacks."""
ADDED: Final[Mapping[str, Mapping[str, str]]] = {
    "teacher": {
        "teacher": "reference",
        "teacher's rows": "rows",
        "rows with the teacher's": "trained",
        "the teacher's probabilities": "targets",
    },
    "synthetic": {
        "writer of rows": "reference",
        "judge of rows": "judge",
        "synthetic rows": "rows",
        "text of synthetic rows": "digest",
        "rows with synthetic ones": "trained",
    },
    "replay": {"replayed texts": "texts", "replayed text": "digest"},
}
"""What is compared of rows that others add, by name and key of the facts; the first stands for all."""
_SOURCES: Final = {"teacher": "for the teacher", "replay": "that is replayed"}


def compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> tuple[FactComparison, ...]:
    """Return every fact of the lock of which this run has one too, in the order of `IN_ORDER`."""
    return tuple(sorted(_compared(recipe, locked, now), key=lambda one: IN_ORDER.index(one.part)))


def _compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    if "data" in now:
        yield from _data(locked, now["data"])
    asked = recipe.teacher, recipe.data.synthesize, recipe.data.replay
    stages = TRAINING_ROWS, SYNTHETIC_ROWS, REPLAYED_ROWS
    added = accepted_run.added_facts(recipe, now)
    for kind, wanted, stage in zip(ADDED, asked, stages, strict=True):
        before: Mapping[str, Any] | None = getattr(locked, kind)
        yield from compared_rows(kind, before, added.get(kind))
        name, key = next(iter(ADDED[kind].items()))
        if before is not None and wanted is None:
            yield _fact("data", name, _plain(before[key]), None)
        elif before is None and stage in now:
            yield _fact("data", name, UNRECORDED, "there")
    # a pin may be added, since the digests of the files are compared
    references = (locked.base_model["reference"], base_model_mapping(recipe.base_model))
    yield _fact("base model", "reference", *map(_plain, references))
    if "train" in now:
        yield from _training(recipe, locked, now["train"])
    revisions = accepted_run.stage_revisions(now)
    for name in {**locked.stages, **revisions}:
        what, before_ = f"revision of {name}", locked.stages.get(name, UNRECORDED)
        if name in revisions:
            yield _fact("tool version", what, before_, revisions[name])
        elif "verify" in now:  # the last stage: no other one is still to come
            yield _fact(NUMBERS, what, before_, None)
    if "compile" in now:
        yield _fact("config", "backend config", locked.config, accepted_run.config_digest(now))
    seed = results.trained(recipe, now).method.seed
    yield _fact("config", "method.seed", locked.recipe["seed"], seed)
    for name, status in accepted_run.verdicts(now).items():
        yield _fact(NUMBERS, f"verdict of {name}", locked.verdicts.get(name), status)
    yield from _digests(locked, now)
    if "evaluate" in now:
        yield from _metrics(locked, accepted_run.holdout_metrics(now), recipe)
        answers = answer_facts(accepted_run.holdout_answers(now))
        both = (_sha256(_listed(one)) for one in (locked.answers, answers))
        yield _fact(NUMBERS, "answers", *both)
    yield from _seeds(recipe, locked, now)


def _digests(locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    digests = accepted_run.model_digests(now)
    for kind, stage, called in (
        ("adapter", "train", "{}"),
        ("predictions", "verify", "answers of {}"),
        ("merged", "merge", "merged {}"),
        ("files", "verify", "{}"),
    ):
        known = getattr(locked, kind)
        if stage not in now:
            known = {name: known[name] for name in known if name in digests[kind]}
        yield from each_fact(NUMBERS, known, digests[kind], called, lacking=None)


def _data(locked: Accepted, data: Artifact) -> Iterator[FactComparison]:
    found = accepted_run.facts_of_data(data)
    now = {one["name"]: one["sha256"] for one in found["sources"]}
    keys = {key for one in found["sources"] for key in one} | set(PINS)
    marks, ours = locked.fingerprints, found["fingerprints"]
    for one in locked.sources:
        name, before, after = one["name"], one["sha256"], now.get(one["name"])
        if after is not None:
            fact = _fact("data", name, UNRECORDED if before is None else before, after)
            # other bytes with equal rows, such as other line ends, train the same model: no hindrance, and no equality
            if before is not None and not fact.equal and marks is not None and marks == ours:
                fact = replace(fact, found=f"{fact.found}{SAME_ROWS}")
            yield fact
        for key in one.keys() - keys:
            yield _fact("data", f"{key} of {name}", "recorded", None)
    yield _fact("data", "sources", [one["name"] for one in locked.sources], list(now))
    yield _fact("data", "rows", locked.rows, found["rows"])
    if marks is not None and ours is not None:
        yield _fact("data", "fingerprints", _sha256(marks), _sha256(ours))
    elif ours is not None:
        yield _fact("data", "fingerprints", UNRECORDED, "there")
    splits = accepted_run.split_digests(data)
    yield from each_fact("data", locked.splits, splits, "{} rows", lacking=None)


def compared_rows(
    kind: str, locked: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> Iterator[FactComparison]:
    """Compare rows that others added, of a kind of `ADDED`; nothing where a run has none, or has not come so far."""
    if locked is None or now is None:
        return
    found = {one["name"]: one["sha256"] for one in now.get("sources", ())}
    for one in locked.get("sources", ()):
        # nothing of one whose bytes are not known
        if None not in (one["sha256"], found.get(one["name"])):
            what = f"{one['name']} {_SOURCES[kind]}"
            yield _fact("data", what, one["sha256"], found[one["name"]])
    # what a model computes or samples, other hardware may round otherwise
    is_sampled = kind == "replay" and not (locked["sources"] or now["sources"])
    for name, key in ADDED[kind].items():
        if key in locked and key in now:
            part = NUMBERS if key == "targets" or (is_sampled and key == "digest") else "data"
            yield _fact(part, name, _plain(locked[key]), _plain(now[key]))


def _training(recipe: Recipe, locked: Accepted, train: Artifact) -> Iterator[FactComparison]:
    basis = read_basis(train)
    files, found = locked.base_model["files"], basis["base_model"]
    # artifacts of older versions record nothing of the base model
    for name in sorted({*files, *found} if files and found else ()):
        yield _fact(kind_of(name), name, files.get(name), found.get(name))
    if found and not files:
        yield _fact("base model", "files", UNRECORDED, f"{len(found)} files")
    machines: list[Mapping[str, Any]] = [locked.hardware, basis["hardware"]]
    here, there = ({name: one[name] for name in one if name not in OPTIONAL} for one in machines)
    yield from each_fact("hardware", here, there)
    if any(INSTRUCTIONS in one for one in machines):
        chosen = (one.get(INSTRUCTIONS, "all") for one in machines)
        yield _fact("hardware", INSTRUCTIONS, *chosen)
    if any(RANKS in one for one in machines):
        counts = (int(one.get(RANKS, {}).get("processes", 1)) for one in machines)
        yield _fact("hardware", "processes", *counts)
    used = accepted_run.used_versions(recipe, train.versions)
    versions = {
        name: one for name, one in train.versions.items() if name in {**used, **locked.versions}
    }
    yield from each_fact("tool version", locked.versions, versions)
    if locked.trainer:
        called = "{} of the trainer"
        yield from each_fact("tool version", locked.trainer, basis[TRAINER], called, lacking=None)
    training = read_json(train, "training.json")
    yield _fact("config", "precision", locked.precision, training["precision"])
    yield _fact("threads", "threads", locked.threads, training["threads"])


def _metrics(locked: Accepted, measured: Any, recipe: Recipe) -> Iterator[FactComparison]:
    """Compare each metric of the lock, its interval and its rows; those of all rows that the lock lacks too."""
    found = accepted_run.recorded_facts(recipe, measured)
    none = {"value": None, "low": None, "high": None, "n": None}
    # a name with a dot is of one label or field, which a lock records only where the recipe bounds it
    for name in {**locked.metrics, **{name: 0 for name in found if "." not in name}}:
        sides: list[Mapping[str, Any]] = [one.get(name, none) for one in (locked.metrics, found)]
        ends = (None if one["low"] is None else f"{one['low']} to {one['high']}" for one in sides)
        yield _fact(NUMBERS, name, *(one["value"] for one in sides))
        yield _fact(NUMBERS, f"interval of {name}", *ends)
        yield _fact(NUMBERS, f"rows of {name}", *(one["n"] for one in sides))


def _seeds(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    """Compare the further seeds that both have; the spread where these are all."""
    if "seeds" not in now:
        for facts in () if recipe.method.seeds else locked.seeds:
            yield _fact(NUMBERS, f"seed {facts['seed']}", _listed(facts), UNREPEATED)
        return
    found = results.seeds(now)
    further = {seed["seed"]: seed for seed in accepted_run.further_seeds(found, recipe)}
    before = {seed["seed"]: seed for seed in locked.seeds}
    for number in before.keys() & further.keys():
        sides = (_listed(one[number]) for one in (before, further))
        yield _fact(NUMBERS, f"seed {number}", *sides)
    if before.keys() == further.keys():
        spread = accepted_run.spread_of(found, recipe)
        for name, fact in locked.spread.items():
            other = _listed(spread.get(name, {}))
            yield _fact(NUMBERS, f"spread of {name}", _listed(fact), other)


def each_fact(
    part: str,
    locked: Mapping[str, Any],
    found: Mapping[str, Any],
    called: str = "{}",
    *,
    lacking: str | None = UNRECORDED,
) -> Iterator[FactComparison]:
    """Compare facts by name; `lacking` stands for those that the lock does not have."""
    for name in {**locked, **found}:
        yield _fact(part, called.format(name), locked.get(name, lacking), found.get(name))


def _plain(value: Any) -> Any:
    """Return a fact as it is compared: a reference as text, without its pins."""
    if not isinstance(value, Mapping):
        return value
    return _listed({name: one for name, one in value.items() if name not in PINS})


def _listed(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fact(part: str, name: str, locked: Any, found: Any) -> FactComparison:
    texts = ["none" if one is None else str(one) for one in (locked, found)]
    shown = [text[:DIGITS] if SHA256.fullmatch(text) else text for text in texts]
    is_equal = locked == found
    return FactComparison(part=part, name=name, equal=is_equal, locked=shown[0], found=shown[1])
