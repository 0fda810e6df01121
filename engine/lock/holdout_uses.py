"""Decisions made on each holdout, across recipes: `<root>/holdouts/<digest>.json`."""

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
from engine.values import Count, Value, from_json, replace, to_json

SCHEMA = "holdout.v1"


class _Record(Value):
    digest: str = ""
    looks: Count = 0
    decisions: tuple[Mapping[str, Any], ...] = ()
    verdicts: Mapping[str, Mapping[str, Any]] = {}
    """Names of results that decided, by run and stage."""


class HoldoutUses:
    """The decisions made on holdouts, each named by the digest of its rows. Safe for several processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def looks(self, digest: str) -> int:
        """Return the number of decisions made on a holdout, also on machines that share results."""
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
        """Count a decision that was not counted before, and return the number of decisions.

        `look` names the run; `known` is the number of decisions that the lock knows of. `verdicts` are the results
        that decided, by stage, and `formed` the stages whose result was made in this run. A result counts once,
        whichever run made it, also where that run was killed before it counted. A run that resumes from counted results
        with the same recipe is one decision with the earlier run: nothing was chosen in between. One that `repeats` an
        accepted run is none. Without `verdicts` each call is a decision.

        StoreError, EnvironmentProblem: the store cannot be written.
        """
        # read and written under one lock: otherwise two runs that end together could count as one
        with self._store.lock(digest):
            stored = self._read(digest)
            old = replace(stored or _Record(), digest=digest)
            looks, decisions, counted = max(old.looks, known), old.decisions, dict(old.verdicts)
            # results that decided are unknown in records of an earlier version, or where the record is lost
            is_unknown = any(decision.get("run") not in counted for decision in decisions)
            is_unknown = is_unknown or (stored is None and known > 0)
            seen = {name for names in counted.values() for name in names.values()}
            if verdicts is not None and not any(
                name not in seen and (stage in formed or not is_unknown)
                for stage, name in verdicts.items()
            ):
                return looks
            path = self._path(digest)
            # an unreadable record is kept: overwritten, the count would start anew without a trace
            if stored is None:
                self._store.move_aside(path)
            before = look["run"] if repeats else _resumed_run(old, look, verdicts or {})
            if before is None:
                decisions, looks = (*decisions, dict(look)), looks + 1
            run = before or look["run"]
            counted[run] = {**counted.get(run, {}), **(verdicts or {})}
            # earlier decisions too: they may have been made while the shared store was out of reach
            looks = max(looks, self._store.shared_looks(digest, decisions))
            now = replace(old, looks=looks, decisions=decisions, verdicts=counted)
            text = json.dumps({"schema": SCHEMA, **to_json(now)}, ensure_ascii=False, indent=1)
            with storage_errors(self._store.root):
                writing.write_text(path, f"{text}\n", below=self._store.root, durable=True)
        return looks

    def _path(self, digest: str) -> Path:
        return self._store.root / "holdouts" / f"{digest}.json"

    def _read(self, digest: str) -> _Record | None:
        try:
            found = read_json(self._path(digest), follow=False)
            is_record = found.pop("schema") == SCHEMA
            return from_json(_Record, found) if is_record else None
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            return None


def verdict_name(artifact: Artifact) -> str:
    """Return a name that no other result has, not even one of the same key that is made anew."""
    return f"{artifact.key[:16]} {artifact.digest()[:16]} {artifact.created}"


def _resumed_run(old: _Record, look: Mapping[str, str], verdicts: Mapping[str, str]) -> str | None:
    """Return the latest counted run of the very same recipe all of whose results are among these."""
    key = key_in(look.get("run", ""))
    for decision in reversed(old.decisions):
        run = str(decision.get("run", ""))
        decided = old.verdicts.get(run)
        is_ours = decision.get("recipe") == look.get("recipe") and key and key_in(run) == key
        # where a stage has decided twice, one of the two was chosen
        if is_ours and decided and decided.items() <= verdicts.items():
            return run
    return None
