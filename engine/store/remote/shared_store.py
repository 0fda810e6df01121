"""A store that takes what it lacks from a shared one, and gives what it builds."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import EnvironmentProblem, Problem, Severity
from engine.files import writing
from engine.files.digests import SHA256
from engine.store.manifest import NAME as MANIFEST
from engine.store.manifest import (
    Artifact,
    ArtifactFolder,
    StageKey,
    Stored,
    canonical_json,
    manifest_text,
)
from engine.store.remote.objects import (
    ObjectStore,
    RefusedError,
    SharedPlace,
    UnreachableError,
    connect,
)
from engine.store.remote.transfer import SharedManifest, fetch, find, send
from engine.store.store import Build, Store, storage_errors
from engine.values import Value, replace

MOST: Final = 100_000
"""Decisions that are counted; a holdout is worn out long before."""
_NAME: Final = re.compile(r"(?:.*/)?holdouts/[0-9a-f]{16,64}/[0-9a-f]{64}\.json")


FETCHED: Final = frozenset(
    {"package", "package_file", "package_folder", "hub_rows", "base-model", "tokenizer"}
)
"""Products that each machine fetches from where they are published, and that are no result of anybody."""


class Sharing(Value):
    place: SharedPlace
    gives: bool = True
    """Whether results are given too, and not only taken."""
    is_required: bool = False
    """A run without it is refused, rather than going on alone."""


_REMARKS: Final[Mapping[str, tuple[str, str, str | None]]] = {
    "others": (
        "X863",
        "{} in the shared store were made by others, and are not used",
        "machines that share a store share a key: SLM_RECIPE_STORE_KEY_FILE=FILE",
    ),
    "first": (
        "X864",
        "another machine gave {} first, with other bytes: they took the place of those made here",
        None,
    ),
    "kept": (
        "X865",
        "{} made here stay here: the shared store keeps other bytes, which were there first",
        None,
    ),
}
"""Code, words and hint of what happened to some results."""


class SharedStore(Store):
    """`Store`, in front of one that other machines use too."""

    def __init__(
        self,
        root: Path,
        *,
        sharing: Sharing,
        versions: Mapping[str, str] | None = None,
        objects: ObjectStore | None = None,
    ) -> None:
        """Connect to the shared store; without `objects` to that of `sharing`.

        EnvironmentProblem: E701, X861; X860 where it does not answer and is required.
        """
        super().__init__(root, versions=versions)
        self._sharing = sharing
        self._objects = objects
        self._why_down = ""
        self._was_down = ""
        self._asked: set[str] = set()
        self._seen: set[str] = set()
        self._there: set[str] = set()
        self._happened = defaultdict[str, list[str]](list)
        """Stages by what happened to their results: `taken`, `given`, or a key of `_REMARKS`."""
        self._refused: dict[str, str] = {}
        self._ask(self._connected)

    # -- taking

    def _looked_through(self, key: str) -> ArtifactFolder:
        found = super()._looked_through(key)
        if found.stored is Stored.WHOLE:
            self._seen.add(key)
        is_lacking = found.stored in (Stored.ABSENT, Stored.DAMAGED, Stored.FOREIGN)
        # once in a run: what another machine makes meanwhile is met when ours is given
        if not is_lacking or key in self._asked or not SHA256.fullmatch(key):
            return found
        self._asked.add(key)
        try:
            manifest = self._ask(lambda: find(self._connected(), key, self.root))
        except RefusedError as error:
            self._refused[key] = str(error)
            return found
        if manifest is None:
            return found
        # whoever holds the lock builds it or takes it: they need no help
        with self.lock_if_free(key) as is_free:
            is_taken = is_free and self._take(manifest)
        return super()._looked_through(key) if is_taken else found

    def _take(self, manifest: SharedManifest) -> bool:
        there = manifest.artifact
        if not manifest.is_ours:
            self._happened["others"].append(there.stage)
            return False

        def bring() -> bool:
            with storage_errors(self.root):
                folder = fetch(self._connected(), manifest, self.root)
                final = self.folder(there.key)
                text = manifest_text(replace(there, taken_from=self._sharing.place.url))
                writing.write_text(folder / MANIFEST, text, below=self.root, durable=True)
                self._make(final.parent)
                self._make_room(there.key, final)
                writing.move(folder, final, below=self.root)
            return True

        try:
            is_taken = self._ask(bring)
        except RefusedError as error:
            self._refused[there.key] = f"{there.stage}: {error}"
            return False
        if is_taken:
            self._there.add(there.key)
            self._happened["taken"].append(there.stage)
        return bool(is_taken)

    # -- giving

    def put(
        self,
        stage: str,
        key: StageKey,
        build: Build,
        *,
        anew: bool = False,
        waits: Callable[[], object] = lambda: None,
    ) -> Artifact:
        """As `Store.put`; what was built is given to the shared store, where the first of a key stays.

        Where another machine was first and its bytes are others, its result takes this one's place: what follows
        must stand on the same bytes everywhere. One that was asked for anew stays.
        """
        artifact = super().put(stage, key, build, anew=anew, waits=waits)
        return self._give(artifact, stays=anew)

    def _give(self, artifact: Artifact, *, stays: bool = False) -> Artifact:
        key = artifact.key
        self._seen.add(key)
        is_kept = not self._sharing.gives or artifact.stage in FETCHED
        if is_kept or (key in self._there and not stays):
            return artifact
        try:
            sent = self._ask(lambda: send(self._connected(), artifact, self.root))
        except RefusedError as error:
            self._refused[key] = f"{artifact.stage}: {error}"
            self._there.add(key)
            return artifact
        if sent is None:
            return artifact
        there, count = sent
        self._there.add(key)
        if there.artifact.digest() == artifact.digest():
            self._happened["given"] += [artifact.stage] if count else []
            return artifact
        if stays:
            self._happened["kept"].append(artifact.stage)
            return artifact
        with self.lock(key):
            is_taken = self._take(there)
        first = super().get(key) if is_taken else None
        self._happened["first"] += [artifact.stage] if first else []
        return first or artifact

    def settle(self) -> None:
        """Give what could not be given when it was built, or was built before; asks a silent server once more."""
        self._why_down = ""
        for key in sorted(self._seen - self._there):
            if self._why_down:
                return
            artifact = self.whole(key)
            if artifact is not None and artifact.taken_from != self._sharing.place.url:
                self._give(artifact)

    # -- what else is shared

    def shared_looks(self, digest: str, decisions: Sequence[Mapping[str, Any]] = ()) -> int:
        folder, given = f"holdouts/{digest}", decisions if self._sharing.gives else ()
        texts = (canonical_json(one).encode() for one in given)
        named = {f"{folder}/{hashlib.sha256(text).hexdigest()}.json": text for text in texts}

        def count() -> int:
            objects = self._connected()
            known = {one for one in objects.names(folder, limit=MOST) if _NAME.fullmatch(one)}
            for name in named.keys() - known:
                objects.create(name, named[name])
            return len(known | named.keys())

        return self._ask(count) or 0

    # -- the server

    def _connected(self) -> ObjectStore:
        if self._objects is None:
            self._objects = connect(self._sharing.place, writes=self._sharing.gives)
        return self._objects

    def _ask[T](self, call: Callable[[], T]) -> T | None:
        """Return what `call` returns; None where the shared store is out of reach, now or since earlier."""
        if self._why_down:
            return None
        try:
            return call()
        except UnreachableError as error:
            self._why_down = self._was_down = str(error)
            if self._sharing.is_required:
                raise EnvironmentProblem(
                    replace(self._unreachable(), severity=Severity.ERROR)
                ) from error
            return None

    def _unreachable(self) -> Problem:
        later = "the next one gives what is missing there"
        return _warning(
            "X860",
            f"the shared store {'does' if self._why_down else 'did'} not answer: {self._was_down}",
            hint="the run goes on with this machine's own results; "
            + (later if self._why_down else "those that it built were given at its end"),
        )

    def problems(self) -> tuple[Problem, ...]:
        found = [self._unreachable()] if self._was_down else []
        for key, why in sorted(self._refused.items()):
            what = f"result {key[:12]} of the shared store is not used: {why}"
            found.append(_warning("X862", what))
        for what, (code, text, hint) in _REMARKS.items():
            if stages := self._happened[what]:
                names, plural = ", ".join(sorted(set(stages))), "" if len(stages) == 1 else "s"
                message = text.format(f"{len(stages)} result{plural} ({names})")
                found.append(_warning(code, message, hint=hint))
        return tuple(found)

    def notes(self) -> tuple[str, ...]:
        taken, given = (len(self._happened[what]) for what in ("taken", "given"))
        return (f"shared store: {taken} taken, {given} given",) if taken or given else ()


def _warning(code: str, message: str, *, hint: str | None = None) -> Problem:
    return Problem(code=code, message=message, hint=hint, severity=Severity.WARNING)


def open_store(root: Path, *, versions: Mapping[str, str], sharing: Sharing | None) -> Store:
    if sharing is None:
        return Store(root, versions=versions)
    return SharedStore(root, sharing=sharing, versions=versions)
