"""Putting a bundle together: the run of an accepted model, its lock, and a signature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.bundle.archive import Content, write_archive
from engine.bundle.signing import key_id, own_key, pem_of, sign
from engine.bundle.statement import statement_of, to_bytes
from engine.errors import RecipeError, StoreError
from engine.evidence import Report
from engine.render.json import read_json
from engine.store.accepted import Accepted
from engine.store.lock import read_lock
from engine.store.runs import (
    ACCEPTED,
    BUNDLED_LOCK,
    read_file,
    require_exported,
    require_ours,
)

EVIDENCE = (
    "README.md",
    "backend-config.yaml",
    "recipe.resolved.yaml",
    "recipe.yaml",
    BUNDLED_LOCK,
    "report.html",
    "report.json",
)
"""Files of a run folder that every bundle holds."""
STATEMENT, KEY = "statement.dsse.json", "signer.pem"
MODEL = "model"
"""The folder of the model's files in a bundle that holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A bundle that was written."""

    file: Path
    key: str
    """sha256 of the key that signed it."""
    is_new_key: bool
    members: tuple[str, ...]


def make_bundle(
    run: Path, target: Path, *, key: Path | None = None, with_model: bool = False
) -> Made:
    """Write the bundle of a run folder.

    Raises:
        RecipeError: X663 the run has no accepted model, or is not the run of its lock; X661 no usable key.
        StoreError: X662 a new key or the bundle cannot be written; E751 the run was not made here; E758 a
            file of it is not the one that the run left.
        DataError: D38x the lock cannot be read.

    """
    require_ours(run, "it is not signed as yours")
    report, accepted = evidence_of(run)
    evidence = {name: read_file(run, name) for name in EVIDENCE}
    require_exported(run, [file.name for file in report.files])
    private, is_new = own_key(key)
    statement = to_bytes(statement_of(report, accepted, evidence))
    members: dict[str, Content] = {
        **evidence,
        STATEMENT: sign(statement, private),
        KEY: pem_of(private.public_key()),
    }
    if with_model:
        members |= {f"{MODEL}/{file.name}": run / file.name for file in report.files}
    try:
        write_archive(target, members)
    except OSError as error:
        raise StoreError.one(
            "X662",
            f"cannot write `{target.name}`: {error.strerror or error}",
            hint="name another place with -o FILE",
        ) from error
    return Made(
        file=target,
        key=key_id(private.public_key()),
        is_new_key=is_new,
        members=tuple(sorted(members)),
    )


def evidence_of(run: Path) -> tuple[Report, Accepted]:
    """Return the report of a run and what its lock says. RecipeError X663 where they are not of one model."""
    report = read_json(read_file(run, "report.json").decode())
    if report.outcome != ACCEPTED:
        raise _unfit(f"the run ended `{report.outcome}`", "a bundle holds an accepted model")
    missing = [name for name in EVIDENCE if not (run / name).is_file()]
    lock = read_lock(run / BUNDLED_LOCK) if BUNDLED_LOCK not in missing else None
    if lock is None or lock.accepted is None or missing:
        told = ", ".join(missing) or "an accepted run in its lock"
        raise _unfit(f"the run has no {told}", f"recipe run {report.recipe_name} writes it")
    if {file.name: file.sha256 for file in report.files} != lock.accepted.files:
        raise _unfit(
            "its files are not those of its lock",
            "export the run that the lock records, or run it with --update-lock",
        )
    return report, lock.accepted


def _unfit(why: str, hint: str) -> RecipeError:
    return RecipeError.one("X663", f"nothing to bundle: {why}", hint=hint)
