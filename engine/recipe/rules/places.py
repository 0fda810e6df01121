"""Rules about what a recipe refers to outside itself: pinned, present, portable."""

import re
from pathlib import Path
from typing import Final

from engine.errors import Problem
from engine.files.reading import require_data
from engine.recipe.baselines import written_endpoints
from engine.recipe.model import HubRef, PackageRef, Recipe, Reference
from engine.recipe.references import asked_models, references_of, written_paths, written_references
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import dotted
from engine.recipe.text.paths import absolute, as_typed, from_here, is_pattern, names_in
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.recipe.validation.schema_errors import show
from engine.trust.hosts import is_never_sent, parse_address

_HOME: Final = r"~(?:$|[^/\\]*[/\\])"
_ABSOLUTE: Final = re.compile(rf"[/\\]|[A-Za-z]:[/\\]|{_HOME}")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILLED_BY_SHELLS: Final = re.compile(rf"\$\w|\$\{{|%\w+%|{_HOME}")
RELATIVE: Final = "write it relative to the recipe's folder"
_LOOSE_HUB: Final = "reference can move: hub {what} without revision"
_LOOSE_PACKAGE: Final = "reference can move: package without sha256"
_SERVED: Final = "reference can move: a server may serve another model tomorrow"
_PIN: Final = "recipe pin {file}"
_ALLOW: Final = "set `allow_moving: true`"
PLACE_KEYS: Final = (
    "base_model",
    "data.sources",
    "data.synthesize",
    "baselines",
    "teacher",
    "task.kind",
    "acceptance.forgetting",
)
ABSENT: Final = "no such file"
FOLDER: Final = "is a folder"


@rule("allow_moving", *PLACE_KEYS)
def references_stand_still(recipe: FilledText) -> Problems:
    if recipe["allow_moving"]:
        return
    for at, written, what in written_references(recipe.filled):
        # A reference that the parent gives is to be pinned in the parent's file.
        hint = _PIN.format(file=as_typed(recipe.owner(at).file))
        if "hub" in written and "revision" not in written:
            yield recipe.warning("R301", _LOOSE_HUB.format(what=what), at=at, hint=hint)
        if "package" in written and "sha256" not in written:
            yield recipe.warning("R301", _LOOSE_PACKAGE, at=at, hint=hint)
        if "endpoint" in written:
            yield recipe.warning("R301", _SERVED, at=(*at, "endpoint"), hint=_ALLOW)


def moving_references(recipe: Recipe) -> tuple[Problem, ...]:
    """Return the references that are not pinned, as errors, whatever `allow_moving` says: the caller decides."""
    hint = f"{_PIN.format(file=as_typed(from_here(recipe.file)))}, or `allow_moving: true`"
    found = [(at, _loose(ref, what), hint) for at, ref, what in references_of(recipe)]
    for position, baseline in enumerate(recipe.baselines):
        if baseline.endpoint is not None:
            found.append((("baselines", position, "model", "endpoint"), _SERVED, _ALLOW))
    for path, model in asked_models(recipe):
        if model.endpoint is not None:
            found.append(((*path, "endpoint"), _SERVED, _ALLOW))
    return tuple(
        Problem(code="R301", message=message, path=dotted(at), hint=how)
        for at, message, how in found
        if message
    )


def _loose(ref: Reference, what: str) -> str:
    """Return in which way a reference can move; nothing where it is pinned."""
    if isinstance(ref, HubRef) and ref.revision is None:
        return _LOOSE_HUB.format(what=what)
    return _LOOSE_PACKAGE if isinstance(ref, PackageRef) and ref.sha256 is None else ""


@rule(*PLACE_KEYS)
def paths_can_be_read_anywhere(recipe: FilledText) -> Problems:
    for at, written, what in written_paths(recipe.filled):
        path = absolute(written, recipe.path.parent)
        if is_of_one_machine(written):
            message = f"{show(written)} exists on one machine only"
            yield recipe.warning("R303", message, at=at, hint=RELATIVE)
        if what == "data set" and is_pattern(written, recipe.path.parent):
            continue  # R250 reports it
        if not recipe.judge.may_read(path):
            continue  # R306 reports it
        fault = fault_of_file(path)
        if fault == ABSENT:
            message = f"no such file or folder: {show(written)}"
            hint = hint_of_path(written)
            # A hint would name files of a folder that the recipe may not look into.
            if hint is None and recipe.judge.may_list(path.parent):
                near = nearest_file(path.name, names_in(path.parent))
                meant = f"{written.removesuffix(path.name)}{near}"
                hint = did_you_mean(meant) if near else None
            yield recipe.problem("R302", message, at=at, hint=hint)
        elif fault == FOLDER:
            if wanted := _instead_of_folder(written, what, str(at[-1])):
                message = f"{show(written)} is a folder; name {wanted}"
                yield recipe.problem("R302", message, at=at)
        elif fault is not None:
            yield recipe.problem("R302", f"{show(written)}: {fault}", at=at)
    for at, place, _ in written_references(recipe.filled):
        if climbs(place.get("file", "x")):
            message = f"{show(place['file'])} must be a relative path without `..`"
            yield recipe.problem("R304", message, at=(*at, "file"))


def _instead_of_folder(written: str, what: str, key: str) -> str:
    """Return what to name in the place of a folder; nothing where a folder is as good as a file."""
    if what == "data set":
        return f"its files: `{written.rstrip('/')}/*`"
    if what in ("probe", "text"):
        return "the file of the rows"
    return "the GGUF file" if key == "gguf" else ""


def fault_of_file(path: Path) -> str | None:
    """Return why a path leads to no file that can be read; None where it does. Nothing is opened."""
    try:
        # By its kind and size only: to open a named pipe would wait for ever.
        require_data(path)
    except FileNotFoundError:
        return ABSENT
    except IsADirectoryError:
        return FOLDER
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return None


def hint_of_path(written: str) -> str | None:
    """Return what to write in the place of what is no path; None where it may be one."""
    if _ADDRESS.match(written):
        return "download it and name the file; what is on the Hugging Face hub is named by `hub`"
    if _FILLED_BY_SHELLS.match(written):
        return f"`$NAME`, `%NAME%` and `~` are not filled in: {RELATIVE}"
    return None


@rule("task.kind", "baselines")
def endpoints_can_be_asked(recipe: FilledText) -> Problems:
    for at, url, variable in written_endpoints(recipe.filled):
        if is_never_sent(variable):
            message = f"${variable} is no key of a model's server, and is sent to none"
            hint = "put the key of the server into a variable of its own"
            yield recipe.problem("R310", message, at=(*at, "api_key_env"), hint=hint)
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


def is_of_one_machine(path: str) -> bool:
    return _ABSOLUTE.match(path) is not None


def climbs(file: str) -> bool:
    """Tell whether a path inside an archive or a repository leads out of it."""
    return any(
        # A backslash is a separator on Windows, where `..\x` climbs as well.
        not step or step.startswith("/") or "\\" in step or ".." in step.split("/")
        for step in file.split("//")
    )
