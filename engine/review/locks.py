"""The locks of two versions: the record of the holdout and of its use, and the record that an accepted run left.

Only an accepted run writes the latter. So the same run has the same facts, the same answers give the same numbers,
and numbers that change alone were changed by hand.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from engine.evidence.review import Area, Change, Finding
from engine.lock.coherence import OTHER_HOLDOUT, lock_contradictions
from engine.lock.draw import draw_of, needs_record
from engine.lock.file import Accepted, Lock
from engine.recipe.text.dump import changed_sections, recipe_digest, section_digests
from engine.review.compare import cropped, finding, plain
from engine.review.pairs import Versions
from engine.values import replace, shortest, to_json

DECIDES: Final = ("acceptance.decide_on", "acceptance.confidence")
"""Keys that say how every bound on a metric is decided."""


def with_accepted(findings: Iterable[Finding], versions: Versions) -> list[Finding]:
    """Return the findings, those of a bound with the value of the accepted model, as far as its lock keeps one."""
    lock = versions.new.lock or versions.old.lock
    metrics = lock.accepted.metrics if lock and lock.accepted else {}
    bounds = [one.metric for one in versions.new.recipe.acceptance.metrics]
    found = []
    for one in findings:
        says = [one.says] if one.says else []
        for name, facts in metrics.items():
            is_bound = one.path.startswith(("acceptance.", "export.")) and f".{name}." in one.path
            if facts["value"] is None or not (is_bound or (one.path in DECIDES and name in bounds)):
                continue
            ends = [shortest(end, 3) for end in (facts["low"], facts["high"]) if end is not None]
            span = f" ({' to '.join(ends)})" if ends else ""
            says.append(f"the accepted model has {name} {shortest(facts['value'], 3)}{span}")
        found.append(replace(one, says="; ".join(says)))
    return found


AT: Final = "lock.accepted"
_LONG: Final = 40
"""Characters from which a text of letters and digits is a digest or a list of them."""
_SHOWN: Final = 12
_NUMBERS: Final = frozenset({"finished", "metrics", "seeds", "spread", "verdicts"})
"""The results of a run; all other facts are its inputs, files and answers."""
_FEW: Final = 4


def judge_locks(versions: Versions) -> Iterator[Finding]:
    """W203, W207, W208, W220, W221: a record that is gone or another one, and counts that were turned back."""
    old, new = versions.old.lock, versions.new.lock
    if old is None:
        return
    if new is None:
        # A copy under another name never had the lock of the original.
        if versions.old.path.stem == versions.new.path.stem:
            yield finding("W207", "lock", "the holdout is no longer held to its rows")
        return
    found = [*_rows(versions, old, new)]
    if old.accepted is not None and new.accepted is None:
        says = "what the last accepted run left is no longer recorded, so nobody can repeat it"
        found.append(finding("W207", AT, says))
    yield from found or _by_hand(versions, old, new)


def _rows(versions: Versions, old: Lock, new: Lock) -> Iterator[Finding]:
    """W203, W207, W208: the rows that both record, and how often they were used."""
    at, none = "lock.splits.holdout", frozenset[bytes]()
    members = [
        side.recorded.members if side.recorded else {} for side in (versions.old, versions.new)
    ]
    held, holds = (one.get("holdout", none) for one in members)
    is_drawn_alike = draw_of(versions.old.recipe) == draw_of(versions.new.recipe)
    if is_drawn_alike and versions.old.drawing_lock and not versions.new.drawing_lock:
        yield finding("W207", at, "the lock records another draw than the recipe's")
    elif is_drawn_alike and held:
        if gone := len(held - holds):
            says = f"{gone} of {len(held)} recorded holdout rows are no longer recorded"
            yield finding("W207", at, says)
        if trained := len(holds & members[0].get("train", none)):
            says = f"{trained} of {len(holds)} recorded holdout rows were training rows before"
            yield finding("W203", at, says)
    before, after = old.holdout, new.holdout
    counts = {"redraws": (before.redraws, after.redraws)}
    was, now = (lock.splits.get("holdout") for lock in (old, new))
    is_same = was and now and (was.digest == now.digest or 2 * len(held & holds) >= len(holds))
    if after.redraws == before.redraws and is_same:
        counts["looks"] = (before.looks, after.looks)
    for name, (count, less) in counts.items():
        if less < count:
            says, path = "the count was turned back", f"lock.holdout.{name}"
            yield finding("W208", path, says, str(count), str(less))


def _by_hand(versions: Versions, old: Lock, new: Lock) -> Iterator[Finding]:
    """W220, W221: what no run writes, in a record that seems to be as it was."""
    at = "lock.splits.holdout"
    was, now = old.splits.get("holdout"), new.splits.get("holdout")
    same_inputs = old.inputs == new.inputs
    origin = (old.inputs, old.drawn_with) != (new.inputs, new.drawn_with)
    is_held = versions.new.drawing_lock is not None and needs_record(versions.new.recipe.splits)
    # A run that is held to a record names it; only a fresh draw names none, and that counts a redraw.
    if origin and new.drawn_with is None and is_held and new.holdout.redraws <= old.holdout.redraws:
        says = "it names no record that it was held to: the next run draws the holdout anew and counts no redraw"
        yield finding("W220", "lock.drawn_with" if same_inputs else "lock.inputs", says)
    if was is None or now is None:
        return
    if now.left_out and now.left_out != was.left_out:
        yield finding("W221", f"{at}.left_out", "no check leaves a row of the holdout out")
    elif same_inputs and (was.rows, was.digest) != (now.rows, now.digest):
        yield finding("W221", at, "it was made from the same inputs and says other rows")


def lock_changes(versions: Versions) -> Iterator[Change]:
    old, new = versions.old.lock, versions.new.lock
    if old is None or new is None or old == new:
        return
    before, after = _facts(old), _facts(new)
    for path in dict.fromkeys((*after, *before)):
        was, now = before.get(path), after.get(path)
        # these repeat what the recipe says
        if was != now and not path.startswith(("draw.", "recipe")):
            yield Change(path=f"lock.{path}", area=Area.LOCK, before=_shown(was), after=_shown(now))


def _facts(value: Lock | Accepted) -> dict[str, Any]:
    return dict(_below("", to_json(value)))


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
        yield from _edited(before, new.accepted)
    known = set(lock_contradictions(old)) if old is not None else set()
    wrong = [one for one in lock_contradictions(new) if one not in known]
    if wrong:
        yield finding("W123", AT, "; ".join(wrong[:_FEW]))


def _edited(old: Accepted, new: Accepted) -> Iterator[Finding]:
    if datetime.fromisoformat(new.finished) < datetime.fromisoformat(old.finished):
        says = "an earlier run took the place of the accepted one"
        yield finding("W124", f"{AT}.finished", says, old.finished, new.finished)
        return
    before, after = _facts(old), _facts(new)
    paths = [path for path in {**after, **before} if before.get(path) != after.get(path)]
    paths.sort(key=lambda path: (not path.startswith("metrics."), not path.endswith(".value")))
    parts = {re.split(r"[.\[]", path)[0] for path in paths}
    # what only an interval differs in may be rounded otherwise
    values = re.compile(r"metrics\.(?!free)(.+)\.value")
    metrics = [match[1] for path in paths if path in before and (match := values.fullmatch(path))]
    answers = [(run.predictions.get("holdout"), run.splits.get("holdout")) for run in (old, new)]
    if "finished" not in parts:
        says = "the same run has other facts now"
    elif {"finished"} < parts <= _NUMBERS:
        says = "other numbers, and no other recipe, data, model or answers"
    elif metrics and answers[0][0] and answers[0] == answers[1]:
        says = f"the same answers to the same rows have another {metrics[0]}"
    else:
        return
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    named = ", ".join(f"`{path}`" for path in paths[:_FEW])
    shown = (_shown(facts.get(paths[0])) for facts in (before, after))
    yield finding("W122", f"{AT}.{paths[0]}", f"{says}: {named}{more}", *shown)


def record_notes(versions: Versions) -> Iterator[str]:
    old, new = versions.old.lock, versions.new.lock
    if new is None or new.accepted is None:
        return
    is_new = old is None or old.accepted != new.accepted
    is_divided_anew = old is not None and old.splits != new.splits
    if not is_new and is_divided_anew and OTHER_HOLDOUT in lock_contradictions(new):
        yield OTHER_HOLDOUT
    accepted, was, now = new.accepted, versions.old.resolved, versions.new.resolved
    digest = recipe_digest(now)
    if accepted.recipe["digest"] == digest or not (is_new or recipe_digest(was) != digest):
        return
    changed = changed_sections(accepted.recipe["sections"], section_digests(now))
    named = ", ".join(f"`{name}`" for name in changed)
    yield (
        f"no accepted run proves the recipe as it stands: {named or 'what it asks for'} changed since the run that was "
        f"accepted on {accepted.finished.partition('T')[0]}"
    )
