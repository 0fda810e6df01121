"""Finding and downloading an archive of a package through the user's own index settings.

The archive is a file of bytes here: nothing is installed, built, imported or executed.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError, needs_extra
from engine.files import leases
from engine.files.digests import sha256_of
from engine.files.user import packages_folder
from engine.progress import Progress, mention
from engine.sources.kept_archives import keep, take
from engine.sources.local import wrong_sha256
from engine.sources.settings import IndexSettings, read_settings
from engine.values import Value

if TYPE_CHECKING:
    from packaging.version import Version
    from unearth import Package
    from unearth.fetchers import PyPIClient

MAX_BYTES = 32 << 30
"""An archive larger than this is refused."""
ATTEMPTS = 3
CHUNK = 1 << 20
TOO_MANY, SERVER_ERROR = 429, 500


class Wanted(Value):
    """The archive that is looked for."""

    name: str
    version: str
    sha256: str | None

    def __str__(self) -> str:
        """Return it as a requirement."""
        return f"{self.name}=={self.version}"


def download(wanted: Wanted, folder: Path, progress: Progress) -> Path:
    """Put the archive of `wanted` into `folder` and return its path, its sha256 checked.

    One that is pinned and was downloaded before comes from the user's cache, and no index is asked.

    DataError when the index has no such package or version (the message names the nearest), no
    archive of that sha256, or cannot be reached; EnvironmentProblem without the `packages` extra.
    """
    kept = wanted.sha256 and take(wanted.name, wanted.version, wanted.sha256, folder)
    if kept:
        mention(progress, f"{kept.name} comes from the cache: {packages_folder()}")
        return kept
    path = _download(wanted, folder, progress)
    if wanted.sha256:
        keep(wanted.name, wanted.version, wanted.sha256, path)
    return path


def _download(wanted: Wanted, folder: Path, progress: Progress) -> Path:
    with _client(read_settings(os.environ)) as client:
        files = client.files(wanted)
        published = [(file, _sha256(file)) for file in files]
        for file, digest in published:
            if wanted.sha256 in (None, digest):
                return client.save(file, folder, pinned=wanted.sha256 or digest, progress=progress)
        for file in (file for file, digest in published if digest is None):
            path = client.save(file, folder, pinned=None, progress=progress)
            if sha256_of(path) == wanted.sha256:
                return path
            path.unlink()
    raise _no_such_archive(wanted, files)


class Archive(Value):
    """One archive of a version of a package, as the index has it now."""

    name: str
    """Of the file: `toy-1.0-py3-none-any.whl`."""
    sha256: str
    newest: str
    """The newest version of the package that is neither yanked nor a pre-release."""


def find_archive(wanted: Wanted, file: str, progress: Progress) -> Archive:
    """Return the archive that holds `file`, found by its first folder; it is not downloaded.

    An index that publishes no digest is the exception: then the archive is fetched and hashed. Raises
    as `download` does.
    """
    with _client(read_settings(os.environ)) as client:
        files = client.files(wanted)
        chosen = min(files, key=lambda found: not _could_hold(found, file, wanted))
        digest = _sha256(chosen)
        if digest is None:
            with leases.temporary_folder() as folder:
                path = client.save(chosen, folder, pinned=None, progress=progress)
                digest = sha256_of(path)
        newest = client.newest(wanted)
    return Archive(name=_file_name(chosen.link.filename), sha256=digest, newest=newest)


def _could_hold(found: Package, file: str, wanted: Wanted) -> bool:
    """An sdist holds one folder, named by package and version; a wheel holds none of that name."""
    folder = re.sub(r"[-_.]+", "-", file.split("/", 1)[0]).lower()
    own = re.sub(r"[-_.]+", "-", f"{wanted.name}-{wanted.version}").lower()
    is_wheel = str(found.link.filename).endswith(".whl")
    return is_wheel != (folder == own)


@contextmanager
def _client(settings: IndexSettings) -> Iterator[_Client]:
    with needs_extra("reading a file of a package needs unearth", "packages"):
        from unearth import PackageFinder  # an extra
        from unearth.auth import MultiDomainBasicAuth  # an extra
        from unearth.fetchers import PyPIClient  # an extra
    log = logging.getLogger("unearth")
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # its failures are read from `answers` instead
    answers: list[tuple[str, int]] = []

    def record(response: Any) -> None:
        answers.append((response.url.host, response.status_code))

    verify = ssl.create_default_context(cafile=settings.certificates)
    session = PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        verify=verify,
        timeout=settings.timeout_seconds,
        proxy=settings.proxy,
        follow_redirects=True,
        event_hooks={"response": [record]},
    )
    # Without `prompting=False` a run in CI would wait on stdin for a password.
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.indexes)
    links = [link for link in settings.find_links if "://" in link or Path(link).exists()]
    with session:
        finder = PackageFinder(
            session=session,
            index_urls=() if settings.no_index else settings.indexes,
            find_links=links,
            # The archive is unpacked, not installed: a wheel of another platform is as good.
            ignore_compatibility=True,
        )
        if not settings.indexes and not settings.no_index:
            from pypi_simple import PYPI_SIMPLE_ENDPOINT  # an extra

            if not any(source["type"] == "index" for source in finder.sources):
                finder.add_index_url(PYPI_SIMPLE_ENDPOINT)
        yield _Client(session=session, finder=finder, answers=answers)


class _Client(Value):
    """A session with an index, its failures as errors of ours."""

    session: PyPIClient
    finder: Any
    answers: list[tuple[str, int]]
    """(host, status) of every response: the finder itself only logs failures."""

    def files(self, wanted: Wanted) -> list[Package]:
        """Return the archives of that version: any-platform wheels, sdist, other wheels."""
        with _translated_errors(wanted):
            found = list(self.finder.find_all_packages(wanted.name, allow_yanked=True))
        matching = [file for file in found if _same_version(file.version, wanted.version)]
        if not matching:
            self._require_answers(wanted)
            raise _no_such_version(wanted, found)
        return sorted(matching, key=lambda file: (_rank(file.link.filename), file.link.filename))

    def newest(self, wanted: Wanted) -> str:
        """Return the newest usual version; that of `wanted` where there is none."""
        found = self.finder.find_all_packages(wanted.name, allow_yanked=False)
        known = {file.version: _version(file.version) for file in found}
        usual: list[str] = [name for name, one in known.items() if one and not one.is_prerelease]
        return max([wanted.version, *usual], key=_order)

    def _require_answers(self, wanted: Wanted) -> None:
        for host, status in self.answers:
            if status in {401, 403}:
                raise DataError.one(
                    "D342",
                    f"{wanted}: `{host}` refused the credentials (HTTP {status})",
                    hint="put them into the index URL of pip or uv, or into ~/.netrc",
                )
            if status >= SERVER_ERROR or status == TOO_MANY:
                raise DataError.one("D342", f"{wanted}: `{host}` answered HTTP {status}")

    def save(self, file: Package, folder: Path, *, pinned: str | None, progress: Progress) -> Path:
        """Stream an archive into `folder`, hashed on the way; a lost connection is retried."""
        link = file.link
        target = folder / _file_name(link.filename)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with _translated_errors(link.filename):
                    got = self._stream(link.normalized, target, progress)
                break
            except DataError as error:
                if attempt == ATTEMPTS or error.problems[0].code != "D342":
                    raise
        if pinned is not None and got != pinned:
            target.unlink()
            raise wrong_sha256(link.filename, pinned=pinned, got=got)
        return target

    def _stream(self, url: str, target: Path, progress: Progress) -> str:
        hasher = hashlib.sha256()
        done = 0
        with self.session.get_stream(url) as response, target.open("wb") as out:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length") or 0)
            for chunk in response.iter_bytes(CHUNK):
                done += len(chunk)
                # Counted as it comes: Content-Length is the server's word.
                if done > MAX_BYTES:
                    raise DataError.one("D345", f"`{target.name}` is over {MAX_BYTES:,} bytes")
                hasher.update(chunk)
                out.write(chunk)
                progress.update(done, max(total, done), "bytes", file=target.name)
        return hasher.hexdigest()


@contextmanager
def _translated_errors(subject: object) -> Iterator[None]:
    """Turn the HTTP client's errors into one of ours, without the URL: it may hold a password."""
    import httpx2  # an extra

    try:
        yield
    except httpx2.HTTPStatusError as error:
        response = error.response
        raise DataError.one(
            "D342", f"{subject}: `{response.url.host}` answered HTTP {response.status_code}"
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError) as error:
        request = getattr(error, "_request", None)
        host = f"`{request.url.host}`" if request is not None else "the package index"
        fault = re.sub(r"://[^/@\s]+@", "://", str(error)).lower()  # credentials are not shown
        raise DataError.one(
            "D342",
            f"{subject}: {host} cannot be reached: {fault}",
            hint="check the network, or PIP_INDEX_URL, UV_DEFAULT_INDEX and the proxy variables",
        ) from None


