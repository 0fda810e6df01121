"""The rows that judge, and the effect of a change of recipe, data or lock on them.

Where both versions can be divided here, the rows decide: a finding about data that leaves every judge as it was is
none, and a change of the judges that no key speaks of becomes one. Else each key that may change them is a finding.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.lock.draw import draw_of, needs_record
from engine.recipe.model import BY_ORDER, PathRef
from engine.recipe.validation.schema import ORDER
from engine.review.compare import ChangedKey, finding, finding_of, is_smaller, rows_of
from engine.review.locks import judge_locks
from engine.review.pairs import MOST_COMPARED, SourcePair, Versions
from engine.review.row_changes import JudgedRows, RowDivider
from engine.store import sha256_of
from engine.values import replace

CHECKS: Final = "data.checks."
AFTER_THE_DRAW: Final = ("leakage", "label_errors", "truncation", "imbalance", "missing_classes")
"""Checks that leave the holdout alone: they take rows out of the others, or none at all."""
OF_FOLDS: Final = ("leakage", "label_errors")
"""Those of them that take rows out of the training: with folds every row trains and judges."""
MOVES: Final = ("drop", "mask")
GIVEN_BY_DATA: Final = ("files", "column")
"""Ways of dividing in which the data say which rows judge."""
REDRAWN: Final = "the holdout is redrawn"
INPUT: Final = "task.input"
RECORD: Final = "lock.splits.holdout"
_OF_DATA: Final = ("data.", INPUT, "splits.folds", "splits.seed")
"""Keys whose change is none where every judge stays; who may judge at all is one by itself."""
_OF_ROWS: Final = frozenset({"W125", "W201", "W202", "W203", "W205", "W206", "W207"})
_OF_ANSWERS: Final = frozenset({"W701", "W702", "W703"})
_OF_JUDGES: Final = frozenset({"W125", "W201", "W202", "W203", "W206", "W703"})
"""Codes of findings that say that other rows judge, or by other answers."""
_OF_DRAW: Final = frozenset({"W201", "W203", "W206"})
_DRAWS: Final = (
    "splits.seed", "splits.holdout", "data.sample.seed", "data.sample.rows", "task.labels",
)  # fmt: skip
"""Keys that decide which rows judge and, by such a finding, nothing else."""
MOST_NEW: Final = 0.25
"""Share of judges that a file may bring by growing: beyond it, the old ones no longer decide."""
MISSING: Final = ("data.label.missing", "data.answer.missing")

Judges = JudgedRows | str
"""The change of the rows that judge; else why it is not known, empty where nothing that decides them changed."""


def judges_of(versions: Versions, rows: RowDivider) -> Judges:
    """Divide both versions where anything that decides the judges differs."""
    decides = ("task", "data", "splits")
    old, new = versions.old, versions.new
    is_other = (
        any(old.resolved.get(name) != new.resolved.get(name) for name in decides)
        or (old.lock and old.lock.splits) != (new.lock and new.lock.splits)
        or any(source.other_bytes for source in versions.sources)
    )
    return rows.judges(old, new) if is_other else ""


def judge_holdout(
    others: Sequence[Finding], versions: Versions, rows: RowDivider, judges: Judges
) -> list[Finding]:
    """Return the findings of all keys, with those of who judges, as far as the rows bear them out."""
    found = [
        *others,
        *_checks(versions, judges),
        *judge_locks(versions),
        *_sizes(versions),
        *_causes(versions, rows, judges),
    ]
    if isinstance(judges, str):
        found += _unread(found, judges, versions)
    elif judges.is_same:
        # Pins of local files: the bytes are others, and the rows that judge were read from them.
        local = {
            f"{source.path}.sha256"
            for source in versions.sources
            if source.new is not None and isinstance(source.new.first.ref, PathRef)
        }
        found = [
            one
            for one in found
            if not (one.code in _OF_JUDGES and one.path.startswith(_OF_DATA))
            and not (one.code == "W502" and one.path in local)
        ]
    else:
        found += _unreported(found, judges, versions)
    drawn = {*_DRAWS}
    # A source that only brings rows, none of which changes, repeats or contradicts an old one.
    if isinstance(judges, str) or not (judges.has_echoes or judges.otherwise):
        drawn |= {one.path for one in versions.sources if not one.old or _only_grew(one, versions)}
    return [
        replace(one, effect=Effect.REDRAWN)
        if one.effect is Effect.WEAKER and one.path in drawn and one.code in _OF_DRAW
        else one
        for one in [*found, *_false_pins(versions)]
    ]


def _only_grew(source: SourcePair, versions: Versions) -> bool:
    return source.only_grew(versions.old.tree, versions.new.tree)


def decides(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key that differs is a check that decides which rows judge, before or now."""
    name = one.path.removeprefix(CHECKS)
    with_folds = bool(versions.old.recipe.splits.folds or versions.new.recipe.splits.folds)
    leaves_alone = name in AFTER_THE_DRAW and not (with_folds and name in OF_FOLDS)
    is_check = one.path.startswith(CHECKS) and not leaves_alone
    return is_check and (one.before in MOVES or one.after in MOVES) and one.after != "fail"


