"""Runs for people: `<root>/runs/<recipe>/<time>-<key8>/` with report, recipe and links to what was made."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.errors import StoreError
from engine.files import leases, writing
from engine.files.digests import sha256_of
from engine.files.reading import parse_json, read_bytes, read_json
from engine.store.manifest import Origin, origin_of, sign
from engine.store.store import storage_errors, storage_problem
from engine.values import Value

RECORD = "run.json"
UNFINISHED: Final = ".unfinished"
"""A file in the folder of an unrecorded run, held by the process that writes it (`engine.files.leases`)."""
SCHEMA = "run.v1"
KIND: Final = "run"


STAMP: Final = "%Y-%m-%d-%H%M%S"
"""Start of a run folder's name: when the run ended, UTC."""
LENGTH: Final = 17
BUNDLED_LOCK = "recipe.lock.json"
"""The lock as it stood when an accepted run ended, in its folder."""
ACCEPTED = "accepted"
"""The outcome of a run whose model met all that was asked of it."""
REPORTED: Final = (
    "README.md", "backend-config.yaml", "recipe.resolved.yaml", "recipe.yaml", BUNDLED_LOCK, "events.jsonl",
    "report.html", "report.json", "report.md",
)  # fmt: skip
"""Files of a run folder that verbs show or build on; those that are there stand in its record by digest."""


SHARED_KEY: Final = (
    "machines of yours share a key: SLM_RECIPE_STORE_KEY_FILE=FILE; else the stages run again"
)


class AcceptedRun(Value):
    folder: Path
    keys: Mapping[str, str]
    """Keys of the artifacts, by stage."""
    started: str
    """ISO 8601, UTC."""


