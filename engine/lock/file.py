"""The lock of a recipe: which rows are held out, and inputs, tools and results of the accepted run.

Every run writes the first part; it is committed, so that a redrawn holdout shows in review. The second, `accepted`, is
written by an accepted run only, and kept until another accepted run replaces it on purpose. Plain JSON in a fixed
order, one fact a line; `schemas/lock.v1.schema.json` describes it.
"""

import errno
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from engine.data.membership import LEFT_OUT
from engine.errors import DataError
from engine.files import writing
from engine.files.reading import MAX_BYTES, parse_json, read_text
from engine.lock.lock_process import apart_for
from engine.recipe.text.paths import as_argument
from engine.values import (
    Count,
    Number,
    Scalar,
    Value,
    brief,
    brief_text,
    field,
    from_json,
    to_json,
)

SCHEMA = "lock.v1"
SUFFIX = ".lock.json"
SPLITS = ("train", "validation", "holdout")
"""The order of splits in the file."""
NONE = "none"
"""Name of the rows in no split."""


Digests = Mapping[str, str]


class RecipeFacts(TypedDict):
    digest: str
    """Digest of the resolved recipe."""
    sections: Digests
    seed: Count
    """Seed of the training."""


SourceFacts = Mapping[str, Any]
"""One source: `name`, the `sha256` of the bytes that were read (None where it is not known), and its pins."""


class ModelFacts(TypedDict):
    reference: Mapping[str, Any]
    """The model as the recipe names it."""
    files: Digests


class TeacherFacts(TypedDict):
    reference: Mapping[str, Scalar]
    sources: tuple[SourceFacts, ...]
    """Sources of the rows without labels, in recipe order."""
    rows: Count
    """Number of rows that were learned from it."""
    trained: str
    """sha256 over all training rows, its answers included, as those of `splits`."""
    targets: NotRequired[str]
    """sha256 of the teacher's probabilities; absent where only its answers were learned."""


class SyntheticFacts(TypedDict):
    reference: Mapping[str, Scalar]
    """The model that wrote the rows."""
    judge: Mapping[str, Scalar]
    """The model that answered them; empty without one."""
    rows: Count
    """Number of rows that were trained on."""
    digest: str
    """sha256 over these rows."""
    trained: str
    """sha256 over all training rows, these included, as those of `splits`."""


class ReplayFacts(TypedDict):
    """The general text that was trained with the rows."""

    sources: tuple[SourceFacts, ...]
    """Sources in recipe order; empty where the base model wrote the text."""
    texts: Count
    """Number of samples, or of blocks of documents."""
    digest: str
    """sha256 over the texts as they were trained on."""


class MetricFacts(TypedDict):
    """One metric of the unmerged model on the holdout."""

    value: Number | None
    low: Number | None
    high: Number | None
    n: Count


class SeedFacts(TypedDict):
    """The training with another seed, on the same holdout."""

    seed: Count
    metrics: Mapping[str, Number | None]
    agreement: Number | None
    """Agreement with the answers of the first seed's model."""


class SpreadFacts(TypedDict):
    """One metric over all seeds."""

    mean: Number
    deviation: Number


class AnswerFacts(TypedDict):
    """Answers to the rows of the holdout, in four bytes a row: see `engine.lock.coherence`."""

    way: str
    rows: Count
    entries: str


