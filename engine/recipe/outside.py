"""Things outside the project that a recipe names: files, servers, and keys for servers.

Each is a reference in words, such as `read /data/rows.csv` or `send rows to api.example.org`, which the user allows
word for word. What is not allowed is a warning, is not read and gets no request, and a run refuses it.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from engine.errors import Place, Problem, RecipeError, Severity
from engine.recipe.model import Endpoint, Outside, PathRef, Recipe
from engine.recipe.references import endpoints_of, references_of, sources_at
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.paths import absolute, as_typed, start_of
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show
from engine.trust.access import AccessCheck
from engine.trust.allowed import Allowed
from engine.trust.hosts import parse_address
from engine.values import Value, fields, replace

READ: Final = "R306"
ROWS: Final = "R307"
KEY: Final = "R308"
CODES: Final = frozenset({READ, ROWS, KEY})


def parent_outside(child: SourceText, named: str) -> Iterator[tuple[Outside, str]]:
    """Yield what reading a parent would read outside and is not allowed, with the command that allows it."""
    for thing in unread(child, named, "extends"):
        yield thing, _hint([thing], Path(child.file))


def unread(source: SourceText, written: str, key: str) -> tuple[Outside, ...]:
    """Return what reading a path in a recipe's text would read outside and is not allowed."""
    place = absolute(written, source.path.parent)
    return _not_allowed(_of_path(source.judge, written, place, (key,)))


def outside_of(recipe: Recipe, judge: AccessCheck) -> tuple[Outside, ...]:
    folder = recipe.file.parent
    things: list[Outside] = []
    if recipe.extends:
        things += _of_path(judge, recipe.extends, absolute(recipe.extends, folder), ("extends",))
    for at, named in named_of(recipe):
        things += _of_named(judge, named, folder, at)
    return _unique(things)


def _unique(things: Iterable[Outside]) -> tuple[Outside, ...]:
    """Return each reference once, at its first key."""
    first: dict[str, Outside] = {}
    for thing in things:
        first.setdefault(thing.reference, thing)
    return tuple(first.values())


def withheld(recipe: Recipe, judge: AccessCheck) -> Recipe:
    """Return the recipe with marks at everything that its user has not allowed."""
    # By identity: the words for the user have the key, and equal references may be at several keys.
    marks = {
        id(named): _not_allowed(_of_named(judge, named, recipe.file.parent, at))
        for at, named in named_of(recipe)
    }

    def marked(value: Any) -> Any:
        if forbidden := marks.get(id(value)):
            return replace(value, withheld=forbidden)
        if isinstance(value, tuple):
            return tuple(map(marked, value))
        if not isinstance(value, Value):
            return value
        parts = {field.name: marked(getattr(value, field.name)) for field in fields(value)}
        return replace(value, **parts)

    return cast("Recipe", marked(recipe)) if any(marks.values()) else recipe


def withheld_of(recipe: Recipe) -> tuple[Outside, ...]:
    return _unique(thing for _, named in named_of(recipe) for thing in named.withheld)


def warnings_of(recipe: Recipe, source: SourceText) -> Iterator[Problem]:
    """Yield a warning for everything that is withheld, at each key that names it."""
    # Several files of a pattern may lead to one folder outside, which is reported once.
    marked = (thing for _, named in named_of(recipe) for thing in named.withheld)
    for thing in {(thing.at, thing.reference): thing for thing in marked}.values():
        hint = _hint([thing], Path(source.file))
        yield source.warning(thing.code, thing.message, at=thing.at, hint=hint)


def trust_as_it_stands(file: Path) -> tuple[Outside, ...]:
    """Store the user's permission for everything outside the project that a recipe names now, and return it.

    The permission is stored even if it is empty: it shows whose recipe it is on a machine that cannot confine a run.
    RecipeError with every problem of a wrong recipe, StoreError E760 where the permission cannot be stored.
    """
    from engine.recipe.resolve import load_recipe  # It imports this module.
    from engine.trust.allowed import trust

    # Allowed for this call only: a parent or a pattern outside has to be read to list its references.
    given = Allowed(everything=True)
    recipe, _ = load_recipe(file, given=given)
    things = list(outside_of(recipe, AccessCheck(recipe=file, given=given)))
    # Without permission for the link itself, `refuse_leading_out` would still refuse the recipe.
    if file.is_symlink():
        things += _of_path(AccessCheck(recipe=file, given=given), file.name, file, ())
    trust(file, [thing.reference for thing in things])
    return tuple(things)


