"""Rules about what a recipe refers to outside itself: pinned, present, portable."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import Problem
from engine.files.reading import require_data
from engine.recipe.model import HubRef, PackageRef, Recipe
from engine.recipe.references import endpoints_of, references_of, written_references
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.paths import absolute, as_typed, from_here, is_pattern, names_in
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.recipe.validation.schema_errors import show
from engine.trust.hosts import is_never_sent, parse_address

_HOME: Final = r"~(?:$|[^/\\]*[/\\])"
_ABSOLUTE: Final = re.compile(rf"[/\\]|[A-Za-z]:[/\\]|{_HOME}")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILLED_BY_SHELLS: Final = re.compile(rf"\$\w|\$\{{|%\w+%|{_HOME}")
_RELATIVE: Final = "write it relative to the recipe's folder"
_LOOSE_HUB: Final = "reference can move: hub {what} without revision"
_LOOSE_PACKAGE: Final = "reference can move: package without sha256"
_SERVED: Final = "reference can move: a server may serve another model tomorrow"
_PIN: Final = "recipe pin {file}"
_ALLOW: Final = "set `allow_moving: true`"
PLACE_KEYS: Final = (
    *("base_model", "data.sources", "data.replay", "data.synthesize", "baselines", "teacher"),
    *("task.kind", "acceptance.forgetting"),
)


@rule("allow_moving", *PLACE_KEYS)
def references_are_pinned(recipe: SourceText) -> Problems:
    for at, place, what in () if recipe["allow_moving"] else written_references(recipe.filled):
        # A reference in the parent's file is pinned there.
        hint = _PIN.format(file=as_typed(recipe.owner(at).file))
        if "hub" in place and "revision" not in place:
            yield recipe.warning("R301", _LOOSE_HUB.format(what=what), at=at, hint=hint)
        if "package" in place and "sha256" not in place:
            yield recipe.warning("R301", _LOOSE_PACKAGE, at=at, hint=hint)
        if "endpoint" in place:
            yield recipe.warning("R301", _SERVED, at=(*at, "endpoint"), hint=_ALLOW)


def moving_references(recipe: Recipe) -> tuple[Problem, ...]:
    """Return the references that are not pinned, as errors, whatever `allow_moving` says: the caller decides."""
    hint = f"{_PIN.format(file=as_typed(from_here(recipe.file)))}, or `allow_moving: true`"
    moving: list[tuple[KeyPath, str, str]] = []
    for at, ref, what in references_of(recipe):
        if isinstance(ref, HubRef) and ref.revision is None:
            moving.append((at, _LOOSE_HUB.format(what=what), hint))
        if isinstance(ref, PackageRef) and ref.sha256 is None:
            moving.append((at, _LOOSE_PACKAGE, hint))
    moving += [((*at, "endpoint"), _SERVED, _ALLOW) for at, _ in endpoints_of(recipe)]
    return tuple(
        Problem(code="R301", message=message, path=dotted(at), hint=how)
        for at, message, how in moving
    )


@rule(*PLACE_KEYS)
def paths_can_be_read_anywhere(recipe: SourceText) -> Problems:
    for at, written, wanted in _paths(recipe):
        path = absolute(written, recipe.path.parent)
        if _ABSOLUTE.match(written):
            message = f"{show(written)} exists on one machine only"
            yield recipe.warning("R303", message, at=at, hint=_RELATIVE)
        if not recipe.judge.may_read(path):
            continue  # R306 reports it
        try:
            # By kind and size only: opening a named pipe would wait for ever.
            require_data(path)
        except FileNotFoundError:
            message = f"no such file or folder: {show(written)}"
            yield recipe.problem("R302", message, at=at, hint=_other_path(written, path, recipe))
        except IsADirectoryError:
            if wanted:
                yield recipe.problem("R302", f"{show(written)} is a folder; name {wanted}", at=at)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            yield recipe.problem("R302", f"{show(written)}: {reason}", at=at)


def _paths(recipe: SourceText) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield every local path at its key, and what to name instead of a folder; patterns are in R250."""
    for at, place, what in written_references(recipe.filled):
        if path := place.get("gguf"):
            yield (*at, "gguf"), path, "the GGUF file"
        if not (path := place.get("path")):
            continue
        if what != "data set":
            yield (*at, "path"), path, "" if what == "model" else "the file of the rows"
            continue
        if not is_pattern(path, recipe.path.parent):
            yield (*at, "path"), path, f"its files: `{path.rstrip('/')}/*`"
        for column, file in place["columns"].items():
            yield (*at, "columns", column), file, "a file"


def _other_path(written: str, path: Path, recipe: SourceText) -> str | None:
    """Return what to write instead of a path that leads to nothing; None where that is unknown."""
    if _ADDRESS.match(written):
        return "download it and name the file; what is on the Hugging Face hub is named by `hub`"
    if _FILLED_BY_SHELLS.match(written):
        return f"`$NAME`, `%NAME%` and `~` are not filled in: {_RELATIVE}"
    # A hint would name files of a folder that the recipe may not list.
    names = names_in(path.parent) if recipe.judge.may_list(path.parent) else []
    near = nearest_file(path.name, names)
    return did_you_mean(f"{written.removesuffix(path.name)}{near}") if near else None


@rule(*PLACE_KEYS)
def inner_paths_stay_inside(recipe: SourceText) -> Problems:
    """R304: a path in an archive or a repository does not lead out of it."""
    for at, place, what in written_references(recipe.filled):
        files: list[tuple[KeyPath, str]] = [((*at, "file"), place.get("file", "x"))]
        if what == "data set" and "path" not in place:
            columns = place["columns"].items()
            files += [((*at, "columns", column), file) for column, file in columns]
        for key, file in files:
            # A backslash is a separator on Windows, where `..\x` leads out as well.
            if any(
                not step or step.startswith("/") or "\\" in step or ".." in step.split("/")
                for step in file.split("//")
            ):
                message = f"{show(file)} must be a relative path without `..`"
                yield recipe.problem("R304", message, at=key)


@rule("task.kind", "baselines")
def endpoints_can_be_asked(recipe: SourceText) -> Problems:
    for at, model, _ in written_references(recipe.filled):
        url, variable = model.get("endpoint"), str(model.get("api_key_env", ""))
        if not isinstance(url, str):
            continue
        if is_never_sent(variable):
            message = f"${variable} is no key of a model's server, and is sent to none"
            yield recipe.problem("R310", message, at=(*at, "api_key_env"))
        try:
            address = parse_address(url)
        except ValueError as error:
            message = f"{show(url)} can be read in more than one way"
            yield recipe.problem("R309", message, at=(*at, "endpoint"), hint=str(error))
            continue
        if variable and address.scheme != "https" and not address.is_loopback:
            message = f"${variable} would cross the network unencrypted"
            hint = f"{address.encrypted}, or delete `api_key_env`"
            yield recipe.problem("R311", message, at=(*at, "endpoint"), hint=hint)
