"""`extends`: a recipe that holds only the differences from one parent, a local file.

The parent is merged under the child before any rule is checked: mappings key by key; any other value of the child
replaces the parent's. What comes from the parent keeps its place in the parent's file, and its paths, written from the
parent's folder, are rewritten to lead from the child's. So what follows handles one recipe, and a problem points at the
line that is to be edited.

A mapping that is one value (`x-whole` in the schema) is replaced as a unit, such as a way to split, a sweep or a JSON
Schema. A new base model does not keep the pin of the parent's.
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

KEY: Final = "extends"
_NOT_RELATIVE: Final = re.compile(r"[/\\~]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://")
_PLACES: Final = frozenset({"hub", "path", "package"})


def placed(
    problems: Iterable[Problem], path: Path, *, read: Reader = read_bytes
) -> tuple[Problem, ...]:
    """Return the problems, those of backends with their place; `read` as for `check_recipe`."""
    problems = tuple(problems)
    codes = {one.code for one in problems if one.path and one.place is None}
    codes = {code for code in codes if code.startswith("B") or code == "R351"}
    try:
        source = extended(read_source(path, read=read), read=read)[0] if codes else None
    except RecipeError:
        source = None
    if source is None:
        return problems
    known = {dotted(at): at for at in (*source.values, *source.inherited)}

    def with_place(problem: Problem) -> Problem:
        at = known.get(problem.path)  # A default, or a key of a sweep, is in no file.
        if at is None or problem.place is not None or problem.code not in codes:
            return problem
        place = source.place(at, key=problem.code != "B407")
        place = replace(place, snippet=()) if problem.severity is Severity.WARNING else place
        return replace(problem, place=place)

    return tuple(map(with_place, problems))


def extended(
    child: SourceText, *, read: Reader = read_bytes
) -> tuple[SourceText, tuple[Problem, ...]]:
    """Return `child` with its parent merged in; or `child` alone, and why the parent is not.

    A parent outside the project is read where that is allowed. `read` as for `check_recipe`.
    """
    named = child.value.get(KEY)
    if not isinstance(named, str) or not named:
        return child, ()  # The schema reports a wrong value.
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
    """Return why a parent is not read: no local path, the recipe itself, or outside the project and not allowed."""
    from engine.recipe.outside import parent_outside  # It imports references.

    if _NOT_RELATIVE.match(named):
        message = "must be a path from the folder of this recipe to a local file"
        hint = "copy the parent into the recipe's folder, or into the repository"
        return (child.problem("R125", message, at=(KEY,), hint=hint),)
    if absolute(named, child.path.parent) == child.path:
        return (child.problem("R124", "a recipe cannot extend itself", at=(KEY,)),)
    return tuple(
        child.problem(one.code, f"{one.message}: the parent is not read", at=(KEY,), hint=hint)
        for one, hint in parent_outside(child, named)
    )


def _of_the_child(error: RecipeError, child: SourceText, named: str) -> Iterator[Problem]:
    """Yield the problems of a parent; a file that cannot be read is a problem of the child."""
    for problem in error.problems:
        if problem.code != "R103":
            yield problem
            continue
        folder = absolute(named, child.path.parent).parent
        names = [name for name in names_in(folder) if name.endswith((".yaml", ".yml"))]
        near = nearest_file(posixpath.basename(named), names)
        meant = posixpath.join(posixpath.dirname(named), near or "")
        message = f"the parent `{named}`: {problem.message}"
        yield child.problem("R123", message, at=(KEY,), hint=did_you_mean(meant) if near else None)


def _merged_source(child: SourceText, parent: SourceText) -> SourceText:
    # Recipes write `/` on every system, so the paths are joined as POSIX paths.
    prefix = posixpath.relpath(parent.path.parent.as_posix(), start=child.path.parent.as_posix())
    # After the merge it is unknown from which folder a path is written.
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
        # Rules apply again to what the child replaces.
        broken=child.broken | (parent.broken & inherited),
    )


def _merged(
    child: Json, parent: Json, path: KeyPath, inherited: set[KeyPath], schema: Schema
) -> Json:
    """Return the child's value over the parent's; add the paths that come from the parent to `inherited`."""
    if not isinstance(child, Mapping) or not isinstance(parent, Mapping):
        return child
    expanded = expand(schema)
    if expanded.get("x-whole") or (
        path == ("base_model",) and (_PLACES | {"scratch"}) & child.keys()
    ):
        return dict(child)
    below = dict(children(expanded))
    merged: dict[str, Json] = {}
    for name, part in parent.items():
        at = (*path, name)
        if name in child:
            merged[name] = _merged(child[name], part, at, inherited, below.get(name, {}))
        else:
            merged[name] = part
            inherited.update(_below(part, at))
    return merged | {name: part for name, part in child.items() if name not in parent}


def _below(value: Json, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _below(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _below(item, (*path, position))


def _rebased(value: Any, schema: Schema, prefix: str, *, is_local: bool) -> Any:
    """Return a value with `prefix` before each path in it; what does not fit the schema stays."""
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
    """Return the child's text, followed by the parent's as comments."""
    lines = "\n".join(f"# {line}".rstrip() for line in parent.splitlines())
    return f"{child.rstrip()}\n\n# The parent, {named}:\n#\n{lines}\n"