class Accepted(Value):
    """What one accepted run proves, by value and by digest, in the order of the file."""

    recipe: RecipeFacts
    finished: str
    """UTC: what was built before is not a reproduction."""
    sources: tuple[SourceFacts, ...]
    """Sources in recipe order."""
    rows: Count
    """Number of rows that were read."""
    fingerprints: str | None
    """Base64 of four bytes for each row, sorted; None for too many rows."""
    splits: Digests
    """Digest of the rows of each split."""
    base_model: ModelFacts
    config: str
    """sha256 of the compiled config."""
    precision: str
    threads: Count
    hardware: Mapping[str, Scalar | Mapping[str, Scalar]]
    """The machine; with `world`, the processes that trained together, where there were several."""
    versions: Mapping[str, str]
    stages: Mapping[str, Count] = field(default_factory=dict)
    """The revision of each stage's code, by its name; empty in locks of older versions."""
    verdicts: Mapping[str, str]
    """Verdicts of the gates, by stage."""
    metrics: Mapping[str, MetricFacts]
    seeds: tuple[SeedFacts, ...]
    """The further seeds of `method.seeds`."""
    spread: Mapping[str, SpreadFacts]
    answers: AnswerFacts
    predictions: Digests
    """sha256 of each file of predictions."""
    adapter: Digests
    """sha256 of each file of the adapter, or of the fully trained model."""
    merged: Digests
    files: Digests
    """sha256 of each exported file."""
    teacher: TeacherFacts | None = None
    """None without a teacher."""
    synthetic: SyntheticFacts | None = None
    """None without synthetic rows."""
    replay: ReplayFacts | None = None
    """None without replayed text, and in locks of older versions."""
    trainer: Mapping[str, str] = field(default_factory=dict)
    """Versions of all packages in the environment that trained, where it was a separate one."""


def sources(accepted: Accepted) -> Iterator[SourceFacts]:
    """Yield everything that was read: rows, those for a teacher, and replayed text."""
    yield from accepted.sources
    for added in (accepted.teacher, accepted.replay):
        yield from added["sources"] if added else ()


class LockedSplit(Value):
    rows: Count
    digest: str
    """sha256 over the sorted normalised rows."""
    members: str | None
    """Base64 of the sorted keys of the rows; None where there are too many training rows.

    Locks without `left_out` may hold those rows here, which are then more than `rows`.
    """
    left_out: str | None = None
    """As `members`, of rows that were drawn for the split and dropped by a check or a weight; None for no such row.

    They stay recorded, so that the next run draws no others instead; a row that another one replaced is unused.
    """


class LockedFirewall(Value):
    """The proof that the holdout is separate from training rows, as `engine.evidence.Firewall`."""

    method: str
    similarity: Number
    found_exact: Count
    found_near: Count
    left_exact: Count
    left_near: Count


class Wear(Value):
    looks: Count = 0
    """Runs in which a trained model was evaluated on it, or a verdict formed on it."""
    redraws: Count = 0
    """How often another holdout replaced it."""


class Lock(Value):
    recipe: str
    """Name of the recipe; only for people."""
    draw: Mapping[str, Scalar]
    """The settings that decide which rows are held out, by recipe key."""
    inputs: str
    """Digest of everything that the splits were made from, except the record of earlier splits."""
    drawn_with: str | None
    """Digest of the record that the splits had to keep; None for a fresh draw."""
    splits: Mapping[str, LockedSplit]
    unused: str | None
    """Base64 of the sorted keys of the rows in no split; None where training rows are not recorded."""
    firewall: LockedFirewall | None
    """None where nothing is held out."""
    holdout: Wear = Wear()
    accepted: Accepted | None = None
    """None before a run was accepted."""

    def members(self) -> dict[str, str]:
        """Return the recorded keys as `engine.data.membership` writes them; those of no split as `none`."""
        found = {name: split.members for name, split in self.splits.items()} | {NONE: self.unused}
        found |= {f"{name}{LEFT_OUT}": split.left_out for name, split in self.splits.items()}
        return {name: members for name, members in found.items() if members is not None}


def lock_path(recipe_file: Path) -> Path:
    """Return the path of a recipe's lock: that of `reviews.yaml` is `reviews.lock.json` in the same folder."""
    return recipe_file.with_name(f"{recipe_file.stem}{SUFFIX}")


def read_lock(path: Path, read: Callable[[], str] | None = None) -> Lock | None:
    """Return the lock at `path`, or None without a file; `read` returns its text where it is not read from the disk.

    DataError: the file cannot be read, is not JSON, or is not a lock of this version.
    """
    apart = apart_for(path)
    try:
        here = partial(apart.ask, read=True) if apart else partial(read_text, path)
        text = (read or here)()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(getattr(error, "strerror", "") or "not UTF-8")) from error
    return lock_from_text(path, text)


