"""Exports of signed bundles and baselines, and published models."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from engine.bundle.build import make_bundle
from engine.bundle.report_facts import checked_json, checked_text
from engine.bundle.row_table import ROWS
from engine.bundle.signing import key_place
from engine.bundle.tar_archive import ENDING
from engine.bundle.verification import BundleVerdict, check_bundle
from engine.cli.output import log_file, refuse_taken, show_result, store_of
from engine.cli.runs import find_run
from engine.cli.streams import others_to
from engine.errors import ExitCode, RecipeError
from engine.files.leases import temporary_folder
from engine.publish.hub_upload import Hub
from engine.publish.publication import (
    Folder,
    Publication,
    Published,
    PublishOptions,
    gather,
)
from engine.recipe.text.paths import as_argument, as_typed
from engine.render.number_format import size
from engine.render.progress_display import progress_on_terminal
from engine.runs.export_baseline import export_baseline
from engine.store import Store

ONLY_OF = {
    **dict.fromkeys(("key", "overwrite", "with_model", "with_row_texts", "no_rows"), "bundle"),
    "baseline": "baseline",
}
"""Options that one kind of export has and the other has not."""


def _refuse_others(
    options: argparse.Namespace, only: Mapping[str, str], kind: str, code: str, command: str
) -> None:
    """RecipeError `code` for an option that was given, and which only another kind has."""
    for name, owner in only.items():
        if owner != kind and getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            message = f"{option} is of `recipe {command} {owner}`"
            raise RecipeError.one(code, message, hint=f"leave {option} out")


def export(options: argparse.Namespace) -> None:
    _refuse_others(options, ONLY_OF, options.what, "R315", "export")
    (_export_bundle if options.what == "bundle" else _export_baseline)(options)


def _export_bundle(options: argparse.Namespace) -> None:
    folder = find_run(options.run, options)
    target = options.output or Path(f"{folder.parent.name}{ENDING}")
    # a link is not written through, nor a folder replaced
    if not (options.overwrite and target.is_file()) or target.is_symlink():
        refuse_taken(target, hint="--overwrite replaces a file, or choose another place with -o")
    made = make_bundle(
        folder,
        target,
        key=options.key,
        with_model=options.with_model,
        with_row_texts=options.with_row_texts,
        with_rows=not options.no_rows,
    )
    fields = {"file": str(made.file), "key": made.key, "members": list(made.members)}
    kilobytes = made.file.stat().st_size / 1000
    contents = f"{len(made.members)} files, {kilobytes:,.0f} kB"
    lines = [f"{made.file}  {contents}", f"signed by key {made.key}"]
    if ROWS not in made.members:
        why = "as asked" if options.no_rows else "the store no longer has the answers of the run"
        lines.append(
            f"without row statistics ({why}): `recipe verify` recomputes none of its numbers"
        )
    if made.is_new_key:
        lines.append(f"your new key is in {key_place()}: keep it, and publish its sha256")
    lines.append(f"check it: recipe verify {as_typed(made.file)}")
    show_result(options, {"schema": "bundle.v1", **fields}, "\n".join(lines))


def _export_baseline(options: argparse.Namespace) -> None:
    given = Path(options.run)
    # A path to an encoder stands in the run as the recipe writes it, which is from the recipe's folder.
    beside = given.parent if os.path.isfile(given) else Path()
    run, root = find_run(options.run, options), store_of(options)
    with (
        others_to(log_file(root, "export")) as terminal,
        progress_on_terminal("export", terminal) as progress,
    ):
        made = export_baseline(
            run,
            Store(root),
            name=options.baseline,
            target=options.output,
            beside=beside.absolute(),
            progress=progress,
        )
    place = as_argument(made.folder)
    lines = [
        # SHA256SUMS does not hold its own digest
        f"{made.folder}  {len(made.files) + 1} files, {size(made.bytes)}",
        f"{made.name}: {made.rows} of {made.rows} holdout rows answered as in the report",
        f"use it: pip install -r {place}/requirements.txt && python {place}/predict.py rows.csv",
    ]
    fields = {"folder": str(made.folder), "baseline": made.name, "rows": made.rows}
    fields |= {"bytes": made.bytes, "files": dict(made.files)}
    show_result(options, {"schema": "baseline.v1", **fields}, "\n".join(lines))


def verify(options: argparse.Namespace) -> int:
    """Return 0 when every claim holds and the signer is known, 6 when nobody knows who signed, else 1."""
    found = check_bundle(options.bundle, model=options.model, key=options.key)
    show_result(options, checked_json(found), checked_text(found, name=options.bundle.name))
    known = {
        BundleVerdict.VERIFIED: ExitCode.ACCEPTED,
        BundleVerdict.NOT_VERIFIED: ExitCode.REFUSED,
    }
    return known.get(found.verdict, ExitCode.UNKNOWN_SIGNER)


def publish(options: argparse.Namespace) -> None:
    _refuse_others(options, {"public": "hub"}, options.to, "R423", "publish --to")
    folder, root = find_run(options.run, options), store_of(options)
    place: Hub | Folder = Folder(folder=Path(options.name))
    if options.to == "hub":
        place = Hub(repo=options.name, is_public=options.public)
    wanted = PublishOptions(
        forms=tuple(dict.fromkeys(options.form)),
        key=options.key,
        signing_key=options.sign_model,
        makes_key=options.yes,
    )
    with (
        temporary_folder() as work,
        others_to(log_file(root, "publish")) as terminal,
        progress_on_terminal("publish", terminal) as progress,
    ):
        publication = gather(folder, Store(root), wanted, work)
        place.check()
        done = place.publish(publication, progress.note) if options.yes else None
    value = {
        "schema": "publication.v1",
        "to": options.to,
        "name": options.name,
        "run": str(publication.run),
        "forms": list(publication.forms),
        "files": [
            {name: getattr(file, name) for name in ("name", "bytes", "sha256")}
            for file in publication.files
        ],
        "later": list(publication.later),
        "key": publication.key or None,
        "published": done is not None,
        "place": done.place if done else None,
        "version": (done.digest or None) if done else None,
        "read_back": done.read_back if done else 0,
    }
    show_result(options, value, "\n".join(_publication_lines(place, publication, done)))


def _publication_lines(
    place: Hub | Folder, publication: Publication, done: Published | None
) -> list[str]:
    widest = max(len(file.name) for file in publication.files)
    files = [
        f"  {file.name:<{widest}}  {size(file.bytes):>9}  sha256 {file.sha256}"
        for file in publication.files
    ]
    files += [f"  {name:<{widest}}  made when it is published" for name in publication.later]
    what = f"{publication.report.recipe_name} ({publication.run.name})"
    if done is None:
        head = f"would publish {what} to {place.words()}"
        return [
            head,
            *files,
            f"{size(publication.bytes)} in all; nothing was written: --yes does it",
        ]
    read = f"{done.read_back} read back, each with the digest that was sent"
    version = [f"version {done.digest}"] if done.digest else []
    signed = [f"bundle signed by key {publication.key}"] if publication.key else []
    return [f"published {what} to {done.place}", *files, *version, read, *signed, *done.lines]
