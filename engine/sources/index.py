"""Finding and downloading an archive of a package through the user's own index settings.

The archive is a file of bytes here: nothing is installed, built, imported or executed, as `pip download` does with a
source distribution. Settings are those of pip and uv: PIP_* and UV_* variables, pip.conf, and uv.toml
of the user and the system. A setting in the environment wins over one in a file; uv's wins over pip's.
"""

from __future__ import annotations

import configparser
import difflib
import hashlib
import logging
import os
import re
import ssl
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from engine.errors import DataError, needs_extra
from engine.files import leases
from engine.files.digests import sha256_of
from engine.progress import Progress
from engine.recipe.model import PackageRef
from engine.sources.local import wrong_sha256
from engine.values import Value

if TYPE_CHECKING:
    from unearth import Package
    from unearth.fetchers import PyPIClient

MAX_BYTES = 32 << 30
"""An archive larger than this is refused."""
ATTEMPTS = 3
CHUNK = 1 << 20
TOO_MANY, SERVER_ERROR = 429, 500
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


class IndexSettings(Value):
    indexes: tuple[str, ...]
    """URLs, the main one first; never shown, they may hold credentials. Empty: the default."""
    find_links: tuple[str, ...]
    """Folders and pages of archives."""
    no_index: bool
    """Only `find_links` count."""
    trusted_hosts: tuple[str, ...]
    certificates: str | None
    """File of certificate authorities; None: the system's."""
    timeout_seconds: float
    proxy: str | None


class Archive(Value):
    name: str
    """The file's name: `toy-1.0-py3-none-any.whl`."""
    sha256: str
    newest: str
    """The newest version of the package that is neither yanked nor a pre-release."""


def download(wanted: PackageRef, folder: Path, progress: Progress) -> Path:
    """Put the archive of `wanted` into `folder` and return its path, its sha256 checked.

    DataError when the index has no such package or version (the message names the nearest), no
    archive of that sha256, or cannot be reached; EnvironmentProblem without the `packages` extra.
    """
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
    shown = [f"{file.link.filename} sha256 {digest or 'another'}" for file, digest in published[:5]]
    more = f" and {len(files) - 5} more" if len(files) > len(shown) else ""
    raise DataError.one(
        "D340",
        f"{_named(wanted)}: no archive has the pinned sha256 {wanted.sha256}; the index has"
        f" {'; '.join(shown)}{more}",
        hint="pin the sha256 of the archive you mean",
    )


def find_archive(wanted: PackageRef, progress: Progress) -> Archive:
    """Return the archive that holds the file, found by its first folder; it is not downloaded.

    An index that publishes no digest is the exception: then the archive is fetched and hashed. Raises
    as `download` does.
    """
    # An sdist holds one folder, named by package and version; a wheel holds none of that name.
    folder = re.sub(r"[-_.]+", "-", wanted.file.split("/", 1)[0]).lower()
    is_sdist = folder == re.sub(r"[-_.]+", "-", f"{wanted.name}-{wanted.version}").lower()
    with _client(read_settings(os.environ)) as client:
        files = client.files(wanted)
        chosen = min(files, key=lambda one: str(one.link.filename).endswith(".whl") == is_sdist)
        digest = _sha256(chosen)
        if digest is None:
            with leases.temporary_folder() as place:
                path = client.save(chosen, place, pinned=None, progress=progress)
                digest = sha256_of(path)
        found = client.finder.find_all_packages(wanted.name, allow_yanked=False)
        versions = {one.version for one in found if one.version}
        usual = [one for one in versions if _order(one)[0] and not _order(one)[1].is_prerelease]
        newest = max([wanted.version, *usual], key=_order)
    return Archive(name=_file_name(chosen.link.filename), sha256=digest, newest=newest)