def _checks(versions: Versions, judges: Judges) -> Iterator[Finding]:
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


def _sizes(versions: Versions) -> Iterator[Finding]:
    """W202, W205: fewer rows judge."""
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


def _causes(versions: Versions, rows: RowDivider, judges: Judges) -> Iterator[Finding]:
    """W201, W203, W206: what draws other rows, or takes rows from those that judge."""
    found = [*_drawn(versions)]
    for source in versions.sources:
        found += _of_source(source, versions, judges)
    is_new = versions.old.lock is None and versions.new.drawing_lock is not None
    if not (found or is_new):
        return
    overlap = rows.overlap(versions.old, versions.new)
    if is_new and not (overlap.unknown or overlap.is_same):
        found.append(finding("W201", RECORD, "the lock that is new records another holdout"))
    taken = [one for one in found if one.code != "W201"]
    drawn = [one for one in found if one.code == "W201"]
    if not found or (overlap.is_same and not taken):
        return
    if drawn:
        # The overlap is that of all causes together, so it is reported once.
        why = overlap.unknown
        more = f": {overlap.words}"
        if why:
            more = f"; how many of its rows were training rows before is not known: {why}"
        drawn[0] = replace(drawn[0], says=f"{drawn[0].says}{more}")
    yield from (*taken, *drawn)
    if overlap.training:
        yield finding("W203", (drawn or taken)[0].path, overlap.words)


def _drawn(versions: Versions) -> Iterator[Finding]:
    """W201: the keys by which a lock recognises a redraw, and another sample where no record holds the holdout."""
    old, new = draw_of(versions.old.recipe), draw_of(versions.new.recipe)
    differing = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    for path in dict.fromkeys(key.replace("splits.column", "splits.by") for key in differing):
        if path == "data.answer":
            # Labels that are added bring rows; what else the answers are made from is a finding of its own.
            more = versions.find("task.labels")
            labels = (versions.old.recipe.task.labels, versions.new.recipe.task.labels)
            if more is not None and set(labels[0]) < set(labels[1]):
                yield finding("W201", more.path, REDRAWN, *more.shown)
            continue
        below = [one for one in versions.differing if f"{one.path}.".startswith(f"{path}.")]
        if below and _moves_rows(path, versions):
            folds = versions.old.recipe.splits.folds and versions.new.recipe.splits.folds
            says = "the folds are dealt anew" if folds else REDRAWN
            yield finding("W201", path, says, *(_shown(below, path, side) for side in (0, 1)))
    if _is_held(versions):
        return
    splits, sampled = versions.new.recipe.splits, (versions.old.recipe, versions.new.recipe)
    seed, rows = versions.find("data.sample.seed"), versions.find("data.sample.rows")
    if seed is not None and all(recipe.data.sample for recipe in sampled):
        yield finding("W201", seed.path, REDRAWN, *seed.shown)
    if rows is not None and not (splits.by in GIVEN_BY_DATA or _stays(versions)):
        yield finding("W201", rows.path, UNHELD, *rows.shown)


