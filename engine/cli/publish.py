"""Put an accepted model where people fetch models, and read it back: first only shown, done with --yes.

    recipe publish tickets --to hub --name team/tickets

What leaves: the model in the forms asked for, its card, the report without texts of rows, and the signed bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.cli.output import log_file, show_result, store_of
from engine.cli.report import find_run
from engine.cli.streams import others_to
from engine.errors import RecipeError
from engine.files.leases import temporary_folder
from engine.publish.contents import Publication, PublishOptions, gather
from engine.publish.destination import Destination, Folder, Note, Published
from engine.publish.hub import Hub
from engine.publish.oci import OciLayout
from engine.publish.ollama import Ollama
from engine.publish.registry import Registry
from engine.render.number_format import size
from engine.render.progress import SilentProgress, is_live, open_progress
from engine.store import Store
from engine.trust.allowed import from_options
from engine.values import replace

ONLY_OF = {"public": "hub", "key_from": "oci", "allow_key": "oci", "allow_host": "ollama"}
"""Options of one place."""


def run(options: argparse.Namespace) -> None:
    """Show what would be written where, or write it, read it back and say what stands there."""
    for name, kind in ONLY_OF.items():
        if getattr(options, name) and options.to != kind:
            option = f"--{name.replace('_', '-')}"
            message = f"{option} is of `recipe publish --to {kind}`"
            raise RecipeError.one("R423", message, hint=f"leave {option} out")
    folder, root = find_run(options.run, options), store_of(options)
    place = _place(options, root)

    wanted = PublishOptions(
        forms=tuple(dict.fromkeys(options.form)),
        key=options.key,
        signing_key=options.sign_model,
        makes_key=options.yes,
        has_evidence=options.to != "ollama",
    )
    with temporary_folder() as work, _notes(root) as note:
        publication = gather(folder, Store(root), wanted, work)
        place.check(publication)
        done = place.publish(publication, note) if options.yes else None
    publication = replace(
        publication,
        files=tuple(one for one in publication.files if place.takes(one.name)),
        later=tuple(name for name in publication.later if place.takes(name)),
    )
    value = {"schema": "publication.v1", **_json(options, publication, done)}
    show_result(options, value, "\n".join(_lines(place, publication, done)))


def _place(options: argparse.Namespace, root: Path) -> Destination:
    given = from_options([], options.allow_host, options.allow_key)
    if options.to == "ollama":
        return Ollama(name=options.name, store=Store(root), given=given)
    # A host begins with neither `.` nor `/`.
    if options.to == "oci" and options.name.startswith((".", "/")):
        return OciLayout(folder=Path(options.name))
    if options.to == "oci":
        return Registry(name=options.name, variable=options.key_from, given=given)
    if options.to == "hub":
        return Hub(repo=options.name, is_public=options.public)

    return Folder(folder=Path(options.name))


@contextmanager
def _notes(root: Path) -> Iterator[Note]:
    with others_to(log_file(root, "publish")) as terminal:
        progress = open_progress("publish", terminal) if is_live(terminal) else SilentProgress()
        try:
            yield progress.note
        finally:
            progress.close()


def _lines(place: Destination, publication: Publication, done: Published | None) -> list[str]:
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


def _json(
    options: argparse.Namespace, publication: Publication, done: Published | None
) -> dict[str, Any]:
    return {
        "to": options.to,
        "name": options.name,
        "run": str(publication.run),
        "forms": list(publication.forms),
        "files": [
            {"name": file.name, "bytes": file.bytes, "sha256": file.sha256}
            for file in publication.files
        ],
        "later": list(publication.later),
        "key": publication.key or None,
        "published": done is not None,
        "place": done.place if done else None,
        "version": (done.digest or None) if done else None,
        "read_back": done.read_back if done else 0,
    }
