"""Every fact of a lock's accepted run compared with the same fact of a run that repeats it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.artifacts.stage import REPLAYED_ROWS, SYNTHETIC_ROWS, TRAINING_ROWS
from engine.evidence import FactComparison
from engine.files.digests import SHA256
from engine.lock import accepted_run
from engine.lock.accepted_run import INSTRUCTIONS, RANKS, kind_of
from engine.lock.file import Accepted, MetricFacts
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


_PLAIN: Final = (
    ("rows", "data", "rows", None),
    ("splits", "data", "{} rows", None),
    ("versions", "tool version", "{}", UNRECORDED),
    ("trainer", "tool version", "{} of the trainer", None),
    ("precision", "config", "precision", None),
    ("threads", "threads", "threads", None),
    ("config", "config", "backend config", None),
    ("verdicts", NUMBERS, "verdict of {}", None),
    ("adapter", NUMBERS, "{}", None),
    ("predictions", NUMBERS, "answers of {}", None),
    ("merged", NUMBERS, "merged {}", None),
    ("files", NUMBERS, "{}", None),
)
"""Facts that are compared as they are: their name in `Accepted`, their part, what they are called, and what is shown
in place of one that the lock lacks."""


def compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> tuple[FactComparison, ...]:
    """Return every fact of the lock of which this run has one too, in the order of `IN_ORDER`."""
    return tuple(sorted(_compared(recipe, locked, now), key=lambda fact: IN_ORDER.index(fact.part)))


def _compared(recipe: Recipe, locked: Accepted, now: Artifacts) -> Iterator[FactComparison]:
    facts = accepted_run.facts_so_far(recipe, now)
    if "data" in now:
        yield from _sources(locked, facts)
    yield from _added(recipe, locked, facts, now)
    # a pin may be added, since the digests of the files are compared
    references = (locked.base_model["reference"], base_model_mapping(recipe.base_model))
    yield _fact("base model", "reference", *map(_plain, references))
    if "train" in now:
        # a lock may name the version of a tool that the recipe does not use
        installed = now["train"].versions
        facts["versions"] |= {
            name: installed[name] for name in locked.versions.keys() & installed.keys()
        }
        yield from _base_and_machine(locked, facts)
    for key, part, called, lacking in _PLAIN:
        before, found = getattr(locked, key), facts.get(key)
        if key == "trainer" and not before:
            continue
        if found is not None:
            yield from each_fact(
                part, before, found, called, lacking=lacking, all_made="verify" in now
            )
    revisions = facts["stages"]
    for name in {**locked.stages, **revisions}:
        what, before = f"revision of {name}", locked.stages.get(name, UNRECORDED)
        if name in revisions:
            yield _fact("tool version", what, before, revisions[name])
        elif "verify" in now:  # the last stage: no other one is still to come
            yield _fact(NUMBERS, what, before, None)
    yield _fact("config", "method.seed", locked.recipe["seed"], facts["recipe"]["seed"])
    if "evaluate" in now:
        # a name with a dot is of one label or field, which a lock records only where the recipe bounds it
        metrics = {
            name: metric
            for name, metric in facts["metrics"].items()
            if name in locked.metrics or "." not in name
        }
        yield from each_fact(NUMBERS, _numbers(locked.metrics), _numbers(metrics), lacking=None)
        both = (_sha256(_listed(answers)) for answers in (locked.answers, facts["answers"]))
        yield _fact(NUMBERS, "answers", *both)
    yield from _seeds(recipe, locked, facts, now)


def _sources(locked: Accepted, facts: Mapping[str, Any]) -> Iterator[FactComparison]:
    """Compare the bytes of the sources, their pins and the rows that were read from them."""
    now = {source["name"]: source["sha256"] for source in facts["sources"]}
    keys = {key for source in facts["sources"] for key in source} | set(PINS)
    marks, ours = locked.fingerprints, facts["fingerprints"]
    for source in locked.sources:
        name, before, after = source["name"], source["sha256"], now.get(source["name"])
        if after is not None:
            fact = _fact("data", name, UNRECORDED if before is None else before, after)
            # other bytes with equal rows, such as other line ends, train the same model: no hindrance, and no equality
            if before is not None and not fact.equal and marks is not None and marks == ours:
                fact = replace(fact, found=f"{fact.found}{SAME_ROWS}")
            yield fact
        for key in source.keys() - keys:
            yield _fact("data", f"{key} of {name}", "recorded", None)
    yield _fact("data", "sources", [source["name"] for source in locked.sources], list(now))
    if marks is not None and ours is not None:
        yield _fact("data", "fingerprints", _sha256(marks), _sha256(ours))
    elif ours is not None:
        yield _fact("data", "fingerprints", UNRECORDED, "there")


def _added(
    recipe: Recipe, locked: Accepted, facts: Mapping[str, Any], now: Artifacts
) -> Iterator[FactComparison]:
    """Compare the rows that a teacher, a writer and replayed text added."""
    asked = recipe.teacher, recipe.data.synthesize, recipe.data.replay
    stages = TRAINING_ROWS, SYNTHETIC_ROWS, REPLAYED_ROWS
    for kind, wanted, stage in zip(ADDED, asked, stages, strict=True):
        before: Mapping[str, Any] | None = getattr(locked, kind)
        yield from compared_rows(kind, before, facts.get(kind))
        name, key = next(iter(ADDED[kind].items()))
        if before is not None and wanted is None:
            yield _fact("data", name, _plain(before[key]), None)
        elif before is None and stage in now:
            yield _fact("data", name, UNRECORDED, "there")


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


def _base_and_machine(locked: Accepted, facts: Mapping[str, Any]) -> Iterator[FactComparison]:
    files, found = locked.base_model["files"], facts["base_model"]["files"]
    if not files:
        yield _fact("base model", "files", UNRECORDED, f"{len(found)} files")
    for name in sorted({*files, *found} if files else ()):
        yield _fact(kind_of(name), name, files.get(name), found.get(name))
    machines = [dict(locked.hardware), dict(facts["hardware"])]
    # the lock of some runs has these only
    if any(INSTRUCTIONS in machine for machine in machines):
        for machine in machines:
            machine.setdefault(INSTRUCTIONS, "all")
    ranks: list[Any] = [machine.pop(RANKS, {}) for machine in machines]
    if any(ranks):
        for machine, together in zip(machines, ranks, strict=True):
            machine["processes"] = int(together.get("processes", 1))
    locked_machine, machine = machines
    yield from each_fact("hardware", locked_machine, machine)


def _numbers(metrics: Mapping[str, MetricFacts]) -> dict[str, Any]:
    """Return value, interval and rows of each metric, by what they are called."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        low, high = metric["low"], metric["high"]
        found[name] = metric["value"]
        found[f"interval of {name}"] = None if low is None else f"{low} to {high}"
        found[f"rows of {name}"] = metric["n"]
    return found