def _moves_rows(path: str, versions: Versions) -> bool:
    """Return whether a key of the draw moves a row: no seed does where files say what judges."""
    splits, old = versions.new.recipe.splits, versions.old.recipe.splits
    if path == "splits.seed" and splits.by in GIVEN_BY_DATA and splits.by == old.by:
        return isinstance(splits.holdout, int)
    # With folds every row judges, and with more of them each by a model that has seen more.
    if path == "splits.folds" and old.folds and splits.folds > old.folds:
        return False
    # Reported for `splits.folds`.
    return not (path == "splits.holdout" and splits.folds)


def _shown(keys: Sequence[ChangedKey], path: str, side: int) -> str:
    return "; ".join(
        f"{one.path.removeprefix(path).lstrip('.')}: {one.shown[side]}".removeprefix(": ")
        for one in keys
        if one.shown[side]
    )


UNHELD: Final = f"{REDRAWN}, since its rows are drawn from others and no lock holds it to them"


def _stays(versions: Versions) -> bool:
    """Return whether a row stands where it does whatever others there are: by its share alone, or by folds."""
    splits = versions.new.recipe.splits
    is_share = isinstance(splits.holdout, float) and splits.by not in BY_ORDER
    return is_share or bool(splits.folds)


def _is_held(versions: Versions) -> bool:
    lock = versions.new.drawing_lock
    is_held = lock is not None and "holdout" in lock.splits
    return is_held and needs_record(versions.new.recipe.splits)


def _of_source(source: SourcePair, versions: Versions, judges: Judges) -> Iterator[Finding]:
    """W201, W206: a source that judges is new, gone, another one, or has other rows."""
    is_unknown, recipes = isinstance(judges, str), (versions.old.recipe, versions.new.recipe)
    is_given = recipes[1].splits.by in GIVEN_BY_DATA
    is_open = not (is_given or _is_held(versions) or _stays(versions))
    old, new, path = source.old, source.new, source.other_rows
    judged, judging = (
        listed is not None and (recipe.splits.by != "files" or listed.first.into == "holdout")
        for listed, recipe in zip((old, new), recipes, strict=True)
    )
    draws_shares = bool(recipes[1].splits.folds) or isinstance(recipes[1].splits.holdout, float)
    says, values = "", ("", "")
    if old is None or new is None:
        if old is not None and judged:
            says, values = "its rows no longer judge", (source.place, "")
        elif is_unknown and judging and not is_open and (is_given or draws_shares):
            says = "its rows may judge; how many is not known here"
    elif judged != judging:
        path = f"{source.path}.into"
        says = "its rows judge now" if judging else "its rows no longer judge"
    elif judged and not source.same_place and not source.same_bytes:
        path, values = source.path, (old.place, new.place)
        says = "the rows that judge come from elsewhere"
    elif judged and path and is_given:
        says = "the rows that judge are others now"
    elif judged and is_unknown and path and not is_open:
        only_grew = path == source.path and _only_grew(source, versions)
        says = "" if only_grew else "rows that judged may be others; how many are is not known here"
    key = next((one for one in source.keys if one.path == path and old and new), None)
    if says and key is not None:
        yield finding_of(key, "W206", says)
    elif says:
        yield finding("W206", path or source.path, says, *values)
    elif path and is_open:
        yield finding("W201", path, UNHELD)