def _file_name(name: str) -> str:
    """Return the last part of a file name of the index: it never climbs out of our folder."""
    plain = name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")
    return plain or "archive"


def _version(name: str | None) -> Version | None:
    """Return a version that can be compared; None for a name that is none."""
    from packaging.version import InvalidVersion, Version  # an extra

    try:
        return None if name is None else Version(name)
    except InvalidVersion:
        return None


def _same_version(found: str | None, wanted: str) -> bool:
    return (_version(found) or found) == (_version(wanted) or wanted)


def _rank(name: str) -> int:
    if name.endswith("-any.whl"):
        return 0
    return 2 if name.endswith(".whl") else 1


def _sha256(file: Package) -> str | None:
    options: dict[str, list[str]] = file.link.hash_option or {}
    return next(iter(options.get("sha256", [])), None)


def _no_such_version(wanted: Wanted, found: Sequence[Package]) -> DataError:
    versions = sorted({file.version for file in found if file.version}, key=_order)
    if not versions:
        return DataError.one("D341", f"the package index has no package `{wanted.name}`")
    near = difflib.get_close_matches(wanted.version, versions, n=3, cutoff=0.3) or versions[-3:]
    nearest = ", ".join(f"`{name}`" for name in near)
    return DataError.one(
        "D341",
        f"the package index has no version `{wanted.version}` of `{wanted.name}`"
        f" ({len(versions)} others)",
        hint=f"nearest: {nearest}; newest: `{versions[-1]}`",
    )


def _order(version: str) -> tuple[Any, ...]:
    found = _version(version)
    return (0, version) if found is None else (1, found)


def _no_such_archive(wanted: Wanted, files: Sequence[Package]) -> DataError:
    shown = [f"{file.link.filename} sha256 {_sha256(file) or 'another'}" for file in files[:5]]
    more = f" and {len(files) - 5} more" if len(files) > len(shown) else ""
    return DataError.one(
        "D340",
        f"{wanted}: no archive has the pinned sha256 {wanted.sha256}; the index has"
        f" {'; '.join(shown)}{more}",
        hint="pin the sha256 of the archive you mean",
    )
