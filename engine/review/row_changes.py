"""The rows of each split before and now, by the locks or by the rows, and holdout rows that stand in the prompt."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from engine.data.checks.findings import drop_reason
from engine.data.examples.example import Example, content_key, normalised
from engine.data.membership import KEY_BYTES
from engine.data.similarity.near import leaks
from engine.evidence.review import Finding
from engine.lock.draw import needs_record
from engine.recipe.model import PathRef, Recipe, Source
from engine.review.compare import finding_of
from engine.review.pairs import Versions, references_in
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
    """The former splits of the rows of the new holdout."""

    rows: int = 0
    training: int = 0
    validation: int = 0
    holdout: int = 0
    unknown: str = ""
    """Why it is not known."""

    @property
    def is_same(self) -> bool:
        return not self.unknown and self.holdout == self.rows

    @property
    def words(self) -> str:
        words = f"{self.training} of {self.rows} new holdout rows were training rows before"
        return f"{words}, {self.validation} were validation rows" if self.validation else words


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
    def is_same(self) -> bool:
        return not (self.gone or self.otherwise or self.come or self.repeated)


@dataclass(slots=True)
class RowDivider:
    room: int = MOST_BYTES
    _prepared: dict[int, tuple[Side, Prepared | str]] = field(default_factory=dict)

    def overlap(self, old: Side, new: Side) -> HoldoutOverlap:
        before, after = self.of(old), self.of(new)
        if isinstance(before, str) or isinstance(after, str):
            return HoldoutOverlap(unknown=before if isinstance(before, str) else str(after))
        tasks = (old.recipe.task, new.recipe.task)
        if len({(task.kind, task.input) for task in tasks}) > 1:
            return HoldoutOverlap(unknown="the text of a row is made otherwise")
        # a text may be in several splits: it counts once, for the holdout before the others
        rows, none = after["holdout"], frozenset[bytes]()
        held = rows & before.get("holdout", none)
        validation = (rows & before.get("validation", none)) - held
        training = (rows & before.get("train", none)) - held - validation
        return HoldoutOverlap(
            rows=len(rows),
            training=len(training),
            validation=len(validation),
            holdout=len(held),
        )

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
        refs: list[PathRef] = []
        for ref in references_in(source):
            if not isinstance(ref, PathRef) or ref.withheld:
                return None
            if (path := side.tree.copy(ref.path)) is None:
                return None
            # The copy stands in for whatever was pinned, and is only looked at.
            refs.append(replace(ref, path=path, sha256=None))
        columns = zip(source.columns, refs[1:], strict=True)
        own = tuple(replace(file, ref=ref) for file, ref in columns)
        found.append(replace(source, ref=refs[0], columns=own))
    return replace(side.recipe, data=replace(side.recipe.data, sources=tuple(found)))


KEYS: Final = ("task.instruction", "task.system")
SHORTEST: Final = 16
"""Characters from which a text in a prompt is no coincidence."""
SHORTEST_ANSWER: Final = 24
_BETWEEN: Final = re.compile(r"[\n\"“”«»`|]|(?<=[.!?])\s|\s(?:->|=>|→|=)\s")
"""The marks between the pieces of a prompt: lines, quotes, sentences, arrows of examples."""


def prompt_leaks(versions: Versions, rows: RowDivider) -> Iterator[Finding]:
    """W211: rows that judge stand in the prompt, and did not before."""
    for key in KEYS:
        one = versions.find(key)
        if one is None:
            continue
        now, before = (
            _found(str(text or ""), versions.new, rows) for text in (one.after, one.before)
        )
        if more := len(now - before):
            rows_words = "row" if more == 1 else "rows"
            says = f"{more} {rows_words} that judge, or the answers, stand in it"
            yield finding_of(one, "W211", says)


def _found(prompt: str, side: Side, rows: RowDivider) -> frozenset[bytes]:
    if len(prompt) < SHORTEST:
        return frozenset()
    prepared = rows.prepared(side)
    if not isinstance(prepared, str):
        judging = judging_rows(prepared, side.recipe.splits.folds)
        return frozenset(_by_text(prompt, judging))
    # The rows are elsewhere, but the lock knows them by the hash of their text.
    known = rows.of(side)
    held = frozenset[bytes]() if isinstance(known, str) else known.get("holdout", frozenset())
    return held & {content_key(piece)[:KEY_BYTES] for piece in _pieces(prompt)}


def _by_text(prompt: str, judging: Iterable[Example]) -> Iterator[bytes]:
    rows, fixed = list(judging), normalised(prompt)
    for row in rows:
        text, answer = normalised(row.input), "" if row.labels else normalised(row.target)
        is_text = len(text) >= SHORTEST and text in fixed
        if is_text or (len(answer) >= SHORTEST_ANSWER and answer in fixed):
            yield content_key(row.input)
    long = [row for row in rows if len(row.input) >= SHORTEST]
    for match in leaks([row.input for row in long], enumerate(_pieces(prompt))):
        yield content_key(long[match.holdout].input)


def _pieces(prompt: str) -> list[str]:
    found = [*prompt.splitlines(), *_BETWEEN.split(prompt)]
    return [piece.strip() for piece in found if len(piece.strip()) >= SHORTEST]
