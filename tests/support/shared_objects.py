"""A shared store in a dictionary, which the tests can break, and one of a folder by obstore."""

import threading
from collections.abc import Callable
from pathlib import Path

from engine.store.remote.objects import ObjectStore, OversizeError, UnreachableError, shared_place
from engine.store.remote.shared_store import SharedStore, Sharing


class Held(ObjectStore):
    """ObjectStore in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.is_down = False
        self.overwrites = False
        self.sent = 0
        self.before: Callable[[str], object] = lambda _: None
        """Called with the name of each object that is put, before it is."""
        self._one = threading.Lock()

    def get(self, name: str, *, limit: int) -> bytes | None:
        self._answer()
        found = self.held.get(name)
        if found is not None and len(found) > limit:
            raise OversizeError(name)
        return found

    def create(self, name: str, content: bytes) -> bool:
        self._answer()
        self.before(name)
        with self._one:
            if name in self.held and not self.overwrites:
                return False
            self.held[name] = content
            self.sent += len(content)
            return True

    def size(self, name: str) -> int | None:
        self._answer()
        return len(self.held[name]) if name in self.held else None

    def names(self, prefix: str, *, limit: int) -> list[str]:
        self._answer()
        return [name for name in self.held if name.startswith(f"{prefix}/")][:limit]

    def _answer(self) -> None:
        if self.is_down:
            raise UnreachableError("nobody listens")


def machine(
    root: Path,
    objects: ObjectStore | None,
    *,
    required: bool = False,
    gives: bool = True,
) -> SharedStore:
    """A machine's own store in front of these objects; of a folder beside it without any."""
    place = shared_place(str(root.parent / "shared"))
    sharing = Sharing(place=place, gives=gives, is_required=required)
    return SharedStore(root, sharing=sharing, objects=objects, versions={"engine": "1"})
