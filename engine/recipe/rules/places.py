"""Rules about what a recipe refers to outside itself: pinned, present, portable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.files.reading import require_data
from engine.recipe.baselines import kind_and_spec, written_baselines
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.outside import outside_text, warning
from engine.recipe.probes import probes_of
from engine.recipe.rules.probes import AT, written_probes
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.globs import is_pattern
from engine.recipe.text.nearest import nearest
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show
from engine.trust.hosts import parse_address
from engine.trust.keys import is_never_sent

_ABSOLUTE: Final = re.compile(r"[/\\~]|[A-Za-z]:[/\\]")
_MOVING: Final = "reference can move:"
_PIN: Final = "recipe pin {file}"
_SERVED: Final = "a server may serve another model tomorrow"
_ALLOW: Final = "set `allow_moving: true`"
ABSENT: Final = "no such file"
FOLDER: Final = "is a folder"


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
    """R302: local files and folders are there, and are files and folders."""
    for at, written, what in _paths(filled):
        path = absolute(written, source.path.parent)
        if what == "data set" and is_pattern(written, source.path.parent):
            continue  # see `sources.patterns_match`
        if not source.judge.may_read(path):
            continue  # see `outside_is_told`
        fault = fault_of_file(path)
        if fault == ABSENT:
            message = f"no such file or folder: {show(written)}"
            yield source.problem("R302", message, at=at, hint=_nearby(source, path, written))
        elif fault != FOLDER:
            if fault is not None:
                yield source.problem("R302", f"{show(written)}: {fault}", at=at)
        elif what == "probe":
            message = f"{show(written)} is a folder; name the file of the rows"
            yield source.problem("R302", message, at=at)
        elif what == "data set":
            message = f"{show(written)} is a folder; name its files: `{written.rstrip('/')}/*`"
            yield source.problem("R302", message, at=at)
        elif at[-1] == "gguf":
            message = f"{show(written)} is a folder; name the GGUF file"
            yield source.problem("R302", message, at=at)


def fault_of_file(path: Path) -> str | None:
    """Return why a path leads to no file that can be read; None where it does. Nothing is opened."""
    try:
        require_data(path)
    except FileNotFoundError:
        return ABSENT
    except IsADirectoryError:
        return FOLDER
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return None


def _nearby(source: SourceText, path: Path, written: str) -> str | None:
    """Name the file that was meant, where the names beside it may be looked at."""
    if not source.judge.may_list(path.parent):
        return None
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    near = nearest(path.name, names)
    return f"did you mean `{written.removesuffix(path.name)}{near}`?" if near else None


def outside_is_told(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R306, R307, R308, warnings here and errors when running: what is outside the project and not allowed."""
    for one in outside_text(source.judge, source, filled):
        if not one.allowed:
            yield warning(source, one)


def endpoints_can_be_asked(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R309, R310, R311: an address that all programs read alike, and a key that may go there at all."""
    for position, item in enumerate(written_baselines(filled)):
        kind, spec = kind_and_spec(item)
        if kind != "model" or not isinstance(url := spec.get("endpoint"), str):
            continue
        at: KeyPath = ("baselines", position, "model")
        variable = str(spec.get("api_key_env", ""))
        if is_never_sent(variable):
            message = f"${variable} is no key of a model's server, and is sent to none"
            hint = "put the key of the server into a variable of its own"
            yield source.problem("R310", message, at=(*at, "api_key_env"), hint=hint)
        try:
            address = parse_address(url)
        except ValueError as error:
            message = f"{show(url)} can be read in more than one way"
            yield source.problem("R309", message, at=(*at, "endpoint"), hint=str(error))
            continue
        if variable and address.scheme != "https" and not address.is_loopback:
            message = f"${variable} would cross the network unencrypted"
            hint = f"https://{address.name}, or delete `api_key_env`"
            yield source.problem("R311", message, at=(*at, "endpoint"), hint=hint)


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
