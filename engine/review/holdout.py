"""Rows that judge: whether they are redrawn, fewer, from elsewhere, training rows before, or left out by a check."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from engine.evidence.review import Finding
from engine.lock.draw import draw_of, needs_record
from engine.recipe.model import BY_ORDER, Recipe, Source, Splits
from engine.recipe.validation.schema import ORDER
from engine.review.compare import (
    ChangedKey,
    Paired,
    Versions,
    finding,
    finding_of,
    is_smaller,
    rows_of,
)
from engine.review.files import bytes_changed, changed_rows, only_grew, part_of, same_bytes
from engine.review.judges import Judges, judges_text
from engine.review.locks import judge_locks
from engine.review.rows import HoldoutOverlap, RowDivider
from engine.values import replace

AT: Final = "data.checks."
AFTER_THE_DRAW: Final = ("leakage", "label_errors", "truncation", "imbalance", "missing_classes")
"""Checks that leave the holdout alone: they take rows out of the others, or none at all."""
OF_FOLDS: Final = ("leakage", "label_errors")
"""Of these, the ones that take rows out of the training: with folds every row is one of both."""
MOVES: Final = ("drop", "mask")


def decides(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key that differs is a check that decides which rows judge, before or now."""
    name = one.path.removeprefix(AT)
    with_folds = bool(versions.old.recipe.splits.folds or versions.new.recipe.splits.folds)
    leaves_alone = name in AFTER_THE_DRAW and not (with_folds and name in OF_FOLDS)
    is_check = one.path.startswith(AT) and not leaves_alone
    return is_check and (one.before in MOVES or one.after in MOVES) and one.after != "fail"


def judge_checks(versions: Versions, judges: Judges) -> Iterator[Finding]:
    """W125, W301: rows that a check takes out of those that judge, rewrites, or lets judge again."""
    for one in versions.differing:
        if not decides(one, versions):
            continue
        says = "it decides which rows judge; how many are others now is not known here"
        if not isinstance(judges, str):
            says = judges_text(judges)
        if ORDER.index(str(one.after)) > ORDER.index(str(one.before)):
            yield finding_of(one, "W301", says)
        elif isinstance(judges, str) or judges.gone:
            yield finding_of(one, "W125", says)


GIVEN_BY_DATA: Final = ("files", "column")
"""Ways of dividing in which the data say which rows judge."""
REDRAWN: Final = "the holdout is redrawn"
_KEYS: Final = {"splits.column": "splits.by"}


def judge_holdout(versions: Versions, rows: RowDivider, judges: Judges) -> Iterator[Finding]:
    yield from judge_locks(versions)
    yield from _sizes(versions)
    sources = (_moved_source(versions, source) for source in versions.sources)
    moved = [*chain.from_iterable(sources), *_gone_rows(versions, judges)]
    yield from moved
    if isinstance(judges, str):
        yield from _gone_lines(versions)
    causes = [*_drawn(versions), *_other_rows(versions)]
    is_new = versions.old.lock is None and versions.new.drawing_lock is not None
    if not (causes or moved or is_new):
        return
    overlap = rows.overlap(versions.old, versions.new)
    if is_new and isinstance(overlap, HoldoutOverlap) and not overlap.is_same:
        causes.append(_cause("lock.splits.holdout", "the lock that is new records another holdout"))
    if not (causes or moved):
        return
    if isinstance(overlap, HoldoutOverlap) and overlap.is_same and not moved:
        return
    if causes:
        # The overlap is that of all causes together, so it is reported once.
        causes[0] = replace(causes[0], says=f"{causes[0].says}{_overlap_words(overlap)}")
    yield from causes
    if isinstance(overlap, HoldoutOverlap) and overlap.training:
        path = (causes or moved)[0].path
        yield finding("W203", path, _overlap_words(overlap).removeprefix(": "))


def _overlap_words(overlap: HoldoutOverlap | str) -> str:
    if isinstance(overlap, str):
        return f"; how many of its rows were training rows before is not known: {overlap}"
    parts = [f"{overlap.training} of {overlap.rows} new holdout rows were training rows before"]
    if overlap.validation:
        parts.append(f"{overlap.validation} were validation rows")
    return f": {', '.join(parts)}"


def _cause(path: str, says: str = REDRAWN, before: str = "", after: str = "") -> Finding:
    return finding("W201", path, says, before, after)


def _drawn(versions: Versions) -> Iterator[Finding]:
    """What decides the draw, and differs: the same keys by which a lock tells a redraw."""
    old, new = draw_of(versions.old.recipe), draw_of(versions.new.recipe)
    seen: set[str] = set()
    for key in dict.fromkeys((*new, *old)):
        path = _KEYS.get(key, key)
        if old.get(key) == new.get(key) or path in seen or not _decides(key, versions):
            continue
        seen.add(path)
        if key == "data.answer":
            # Labels that are added bring rows; what else the answers are made from is a finding of its own.
            more = versions.find("task.labels")
            labels = (versions.old.recipe.task.labels, versions.new.recipe.task.labels)
            if more is not None and set(labels[0]) < set(labels[1]):
                yield _cause(more.path, REDRAWN, *more.shown)
        elif below := [one for one in versions.differing if f"{one.path}.".startswith(f"{path}.")]:
            folds = versions.old.recipe.splits.folds and versions.new.recipe.splits.folds
            says = "the folds are dealt anew" if folds else REDRAWN
            yield _cause(path, says, *(_shown(below, path, side) for side in (0, 1)))