class Runs:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "runs"

    def create(self, recipe_name: str, key: str) -> Path:
        """A new, empty run folder named by the time (UTC) and the first 8 digits of `key`.

        Names of runs are in the order in which they ended: where the clock was set back, or another run ended in the
        same second, the time is a second after that of the last one.
        """
        now = datetime.now(UTC)
        last = max((run.name[:LENGTH] for run in self.of(recipe_name)), default="")
        with contextlib.suppress(ValueError):  # a folder that somebody has named
            then = datetime.strptime(last, STAMP).replace(tzinfo=UTC)
            now = max(now, then + timedelta(seconds=1))
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            path = self._folder / recipe_name / f"{now.strftime(STAMP)}-{key[:8]}{suffix}"
            if not os.path.lexists(path) and self._begin(path):
                return path
        raise AssertionError(now)

    def _begin(self, run: Path) -> bool:
        """Make a run folder with its mark, and hold that. False where another run that ended together was first."""
        for _ in range(leases.TRIES):
            try:
                with writing.open_new(run / UNFINISHED, below=self._root) as mark:
                    # the lock belongs to both descriptors, and ends with the process at the latest
                    number = os.dup(mark.fileno())
                if leases.hold(number):
                    _held[run] = number
                    return True
                os.close(number)
            except FileExistsError:
                return False
            except FileNotFoundError:
                continue  # somebody took it for abandoned in the moment before it was held
            except OSError as error:
                with contextlib.suppress(OSError):
                    run.rmdir()  # made, but without room for the mark
                raise storage_problem(error, self._root) from error
        raise AssertionError(run)

    def clear(self, run: Path) -> None:
        if (run / RECORD).exists():
            raise AssertionError(run)
        for path in run.iterdir():
            if path.name != UNFINISHED:
                writing.remove(path, below=run)

    def discard(self, run: Path) -> None:
        """Remove a run folder that was made just now and could not be filled; nothing where it has a record."""
        if not os.path.lexists(run / RECORD):
            with contextlib.suppress(OSError):
                writing.remove(run, below=self._root)
        _let_go(run)

    def of(self, recipe_name: str) -> list[Path]:
        """Finished runs of a recipe, oldest first, whoever made them; none that stand behind a link."""
        folder = self._folder / recipe_name
        if os.path.islink(self._folder) or os.path.islink(folder):  # as in `find`
            return []
        # the record is written last, so a folder without one is of a run that did not end
        records = (record.parent for record in folder.glob(f"*/{RECORD}"))
        return sorted(run for run in records if not run.is_symlink())

    def ours(self, recipe_name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        for run in reversed(self.of(recipe_name)):
            record = read_record(run)
            if is_ours(record) and record.get("recipe", recipe_name) == recipe_name:
                yield run, record

    def names(self) -> list[str]:
        folders = {record.parent.parent.name for record in self._folder.glob(f"*/*/{RECORD}")}
        return sorted(name for name in folders if self.of(name))

    def find(self, reference: str) -> Path | None:
        """A run by folder path, by `recipe/run`, or the latest run of a recipe by its name; newest of all for `""`."""
        if reference:
            for path in (Path(reference), self._folder / reference):
                if os.path.isfile(path / RECORD):  # False for a name that is too long
                    return path
            runs = self.of(reference)
        else:
            found = (run for name in self.names() for run in self.of(name))
            runs = sorted(found, key=lambda run: run.name)
        return runs[-1] if runs else None

    def record(self, run: Path, fields: Mapping[str, Any]) -> None:
        with storage_errors(self._root):
            files = {name: sha256_of(run / name) for name in REPORTED if (run / name).is_file()}
            for name in files:
                writing.sync(run / name)
        signed = sign(KIND, {"schema": SCHEMA, **fields, "files": files})
        text = json.dumps(signed, indent=1, sort_keys=True)
        with storage_errors(self._root):
            writing.write_text(run / RECORD, text, durable=True)
        _let_go(run)

    def payloads(self, recipe_name: str) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for _, record in self.ours(recipe_name):
            # the newest run comes first, so what is known already stays
            found = {**record.get("payloads", {}), **found}
        return found


_held: dict[Path, int] = {}
"""Descriptors of the marks in run folders that this process is filling."""


def _let_go(run: Path) -> None:
    number = _held.pop(run, None)
    if number is not None:
        with contextlib.suppress(OSError):
            writing.remove(run / UNFINISHED, below=run)
        os.close(number)


def key_in(name: str) -> str:
    """Return the beginning of the key in a run's name; empty for a name that `Runs.create` does not give."""
    return name[LENGTH + 1 :].partition("-")[0]


def accepted_runs(runs: Runs, recipe_name: str) -> Iterator[AcceptedRun]:
    """The runs of a recipe whose model was accepted and that this user made, newest first.

    Whether the store still has their results is not asked.
    """
    for folder, record in runs.ours(recipe_name):
        if record.get("outcome") == ACCEPTED:
            stages: Mapping[str, Mapping[str, str]] = record.get("stages", {})
            keys = {name: stage["key"] for name, stage in stages.items() if stage.get("key")}
            yield AcceptedRun(folder=folder, keys=keys, started=str(record.get("started", "")))


def latest_accepted(runs: Runs, recipe_name: str) -> AcceptedRun | None:
    return next(accepted_runs(runs, recipe_name), None)


def read_record(run: Path) -> dict[str, Any]:
    try:
        fields = read_json(run / RECORD, follow=False)
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def is_ours(record: Mapping[str, Any]) -> bool:
    return origin_of(KIND, record) is Origin.OURS


def require_ours(run: Path, what: str) -> None:
    """StoreError E751 for a run that this user did not make; `what` says what is not done with it."""
    if not is_ours(read_record(run)):
        raise StoreError.one(
            "E751",
            f"`{run.parent.name}/{run.name}` was not made here, or by an earlier version: {what}",
            hint=SHARED_KEY,
        )


def read_file(run: Path, name: str) -> bytes:
    """Return one of the files of a run that are `REPORTED`.

    StoreError: E758 it is not there, or not the one that the run left (asked of the user's own runs only).
    """
    record = read_record(run)
    try:
        content = read_bytes(run / name, follow=False)
    except OSError as error:
        raise _not_as_left(run, name, error.strerror or str(error)) from error
    # a stranger's record can name whatever digests fit, so comparing with it would prove nothing
    if is_ours(record) and hashlib.sha256(content).hexdigest() != record.get("files", {}).get(name):
        raise _not_as_left(run, name, "its bytes changed since the run ended")
    return content


def require_exported(run: Path, names: Iterable[str], *, if_any: str = "") -> None:
    """StoreError E758 for a file of a run's model that is not there, or not the one that its report names.

    Every byte is read. `if_any`: one more file, which not every model has.
    """
    try:
        # `read_file` compares the report with the signed record, so its digests of the model can be believed
        report = parse_json(read_file(run, "report.json"))
        known = {str(file["name"]): file["sha256"] for file in report["files"]}
    except (ValueError, TypeError, KeyError) as error:
        raise _not_as_left(run, "report.json", f"it cannot be read ({error})") from error
    has_it = if_any in known or (run / if_any).is_file()
    for name in (*names, *([if_any] if has_it else [])):
        try:
            is_right = sha256_of(run / name) == known.get(name)
        except OSError as error:
            raise _not_as_left(run, name, error.strerror or str(error)) from error
        if not is_right:
            raise _not_as_left(run, name, "its bytes are not those of its report")


def _not_as_left(run: Path, name: str, why: str) -> StoreError:
    return StoreError.one(
        "E758",
        f"`{name}` of run `{run.parent.name}/{run.name}` is not as the run left it: {why}",
        hint="take it back from a copy, or make it again: recipe run RECIPE",
    )


def write_text(path: Path, text: str, *, below: Path | None = None) -> None:
    """Write aside, then rename; with `below` no folder from there down may be a link, and missing ones are made.

    StoreError, EnvironmentProblem: as `storage_problem`.
    """
    with storage_errors(path.parent):
        writing.write_text(path, text, below=below)
