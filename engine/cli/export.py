"""Put an accepted model's recipe, lock, report and card into one signed file."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.output import show_result
from engine.cli.place import add_flag, add_shared, recipe_name
from engine.cli.report import find_run

KINDS = ("bundle",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", metavar="bundle", choices=KINDS, help="what to make: bundle")
    parser.add_argument(
        "run", metavar="RUN", nargs="?", default="",
        help="a run folder, a recipe file or name for its latest run; default: the newest of all",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="where to (default: NAME.bundle.tar)"
    )
    parser.add_argument(
        "--key", metavar="FILE", type=Path,
        help="an ed25519 private key (PEM) to sign with; default: your own, made when first needed",
    )  # fmt: skip
    add_flag(parser, "--with-model", "put the model's files into the bundle too")
    add_shared(parser)


def run(options: argparse.Namespace) -> None:
    """Write the bundle and say by which key it is signed."""
    from engine.bundle.build import make_bundle  # after the arguments are known good
    from engine.bundle.signing import key_place

    folder = find_run(recipe_name(options.run), options)
    target = options.output or Path(f"{folder.parent.name}.bundle.tar")
    made = make_bundle(folder, target, key=options.key, with_model=options.with_model)
    fields = {"file": str(made.file), "key": made.key, "members": list(made.members)}
    size = made.file.stat().st_size
    contents = f"{len(made.members)} files, {size / 1000:,.0f} kB"
    lines = [f"{made.file}  {contents}", f"signed by key {made.key}"]
    if made.is_new_key:
        lines.append(f"a new key of yours stands in {key_place()}: keep it, and publish its sha256")
    lines.append(f"check it: recipe verify {made.file}")
    show_result(options, {"schema": "bundle.v1", **fields}, "\n".join(lines))
