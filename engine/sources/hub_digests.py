"""The digests that the hub names for its files, compared with the bytes that came.

The hub's library compares sizes. Of large files the hub names the sha256, of others the id of a git blob; both
belong to the commit, so bytes that came through a cache, a mirror or a proxy are held to what a recipe pins.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import EnvironmentProblem
from engine.files.reading import open_regular

_METADATA: Final = Path(".cache") / "huggingface" / "download"
"""Below a folder that was downloaded into: one file for each, of the commit, the digest and the time."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_BLOCK: Final = 1 << 20


def require_digests(folder: Path, repo: str) -> None:
    """Hash every file of a folder that a repository was downloaded into. EnvironmentProblem X810 for another one.

    A file without a digest, such as one that came from a cache of an older library, is passed over.
    """
    for path, digest in sorted(_named(folder)):
        _require(path, digest, f"{path.relative_to(folder).as_posix()} of `{repo}`")


def require_cached(path: Path, repo: str) -> None:
    """Hash a file of the hub's cache, where it is a link to a file that its digest names. EnvironmentProblem X810."""
    blob = Path(os.path.realpath(path))
    if blob.parent.name == "blobs" and _DIGEST.fullmatch(blob.name):
        _require(blob, blob.name, f"{path.name} of `{repo}`")


def digest_of(path: Path, digest: str) -> str:
    """Return the digest of a file in the form of `digest`: a sha256, or the sha1 of a git blob. OSError."""
    with open_regular(path) as stream:
        if len(digest) == hashlib.sha256().digest_size * 2:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        # git's own way to name content, and no protection of ours
        found = hashlib.sha1(
            b"blob %d\0" % os.fstat(stream.fileno()).st_size, usedforsecurity=False
        )
        while block := stream.read(_BLOCK):
            found.update(block)
        return found.hexdigest()


def _named(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each downloaded file with the digest that the hub named for it."""
    place = folder / _METADATA
    for metadata in place.rglob("*.metadata"):
        path = folder / metadata.relative_to(place).with_suffix("")
        lines = metadata.read_text(encoding="utf-8", errors="replace").splitlines()
        digest = lines[1].strip() if len(lines) > 1 else ""
        if path.is_file() and _DIGEST.fullmatch(digest):
            yield path, digest


def _require(path: Path, digest: str, shown: str) -> None:
    try:
        found = digest_of(path, digest)
    except OSError as error:
        found = error.strerror or str(error)
    if found != digest:
        raise EnvironmentProblem.one(
            "X810",
            f"{shown} is not the file that the hub names: {found[:12]} in the place of {digest[:12]}",
            hint="delete it from the hub's cache (hf cache rm) and run the same command again",
        )