@contextmanager
def _client(settings: IndexSettings) -> Iterator[_Client]:
    with needs_extra("reading a file of a package needs unearth", "packages"):
        from unearth import PackageFinder  # an extra
        from unearth.auth import MultiDomainBasicAuth
        from unearth.fetchers import PyPIClient
    log = logging.getLogger("unearth")
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # its failures are read from `answers` instead
    answers: list[tuple[str, int]] = []

    def record(response: Any) -> None:
        answers.append((response.url.host, response.status_code))

    session = PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        verify=ssl.create_default_context(cafile=settings.certificates),
        timeout=settings.timeout_seconds,
        proxy=settings.proxy,
        follow_redirects=True,
        event_hooks={"response": [record]},
    )
    # Without `prompting=False` a run in CI would wait on stdin for a password.
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.indexes)
    with session:
        finder = PackageFinder(
            session=session,
            index_urls=settings.indexes or ("https://pypi.org/simple/",),
            find_links=[one for one in settings.find_links if "://" in one or Path(one).exists()],
            # The archive is unpacked, not installed: a wheel of another platform is as good.
            ignore_compatibility=True,
        )
        # Afterwards: of no index at all, the finder would make PyPI its only one.
        if settings.no_index:
            finder.sources = [one for one in finder.sources if one["type"] != "index"]
        yield _Client(session=session, finder=finder, answers=answers)


class _Client(Value):
    session: PyPIClient
    finder: Any
    answers: list[tuple[str, int]]
    """(host, status) of every response: the finder itself only logs failures."""

    def files(self, wanted: PackageRef) -> list[Package]:
        """Return the archives of that version: any-platform wheels, sdist, other wheels."""
        with _translated_errors(_named(wanted)):
            found = list(self.finder.find_all_packages(wanted.name, allow_yanked=True))
        if matching := [one for one in found if _order(one.version) == _order(wanted.version)]:
            return sorted(matching, key=lambda one: (_rank(one.link.filename), one.link.filename))
        for host, status in self.answers:
            if status in {401, 403}:
                raise DataError.one(
                    "D342",
                    f"{_named(wanted)}: `{host}` refused the credentials (HTTP {status})",
                    hint="put them into the index URL of pip or uv, or into ~/.netrc",
                )
            if status >= SERVER_ERROR or status == TOO_MANY:
                raise DataError.one("D342", f"{_named(wanted)}: `{host}` answered HTTP {status}")
        versions = sorted({one.version for one in found if one.version}, key=_order)
        if not versions:
            raise DataError.one("D341", f"the package index has no package `{wanted.name}`")
        near = difflib.get_close_matches(wanted.version, versions, n=3, cutoff=0.3) or versions[-3:]
        raise DataError.one(
            "D341",
            f"the package index has no version `{wanted.version}` of `{wanted.name}`"
            f" ({len(versions)} others)",
            hint=f"nearest: {', '.join(f'`{name}`' for name in near)}; newest: `{versions[-1]}`",
        )

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
def _translated_errors(subject: str) -> Iterator[None]:
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
    return name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".") or "archive"


def _order(version: str | None) -> tuple[int, Any]:
    """Return what sorts and compares versions; 0 first for a name that is none."""
    from packaging.version import InvalidVersion, Version  # an extra

    try:
        return 1, Version(version or "")
    except InvalidVersion:
        return 0, version or ""


def _named(wanted: PackageRef) -> str:
    return f"{wanted.name}=={wanted.version}"


def _rank(name: str) -> int:
    if name.endswith("-any.whl"):
        return 0
    return 2 if name.endswith(".whl") else 1


def _sha256(file: Package) -> str | None:
    options: Mapping[str, Sequence[str]] = file.link.hash_option or {}
    return next(iter(options.get("sha256", [])), None)


