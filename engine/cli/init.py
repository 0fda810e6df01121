"""Copy a shipped recipe to start from; without a name, list them."""

from __future__ import annotations

import argparse
import shutil
from difflib import get_close_matches
from pathlib import Path

from engine.cli.output import show
from engine.errors import ExitCode, RecipeError
from engine.recipe.shipped import recipes_dir


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("template", metavar="TEMPLATE", nargs="?", help="a shipped recipe's name")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: TEMPLATE.yaml")


def run(options: argparse.Namespace) -> int:
    """Copy one recipe and the data it names; never over a file that exists."""
    shipped = {path.stem: path for path in sorted(recipes_dir().glob("*.yaml"))}
    if not options.template:
        show("\n".join(f"{name:<28} {_purpose(path)}" for name, path in shipped.items()))
        return ExitCode.ACCEPTED
    if options.template not in shipped:
        near = get_close_matches(options.template, shipped, 1)
        hint = f"did you mean `{near[0]}`?" if near else "recipe init lists them"
        raise _mistake("R004", f"no shipped recipe is called `{options.template}`", hint)
    target = options.output or Path(f"{options.template}.yaml")
    copied = _copy(shipped[options.template], target)
    show("\n".join([*(f"wrote {path}" for path in copied), f"next: recipe validate {target}"]))
    return ExitCode.ACCEPTED


def _copy(source: Path, target: Path) -> list[Path]:
    """The recipe, and the sample data beside it that it names."""
    text = source.read_text(encoding="utf-8")
    pairs = [(source, target)]
    pairs += [
        (path, target.parent / path.relative_to(source.parent))
        for path in sorted((source.parent / "data").glob("*"))
        if f"data/{path.name}" in text
    ]
    taken = [copy for _, copy in pairs if copy.exists()]
    if taken:
        hint = "choose another place with -o FILE"
        raise _mistake("R005", f"`{taken[0]}` is already there", hint)
    for original, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)
    return [copy for _, copy in pairs]


def _purpose(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return line.partition(":")[2].strip().strip("\"'")
    return ""


def _mistake(code: str, message: str, hint: str) -> RecipeError:
    return RecipeError.one(code, message, hint=hint)