def _unreported(
    findings: Sequence[Finding], rows: JudgedRows, versions: Versions
) -> Iterator[Finding]:
    """Yield what became of the judges where no finding says it."""
    weaker = [one for one in findings if one.effect is Effect.WEAKER]
    if rows.gone == rows.rows and versions.find(INPUT):
        # Where the text decides the draw, a finding of the key that makes it stands there.
        if not any(one.path == INPUT for one in weaker):
            yield finding("W206", INPUT, f"all {rows.rows} rows that judge have another text now")
        return
    path = _first_cause(versions)
    of_it = (one.place for one in versions.sources if path.startswith(one.path))
    place = next((f"`{name}`: " for name in of_it), "")
    if rows.otherwise and not any(one.code in _OF_ANSWERS for one in weaker):
        says = f"{rows.otherwise} of {rows.rows} rows that judge have another answer now"
        yield finding("W703", path, f"{place}{says}")
    if not any(_says_so(one, rows, path) for one in weaker) and _weighs(rows, path, versions):
        yield finding("W206", path, f"{place}{judges_text(rows)}")


def _first_cause(versions: Versions) -> str:
    sources = versions.sources
    new = (one.path for one in sources if one.old is None)
    changed = (one.other_rows for one in sources if one.other_rows)
    gone = (one.path for one in sources if one.new is None)
    keys = (one.path for one in versions.differing if one.path.startswith(("data.", "splits.")))
    return next((path for paths in (new, changed, gone, keys) for path in paths), RECORD)


def _says_so(one: Finding, rows: JudgedRows, path: str) -> bool:
    """Return whether a finding says that other rows judge, for the reason that they do.

    That of a smaller holdout says nothing of rows that were deleted, too.
    """
    if path.startswith("data.sources"):
        codes = _OF_ROWS if rows.gone else _OF_ROWS | {"W301"}
        return one.code in codes and one.path.startswith(("data.", "splits.by", "lock"))
    return one.code in _OF_ROWS | _OF_ANSWERS | {"W301"}


def _weighs(rows: JudgedRows, path: str, versions: Versions) -> bool:
    if rows.gone or rows.repeated:
        return True
    only_grew = not rows.rewritten and all(one.old and one.same_place for one in versions.sources)
    of_a_source = path in {one.path for one in versions.sources}
    is_small = rows.come <= MOST_NEW * rows.now
    return bool(rows.come) and not (only_grew and of_a_source and is_small)


def judges_text(rows: JudgedRows) -> str:
    parts = []
    if rows.gone:
        parts.append(f"{rows.gone} of {rows.rows} rows that judged no longer do")
    if rows.come:
        parts.append(f"{rows.come} of {rows.now} rows that judge are new")
    if rows.repeated:
        parts.append(f"{rows.repeated} of {rows.now} texts that judge stand there more often")
    return "; ".join(parts)


def _unread(findings: Sequence[Finding], why: str, versions: Versions) -> Iterator[Finding]:
    """Yield what may change the judges, where the rows cannot be divided here."""
    reported = {one.path for one in findings}
    for key in filter(None, map(versions.find, MISSING)):
        says = "it decides whether a row without an answer judges; how many do is not known here"
        yield finding_of(key, "W703", says)
    # A check by which a row that is trained on takes one out that judges.
    checks = versions.new.recipe.data.checks
    names = ("conflicting_labels", "near_duplicates")
    dropping = next((name for name in names if getattr(checks, name) == "drop"), "")
    for source in versions.sources:
        if dropping and source.old is None and source.path not in reported:
            says = f"whether `{dropping}` leaves out rows that judge, since its rows are like them, is not known here"
            yield _unknown(source.path, says)
    if why:
        yield _unknown("data.sources", f"the rows that judge are not known: {why}")


def _false_pins(versions: Versions) -> Iterator[Finding]:
    """Yield local files whose bytes, or whose pin, changed so that one no longer fits the other: a run refuses them."""
    for source in versions.sources:
        ref = source.new.first.ref if source.new else None
        if not isinstance(ref, PathRef) or ref.sha256 is None or ref.withheld:
            continue
        path = versions.new.tree.copy(ref.path) if source.other_rows else None
        if path and path.stat().st_size <= MOST_COMPARED and sha256_of(path) != ref.sha256:
            says = f"`{ref.written}` is not the file that is pinned: a run refuses it"
            yield _unknown(f"{source.path}.sha256", says)


def _unknown(path: str, says: str) -> Finding:
    return Finding(code="W121", path=path, effect=Effect.UNKNOWN, says=says)