def _decides(key: str, versions: Versions) -> bool:
    """Return whether a key of the draw moves a row: no seed does where files say what judges."""
    splits, old = versions.new.recipe.splits, versions.old.recipe.splits
    if key == "splits.seed" and splits.by in GIVEN_BY_DATA and splits.by == old.by:
        return isinstance(splits.holdout, int)
    # With folds every row judges, and with more of them each by a model that has seen more.
    if key == "splits.folds" and old.folds and splits.folds > old.folds:
        return False
    # Reported for `splits.folds`.
    return not (key == "splits.holdout" and splits.folds)


def _shown(keys: Sequence[ChangedKey], path: str, side: int) -> str:
    return "; ".join(
        f"{one.path.removeprefix(path).lstrip('.')}: {one.shown[side]}".removeprefix(": ")
        for one in keys
        if one.shown[side]
    )


def _other_rows(versions: Versions) -> Iterator[Finding]:
    """What changes the rows from which the holdout is drawn, where no record holds it to its rows."""
    old, new = versions.old.recipe, versions.new.recipe
    if _is_held(versions):
        return
    seed = versions.find("data.sample.seed")
    if seed is not None and old.data.sample and new.data.sample:
        yield _cause(seed.path, REDRAWN, *seed.shown)
    if new.splits.by in GIVEN_BY_DATA:
        return
    if _is_fixed(new.splits) or new.splits.folds:
        # Adding rows moves no row; another part of the same package, or the same file read otherwise, does.
        for source in versions.sources:
            if source.same_place and (found := part_of(versions, source)) is not None:
                says = f"{REDRAWN}, since it is drawn from other rows"
                yield _cause(found.path, says, *found.shown)
        return
    unheld = f"{REDRAWN}, since its rows are drawn from others and no lock holds it to them"
    rows = versions.find("data.sample.rows")
    if rows is not None:
        yield _cause(rows.path, unheld, *rows.shown)
    for source in versions.sources:
        path = changed_rows(versions, source)
        if path is not None and (source.old is None or source.same_place):
            yield _cause(path, unheld)


def _is_fixed(splits: Splits) -> bool:
    """Return whether each row stands where it does whatever others there are: its share alone decides."""
    return isinstance(splits.holdout, float) and splits.by not in BY_ORDER


def _is_held(versions: Versions) -> bool:
    lock = versions.new.drawing_lock
    is_held = lock is not None and "holdout" in lock.splits
    return is_held and needs_record(versions.new.recipe.splits)


def _gone_rows(versions: Versions, judges: Judges) -> Iterator[Finding]:
    """W206: a lock holds its rows as long as the data have them; rows that are taken out judge no more."""
    is_given = versions.new.recipe.splits.by in GIVEN_BY_DATA
    if is_given or not isinstance(judges, str) or not _is_held(versions):
        return
    says = "recorded holdout rows that are not in it no longer judge"
    for source in (one for one in versions.sources if one.same_place):
        path = changed_rows(versions, source)
        found = (one for one in versions.of_source(source) if one.path == path)
        yield from (finding_of(one, "W206", says) for one in found)


def _gone_lines(versions: Versions) -> Iterator[Finding]:
    """W206: of local files whose rows cannot be divided here, lines that are gone may be rows that judged."""
    splits = versions.new.recipe.splits
    if splits.by in GIVEN_BY_DATA or draw_of(versions.old.recipe) != draw_of(versions.new.recipe):
        return
    if not (_is_held(versions) or _is_fixed(splits) or splits.folds):
        return
    for one in versions.sources:
        if one.same_place and bytes_changed(versions, one) and not only_grew(versions, one):
            says = "lines of it are gone or changed; whether such rows judged is not known here"
            yield finding("W206", one.path, says)


def _moved_source(versions: Versions, source: Paired) -> Iterator[Finding]:
    """W206: a source that judges, and that is gone or another one."""
    old, new = source.old, source.new
    judged = old is not None and _judges(old.first, versions.old.recipe)
    judges = new is not None and _judges(new.first, versions.new.recipe)
    if old is None or not (judged or judges):
        return
    if new is None:
        yield finding("W206", source.path, "its rows no longer judge", old.place)
        return
    keys = {one.path.rpartition(".")[2]: one for one in versions.of_source(source)}
    if "into" in keys and judged != judges:
        says = "its rows judge now" if judges else "its rows no longer judge"
        yield finding_of(keys["into"], "W206", says)
    elif not source.same_place and not same_bytes(versions, source):
        says = "the rows that judge come from elsewhere"
        yield finding("W206", source.path, says, old.place, new.place)
    elif versions.new.recipe.splits.by in GIVEN_BY_DATA:
        if (changed := changed_rows(versions, source)) is None:
            return
        says, found = "the rows that judge are others now", keys.get(changed.rpartition(".")[2])
        yield finding_of(found, "W206", says) if found else finding("W206", changed, says)


def _judges(source: Source, recipe: Recipe) -> bool:
    return recipe.splits.by != "files" or source.into == "holdout"


def _sizes(versions: Versions) -> Iterator[Finding]:
    old, new = versions.old.recipe.splits, versions.new.recipe.splits
    folds = versions.find("splits.folds")
    if folds is not None and old.folds:
        yield finding_of(folds, "W205", weaker=new.folds < old.folds)
    size = versions.find("splits.holdout")
    smaller = None if old.folds or new.folds else is_smaller(old.holdout, new.holdout)
    if size is not None and smaller is not None:
        yield finding_of(size, "W202", weaker=smaller)
    # A sample leaves fewer rows to judge where the holdout is a share of them.
    rows = versions.find("data.sample.rows")
    if rows is not None and (new.folds or not isinstance(new.holdout, int)):
        before, after = (rows_of(value) for value in (rows.before, rows.after))
        yield finding_of(rows, "W202", weaker=after < before)
