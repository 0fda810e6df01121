"""How often each holdout has decided something: `<root>/holdouts/<digest>.json`, across recipes."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engine.files import writing
from engine.files.reading import read_json
from engine.store.manifest import Artifact
from engine.store.runs import key_in
from engine.store.store import Store, storage_errors

SCHEMA = "holdout.v1"


class HoldoutUses:
    """The decisions made on holdouts, each by the digest of its rows. Safe for several processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.root / "holdouts"

    def looks(self, digest: str) -> int:
        """Decisions made on the holdout of that digest, on machines that share results too; 0 where none is known."""
        here = _read(self._path(digest))
        shared = self._store.shared_looks(digest, here.get("decisions", []))
        return max(int(here.get("looks", 0)), shared)

    def is_unreadable(self, digest: str) -> bool:
        path = self._path(digest)
        return os.path.lexists(path) and not _read(path)

    def add(
        self,
        digest: str,
        look: Mapping[str, str],
        *,
        known: int = 0,
        verdicts: Mapping[str, str] | None = None,
        formed: Collection[str] = (),
        repeats: bool = False,
    ) -> int:
        """Count one more decision, if it is one, and return how many that makes.

        `look` says by which run; `known` are decisions that another record (the lock) knows of. `verdicts` are the
        results that decided, by stage, and `formed` the stages whose result was made in this run. A result counts once,
        whichever run it was made by, also where that one was killed before it could count. A run that goes on from
        results which are counted, with the same recipe, is one decision with the run that left them there: nothing was
        chosen in between. Nor is one that `repeats` an accepted run. Without `verdicts` each call is a decision.

        Raises:
            StoreError, EnvironmentProblem: the store cannot be written.

        """
        # read and written under one lock: of two runs that end together one would not be counted
        with self._store.lock(digest):
            path = self._path(digest)
            old = _read(path)
            decisions = list(old.get("decisions", []))
            counted, went_on = dict(old.get("verdicts", {})), dict(old.get("went_on", {}))
            looks = max(int(old.get("looks", 0)), known)
            if verdicts is not None and not _uncounted(old, known, verdicts, formed):
                return looks
            # a record that cannot be read is kept aside: overwritten, the count would start anew
            # without a trace
            if not old:
                self._store.move_aside(path)
            before = _gone_on_from(old, look, verdicts or {})
            if repeats:
                before = look["run"]
            elif before is not None:
                went_on[before] = look["outcome"]
            else:
                decisions.append(dict(look))
                looks += 1
            counted.setdefault(before or look["run"], {}).update(verdicts or {})
            # those before it too: they were made while no machine shared its results, or none was in reach
            looks = max(looks, self._store.shared_looks(digest, decisions))
            fields = {
                "schema": SCHEMA,
                "digest": digest,
                "looks": looks,
                "decisions": decisions,
                "went_on": went_on,
                "verdicts": counted,
            }
            text = json.dumps(fields, ensure_ascii=False, indent=1) + "\n"
            with storage_errors(self._store.root):
                writing.write_text(path, text, below=self._store.root, durable=True)
        return looks

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def verdict_name(artifact: Artifact) -> str:
    """Return what distinguishes a stage's result from every other one, one of the same key that is made anew too."""
    return f"{artifact.key[:16]} {artifact.digest()[:16]} {artifact.created}"


def _uncounted(
    old: Mapping[str, Any], known: int, verdicts: Mapping[str, str], formed: Collection[str]
) -> bool:
    counted = old.get("verdicts", {})
    # by an earlier version, which named no results, or in a record that is lost
    is_unknown = any(one.get("run") not in counted for one in old.get("decisions", []))
    is_unknown = is_unknown or (not old and known > 0)
    seen = {name for names in counted.values() for name in names.values()}
    return any(
        name not in seen and (stage in formed or not is_unknown) for stage, name in verdicts.items()
    )


def _gone_on_from(
    old: Mapping[str, Any], look: Mapping[str, str], verdicts: Mapping[str, str]
) -> str | None:
    """Return the run of the same recipe, value by value, all of whose results are among these; None for none."""
    key, counted = key_in(look.get("run", "")), old.get("verdicts", {})
    for one in reversed(old.get("decisions", [])):
        run = str(one.get("run", ""))
        left = counted.get(run)
        is_ours = one.get("recipe") == look.get("recipe") and key and key_in(run) == key
        # of a stage that has decided twice, one was chosen
        if is_ours and left and left.items() <= verdicts.items():
            return run
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = read_json(path, follow=False)
    except (OSError, ValueError):
        return {}
    is_record = (
        isinstance(fields, dict)
        and fields.get("schema") == SCHEMA
        # not `isinstance`: `true` would count as one look
        and type(fields.get("looks")) is int
        and fields["looks"] >= 0
        and isinstance(fields.get("decisions"), list)
        and isinstance(fields.get("went_on", {}), dict)
        and isinstance(verdicts := fields.get("verdicts", {}), dict)
        and all(isinstance(one, dict) for one in verdicts.values())
    )
    return fields if is_record else {}
