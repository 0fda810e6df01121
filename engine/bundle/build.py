"""Putting a bundle together: the run of an accepted model, its lock, and a signature."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from engine.bundle.contents import (
    EVIDENCE,
    KEY,
    MODEL,
    REPORT,
    RESOLVED,
    STATEMENT,
    WRITTEN,
    ContentsError,
    pages_of,
    read_contents,
    recipe_of,
    without_row_texts,
)
from engine.bundle.row_table import ROWS, rows_of_run
from engine.bundle.signing import key_id, own_key, pem_of, sign, statement_of, to_bytes
from engine.bundle.tar_archive import ArchiveError, Content, Member, is_plain, write_archive
from engine.bundle.verification import content_problems
from engine.errors import Problem, RecipeError, StoreError
from engine.evidence import Report
from engine.files.reading import parse_json
from engine.lock.file import Accepted, read_lock
from engine.process import __version__
from engine.render.report.page import render_json
from engine.store.records import (
    ACCEPTED,
    BUNDLED_LOCK,
    read_file,
    require_exported,
    require_ours,
)
from engine.values import Value, brief_text, from_json, replace


class Made(Value):
    file: Path
    key: str
    """sha256 of the key that signed it."""
    is_new_key: bool
    members: tuple[str, ...]


def make_bundle(
    run: Path,
    target: Path,
    *,
    key: Path | None = None,
    with_model: bool = False,
    with_row_texts: bool = False,
    with_rows: bool = True,
) -> Made:
    """Write the bundle of a run folder; texts of rows leave with it only where that is asked for.

    `with_rows` adds the table of row statistics, from which labels and answers of rows can be derived.

    RecipeError: X663 the run has no accepted model, or is not the run of its lock; X661 no usable key; X665 a file is
    not the accepted one as it leaves; X666 the files of the run contradict each other. StoreError: X662 a new key or
    the bundle cannot be written; E751 the run was not made here; E758 a file of it is not the one that the run left.
    DataError: D38x the lock cannot be read.
    """
    require_ours(run, "it is not signed as yours")
    report, accepted, evidence = evidence_of(run)
    report, evidence = as_they_leave(report, evidence, with_row_texts=with_row_texts)
    rows = rows_of_run(run, recipe_of(evidence[RESOLVED], RESOLVED))
    complete = evidence if rows is None else {**evidence, ROWS: rows}
    names = [file.name for file in report.files]
    if outside := [name for name in names if not is_plain(name)]:
        raise _damaged(f"`{brief_text(outside[0])}` leads out of the run folder")
    require_exported(run, names)
    private, is_new = own_key(key)
    # what would not verify is never signed into a file
    refuse_contradictions(
        complete, statement_of(report, accepted, complete, written_with=__version__)
    )
    evidence = complete if with_rows else evidence
    statement = statement_of(report, accepted, evidence, written_with=__version__)
    members: dict[str, Content] = {
        **evidence,
        STATEMENT: sign(to_bytes(statement), private),
        KEY: pem_of(private.public_key()),
    }
    if with_model:
        members |= {f"{MODEL}/{name}": run / name for name in names}
    digests = {f"{MODEL}/{file.name}": file.sha256 for file in report.files}
    try:
        # hashed again while they are written: a file can change after it was checked
        write_archive(target, members, digests=digests)
    except ArchiveError as error:
        raise _damaged(str(error)) from error
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


def evidence_of(run: Path) -> tuple[Report, Accepted, dict[str, bytes]]:
    """Return the report of a run, what its lock says, and the files that tell it.

    RecipeError: X663 they are not of one accepted model. StoreError: E758 a file is not the one that the run left.
    DataError: D38x the lock cannot be read.
    """
    report = report_of(run)
    if report.outcome != ACCEPTED:
        raise _unfit(f"the run ended `{report.outcome}`", "a bundle holds an accepted model")
    missing = [name for name in EVIDENCE if not (run / name).is_file()]
    lock = read_lock(run / BUNDLED_LOCK) if BUNDLED_LOCK not in missing else None
    if lock is None or lock.accepted is None or missing:
        what = ", ".join(missing) or "an accepted run in its lock"
        raise _unfit(f"the run has no {what}", "recipe run RECIPE writes it")
    # an accepted run that repeats a lock within noise leaves the lock as it was, with the files of another run
    if {file.name: file.sha256 for file in report.files} != lock.accepted.files:
        raise _unfit(
            "its files are not those of its lock",
            "export the run that the lock records, or run it with --update-lock",
        )
    return report, lock.accepted, {name: read_file(run, name) for name in EVIDENCE}


def as_they_leave(
    report: Report, evidence: Mapping[str, bytes], *, with_row_texts: bool
) -> tuple[Report, dict[str, bytes]]:
    """Return report and files as a bundle holds them: without texts of rows unless asked, pages of this version."""
    if not with_row_texts:
        report = without_row_texts(report, recipe_of(evidence[RESOLVED], RESOLVED))
    # the folders above them are the maker's own; the recipe is in the bundle
    report = replace(
        report,
        run_directory=PurePosixPath(report.run_directory).name,
        command=f"recipe run {WRITTEN}" if report.command else "",
    )
    pages = {name: render(report).encode() for name, render in pages_of().items()}
    return report, {**evidence, REPORT: render_json(report).encode(), **pages}


def refuse_contradictions(evidence: Mapping[str, bytes], statement: Mapping[str, Any]) -> None:
    """RecipeError X666 where the files of a run contradict each other: what would not verify is not signed."""
    members = {
        name: Member(name=name, sha256=hashlib.sha256(data).hexdigest(), data=data, size=len(data))
        for name, data in evidence.items()
    }
    try:
        found = [*content_problems(read_contents(members, json.loads(to_bytes(statement))))]
    except ContentsError as error:
        found = [str(error)]
    hint = "recipe run writes it anew; a file of a run is not for editing"
    texts = [f"the run contradicts itself: {one}" for one in found]
    if problems := [Problem(code="X666", message=text, hint=hint) for text in texts]:
        raise RecipeError(problems)


def report_of(run: Path) -> Report:
    """Return the report of a run folder. RecipeError X663 for one that cannot be read, StoreError E758."""
    try:
        return from_json(Report, parse_json(read_file(run, "report.json")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"its report cannot be read ({brief_text(str(error))})"
        raise _unfit(why, "recipe run writes it anew") from error


def _damaged(why: str) -> RecipeError:
    return RecipeError.one(
        "X665",
        f"a file is not the one that was accepted: {why}",
        hint="delete the run folder's copy and run the recipe again: what is damaged is built anew",
    )


def _unfit(why: str, hint: str) -> RecipeError:
    return RecipeError.one("X663", f"nothing to bundle: {why}", hint=hint)
