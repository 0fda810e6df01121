"""New recipes: shipped ones, drafts from data files, and configs of other tools."""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from engine.cli.output import refuse_taken, show
from engine.drafting import DraftOptions, draft
from engine.drafting.draft_text import draft_message, text_of, wrapped
from engine.drafting.imported import imported
from engine.drafting.tool_config import read_config
from engine.errors import RecipeError, StoreError
from engine.recipe import load_recipe
from engine.recipe.model import PathRef
from engine.recipe.outside import refuse_typed, trust_as_it_stands
from engine.recipe.references import base_reference, named_model
from engine.recipe.text.layout_edit import create
from engine.recipe.text.paths import as_typed, names_in
from engine.recipe.text.words import did_you_mean, nearest, nearest_file
from engine.recipe.validation.schema import recipes_dir
from engine.render.progress_display import columns
from engine.trust.access import NOTHING
from engine.trust.allowed import trust

STARTER = "quickstart"
"""The shipped recipe whose base model a draft takes."""


def init(options: argparse.Namespace) -> None:
    shipped = {path.stem: path for path in sorted(recipes_dir().glob("*.yaml"))}
    if not options.start:
        show("\n".join(f"{name:<28} {_purpose(path)}" for name, path in shipped.items()))
        return
    is_data = options.more or options.kind or options.text or options.label or options.base_model
    if options.start not in shipped or is_data:
        # `os.path` returns False for a name that is too long, where `Path` raises.
        if os.path.exists(options.start):
            _write_draft(options)
            return
        raise _neither(options.start, list(shipped))
    target = options.output or Path(f"{options.start}.yaml")
    source = shipped[options.start]
    text = source.read_text(encoding="utf-8")
    beside = sorted((source.parent / "data").glob("*"))
    named = (path for path in beside if f"data/{path.name}" in text)
    pairs = [(source, target), *((path, target.parent / "data" / path.name) for path in named)]
    # All of them before the first is written, so that no recipe stands there without its data.
    for _, copy in pairs:
        refuse_taken(copy)
    for original, copy in pairs:
        create(copy, original.read_bytes())
    copied = [copy for _, copy in pairs]
    # A shipped recipe names nothing outside its project. Where its run cannot be confined, that asks again.
    with suppress(StoreError):
        trust(target, ())
    wrote = [f"wrote {path}" for path in copied]
    show("\n".join([*wrote, f"next: recipe validate {as_typed(target)}"]))


def _neither(start: str, shipped: list[str]) -> RecipeError:
    what, near = "no shipped recipe", nearest(start, shipped)
    if "." in start or os.sep in start:  # it looks like a path
        what, (folder, name) = "no file and no shipped recipe", os.path.split(start)
        beside = nearest_file(name, names_in(Path(folder)))
        near = f"{start.removesuffix(name)}{beside}" if beside else None
    hint = did_you_mean(near) if near else "recipe init lists them"
    return RecipeError.one("R004", f"{what} is called `{start}`", hint=hint)


def _write_draft(options: argparse.Namespace) -> None:

    files = [Path(name) for name in (options.start, *options.more)]
    name = files[0].absolute().name
    target = options.output or Path(f"{name.split('.')[0] or 'recipe'}.yaml")
    refuse_taken(target)
    starter, _ = load_recipe(recipes_dir() / f"{STARTER}.yaml")
    default = base_reference(starter.base_model)
    if default is None:
        raise AssertionError(starter.name)  # the starter names a model
    wishes = DraftOptions(
        kind=options.kind,
        text=options.text,
        label=options.label,
        base_model=named_model(options.base_model, Path.cwd()) if options.base_model else None,
        encoding=options.encoding,
    )
    # What is drafted is trusted as it stands: a link would make that somebody else's word.
    for file in files:
        refuse_typed(file, target, NOTHING)
    if isinstance(wishes.base_model, PathRef):
        refuse_typed(wishes.base_model.path, target, NOTHING)
    plan = draft(files, target, default_model=default, wishes=wishes)
    create(target, text_of(plan).encode())
    # The draft is there; a run says what has to be allowed.
    with suppress(StoreError):
        trust_as_it_stands(target)
    show(draft_message(plan, file=options.start, width=columns(sys.stdout)))


def _purpose(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return line.partition(":")[2].strip().strip("\"'")
    return ""


def import_(options: argparse.Namespace) -> None:
    target = options.output or Path(f"{options.config.stem}.recipe.yaml")
    refuse_taken(target)
    refuse_typed(options.config, target, NOTHING)
    config = read_config(options.config)
    found = imported(config, target)
    # Not trusted as it stands: what it names comes from the config, which others may have written.
    create(target, found.text.encode())
    width = columns(sys.stdout)
    counts = f"{len(found.taken)} keys taken, {len(found.left_out)} left out"
    lines = [f"{options.config.name}: {found.tool}, {counts}"]
    parts = {
        "taken": found.taken,
        "left out": found.left_out,
        "not stated there: the recipe's own defaults apply": found.unstated,
    }
    for title, pairs in parts.items():
        lines += [title] if pairs else []
        first = max(map(len, pairs), default=0)
        for key, what in pairs.items():
            lines += wrapped(f"  {key:<{first}}  {what}", width=width, indent=" " * (first + 4))
    for note in found.notes:
        lines += wrapped(f"note: {note}", width=width, indent="  ")
    typed = as_typed(target)
    lines += [f"wrote {target}", f"next: recipe validate {typed} && recipe data {typed}"]
    show("\n".join(lines))