def lock_from_text(path: Path, text: str) -> Lock:
    """Return the lock in `text`, which may be an earlier content of `path`. Raises as `read_lock` does."""
    try:
        data = parse_json(text)
    except ValueError as error:
        is_merge = "<<<<<<< " in text and ">>>>>>> " in text
        why = "it holds the marks of a merge conflict" if is_merge else f"not JSON ({error})"
        raise _unreadable(path, why) from error
    return _parse(path, data)


def write_lock(path: Path, lock: Lock) -> bool:
    """Write the lock where the file differs, and return whether it was written. A link is replaced, never followed.

    OSError: the folder cannot be written; EFBIG where the lock would be too large to be read again.
    """
    text = lock_text(lock)
    if len(text.encode()) > MAX_BYTES:
        raise OSError(
            errno.EFBIG, f"the lock would be larger than {MAX_BYTES / 1e6:.0f} MB", path.name
        )
    apart = apart_for(path)
    return writing.replace_text(path, text) if apart is None else bool(apart.ask(write=text))


def lock_text(lock: Lock) -> str:
    """Return the text of the file: the same for the same lock, whatever order its parts were made in."""
    plain: dict[str, Any] = {"schema": SCHEMA, **to_json(lock)}
    plain["draw"] = dict(sorted(lock.draw.items()))
    # facts that a run, or an older version, did not have are left out
    if (accepted := plain.pop("accepted")) is not None:
        accepted["versions"] = dict(sorted(accepted["versions"].items()))
        optional = ("stages", "teacher", "synthetic", "replay", "trainer")
        plain["accepted"] = {
            name: fact for name, fact in accepted.items() if fact or name not in optional
        }
    plain["splits"] = {name: plain["splits"][name] for name in SPLITS if name in plain["splits"]}
    for split in plain["splits"].values():
        if split["left_out"] is None:
            del split["left_out"]
    return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"


def _parse(path: Path, data: Any) -> Lock:
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        is_named = isinstance(data, dict) and "schema" in data
        named = f": its schema is {brief(data['schema'])}" if is_named else ""
        raise DataError.one(
            "D381",
            f"`{path.name}` is not a lock that this version writes{named}",
            hint=f"move `{path.name}` away, or install the version of slm-recipe that wrote it",
        )
    try:
        lock = from_json(Lock, {key: value for key, value in data.items() if key != "schema"})
        # a lock without its count would let a used holdout pass for a fresh one
        wrong = "`holdout` is missing" if "holdout" not in data else ""
        if unknown := lock.splits.keys() - set(SPLITS):
            wrong = f"`splits.{brief_text(min(unknown))}` is unknown"
        if lock.accepted is not None:
            if not _is_time(lock.accepted.finished):
                wrong = f"`accepted.finished` is {brief(lock.accepted.finished)}"
            if not all(
                isinstance(one.get("name"), str) and isinstance(one.get("sha256", 0), str | None)
                for one in sources(lock.accepted)
            ):
                wrong = "a source of `accepted` has no `name` or no `sha256`"
        elif "accepted" in data:
            wrong = "`accepted` is null"
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise DataError.one(
            "D382",
            f"`{path.name}` is not a valid lock: {wrong}",
            hint=how_to_restore(path),
        )
    return lock


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _unreadable(path: Path, why: str) -> DataError:
    return DataError.one(
        "D380",
        f"cannot read `{path.name}`: {why}",
        hint=f"keep one complete side of a merge conflict; otherwise {how_to_restore(path)}",
    )


def how_to_restore(path: Path) -> str:
    """Return the hint of errors of an unusable lock: only git may still have the recorded holdout."""
    return (
        f"`git checkout -- {as_argument(path)}` restores the committed lock; without the file the next run draws "
        "and records another holdout"
    )
