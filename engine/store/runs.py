"""Runs for people: `<root>/runs/<recipe>/<time>-<key8>/` with report, recipe and links to what was made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.store.store import storage_problem

RECORD = "run.json"
SCHEMA = "run.v1"


BUNDLED_LOCK = "recipe.lock.json"
"""The lock as it stood when an accepted run ended, in its folder."""
ACCEPTED = "accepted"
"""The outcome of a run whose model met all that was asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRun:
    """A run whose model was accepted, and where its results stand in the store."""

    folder: Path
    keys: Mapping[str, str]
    """Of the artifacts of its stages, by stage."""
    started: str
    """ISO 8601, UTC."""


class Runs:
    """The run folders below a store's root; a folder is made once and never reused."""

    def __init__(self, root: Path) -> None:
        """Use the store's root folder."""
        self._root = root
        self._folder = root / "runs"

    def create(self, recipe_name: str, key: str) -> Path:
        """A new, empty run folder named by the time (UTC) and the first 8 digits of `key`."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            path = self._folder / recipe_name / f"{stamp}-{key[:8]}{suffix}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise storage_problem(error, self._root) from error
            return path
        raise AssertionError(stamp)

    def clear(self, run: Path) -> None:
        """Empty a run folder that was made just now and has no record yet."""
        if (run / RECORD).exists():
            raise AssertionError(run)
        shutil.rmtree(run)
        run.mkdir()

    def of(self, recipe_name: str) -> list[Path]:
        """Finished runs of a recipe, oldest first."""
        return sorted(record.parent for record in (self._folder / recipe_name).glob(f"*/{RECORD}"))

    def names(self) -> list[str]:
        """Recipes that have runs."""
        return sorted({record.parent.parent.name for record in self._folder.glob(f"*/*/{RECORD}")})

    def find(self, reference: str) -> Path | None:
        """A run by folder path, by `recipe/run`, or the latest run of a recipe by its name; newest of all for `""`."""
        if reference:
            for path in (Path(reference), self._folder / reference):
                if (path / RECORD).is_file():
                    return path
            runs = self.of(reference)
        else:
            runs = sorted(
                (run for name in self.names() for run in self.of(name)), key=lambda run: run.name
            )
        return runs[-1] if runs else None

    def record(self, run: Path, fields: Mapping[str, Any]) -> None:
        """Write the run's record, last; its presence means that the run folder is complete."""
        write_text(run / RECORD, json.dumps({"schema": SCHEMA, **fields}, indent=1, sort_keys=True))

    def payloads(self, recipe_name: str) -> dict[str, Mapping[str, Any]]:
        """What each stage's key stood for when it was last asked for, by stage; to explain what changed."""
        found: dict[str, Mapping[str, Any]] = {}
        for run in self.of(recipe_name):
            found.update(read_record(run).get("payloads", {}))
        return found


def accepted_runs(runs: Runs, recipe_name: str) -> Iterator[AcceptedRun]:
    """The runs of a recipe whose model was accepted, newest first.

    Whether the store still has their results is not asked.
    """
    for folder in reversed(runs.of(recipe_name)):
        record = read_record(folder)
        if record.get("outcome") == ACCEPTED:
            stages: Mapping[str, Mapping[str, str]] = record.get("stages", {})
            keys = {name: stage["key"] for name, stage in stages.items() if stage.get("key")}
            yield AcceptedRun(folder=folder, keys=keys, started=str(record.get("started", "")))


def latest_accepted(runs: Runs, recipe_name: str) -> AcceptedRun | None:
    """The newest of the accepted runs; None where no model was accepted yet."""
    return next(accepted_runs(runs, recipe_name), None)


def read_record(run: Path) -> dict[str, Any]:
    """A run's record; empty when it cannot be read."""
    try:
        fields = json.loads((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def write_text(path: Path, text: str) -> None:
    """Write aside, then rename."""
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise storage_problem(error, path.parent) from error


def link(source: Path, target: Path) -> None:
    """Put a file or folder of the store into a run: a hard link where the file system has them, else a copy."""
    try:
        if source.is_dir():
            shutil.copytree(source, target, copy_function=_link_file)
        else:
            _link_file(str(source), str(target))
    except OSError as error:
        raise storage_problem(error, target.parent) from error


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