def read_settings(environment: Mapping[str, str]) -> IndexSettings:
    home = Path(environment.get("HOME", str(Path.home())))
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    pip, (default, extra, folders) = _pip(environment, home, own), _uv(environment, own)
    named = map(environment.get, ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    urls = [
        next(filter(None, named), None) or default or pip.get("index-url"),
        *_words(environment.get("UV_INDEX"), environment.get("UV_EXTRA_INDEX_URL")),
        *extra,
        *_words(pip.get("extra-index-url")),
    ]
    links = environment.get("UV_FIND_LINKS", "").replace(",", " ").split()
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    certificates = (pip.get("cert"), *map(environment.get, variables))
    seconds = 30.0
    with suppress(ValueError):
        seconds = float(environment.get("UV_HTTP_TIMEOUT") or pip.get("timeout") or seconds)
    switches = (pip.get("no-index"), environment.get("UV_NO_INDEX"))
    return IndexSettings(
        indexes=tuple(dict.fromkeys(_with_credentials(url, environment) for url in urls if url)),
        find_links=tuple(dict.fromkeys((*links, *folders, *_words(pip.get("find-links"))))),
        no_index=any((one or "").strip().lower() in _TRUE for one in switches),
        trusted_hosts=tuple(_words(pip.get("trusted-host"), environment.get("UV_INSECURE_HOST"))),
        certificates=next((one for one in certificates if one and Path(one).exists()), None),
        timeout_seconds=max(seconds, 1.0),
        proxy=pip.get("proxy") or None,
    )


def _pip(environment: Mapping[str, str], home: Path, own: Path) -> dict[str, str]:
    """Return pip's settings: files of system, user, environment, PIP_CONFIG_FILE, variables; later ones win."""
    named = environment.get("PIP_CONFIG_FILE")
    shared = environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
    files = [
        *(Path(folder) / "pip" / "pip.conf" for folder in shared if folder),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        own / "pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
    ]
    found: dict[str, str] = {}
    # The null device is pip's own way to say that no file is read.
    for file in files if named != os.devnull else ():
        # Raw: passwords in index URLs hold percent signs, which ConfigParser takes for references.
        parser = configparser.RawConfigParser()
        with suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(file.read_text(encoding="utf-8"))
        for section in filter(parser.has_section, ("global", "install", "download")):
            found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    variables = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }
    if "default-timeout" in variables:
        variables.setdefault("timeout", variables["default-timeout"])
    return found | variables


def _uv(environment: Mapping[str, str], own: Path) -> tuple[str | None, list[str], list[str]]:
    """Return the main index of uv's settings, further ones, and folders of archives."""
    named = environment.get("UV_CONFIG_FILE")
    default, extra, folders = None, list[str](), list[str]()
    for file in [Path(named)] if named else [Path("/etc/uv/uv.toml"), own / "uv" / "uv.toml"]:
        table: dict[str, Any] = {}
        with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        for scope in (table, table.get("pip", {})):
            default = scope.get("index-url") or default
            extra += scope.get("extra-index-url", [])
            folders += scope.get("find-links", [])
        for index in table.get("index", []):
            url = f"{index['name']}={index['url']}" if "name" in index else index["url"]
            if index.get("default"):
                default = url
            # uv asks an explicit index only for packages that name it.
            elif not index.get("explicit"):
                extra.append(url)
    return default, extra, folders


def _with_credentials(url: str, environment: Mapping[str, str]) -> str:
    """Return the URL of uv's `name=url`, with UV_INDEX_<NAME>_USERNAME and _PASSWORD."""
    name, separator, address = url.partition("=")
    if not separator or "/" in name or ":" in name:
        return url
    prefix = f"UV_INDEX_{''.join(c if c.isalnum() else '_' for c in name).upper()}"
    user = environment.get(f"{prefix}_USERNAME", "")
    password = environment.get(f"{prefix}_PASSWORD", "")
    parts = urlsplit(address)
    if not (user or password) or "@" in parts.netloc:
        return address
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=netloc))


def _words(*texts: str | None) -> Iterator[str]:
    return (word for text in texts for word in (text or "").split())
