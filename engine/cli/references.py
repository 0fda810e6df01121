"""What recipes name: pins of it, and the user's word for what is outside the project."""

import argparse
import sys
from pathlib import Path

from engine.cli.output import allowed, show, show_json, show_problems, show_result
from engine.errors import EngineError, ExitCode, Problem, RecipeError
from engine.recipe.outside import CODES as OUTSIDE
from engine.recipe.outside import trust_as_it_stands
from engine.recipe.text.layout_edit import rewrite
from engine.render.problems import problems_json
from engine.render.progress_display import progress_on_terminal
from engine.sources.hub import quieten
from engine.sources.pin import Pinned, pin_recipe
from engine.trust.allowed import forget, records

SHOWN = 12
"""Characters of a digest that people compare."""


def pin(options: argparse.Namespace) -> int:
    """Return 0 when every recipe is pinned; 3 when something could not be found: that recipe stays as it was."""
    found: dict[Path, Pinned] = {}
    problems: list[Problem] = []
    code = ExitCode.ACCEPTED
    quieten()
    given = allowed(options)
    for path in options.recipes:
        try:
            with progress_on_terminal("pin", sys.stderr) as progress:
                pinned = pin_recipe(path, progress, upgrade=options.upgrade, given=given)
            if pinned.pins and not pinned.problems:
                rewrite(path, pinned.text)
            found[path] = pinned
            problems += pinned.problems
            if pinned.problems:
                # a mistake of the user's where all that is missing is the user's word
                is_refused = all(problem.code in OUTSIDE for problem in pinned.problems)
                code = max(code, ExitCode.USAGE if is_refused else ExitCode.FAILED)
        except EngineError as error:
            problems += error.problems
            code = max(code, error.exit_code)
    if options.format == "json":
        recipes = [_pin_json(path, pinned) for path, pinned in found.items()]
        wrong = problems_json(problems)["problems"]
        show_json({"schema": "pins.v1", "recipes": recipes, "problems": wrong})
    else:
        for path, pinned in found.items():
            show("\n".join(_pin_lines(path, pinned)))
        # Both streams may lead to one place, where the problems stand last.
        sys.stdout.flush()
        show_problems(problems)
    return code


def _pin_lines(path: Path, pinned: Pinned) -> list[str]:
    lines = [
        f"{path}: {pin.key}  {pin.old[:SHOWN] or 'none'} -> {pin.new[:SHOWN]}  "
        f"{pin.of} ({pin.about}{f'; {pin.note}' if pin.note else ''})"
        for pin in pinned.pins
    ]
    lines += [f"{path}: {note}" for note in pinned.notes]
    if pinned.problems:
        return [*lines, f"{path}: left as it was"]
    outcome = f"{len(pinned.pins)} pinned" if pinned.pins else "nothing to pin"
    before = f", {pinned.kept} pinned before" if pinned.kept else ""
    return [*lines, f"{path}: {outcome}{before}"]


def _pin_json(path: Path, pinned: Pinned) -> dict[str, object]:
    pins = [
        {"path": pin.key, "of": pin.of, "old": pin.old or None, "new": pin.new, "about": pin.about}
        for pin in pinned.pins
    ]
    return {
        "file": str(path),
        "written": bool(pins) and not pinned.problems,
        "pins": pins,
        "kept": pinned.kept,
        "notes": list(pinned.notes),
    }


def trust(options: argparse.Namespace) -> None:
    if not options.list and options.recipe is None:
        hint = "recipe trust RECIPE, or recipe trust --list"
        raise RecipeError.one("R314", "no recipe is named", hint=hint)
    recipe = options.recipe
    fields: dict[str, object] = {"schema": "trust.v1"}
    if options.list:
        found = records()
        lines = ((f"{one.recipe}  {one.trusted[:10]}", *one.references) for one in found)
        text = "\n".join("\n  ".join(one) for one in lines) or "no recipe is trusted"
        names = ("sha256", "trusted")
        fields["recipes"] = [
            {"recipe": str(one.recipe)}
            | {name: getattr(one, name) for name in names}
            | {"references": list(one.references)}
            for one in found
        ]
    elif options.forget:
        was_there = forget(recipe)
        text = f"{recipe} {'is no longer trusted' if was_there else 'was not trusted'}"
        fields |= {"recipe": str(recipe), "forgotten": was_there}
    else:
        references = sorted({one.reference for one in trust_as_it_stands(recipe)})
        text = f"{recipe} names nothing outside its project; where a machine cannot confine it, it counts as yours"
        if references:
            text = f"{recipe} may now, and until it names something else outside its project:"
        text = "\n  ".join([text, *references])
        fields |= {"recipe": str(recipe), "references": references}
    show_result(options, fields, text)
