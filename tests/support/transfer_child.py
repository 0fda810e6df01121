"""A process that gives or takes one large result, to be killed while it does: ROOT URL give|take."""

import random
import sys
from pathlib import Path

from engine.store import make_key
from engine.store.remote.objects import ObjectStore, connect, shared_place
from engine.store.remote.shared_store import SharedStore, Sharing

KEY = make_key({"stage": "train", "of": "a large result"})
SIZE = 24_000_000


def build(folder: Path) -> None:
    """Write a large file and a small one, always the same."""
    (folder / "weights").write_bytes(random.Random(1).randbytes(SIZE))
    (folder / "config.json").write_text("{}", encoding="utf-8")


class Counting(ObjectStore):
    """Objects that count the bytes of blobs on their way."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.moved = 0

    def get(self, name: str, *, limit: int) -> bytes | None:
        found = self._objects.get(name, limit=limit)
        self.moved += len(found or b"") if name.startswith("blobs/") else 0
        return found

    def size(self, name: str) -> int | None:
        return self._objects.size(name)

    def names(self, prefix: str, *, limit: int) -> list[str]:
        return self._objects.names(prefix, limit=limit)

    def create(self, name: str, content: bytes) -> bool:
        self.moved += len(content) if name.startswith("blobs/") else 0
        return self._objects.create(name, content)


def machine(root: Path, url: str) -> tuple[SharedStore, Counting]:
    """A machine's store in front of the shared one, and what counts its transfers."""
    place = shared_place(url)
    objects = Counting(connect(place))
    return SharedStore(root, sharing=Sharing(place=place), objects=objects), objects


def main(root: str, url: str, how: str) -> None:
    """Give or take the result, and say what is here now."""
    store, _ = machine(Path(root), url)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    made = store.put("train", KEY, build) if how == "give" else store.get(KEY.digest)
    sys.stdout.write(made.digest() if made else "nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
