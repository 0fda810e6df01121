"""Rules about what a recipe refers to outside itself: pinned, present, portable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.recipe.baselines import kind_and_spec, written_baselines
from engine.recipe.complaint import show
from engine.recipe.compose import KeyPath, dotted
from engine.recipe.globs import is_pattern
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.nearest import nearest
from engine.recipe.paths import absolute
from engine.recipe.probes import probes_of
from engine.recipe.rules.probes import AT, written_probes
from engine.recipe.source import SourceText

_ABSOLUTE: Final = re.compile(r"[/\\~]|[A-Za-z]:[/\\]")
_MOVING: Final = "reference can move:"
_PIN: Final = "recipe pin {file}"
_SERVED: Final = "a server may serve another model tomorrow"
_ALLOW: Final = "set `allow_moving: true`"


def _references(filled: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any], str]]:
    yield ("base_model",), filled["base_model"], "model"
    for position, written in enumerate(filled["data"]["sources"]):
        yield ("data", "sources", position), written, "data set"
    for position, written in enumerate(written_baselines(filled)):
        kind, spec = kind_and_spec(written)
        if kind == "model":
            yield ("baselines", position, "model"), spec, "model"
    for at, written in written_probes(filled):
        yield at, written, "probe"


def _paths(filled: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield every local path, as written, at its key."""
    for at, written, what in _references(filled):
        for key in ("path", "gguf"):
            if written.get(key):
                yield (*at, key), written[key], what


def references_stand_still(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R301, a warning here and an error when running: what is not pinned can change unseen."""
    if filled["allow_moving"]:
        return
    for at, written, what in _references(filled):
        if "hub" in written and "revision" not in written:
            message = f"{_MOVING} hub {what} without revision"
            yield source.warning(
                "R301", message, at=at, hint=_PIN.format(file=source.owner(at).file)
            )
        if "package" in written and "sha256" not in written:
            message = f"{_MOVING} package without sha256"
            yield source.warning(
                "R301", message, at=at, hint=_PIN.format(file=source.owner(at).file)
            )
        if "endpoint" in written:
            message = f"{_MOVING} {_SERVED}"
            yield source.warning("R301", message, at=(*at, "endpoint"), hint=_ALLOW)


def moving_references(recipe: Recipe) -> tuple[Problem, ...]:
    """Return the references that are not pinned, as errors; whether they matter the caller decides.

    `allow_moving` is not looked at: a report lists them also where the recipe allows them.
    """
    refs: list[tuple[KeyPath, Reference, str]] = [(("base_model",), recipe.base_model, "model")]
    for position, ref in enumerate(_as_written(recipe)):
        refs.append((("data", "sources", position), ref, "data set"))
    for position, baseline in enumerate(recipe.baselines):
        if baseline.ref is not None:
            refs.append((("baselines", position, "model"), baseline.ref, "model"))
    for position, probe in enumerate(probes_of(recipe)):
        if probe.source is not None:
            refs.append(((*AT, position), probe.source.ref, "probe"))
    file = recipe.file.name
    found = (_moving(ref, at=at, what=what, file=file) for at, ref, what in refs)
    return (*(problem for problem in found if problem is not None), *_served(recipe))


def _served(recipe: Recipe) -> Iterator[Problem]:
    for position, baseline in enumerate(recipe.baselines):
        if baseline.endpoint is not None:
            at = dotted(("baselines", position, "model", "endpoint"))
            yield Problem(code="R301", message=f"{_MOVING} {_SERVED}", path=at, hint=_ALLOW)


def _as_written(recipe: Recipe) -> Iterator[Reference]:
    """Yield the source of each entry that the recipe lists; the files of one pattern are one."""
    pattern = ""
    for source in recipe.data.sources:
        own = source.ref.pattern if isinstance(source.ref, PathRef) else ""
        if not own or own != pattern:
            yield source.ref
        pattern = own


def _moving(ref: Reference, *, at: KeyPath, what: str, file: str) -> Problem | None:
    if isinstance(ref, HubRef) and ref.revision is None:
        message = f"{_MOVING} hub {what} without revision"
    elif isinstance(ref, PackageRef) and ref.sha256 is None:
        message = f"{_MOVING} package without sha256"
    else:
        return None
    hint = f"{_PIN.format(file=file)}, or `allow_moving: true`"
    return Problem(
        code="R301", message=message, path=dotted(at), hint=hint, severity=Severity.ERROR
    )


def paths_exist(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R302: local files and folders are there."""
    for at, written, what in _paths(filled):
        path = absolute(written, source.path.parent)
        if what == "data set" and is_pattern(written, source.path.parent):
            continue  # see `sources.patterns_match`
        try:
            is_there, is_folder = path.exists(), path.is_dir()
        except (OSError, ValueError):
            is_there = is_folder = False
        if not is_there:
            folder = path.parent
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
            near = nearest(path.name, names)
            hint = f"did you mean `{written.removesuffix(path.name)}{near}`?"
            message = f"no such file or folder: {show(written)}"
            yield source.problem("R302", message, at=at, hint=hint if near else None)
        elif is_folder and what == "probe":
            message = f"{show(written)} is a folder; name the file of the rows"
            yield source.problem("R302", message, at=at)
        elif is_folder and what == "data set":
            message = f"{show(written)} is a folder; name its files: `{written.rstrip('/')}/*`"
            yield source.problem("R302", message, at=at)


def paths_travel(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R303, a warning: an absolute path means something on one machine only."""
    for at, written, _ in _paths(filled):
        if is_of_one_machine(written):
            message = f"{show(written)} exists on one machine only"
            hint = "write it relative to the recipe's folder"
            yield source.warning("R303", message, at=at, hint=hint)


def archive_members_stay_inside(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R304: a path inside an archive or a repository is relative and does not climb."""
    for at, written, _ in _references(filled):
        if climbs(written.get("file", "x")):
            message = f"{show(written['file'])} must be a relative path without `..`"
            yield source.problem("R304", message, at=(*at, "file"))


def is_of_one_machine(path: str) -> bool:
    """Tell whether a path is absolute, or starts at a home folder."""
    return _ABSOLUTE.match(path) is not None


def climbs(file: str) -> bool:
    """Tell whether a path inside an archive or a repository leads out of it."""
    return any(
        not step or step.startswith("/") or "\\" in step or ".." in step.split("/")
        for step in file.split("//")
    )
