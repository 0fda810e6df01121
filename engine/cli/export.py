"""Put an accepted model's recipe, lock, report and card into one signed file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from engine.cli.output import show, show_json
from engine.cli.place import add_shared, read
from engine.cli.report import find_run
from engine.errors import ExitCode

KINDS = ("bundle",)
ENDINGS = (".yaml", ".yml")


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
    parser.add_argument(
        "--with-model", action="store_true", help="put the model's files into the bundle too"
    )
    add_shared(parser)


def run(options: argparse.Namespace) -> int:
    """Write the bundle and say by which key it is signed."""
    from engine.bundle.build import make_bundle  # after the arguments are known good
    from engine.bundle.signing import key_place

    folder = find_run(_named(options.run), options.store, trust=options.trust_store)
    target = options.output or Path(f"{folder.parent.name}.bundle.tar")
    made = make_bundle(folder, target, key=options.key, with_model=options.with_model)
    if options.format == "json":
        fields = {"file": str(made.file), "key": made.key, "members": list(made.members)}
        show_json({"schema": "bundle.v1", **fields})
        return ExitCode.ACCEPTED
    size = made.file.stat().st_size
    lines = [
        f"{made.file}  {len(made.members)} files, {size / 1000:,.0f} kB",
        f"signed by key {made.key}",
    ]
    if made.is_new_key:
        lines.append(f"a new key of yours stands in {key_place()}: keep it, and publish its sha256")
    lines.append(f"check it: recipe verify {made.file}")
    show("\n".join(lines))
    return ExitCode.ACCEPTED


def _named(reference: str) -> str:
    """Return the name of the recipe that a file holds; anything else as it is."""
    path = Path(reference)
    # `os.path` returns False for a name that is too long, where `Path` raises.
    if path.suffix in ENDINGS and os.path.isfile(path):
        return read(path)[0].name
    return reference
