"""How often each holdout has decided something: `<root>/holdouts/<digest>.json`, across recipes."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engine.files import writing
from engine.files.reading import read_json
from engine.store.manifest import Artifact
from engine.store.records import key_in
from engine.store.store import Store, storage_errors
from engine.values import Count, Value, fields, from_json, replace, to_json

SCHEMA = "holdout.v1"


class _Record(Value):
    digest: str = ""
    looks: Count = 0
    decisions: tuple[Mapping[str, Any], ...] = ()
    verdicts: Mapping[str, Mapping[str, Any]] = {}
    """Names of results, by run and stage."""


class HoldoutUses:
    """The decisions made on holdouts, each by the digest of its rows. Safe for several processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def looks(self, digest: str) -> int:
        """Decisions made on the holdout of that digest, on machines that share results too; 0 where none is known."""
        here = self._read(digest) or _Record()
        return max(here.looks, self._store.shared_looks(digest, here.decisions))

    def is_unreadable(self, digest: str) -> bool:
        return os.path.lexists(self._path(digest)) and self._read(digest) is None

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

        StoreError, EnvironmentProblem: the store cannot be written.
        """
        # read and written under one lock: of two runs that end together one would not be counted
        with self._store.lock(digest):
            found = self._read(digest)
            old = replace(found or _Record(), digest=digest)
            looks, decisions, counted = max(old.looks, known), old.decisions, dict(old.verdicts)
            # by an earlier version, which named no results, or in a record that is lost
            is_unknown = any(one.get("run") not in counted for one in decisions)
            is_unknown = is_unknown or (found is None and known > 0)
            seen = {name for names in counted.values() for name in names.values()}
            if verdicts is not None and not any(
                name not in seen and (stage in formed or not is_unknown)
                for stage, name in verdicts.items()
            ):
                return looks
            path = self._path(digest)
            # one that cannot be read is kept aside: overwritten, the count would start anew without a trace
            if found is None:
                self._store.move_aside(path)
            before = look["run"] if repeats else _gone_on_from(old, look, verdicts or {})
            if before is None:
                decisions, looks = (*decisions, dict(look)), looks + 1
            run = before or look["run"]
            counted[run] = {**counted.get(run, {}), **(verdicts or {})}
            # those before it too: they were made while no machine shared its results, or none was in reach
            looks = max(looks, self._store.shared_looks(digest, decisions))
            now = replace(old, looks=looks, decisions=decisions, verdicts=counted)
            text = json.dumps({"schema": SCHEMA, **to_json(now)}, ensure_ascii=False, indent=1)
            with storage_errors(self._store.root):
                writing.write_text(path, f"{text}\n", below=self._store.root, durable=True)
        return looks

    def _path(self, digest: str) -> Path:
        return self._store.root / "holdouts" / f"{digest}.json"

    def _read(self, digest: str) -> _Record | None:
        known = {field.name for field in fields(_Record)}
        try:
            found = read_json(self._path(digest), follow=False)
            is_record = found.get("schema") == SCHEMA
            record = {name: value for name, value in found.items() if name in known}
            return from_json(_Record, record) if is_record else None
        except (AttributeError, OSError, ValueError):
            return None


def verdict_name(artifact: Artifact) -> str:
    """Return what distinguishes a stage's result from every other one, one of the same key that is made anew too."""
    return f"{artifact.key[:16]} {artifact.digest()[:16]} {artifact.created}"


def _gone_on_from(old: _Record, look: Mapping[str, str], verdicts: Mapping[str, str]) -> str | None:
    """Return the run of the same recipe, value by value, all of whose results are among these; None for none."""
    key = key_in(look.get("run", ""))
    for one in reversed(old.decisions):
        run = str(one.get("run", ""))
        left = old.verdicts.get(run)
        is_ours = one.get("recipe") == look.get("recipe") and key and key_in(run) == key
        # of a stage that has decided twice, one was chosen
        if is_ours and left and left.items() <= verdicts.items():
            return run
    return None
