"""What a recipe names outside its project: files, servers, and keys for them.

Each is a reference in words, such as `read /data/rows.csv` or `send rows to api.example.org`; the user allows them word
for word. What is not allowed is a warning, is not read and not asked, and a run refuses it.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from engine.errors import Place, Problem, RecipeError, Severity
from engine.recipe.model import Endpoint, Outside, PathRef, Recipe
from engine.recipe.references import asked_models, references_of, sources_at
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
    """Yield what reading a parent would read outside without being allowed to, and the words that allow it."""
    for one in unread(child, named, "extends"):
        yield one, _hint([one], Path(child.file))


def unread(source: SourceText, written: str, key: str) -> tuple[Outside, ...]:
    """Return what reading a path of a recipe's text would read outside without being allowed to."""
    place = absolute(written, source.path.parent)
    return _not_allowed(_of_path(source.judge, written, place, (key,)))


def outside_of(recipe: Recipe, judge: AccessCheck) -> tuple[Outside, ...]:
    folder = recipe.file.parent
    found: list[Outside] = []
    if recipe.extends:
        found += _of_path(judge, recipe.extends, absolute(recipe.extends, folder), ("extends",))
    for at, named in named_of(recipe):
        found += _of_named(judge, named, folder, at)
    return _unique(found)


def _unique(found: Sequence[Outside]) -> tuple[Outside, ...]:
    """Return each reference once, where it is named first."""
    # A dictionary keeps the last value of a key; read from the end, that is the first place.
    return tuple({one.reference: one for one in reversed(found)}.values())[::-1]


def withheld(recipe: Recipe, judge: AccessCheck) -> Recipe:
    """Return the recipe with everything marked that its user has not allowed."""
    # By identity: equal references may stand at different keys, which the words for the user name.
    marks = {
        id(named): _not_allowed(_of_named(judge, named, recipe.file.parent, at))
        for at, named in named_of(recipe)
    }

    def marked(value: Any) -> Any:
        if left := marks.get(id(value)):
            return replace(value, withheld=left)
        if isinstance(value, tuple):
            return tuple(map(marked, value))
        if not isinstance(value, Value):
            return value
        return replace(
            value, **{one.name: marked(getattr(value, one.name)) for one in fields(value)}
        )

    return cast("Recipe", marked(recipe)) if any(marks.values()) else recipe


def withheld_of(recipe: Recipe) -> tuple[Outside, ...]:
    return _unique([one for _, named in named_of(recipe) for one in named.withheld])


def warnings_of(recipe: Recipe, source: SourceText) -> Iterator[Problem]:
    """Yield a warning for everything that is withheld, at each key that names it."""
    # Many files that a pattern matches may lead to one folder outside: it is named once.
    marked = (one for _, named in named_of(recipe) for one in named.withheld)
    for one in {(one.at, one.reference): one for one in marked}.values():
        hint = _hint([one], Path(source.file))
        yield source.warning(one.code, one.message, at=one.at, hint=hint)


def trust_as_it_stands(file: Path) -> tuple[Outside, ...]:
    """Keep the user's word for all that a recipe names outside its project now, and return it.

    The word is kept where there is nothing, too: where a machine cannot confine a run, it says whose the recipe is.
    RecipeError with every problem where the recipe is not valid, StoreError E760 where the word cannot be kept.
    """
    from engine.recipe.resolve import load_recipe  # it builds on this module
    from engine.trust.allowed import trust

    # Allowed for this look only: a parent or a pattern outside has to be read to list what is in it.
    given = Allowed(everything=True)
    recipe, _ = load_recipe(file, given=given)
    found = list(outside_of(recipe, AccessCheck(recipe=recipe.file, given=given)))
    # The link itself is such a thing: without it, `refuse_leading_out` would still refuse the recipe.
    if file.is_symlink():
        found += _of_path(AccessCheck(recipe=file, given=given), file.name, file, ())
    trust(file, [one.reference for one in found])
    return tuple(found)


def refuse_leading_out(file: Path, given: Allowed) -> None:
    """RecipeError R306 for a recipe file that is a link out of its project: what it leads to was not asked for."""
    if not file.is_symlink():
        return
    judge = AccessCheck(recipe=file, given=given)
    place = Place(file=str(file))
    found = [
        Problem(code=one.code, message=one.message, hint=_hint([one], file), place=place)
        for one in _not_allowed(_of_path(judge, file.name, file, ()))
    ]
    if found:
        raise RecipeError(found)


def refuse_typed(path: Path, recipe: Path, given: Allowed) -> None:
    """RecipeError R306 for a path of the command line inside the recipe's project that leads elsewhere by a link."""
    judge = AccessCheck(recipe=recipe, given=given)
    whole = Path(os.path.abspath(path))  # as typed: resolving would follow the link
    if not any(whole.is_relative_to(root) for root in judge.project.roots):
        return
    found = _not_allowed(_of_path(judge, str(path), whole, ()))
    problems = [
        Problem(code=one.code, message=one.message, hint=f"if you mean it, name it: {name}")
        for one in found
        for name in [shlex.quote(one.option[1])]
    ]
    if problems:
        raise RecipeError(problems)


def refusal(
    found: Sequence[Outside], file: Path | str, problems: Sequence[Problem] = ()
) -> RecipeError:
    """Return the error of what may not be reached outside the project; it says what would allow all of it.

    `problems` are those of validation, which know the places in the file.
    """
    placed = {(one.code, one.path, one.message): one for one in problems}
    errors: list[Problem] = []
    for number, one in enumerate(found, start=1):
        plain = Problem(code=one.code, message=one.message, path=dotted(one.at))
        known = placed.get((plain.code, plain.path, plain.message), plain)
        # The last one allows all of them, so that the user does not repeat the command for each.
        hint = _hint(found if number == len(found) else [one], file)
        errors.append(replace(known, severity=Severity.ERROR, hint=hint))
    return RecipeError(errors)


def _hint(found: Sequence[Outside], file: Path | str) -> str:
    options = list(dict.fromkeys(one.option for one in found))
    words = " ".join(f"{name} {shlex.quote(value)}" for name, value in options)
    # Quoted: the user pastes this into a shell, and the names in it are the recipe author's.
    return f"recipe trust {as_typed(file)}, or for one call: {words}"


def named_of(recipe: Recipe) -> Iterator[tuple[KeyPath, PathRef | Endpoint]]:
    sources = iter([source for _, source in sources_at(recipe)])
    for at, ref, what in references_of(recipe):
        if isinstance(ref, PathRef):
            yield (*at, "gguf" if what == "gguf" else "path"), ref
        for one in next(sources).columns if what == "data set" else ():
            if isinstance(one.ref, PathRef):
                yield (*at, "columns", one.column), one.ref
    for position, baseline in enumerate(recipe.baselines):
        if baseline.endpoint is not None:
            yield ("baselines", position, "model"), baseline.endpoint
    for at, model in asked_models(recipe):
        if model.endpoint is not None:
            yield at, model.endpoint


def _not_allowed(found: Iterable[Outside]) -> tuple[Outside, ...]:
    return tuple(one for one in found if not one.allowed)


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
        found = judge.read(place, below=below)
    except (OSError, ValueError):  # no path at all, as the rule about paths tells
        return
    for reference, real, allowed in found:
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
    except ValueError:  # no address, as the rule about endpoints tells
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