def refuse_leading_out(file: Path, given: Allowed) -> None:
    """RecipeError R306 for a recipe file that is a link out of its project."""
    if not file.is_symlink():
        return
    things = _of_path(AccessCheck(recipe=file, given=given), file.name, file, ())
    place = Place(file=str(file))
    problems = [
        Problem(code=one.code, message=one.message, hint=_hint([one], file), place=place)
        for one in _not_allowed(things)
    ]
    if problems:
        raise RecipeError(problems)


def refuse_typed(path: Path, recipe: Path, given: Allowed) -> None:
    """RecipeError R306 for a path of the command line that leads out of the recipe's project by a link."""
    judge = AccessCheck(recipe=recipe, given=given)
    whole = Path(os.path.abspath(path))  # as typed: resolving would follow the link
    if not any(whole.is_relative_to(root) for root in judge.project.roots):
        return
    problems = []
    for thing in _not_allowed(_of_path(judge, str(path), whole, ())):
        hint = f"if you mean it, name it: {shlex.quote(thing.option[1])}"
        problems.append(Problem(code=thing.code, message=thing.message, hint=hint))
    if problems:
        raise RecipeError(problems)


def refusal(
    things: Sequence[Outside], file: Path | str, problems: Sequence[Problem] = ()
) -> RecipeError:
    """Return the error for things outside that are not allowed; its last hint is the command that allows all of them.

    `problems` are those of validation, which have the places in the file.
    """
    placed = {(one.code, one.path, one.message): one for one in problems}
    errors: list[Problem] = []
    for number, thing in enumerate(things, start=1):
        plain = Problem(code=thing.code, message=thing.message, path=dotted(thing.at))
        known = placed.get((plain.code, plain.path, plain.message), plain)
        hint = _hint(things if number == len(things) else [thing], file)
        errors.append(replace(known, severity=Severity.ERROR, hint=hint))
    return RecipeError(errors)


def _hint(things: Sequence[Outside], file: Path | str) -> str:
    options = list(dict.fromkeys(thing.option for thing in things))
    words = " ".join(f"{name} {shlex.quote(value)}" for name, value in options)
    # Quoted: the user pastes this into a shell, and the names in it are the recipe author's.
    return f"recipe trust {as_typed(file)}, or for one call: {words}"


def named_of(recipe: Recipe) -> Iterator[tuple[KeyPath, PathRef | Endpoint]]:
    sources = iter([source for _, source in sources_at(recipe)])
    for at, ref, what in references_of(recipe):
        if isinstance(ref, PathRef):
            yield (*at, "gguf" if what == "gguf" else "path"), ref
        for file in next(sources).columns if what == "data set" else ():
            if isinstance(file.ref, PathRef):
                yield (*at, "columns", file.column), file.ref
    yield from endpoints_of(recipe)


def _not_allowed(things: Iterable[Outside]) -> tuple[Outside, ...]:
    return tuple(thing for thing in things if not thing.allowed)


def _of_named(
    judge: AccessCheck, named: PathRef | Endpoint, folder: Path, at: KeyPath
) -> Iterator[Outside]:
    if isinstance(named, Endpoint):
        return _of_server(judge, named.url, named.api_key_env, at)
    start = start_of(named.pattern, folder) if named.pattern else None
    return _of_path(judge, named.pattern or named.written, named.path, at, below=start)


def _of_path(
    judge: AccessCheck, written: str, place: Path, at: KeyPath, *, below: Path | None = None
) -> Iterator[Outside]:
    try:
        reads = judge.read(place, below=below)
    except (OSError, ValueError):  # R302 reports it
        return
    for reference, real, allowed in reads:
        yield Outside(
            code=READ,
            at=at,
            reference=reference,
            message=f"{show(written)} leads outside the project, to {show(str(real))}",
            option=("--allow-read", str(real)),
            allowed=allowed,
        )


def _of_server(judge: AccessCheck, url: str, variable: str, at: KeyPath) -> Iterator[Outside]:
    try:
        address = parse_address(url)
    except ValueError:  # R309 reports it
        return
    for reference, allowed in judge.asked(address, variable):
        is_key = reference.startswith("send $")
        what = f"${variable}" if is_key else "rows"
        by_name = ("--allow-key", f"{variable}={address.name}")
        yield Outside(
            code=KEY if is_key else ROWS,
            at=(*at, "api_key_env" if is_key else "endpoint"),
            reference=reference,
            message=f"{what} would be sent to {address.name}",
            option=by_name if is_key else ("--allow-host", address.name),
            allowed=allowed,
        )
