"""The record that an accepted run left in the lock: what of it changed, and what cannot be true of it.

Only an accepted run writes that part. So the same run has the same facts, the same answers give the same numbers,
and numbers that change alone were changed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from engine.evidence.review import Area, Change, Finding
from engine.lock.coherence import OTHER_HOLDOUT, lock_contradictions
from engine.lock.file import Accepted, Lock
from engine.recipe.digest import recipe_digest
from engine.recipe.text.dump import resolved_mapping
from engine.review.compare import Versions, cropped, finding, plain

AT: Final = "lock.accepted"
_LONG: Final = 40
"""Characters from which a text of letters and digits is a digest or a list of them."""
_SHOWN: Final = 12
_OF_THE_DRAW: Final = ("draw", "recipe")
"""Parts of a lock that repeat what the recipe says."""
_NUMBERS: Final = frozenset({"finished", "metrics", "seeds", "spread", "verdicts"})
"""What a run comes to; all else is what it had, made and answered."""
_FEW: Final = 4


def lock_changes(versions: Versions) -> Iterator[Change]:
    """Yield every fact of the lock that is another one now."""
    old, new = versions.old.lock, versions.new.lock
    if old is None or new is None or old == new:
        return
    before, after = facts_of(old), facts_of(new)
    for path in dict.fromkeys((*after, *before)):
        was, now = before.get(path), after.get(path)
        if was != now:
            yield Change(path=f"lock.{path}", area=Area.LOCK, before=_shown(was), after=_shown(now))


def facts_of(lock: Lock) -> dict[str, Any]:
    """Return the facts of a lock by path, those left out that repeat the recipe."""
    parts = {name: part for name, part in asdict(lock).items() if name not in _OF_THE_DRAW}
    return dict(_below("", parts))


def _below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _below(f"{path}[{number}]", inner)
    elif value is not None:
        yield path, value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and len(value) >= _LONG and " " not in value:
        return f"{value[:_SHOWN]}…"
    return cropped(plain(value))


def judge_record(versions: Versions) -> Iterator[Finding]:
    """W122 to W124: a record that was changed without a run, that contradicts itself, or that is an older one."""
    old, new = versions.old.lock, versions.new.lock
    before = old.accepted if old is not None else None
    if new is None or new.accepted is None or before == new.accepted:
        return
    # Without an old record there is nothing from which numbers could have been changed.
    if before is not None:
        yield from _changed(before, new.accepted)
    known = set(lock_contradictions(old)) if old is not None else set()
    wrong = [one for one in lock_contradictions(new) if one not in known]
    if wrong:
        yield finding("W123", AT, "; ".join(wrong[:_FEW]))


def _changed(old: Accepted, new: Accepted) -> Iterator[Finding]:
    before, after = asdict(old), asdict(new)
    parts = {name for name in after if before.get(name) != after[name]}
    if _time(new.finished) < _time(old.finished):
        says = "an earlier run took the place of the accepted one"
        yield finding("W124", f"{AT}.finished", says, old.finished, new.finished)
    elif "finished" not in parts:
        yield _edited(old, new, "the same run has other facts now")
    elif {"finished"} < parts <= _NUMBERS:
        yield _edited(old, new, "other numbers, and no other recipe, data, model or answers")
    elif not parts <= _NUMBERS and _same_answers(old, new) and (metric := _other_value(old, new)):
        yield _edited(old, new, f"the same answers to the same rows have another {metric}")


def _edited(old: Accepted, new: Accepted, says: str) -> Finding:
    """One finding for all facts, with the number that a reader asks for first."""
    before, after = dict(_below("", asdict(old))), dict(_below("", asdict(new)))
    paths = [path for path in {**after, **before} if before.get(path) != after.get(path)]
    paths.sort(key=lambda path: (not path.startswith("metrics."), not path.endswith(".value")))
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    named = ", ".join(f"`{path}`" for path in paths[:_FEW])
    values = (_shown(facts.get(paths[0])) for facts in (before, after))
    return finding("W122", f"{AT}.{paths[0]}", f"{says}: {named}{more}", *values)


def _same_answers(old: Accepted, new: Accepted) -> bool:
    name = "holdout"
    same_file = name in new.predictions and old.predictions.get(name) == new.predictions[name]
    return same_file and old.splits.get(name) == new.splits.get(name)


def _other_value(old: Accepted, new: Accepted) -> str:
    """A metric of both whose value is another one; what only an interval differs in may be rounded otherwise."""
    both = (name for name in new.metrics if name in old.metrics and not name.startswith("free"))
    return next(
        (name for name in both if old.metrics[name]["value"] != new.metrics[name]["value"]), ""
    )


def record_notes(versions: Versions) -> Iterator[str]:
    """What a reader of the accepted run has to know."""
    old, new = versions.old.lock, versions.new.lock
    if new is None or new.accepted is None:
        return
    before = old.accepted if old is not None else None
    if before == new.accepted:
        is_divided_anew = old is not None and old.splits != new.splits
        if is_divided_anew and OTHER_HOLDOUT in lock_contradictions(new):
            yield OTHER_HOLDOUT
        return
    digest = recipe_digest(resolved_mapping(versions.new.recipe))
    if new.accepted.recipe["digest"] != digest:
        yield "the accepted run in the lock is of another recipe than this one"


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
