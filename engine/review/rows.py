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
from engine.recipe.model import PathRef, Recipe, Reference, Source
from engine.review.compare import references_in
from engine.review.version import Side
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.data.prepare import Prepared

MOST_BYTES: Final = 5_000_000
_BY_TEXT: Final = ("stratified", "random", "files", "column")
"""Ways of dividing whose record knows rows by their text."""
NOT_HERE: Final = "its rows are not read here"
TOO_MANY: Final = "its rows are too many to be divided here"
UNUSABLE: Final = "its rows cannot be divided"
CONTRADICTED: Final = drop_reason("conflicting_labels")


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
    _prepared: dict[int, tuple[Side, Prepared | str]] = field(default_factory=dict)

    def overlap(self, old: Side, new: Side) -> HoldoutOverlap | str:
        """Return what the rows of the new holdout were before, or why that is not known."""
        before, after = self.of(old), self.of(new)
        if isinstance(before, str) or isinstance(after, str):
            return before if isinstance(before, str) else str(after)
        tasks = (old.recipe.task, new.recipe.task)
        if len({(task.kind, task.input) for task in tasks}) > 1:
            return "the text of a row is made otherwise"
        # a text may be in several splits: it counts once, for the holdout before the others
        rows, none = after["holdout"], frozenset[bytes]()
        held = rows & before.get("holdout", none)
        validation = (rows & before.get("validation", none)) - held
        training = (rows & before.get("train", none)) - held - validation
        counts = {"rows": rows, "training": training, "validation": validation, "holdout": held}
        return HoldoutOverlap(**{name: len(found) for name, found in counts.items()})

    def of(self, side: Side) -> Mapping[str, frozenset[bytes]] | str:
        """Return the keys of the texts in each split, or why they are not known."""
        # the lock first: it costs no reading, and knows rows whose files are not here
        found = side.recorded if side.drawing_lock and side.recipe.splits.by in _BY_TEXT else None
        if found is not None and {"train", "holdout"} <= found.members.keys():
            return {str(name): keys for name, keys in found.members.items()}
        prepared = self.prepared(side)
        if isinstance(prepared, str):
            return prepared
        return {
            name: frozenset(content_key(row.input)[:KEY_BYTES] for row in rows)
            for name, rows in _splits(prepared).items()
        }

    def judges(self, old: Side, new: Side) -> JudgedRows | str:
        """Return what became of the rows that judged, however their texts are made; why only this version has none."""
        before, after = self.prepared(old), self.prepared(new)
        if isinstance(before, str):
            return ""
        if isinstance(after, str):
            return after
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
        # the version is kept with its rows: its number is the next one's once it is freed
        if id(side) not in self._prepared:
            self._prepared[id(side)] = side, self._divide(side)
        return self._prepared[id(side)][1]

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

        checks = local.data.checks
        # The check of labels needs models. With folds it stays: it takes rows out of the training.
        if not recipe.splits.folds and checks.label_errors == "drop":
            checks = replace(checks, label_errors="off")
            local = replace(local, data=replace(local.data, checks=checks))
        prepared = divided(local, recorded, most_bytes=size, with_extras=True, refused=True)
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
    found: dict[bytes, Counter[str]] = {}
    for row in judging_rows(prepared, folds):
        more = json.dumps(row.payload, sort_keys=True) if row.payload else ""
        found.setdefault(content_key(row.input), Counter())[f"{row.target}\0{more}"] += 1
    return found


def _local(side: Side) -> Recipe | None:
    """The recipe with its sources' files as they were then; None where one is not on this machine."""
    found: list[Source] = []
    for source in side.recipe.data.sources:
        wanted = references_in(source)
        refs = [one for ref in wanted if (one := _copied(side, ref))]
        if len(refs) < len(wanted):
            return None
        columns = zip(source.columns, refs[1:], strict=True)
        own = tuple(replace(file, ref=ref) for file, ref in columns)
        found.append(replace(source, ref=refs[0], columns=own))
    return replace(side.recipe, data=replace(side.recipe.data, sources=tuple(found)))


def _copied(side: Side, ref: Reference) -> PathRef | None:
    if not isinstance(ref, PathRef) or ref.withheld:
        return None
    path = side.tree.copy(ref.path)
    # The copy stands in for whatever was pinned, and is only looked at.
    return None if path is None else replace(ref, path=path, sha256=None)