def _seeds(
    recipe: Recipe, locked: Accepted, facts: Mapping[str, Any], now: Artifacts
) -> Iterator[FactComparison]:
    """Compare the further seeds that both have; the spread where these are all."""
    if "seeds" not in now:
        for seed in () if recipe.method.seeds else locked.seeds:
            yield _fact(NUMBERS, f"seed {seed['seed']}", _listed(seed), UNREPEATED)
        return
    before, further = (
        {f"seed {seed['seed']}": _listed(seed) for seed in seeds}
        for seeds in (locked.seeds, facts["seeds"])
    )
    for name in before.keys() & further.keys():
        yield _fact(NUMBERS, name, before[name], further[name])
    if before.keys() == further.keys():
        for name, spread in locked.spread.items():
            other = _listed(facts["spread"].get(name, {}))
            yield _fact(NUMBERS, f"spread of {name}", _listed(spread), other)


def each_fact(
    part: str,
    locked: Any,
    found: Any,
    called: str = "{}",
    *,
    lacking: str | None = UNRECORDED,
    all_made: bool = True,
) -> Iterator[FactComparison]:
    """Compare a fact, or each of several by name; `lacking` is shown for those that the lock does not have.

    A run that has not made all yet may still make what it lacks.
    """
    before, now = (one if isinstance(one, Mapping) else {called: one} for one in (locked, found))
    for name in {**before, **now} if all_made else now:
        yield _fact(part, called.format(name), before.get(name, lacking), now.get(name))


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
