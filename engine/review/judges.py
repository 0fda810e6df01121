"""Who judges: both versions divided as a run would, and the rows that judge compared by text and answer.

The comparison decides: a finding about data that leaves every judge as it was is none, and a change of the judges that
no finding speaks of becomes one.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.data.examples.example import Example, content_key, normalised
from engine.data.membership import KEY_BYTES
from engine.data.similarity.near import leaks
from engine.evidence.review import Effect, Finding
from engine.recipe.model import PathRef
from engine.review.compare import Paired, Versions, finding, finding_of
from engine.review.files import MOST_COMPARED, bytes_changed, changed_rows, only_grew
from engine.review.rows import JudgedRows, RowDivider, judging_rows
from engine.review.version import Side
from engine.store import sha256_of
from engine.values import replace

KEYS: Final = ("task.instruction", "task.system")
SHORTEST: Final = 16
"""Characters from which a text in a prompt is no coincidence."""
SHORTEST_ANSWER: Final = 24
_BETWEEN: Final = re.compile(r"[\n\"“”«»`|]|(?<=[.!?])\s|\s(?:->|=>|→|=)\s")
"""What stands between the pieces of a prompt: lines, quotes, sentences, arrows of examples."""


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


INPUT: Final = "task.input"
RECORD: Final = "lock.splits.holdout"
_DECIDING: Final = ("task", "data", "splits")
"""Sections of a recipe that decide who judges."""
OF_THE_JUDGES: Final = frozenset({"W125", "W201", "W202", "W203", "W206", "W703"})
"""Codes of findings that say that other rows judge, or by other answers."""
_OF_DATA: Final = ("data.", INPUT, "splits.folds", "splits.seed")
"""Keys whose change is none where every judge stays; who may judge at all is one by itself."""
_OF_ROWS: Final = frozenset({"W125", "W201", "W202", "W203", "W205", "W206", "W207"})
_OF_ANSWERS: Final = frozenset({"W701", "W702", "W703"})
_OF_MORE: Final = _OF_ROWS | {"W301"}
_OF_DRAW: Final = frozenset({"W201", "W203", "W206"})
_DRAWS: Final = (
    "splits.seed", "splits.holdout", "data.sample.seed", "data.sample.rows", "task.labels",
)  # fmt: skip
"""Keys that decide which rows judge and, by such a finding, nothing else."""
MOST_NEW: Final = 0.25
"""Share of judges that a file may bring by growing: beyond it, the old ones no longer decide."""
MISSING: Final = ("data.label.missing", "data.answer.missing")


Judges = JudgedRows | str
"""What became of the rows that judge; why it is not known, empty where nothing that decides them changed."""


def judges_of(versions: Versions, rows: RowDivider) -> Judges:
    """Divide both versions where anything that decides the judges differs."""
    resolved = [one.resolved for one in (versions.old, versions.new)]
    splits = [one.lock.splits if one.lock else None for one in (versions.old, versions.new)]
    is_other = any(resolved[0].get(name) != resolved[1].get(name) for name in _DECIDING)
    if not (
        is_other
        or splits[0] != splits[1]
        or any(bytes_changed(versions, one) for one in versions.sources)
    ):
        return ""
    return rows.judges(versions.old, versions.new)


def founded(findings: Sequence[Finding], judges: Judges, versions: Versions) -> list[Finding]:
    """Return the findings without those about data that leave every judge as it was."""
    if isinstance(judges, str) or not judges.is_same:
        return list(findings)
    # Pins of local files: the bytes are others, and the rows that judge were read from them.
    local = {
        f"{one.path}.sha256"
        for one in versions.sources
        if one.new is not None and isinstance(one.new.first.ref, PathRef)
    }
    return [
        one
        for one in findings
        if not (one.code in OF_THE_JUDGES and one.path.startswith(_OF_DATA))
        and not (one.code == "W502" and one.path in local)
    ]


def redrawn(findings: Sequence[Finding], judges: Judges, versions: Versions) -> list[Finding]:
    """Return the findings; those of another draw alone, by a seed, a size or added rows, weaken nothing."""
    drawn = {*_DRAWS}
    # A source that only brings rows, none of which changes, repeats or contradicts an old one.
    if isinstance(judges, str) or not (judges.has_echoes or judges.otherwise):
        drawn |= {one.path for one in versions.sources if not one.old or only_grew(versions, one)}
    return [
        replace(one, effect=Effect.REDRAWN)
        if one.effect is Effect.WEAKER and one.path in drawn and one.code in _OF_DRAW
        else one
        for one in findings
    ]


def unreported(
    findings: Sequence[Finding], judges: Judges, versions: Versions
) -> Iterator[Finding]:
    """Yield what became of the judges where no finding says it."""
    yield from _false_pins(versions)
    if isinstance(judges, str):
        yield from _unread(findings, judges, versions)
        return
    rows = judges
    if rows.is_same:
        return
    weaker = [one for one in findings if one.effect is Effect.WEAKER]
    if rows.kept == 0 and versions.find(INPUT):
        # Where the text decides the draw, a finding of the key that makes it stands there.
        if not any(one.path == INPUT for one in weaker):
            yield finding("W206", INPUT, f"all {rows.rows} rows that judge have another text now")
        return
    path = _cause(versions)
    listed = (one.new or one.old for one in versions.sources if path.startswith(one.path))
    place = next((f"`{one.place}`: " for one in listed if one), "")
    if rows.otherwise and not any(one.code in _OF_ANSWERS for one in weaker):
        says = f"{rows.otherwise} of {rows.rows} rows that judge have another answer now"
        yield finding("W703", path, f"{place}{says}")
    if not any(_covers(one, rows, path) for one in weaker) and _weighs(rows, versions):
        yield finding("W206", path, f"{place}{judges_text(rows)}")


def _covers(one: Finding, rows: JudgedRows, path: str) -> bool:
    """Return whether a finding says that other rows judge, for the reason that they do.

    That of a smaller holdout says nothing of rows that were deleted, too.
    """
    if path.startswith("data.sources"):
        codes = _OF_ROWS if rows.gone else _OF_MORE
        return one.code in codes and one.path.startswith(("data.", "splits.by", "lock"))
    return one.code in _OF_MORE | _OF_ANSWERS


def judges_text(rows: JudgedRows) -> str:
    parts = []
    if rows.gone:
        parts.append(f"{rows.gone} of {rows.rows} rows that judged no longer do")
    if rows.come:
        parts.append(f"{rows.come} of {rows.now} rows that judge are new")
    if rows.repeated:
        parts.append(f"{rows.repeated} of {rows.now} texts that judge stand there more often")
    return "; ".join(parts)


def _weighs(rows: JudgedRows, versions: Versions) -> bool:
    if rows.gone or rows.repeated:
        return True
    if not rows.come:
        return False
    is_same = all(one.old is not None and one.same_place for one in versions.sources)
    only_grew = is_same and not rows.rewritten
    is_small = rows.come <= MOST_NEW * rows.now
    return not (only_grew and is_small and _cause(versions) in {s.path for s in versions.sources})


def _cause(versions: Versions) -> str:
    new = (one.path for one in versions.sources if one.old is None)
    changed = (found for one in versions.sources if (found := changed_rows(versions, one)))
    gone = (one.path for one in versions.sources if one.new is None)
    keys = (one.path for one in versions.differing if one.path.startswith(("data.", "splits.")))
    return next((path for paths in (new, changed, gone, keys) for path in paths), RECORD)


def _unread(findings: Sequence[Finding], why: str, versions: Versions) -> Iterator[Finding]:
    reported = {one.path for one in findings}
    for found in filter(None, map(versions.find, MISSING)):
        says = "it decides whether a row without an answer judges; how many do is not known here"
        yield finding_of(found, "W703", says)
    for source in versions.sources:
        if source.old is not None or source.path in reported:
            continue
        if _may_judge(source, versions):
            yield finding("W206", source.path, "its rows may judge; how many is not known here")
            continue
        # A check by which a row that is trained on takes one out that judges.
        checks = versions.new.recipe.data.checks
        names = ("conflicting_labels", "near_duplicates")
        if takes_out := next((name for name in names if getattr(checks, name) == "drop"), ""):
            says = f"whether `{takes_out}` leaves out rows that judge, since its rows are like them, is not known here"
            yield Finding(code="W121", path=source.path, effect=Effect.UNKNOWN, says=says)
    if why:
        says = f"the rows that judge are not known: {why}"
        yield Finding(code="W121", path="data.sources", effect=Effect.UNKNOWN, says=says)


def _false_pins(versions: Versions) -> Iterator[Finding]:
    """Yield local files whose bytes, or whose pin, changed so that one no longer fits the other: a run refuses them."""
    for source in versions.sources:
        ref = source.new.first.ref if source.new else None
        if not isinstance(ref, PathRef) or ref.sha256 is None or ref.withheld:
            continue
        path = versions.new.tree.copy(ref.path)
        if changed_rows(versions, source) is None or path is None:
            continue
        if path.stat().st_size <= MOST_COMPARED and sha256_of(path) != ref.sha256:
            says = f"`{ref.written}` is not the file that is pinned: a run refuses it"
            path_of_pin = f"{source.path}.sha256"
            yield Finding(code="W121", path=path_of_pin, effect=Effect.UNKNOWN, says=says)


def _may_judge(source: Paired, versions: Versions) -> bool:
    if source.new is None:
        return False
    splits = versions.new.recipe.splits
    if splits.by == "files":
        return source.new.first.into == "holdout"
    return splits.by == "column" or bool(splits.folds) or isinstance(splits.holdout, float)
