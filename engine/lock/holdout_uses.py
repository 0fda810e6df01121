"""How often each holdout has decided something: `<root>/holdouts/<digest>.json`, across recipes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.files import writing
from engine.files.reading import read_json
from engine.store.runs import key_in
from engine.store.store import Store, storage_errors

SCHEMA = "holdout.v1"
CUT_OFF = ("interrupted", "failed")
"""Outcomes of a run that the same command goes on with."""


class HoldoutUses:
    """The decisions made on holdouts, each by the digest of its rows. Safe for several processes."""

    def __init__(self, store: Store) -> None:
        """Keep them below the store's root."""
        self._store = store
        self._folder = store.root / "holdouts"

    def looks(self, digest: str) -> int:
        """Decisions made on the holdout of that digest, on machines that share results too; 0 where none is known."""
        here = _read(self._path(digest))
        shared = self._store.shared_looks(digest, here.get("decisions", []))
        return max(int(here.get("looks", 0)), shared)

    def is_unreadable(self, digest: str) -> bool:
        """Tell whether a record stands there that is none."""
        path = self._path(digest)
        return os.path.lexists(path) and not _read(path)

    def add(self, digest: str, look: Mapping[str, str], *, known: int = 0) -> int:
        """Count one more decision and return how many that makes.

        `look` says by which run; `known` are decisions that another record (the lock) knows of. A run of the same
        recipe that goes on from one which was cut off is one decision with it: nothing was chosen in between.

        Raises:
            StoreError, EnvironmentProblem: the store cannot be written.

        """
        # read and written under one lock: of two runs that end together one would not be counted
        with self._store.lock(digest):
            path = self._path(digest)
            old = _read(path)
            # a record that cannot be read is kept aside: overwritten, the count would start anew
            # without a trace
            if not old:
                self._store.move_aside(path)
            decisions, went_on = list(old.get("decisions", [])), dict(old.get("went_on", {}))
            looks = max(int(old.get("looks", 0)), known)
            if _goes_on(decisions, went_on, look):
                went_on[decisions[-1]["run"]] = look["outcome"]
            else:
                decisions.append(dict(look))
                looks += 1
            # those before it too: they were made while no machine shared its results, or none was in reach
            looks = max(looks, self._store.shared_looks(digest, decisions))
            fields = {
                "schema": SCHEMA,
                "digest": digest,
                "looks": looks,
                "decisions": decisions,
                "went_on": went_on,
            }
            text = json.dumps(fields, ensure_ascii=False, indent=1) + "\n"
            with storage_errors(self._store.root):
                writing.write_text(path, text, below=self._store.root, durable=True)
        return looks

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def _goes_on(
    decisions: Sequence[Mapping[str, str]], went_on: Mapping[str, str], look: Mapping[str, str]
) -> bool:
    """Tell whether the last decision is of the same recipe, value by value, and its run was cut off.

    `went_on` has the outcome of the last run that went on from each one that was.
    """
    if not decisions:
        return False
    before, now = ((one.get("recipe"), key_in(one.get("run", ""))) for one in (decisions[-1], look))
    outcome = went_on.get(decisions[-1].get("run", ""), decisions[-1].get("outcome"))
    return before == now and bool(now[1]) and outcome in CUT_OFF


def _read(path: Path) -> dict[str, Any]:
    """The record; empty when it is absent or not one."""
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
    )
    return fields if is_record else {}
