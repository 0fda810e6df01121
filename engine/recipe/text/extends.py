"""`extends`: a recipe that says only what differs from one parent, a local file.

The parent is merged under the child before any rule is checked: mappings key by key, everything
else is replaced, and the child wins. What comes from the parent keeps its place in the parent's
file, and its paths, written from the parent's folder, are rewritten to lead from the child's. So
what follows sees one recipe, and a problem points at the line that is to be edited.

A mapping that is one value (`x-whole` in the schema) is replaced whole: a way to split does not mix with another, nor
one sweep, half a JSON Schema is none. A base model named anew does not keep the pin of the parent's.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, RecipeError, Severity
from engine.recipe.model import Json
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.paths import absolute, names_in
from engine.recipe.text.source import Reader, SourceText, read_bytes, read_source
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.recipe.validation.schema import Schema, children, expand, recipe_schema
from engine.values import replace

_OF_A_VALUE: Final = frozenset({"B401", "B407"})
"""The others of backends are about a key."""


def placed(
    problems: Iterable[Problem], path: Path, *, read: Reader = read_bytes
) -> tuple[Problem, ...]:
    """Return the problems, those of backends with their place; `read`: see `check_recipe`."""
    found = tuple(problems)
    if not any(map(_lacks_place, found)):
        return found
    try:
        source, _ = extended(read_source(path, read=read), read=read)
    except RecipeError:
        return found
    return tuple(_placed(one, source) if _lacks_place(one) else one for one in found)


def _lacks_place(problem: Problem) -> bool:
    is_of_a_backend = problem.code.startswith("B") or problem.code == "R351"
    return is_of_a_backend and bool(problem.path) and problem.place is None


def _placed(problem: Problem, source: SourceText) -> Problem:
    known = {dotted(at): at for at in (*source.values, *source.inherited)}
    at = known.get(problem.path)
    if at is None:  # a sweep gives it, or a default
        return problem
    place = source.place(at, key=problem.code not in _OF_A_VALUE)
    if problem.severity is Severity.WARNING:
        place = replace(place, snippet=())
    return replace(problem, place=place)


KEY: Final = "extends"
_NOT_RELATIVE: Final = re.compile(r"[/\\~]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://")
_PLACES: Final = frozenset({"hub", "path", "package"})
_STARTS: Final = _PLACES | {"scratch"}


def extended(
    child: SourceText, *, read: Reader = read_bytes
) -> tuple[SourceText, tuple[Problem, ...]]:
    """Return `child` with the parent that it names merged in; or `child` alone, and why the parent could not be.

    A parent outside the project is read where that is allowed. `read` gives the bytes of the parent, as it did
    those of the child: see `check_recipe`.
    """
    named = child.value.get(KEY)
    if not isinstance(named, str) or not named:
        return child, ()  # nothing, or a value that the schema reports
    if unwanted := _unwanted(child, named):
        return child, unwanted
    try:
        parent = read_source(absolute(named, Path(child.file).parent), read=read)
    except RecipeError as error:
        return child, tuple(_of_the_child(error, child, named))
    if KEY in parent.value:
        further = parent.value[KEY]
        is_cycle = isinstance(further, str) and absolute(further, parent.path.parent) == child.path
        fault = "names that as its own parent: a cycle"
        fault = fault if is_cycle else "a parent cannot extend another recipe"
        message = f"this is the parent of `{child.path.name}`, and {fault}"
        hint = "delete this line" if is_cycle else "move what is shared into one parent"
        return child, (parent.problem("R124", message, at=(KEY,), key=True, hint=hint),)
    return _merged_source(child, parent), ()


def _unwanted(child: SourceText, named: str) -> tuple[Problem, ...]:
    """Why a parent is not read: no local path, the recipe itself, or outside the project and not allowed."""
    from engine.recipe.outside import parent_outside  # it builds on references

    if _NOT_RELATIVE.match(named):
        message = "must be a path from the folder of this recipe to a local file"
        hint = "copy the parent beside the recipe, or into the repository"
        return (child.problem("R125", message, at=(KEY,), hint=hint),)
    if absolute(named, child.path.parent) == child.path:
        return (child.problem("R124", "a recipe cannot extend itself", at=(KEY,)),)
    return tuple(
        child.problem(one.code, f"{one.message}: the parent is not read", at=(KEY,), hint=hint)
        for one, hint in parent_outside(child, named)
    )


def _of_the_child(error: RecipeError, child: SourceText, named: str) -> Iterator[Problem]:
    for problem in error.problems:
        if problem.code == "R103":
            message = f"the parent `{named}`: {problem.message}"
            folder = absolute(named, child.path.parent).parent
            names = [name for name in names_in(folder) if name.endswith((".yaml", ".yml"))]
            near = nearest_file(posixpath.basename(named), names)
            yield child.problem(
                "R123",
                message,
                at=(KEY,),
                hint=(
                    did_you_mean(posixpath.join(posixpath.dirname(named), near)) if near else None
                ),
            )
        else:
            yield problem


def _merged_source(child: SourceText, parent: SourceText) -> SourceText:
    # Recipes write `/` on every system, so the paths are joined as POSIX paths.
    prefix = posixpath.relpath(parent.path.parent.as_posix(), start=child.path.parent.as_posix())
    # Before the merge: after it, nothing says from whose folder a path is written.
    rebased = _rebased(dict(parent.value), recipe_schema(), prefix, is_local=True)
    parent = replace(parent, value=rebased)
    inherited: set[KeyPath] = set()
    value: Any = _merged(dict(child.value), dict(parent.value), (), inherited, recipe_schema())
    return replace(
        child,
        value=value,
        parent=parent,
        inherited=frozenset(inherited),
        problems=child.problems + parent.problems,
        # What the child replaces is no longer broken, and the rules about it apply again.
        broken=child.broken | (parent.broken & inherited),
    )


def _merged(
    child: Json, parent: Json, path: KeyPath, inherited: set[KeyPath], schema: Schema
) -> Json:
    """Return the child's value over the parent's; note the paths of what the parent gives."""
    if not isinstance(child, Mapping) or not isinstance(parent, Mapping):
        return child
    expanded = expand(schema)
    if expanded.get("x-whole") or (path == ("base_model",) and _STARTS & child.keys()):
        return dict(child)
    below = dict(children(expanded))
    found: dict[str, Json] = {}
    for name, given in parent.items():
        at = (*path, name)
        if name in child:
            found[name] = _merged(child[name], given, at, inherited, below.get(name, {}))
        else:
            found[name] = given
            inherited.update(_below(given, at))
    found.update({name: given for name, given in child.items() if name not in parent})
    return found


def _below(value: Json, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _below(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _below(item, (*path, position))


def _rebased(value: Any, schema: Schema, prefix: str, *, is_local: bool) -> Any:
    """Return a value with the paths in it led through `prefix`; what does not fit the schema stays."""
    expanded = expand(schema)
    if expanded.get("x-path"):
        is_relative = isinstance(value, str) and value and not _NOT_RELATIVE.match(value)
        return posixpath.normpath(f"{prefix}/{value}") if is_local and is_relative else value
    below = dict(children(expanded))
    if isinstance(value, list) and "[]" in below:
        return [_rebased(item, below["[]"], prefix, is_local=is_local) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _PLACES & value.keys():
        is_local = "path" in value
    return {
        name: _rebased(item, below.get(name, below.get("*", {})), prefix, is_local=is_local)
        for name, item in value.items()
    }


def with_parent_text(child: str, parent: str, *, named: str) -> str:
    """Return the child's text, and after it the parent's as comments: both, and still one recipe."""
    lines = "\n".join(f"# {line}".rstrip() for line in parent.splitlines())
    return f"{child.rstrip()}\n\n# The parent, {named}:\n#\n{lines}\n"
