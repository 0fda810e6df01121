"""Starting the processes that follow a run's events, and what they came to. Nothing they do can fail a run.

They are started before a run gives up its rights, so that the run itself needs no network for them. Each is confined
to its own folder; only one that was given a URL has a network, and it gets no key but those of its own server.
"""

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from engine.errors import EnvironmentProblem, Problem, RecipeError, Severity, install_hint
from engine.files.reading import read_text
from engine.files.writing import make_folder, open_new
from engine.process import policies, start
from engine.process.child import Child
from engine.process.confine import LOOPBACK, OPEN, available
from engine.store.store import storage_errors
from engine.tracking.follow import GRACE_SECONDS
from engine.tracking.trackers import NAMES
from engine.trust.allowed import Allowed
from engine.trust.hosts import keep_secret, parse_address, redacted

FOLDER: Final = "tracking"
PROXIES: Final = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
MOST_LETTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    kind: str
    """One of `NAMES`."""
    url: str = ""
    folder: str = ""
    """The folder as the user named it; empty for the one in the store."""
    variables: dict[str, str] = field(default_factory=dict, repr=False)


def tracker_of(text: str, allowed: Allowed) -> Follower:
    """Return the tracker that `--track` names: `KIND`, `KIND=FOLDER` or `KIND=URL`.

    RecipeError R445 for none of these, R446 a key that may not be sent there, or is not set; EnvironmentProblem E701.
    """
    kind, _, where = text.partition("=")
    known = NAMES.get(kind)
    if known is None:
        raise _no_tracker(text, f"trackers are {', '.join(NAMES)}")
    if importlib.util.find_spec(kind) is None:
        message = f"--track {kind} needs `{kind}`, which is not installed"
        raise EnvironmentProblem.one("E701", message, hint=install_hint(kind))
    if "://" not in where:
        return Follower(kind=kind, folder=where, variables=dict(known.variables))
    if not known.keys:
        raise _no_tracker(text, f"{kind} keeps files: name a folder, or nothing")
    return Follower(
        kind=kind, url=where, variables={**known.variables, **_keys(kind, where, allowed)}
    )


@contextlib.contextmanager
def following(followers: Sequence[Follower], events: Path, root: Path) -> Iterator[list[Problem]]:
    """Start the followers of a run whose events will stand in `events`; when the block ends, wait for them.

    Yields the list of what they could not do, as warnings, which is filled at the end.
    """
    failed: list[Problem] = []
    with contextlib.ExitStack() as stack:
        running = [(one, stack.enter_context(_started(one, events, root))) for one in followers]
        yield failed
        for _, child in running:
            child.close_input()  # all of them, before any is waited for
        for one, child in running:
            if not child.has_ended(within=GRACE_SECONDS) or child.wait() != 0:
                failed.append(_not_followed(one, events))


@contextlib.contextmanager
def _started(one: Follower, events: Path, root: Path) -> Iterator[Child]:
    if one.folder:
        try:
            folder = Path(one.folder).expanduser()
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _no_tracker(f"{one.kind}={one.folder}", why.lower()) from error
    else:
        folder = root / FOLDER / one.kind
        with storage_errors(root):
            make_folder(folder, below=root)
    with storage_errors(root):
        make_folder(events.parent, below=root)
    order: dict[str, Any] = {
        "kind": one.kind,
        "file": str(events.absolute()),
        "folder": str(folder.absolute()),
        "url": one.url,
        "variables": one.variables,
    }
    command = start.module("engine.tracking.follow")
    rights = policies.rights_of(
        command,
        reads=(events.parent,),
        writes=(folder,),
        network=OPEN if one.url else LOOPBACK,
    )
    # Names of servers and their certificates.
    rights = replace(rights, read=(*rights.read, "/etc", "/run"))
    with start.working_folder() as working, _log(one, events, root) as log:
        child = start.start(
            command,
            folder=working,
            # what is closed to the other processes is open to this one alone
            variables=start.environment(
                {"DO_NOT_TRACK": "1"} if one.url else {"HF_HUB_OFFLINE": "1"},
                prefixes=PROXIES,
            ),
            out=log,
            errors=start.STDOUT,
            given=start.PIPE,
            rights=rights if available().landlock else None,
        )
        with child:
            try:
                child.send(json.dumps(order) + "\n")
                yield child
            finally:
                # A confined run cannot signal it: it ends by itself once this is closed.
                child.close_input()
                child.has_ended(within=GRACE_SECONDS)


@contextlib.contextmanager
def _log(one: Follower, events: Path, root: Path) -> Iterator[Any]:
    file = _log_file(one, events)
    with open_new(file, below=root) as log:
        yield log
    with contextlib.suppress(OSError):
        if file.stat().st_size == 0:
            file.unlink()


def _log_file(one: Follower, events: Path) -> Path:
    return events.with_name(f"{events.name.partition('.')[0]}-{one.kind}.log")


def _not_followed(one: Follower, events: Path) -> Problem:
    why = "it did not end in time"
    with contextlib.suppress(OSError, ValueError):
        lines = read_text(_log_file(one, events)).splitlines()
        words = [line.strip() for line in lines if line.strip()]
        why = redacted(words[-1]) if words else why
    return Problem(
        code="X871",
        message=f"{one.kind} did not keep the run: {why[:MOST_LETTERS]}",
        hint=f"the run is whole, its events too; {one.kind}'s log is {_log_file(one, events)}",
        severity=Severity.WARNING,
    )


def _keys(kind: str, url: str, allowed: Allowed) -> dict[str, str]:
    """Return the keys that go to a tracker's server. RecipeError R445, R446."""
    try:
        address = parse_address(url)
    except ValueError as error:
        raise _no_tracker(f"{kind}=…", str(error)) from None  # it may hold a password
    known = NAMES[kind]
    granted = [name for name in known.keys if allowed.may_send(name, address)]
    named = {name for name, _ in allowed.keys} & set(known.keys)
    if absent := next((name for name in granted if not os.environ.get(name)), ""):
        raise RecipeError.one(
            "R446", f"--track {kind}: the variable {absent} is empty", hint=f"export {absent}=…"
        )
    if (named or known.needs_key) and not granted:
        why = "is allowed for another host, or over plain http" if named else "is not allowed"
        name = min(named) if named else known.keys[0]
        raise RecipeError.one(
            "R446",
            f"--track {kind}: {name} {why}, so {address.name} gets no key",
            hint=f"--allow-key {name}={address.name}",
        )
    keys = {name: os.environ[name] for name in granted}
    for key in keys.values():
        keep_secret(key)
    return keys


def _no_tracker(text: str, why: str) -> RecipeError:
    return RecipeError.one(
        "R445",
        f"`--track {text[:MOST_LETTERS]}` names no tracker: {why}",
        hint="--track KIND keeps files in .recipe/tracking; KIND=FOLDER, KIND=https://HOST",
    )
