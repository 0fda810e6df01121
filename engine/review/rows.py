"""Which rows stood in which split before, and which would now: from the locks, or from the rows themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from engine.data.checks.findings import drop_reason
from engine.data.examples.example import Example, content_key
from engine.data.membership import KEY_BYTES
from engine.lock.draw import needs_record
from engine.lock.file import Lock
from engine.recipe.model import PathRef, Recipe, Reference, Source
from engine.review.flatten import references_in
from engine.review.version import Side
from engine.store import make_key
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.data.prepare import Prepared

MOST_BYTES: Final = 5_000_000
"""Of all files that one review divides."""
_BY_TEXT: Final = ("stratified", "random", "files", "column")
"""Ways of dividing whose record knows rows by their text."""
NOT_HERE: Final = "its rows are not read here"
TOO_MANY: Final = "its rows are too many to be divided here"
UNUSABLE: Final = "its rows cannot be divided"
CONTRADICTED: Final = drop_reason("conflicting_labels")


class Divided(Value):
    """The rows of each split, by what tells them apart."""

    texts: Mapping[str, frozenset[bytes]]
    places: Mapping[str, frozenset[str]] = {}
    """By file and line; empty from a lock."""
    counts: Mapping[str, int]
    """Rows, with repetitions."""


class HoldoutOverlap(Value):
    rows: int
    training: int
    validation: int
    holdout: int

    @property
    def is_same(self) -> bool:
        return self.holdout == self.rows


class JudgedRows(Value):
    rows: int
    gone: int
    """They no longer judge."""
    otherwise: int
    """They still judge, and have another answer."""
    come: int = 0
    """They did not judge before."""
    now: int = 0
    """That judge now."""
    has_echoes: bool = False
    """Rows of any split have the text of a new one, which repeats or contradicts them."""
    repeated: int = 0
    """They judge more often than before."""
    rewritten: int = 0
    """Texts of any split that are gone, where rows come and none that judged is gone: the data did not only grow."""

    @property
    def kept(self) -> int:
        return self.rows - self.gone

    @property
    def is_same(self) -> bool:
        return not (self.gone or self.otherwise or self.come or self.repeated)


@dataclass(slots=True)
class RowDivider:
    room: int = MOST_BYTES
    """Bytes that may still be read."""
    _prepared: dict[str, Prepared | str] = field(default_factory=dict)

    def overlap(self, old: Side, new: Side) -> HoldoutOverlap | str:
        """Return what the rows of the new holdout were before, or why that is not known."""
        before, after = self.of(old), self.of(new)
        if isinstance(before, str) or isinstance(after, str):
            return before if isinstance(before, str) else str(after)
        if (old.recipe.task.kind, old.recipe.task.input) == (
            new.recipe.task.kind,
            new.recipe.task.input,
        ):
            return _overlap(before.texts, after.texts)
        if before.places and after.places:
            return _overlap(before.places, after.places)
        return "the text of a row is made otherwise"

    def of(self, side: Side) -> Divided | str:
        # The lock first: it costs no reading, and knows rows whose files are not here.
        if side.drawing_lock and (found := _of_lock(side, side.drawing_lock)) is not None:
            return found
        prepared = self.prepared(side)
        return prepared if isinstance(prepared, str) else _of_examples(_splits(prepared))

    def judges(self, old: Side, new: Side) -> JudgedRows | None:
        """Return what became of the rows that judged, however their texts are made."""
        before, after = self.prepared(old), self.prepared(new)
        if isinstance(before, str) or isinstance(after, str):
            return None
        was = _answers(before, old.recipe.splits.folds)
        now = _answers(after, new.recipe.splits.folds)
        both = was.keys() & now.keys()
        gone, come = was.keys() - now.keys(), now.keys() - was.keys()
        texts, new_texts = (
            Counter(content_key(row.input) for row in chain.from_iterable(_splits(one).values()))
            for one in (before, after)
        )
        left_out = [one.summary.dropped.get(CONTRADICTED, 0) for one in (before, after)]
        echoes = (new_texts - texts).keys() & texts.keys()
        return JudgedRows(
            rows=len(was),
            gone=len(gone),
            has_echoes=bool(echoes) or left_out[1] > left_out[0],
            otherwise=sum(was[text].keys() != now[text].keys() for text in both),
            come=len(come),
            rewritten=len(texts.keys() - new_texts.keys()) if come and not gone else 0,
            now=len(now),
            repeated=sum(now[text].total() > was[text].total() for text in both),
        )

    def prepared(self, side: Side) -> Prepared | str:
        """Return the rows of a version as a run would divide them, or why they are not divided here."""
        key = make_key(
            {
                "recipe": side.resolved,
                "lock": side.lock_digest,
                "at": str(side.path),
                "of": side.tree.name,
            }
        ).digest
        if key not in self._prepared:
            self._prepared[key] = self._divide(side)
        return self._prepared[key]

    def _divide(self, side: Side) -> Prepared | str:
        recipe, lock, local = side.recipe, side.drawing_lock, _local(side)
        if local is None:
            return NOT_HERE
        refs = (ref for source in local.data.sources for ref in references_in(source))
        size = sum(ref.path.stat().st_size for ref in refs if isinstance(ref, PathRef))
        if size > self.room:
            return TOO_MANY
        self.room -= size
        is_held = lock is not None and needs_record(recipe.splits)
        recorded = side.recorded if is_held else None
        if is_held and recorded is None:
            return "its lock cannot be read"
        from engine.pipeline.data_outlook import divided  # only where rows are read

        prepared = divided(
            _without_doubts(local), recorded, most_bytes=size, with_extras=True, refused=True
        )
        if prepared is None:
            return f"{UNUSABLE}, and `recipe data` says why"
        why = [problem.message for problem in prepared.problems]
        return f"{UNUSABLE}: {why[0]}" if why else prepared


def _splits(prepared: Prepared) -> dict[str, Iterable[Example]]:
    return {name: getattr(prepared, name) for name in ("train", "validation", "holdout")}


def judging_rows(prepared: Prepared, folds: int) -> Iterable[Example]:
    """Return the rows that judge: all of them do with folds."""
    return chain.from_iterable(_splits(prepared).values() if folds else (prepared.holdout,))


def _answers(prepared: Prepared, folds: int) -> dict[bytes, Counter[str]]:
    """The answers of each text that judges, and how often."""
    found: dict[bytes, Counter[str]] = {}
    for row in judging_rows(prepared, folds):
        more = json.dumps(row.payload, sort_keys=True) if row.payload else ""
        found.setdefault(content_key(row.input), Counter())[f"{row.target}\0{more}"] += 1
    return found


def _overlap[T](
    before: Mapping[str, frozenset[T]], after: Mapping[str, frozenset[T]]
) -> HoldoutOverlap:
    rows = after["holdout"]
    # A text may stand in several splits: it counts once, for the holdout before the others.
    held = rows & before.get("holdout", frozenset())
    validation = (rows & before.get("validation", frozenset())) - held
    training = (rows & before.get("train", frozenset())) - held - validation
    return HoldoutOverlap(
        rows=len(rows), training=len(training), validation=len(validation), holdout=len(held)
    )


def _of_lock(side: Side, lock: Lock) -> Divided | None:
    """The splits that a lock records whole, by text; None where it does not."""
    recorded = side.recorded
    if side.recipe.splits.by not in _BY_TEXT or recorded is None:
        return None
    members = recorded.members
    if not {"train", "holdout"} <= members.keys():
        return None
    counts = {name: part.rows for name, part in lock.splits.items()}
    return Divided(texts={str(name): keys for name, keys in members.items()}, counts=counts)


def _of_examples(splits: Mapping[str, Iterable[Example]]) -> Divided:
    listed = {name: list(examples) for name, examples in splits.items()}
    return Divided(
        texts={
            name: frozenset(content_key(row.input)[:KEY_BYTES] for row in rows)
            for name, rows in listed.items()
        },
        places={name: frozenset(row.origin for row in rows) for name, rows in listed.items()},
        counts={name: len(rows) for name, rows in listed.items()},
    )


def _without_doubts(recipe: Recipe) -> Recipe:
    """The recipe without the check of labels, which needs models: but with folds, it takes rows out of the training."""
    checks = recipe.data.checks
    if recipe.splits.folds or checks.label_errors != "drop":
        return recipe
    return replace(recipe, data=replace(recipe.data, checks=replace(checks, label_errors="off")))


def _local(side: Side) -> Recipe | None:
    """The recipe with its sources' files as they were then; None where one is not on this machine."""
    found: list[Source] = []
    for source in side.recipe.data.sources:
        first, *beside = (_copied(side, ref) for ref in references_in(source))
        columns = [
            replace(file, ref=ref)
            for file, ref in zip(source.columns, beside, strict=True)
            if ref is not None
        ]
        if first is None or len(columns) < len(beside):
            return None
        found.append(replace(source, ref=first, columns=tuple(columns)))
    return replace(side.recipe, data=replace(side.recipe.data, sources=tuple(found)))


def _copied(side: Side, ref: Reference) -> PathRef | None:
    if not isinstance(ref, PathRef) or ref.withheld:
        return None
    path = side.tree.copy(ref.path)
    # The copy stands in for whatever was pinned, and is only looked at.
    return None if path is None else replace(ref, path=path, sha256=None)
