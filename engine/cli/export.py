"""Put an accepted model's evidence into one signed file, or a baseline into a folder that labels rows by itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from engine.bundle.archive import ENDING
from engine.bundle.build import make_bundle
from engine.bundle.signing import key_place
from engine.cli.output import log_file, refuse_taken, show_result, store_of
from engine.cli.report import find_run
from engine.cli.streams import others_to
from engine.errors import RecipeError
from engine.recipe.text.paths import as_argument, as_typed
from engine.render.progress import SilentProgress, is_live, open_progress
from engine.runs.export_baseline import export_baseline
from engine.store import Store

ONLY_OF = {
    "bundle": ("key", "overwrite", "with_model", "with_row_texts"),
    "baseline": ("baseline",),
}
"""Options that one kind of export has and the other has not."""


def run(options: argparse.Namespace) -> None:
    for what, names in ONLY_OF.items():
        for name in names:
            if what != options.what and getattr(options, name):
                option = f"--{name.replace('_', '-')}"
                message = f"{option} is of `recipe export {what}`"
                raise RecipeError.one("R315", message, hint=f"leave {option} out")
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
    )
    fields = {"file": str(made.file), "key": made.key, "members": list(made.members)}
    size = made.file.stat().st_size
    contents = f"{len(made.members)} files, {size / 1000:,.0f} kB"
    lines = [f"{made.file}  {contents}", f"signed by key {made.key}"]
    if made.is_new_key:
        lines.append(f"a new key of yours stands in {key_place()}: keep it, and publish its sha256")
    lines.append(f"check it: recipe verify {as_typed(made.file)}")
    show_result(options, {"schema": "bundle.v1", **fields}, "\n".join(lines))


def _export_baseline(options: argparse.Namespace) -> None:
    from engine.render.number_format import size

    given = Path(options.run)
    # A path to an encoder stands in the run as the recipe writes it, which is from the recipe's folder.
    beside = given.parent if os.path.isfile(given) else Path()
    run, root = find_run(options.run, options), store_of(options)
    with others_to(log_file(root, "export")) as terminal:
        progress = open_progress("export", terminal) if is_live(terminal) else SilentProgress()
        try:
            made = export_baseline(
                run,
                Store(root),
                name=options.baseline,
                target=options.output,
                beside=beside.absolute(),
                progress=progress,
            )
        finally:
            progress.close()
    fields = {
        "folder": str(made.folder),
        "baseline": made.name,
        "rows": made.rows,
        "bytes": made.bytes,
    }
    place = as_argument(made.folder)
    lines = [
        # SHA256SUMS does not hold its own digest
        f"{made.folder}  {len(made.files) + 1} files, {size(made.bytes)}",
        f"{made.name}: {made.rows} of {made.rows} holdout rows answered as in the report",
        f"use it: pip install -r {place}/requirements.txt && python {place}/predict.py rows.csv",
    ]
    found = {"schema": "baseline.v1", **fields, "files": dict(made.files)}
    show_result(options, found, "\n".join(lines))
