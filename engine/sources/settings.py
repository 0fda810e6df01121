"""The user's own package index settings, as pip and uv write them; no index address of ours.

Read: PIP_* and UV_* variables, pip.conf files, and uv.toml of the user and the system. A
setting in the environment wins over one in a file; uv's wins over pip's.
"""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from engine.values import Value


class IndexSettings(Value):
    """Where packages are looked for, and how connections are checked."""

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


def read_settings(environment: Mapping[str, str]) -> IndexSettings:
    """Return the settings in force for `environment` (usually `os.environ`)."""
    pip = {**_pip_files(environment), **_pip_variables(environment)}
    uv = _uv_files(environment)
    named = map(environment.get, ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    main = next(filter(None, named), None) or uv["default"] or pip.get("index-url")
    extra = [
        *_words(environment.get("UV_INDEX"), environment.get("UV_EXTRA_INDEX_URL")),
        *uv["extra"],
        *_words(pip.get("extra-index-url")),
    ]
    urls = [_named(url, environment) for url in [main, *extra] if url]
    links = [
        *environment.get("UV_FIND_LINKS", "").replace(",", " ").split(),
        *uv["find_links"],
        *_words(pip.get("find-links")),
    ]
    return IndexSettings(
        indexes=tuple(dict.fromkeys(urls)),
        find_links=tuple(dict.fromkeys(links)),
        no_index=_true(pip.get("no-index")) or _true(environment.get("UV_NO_INDEX")),
        trusted_hosts=tuple(_words(pip.get("trusted-host"), environment.get("UV_INSECURE_HOST"))),
        certificates=_certificates(environment, pip),
        timeout_seconds=_seconds(environment.get("UV_HTTP_TIMEOUT") or pip.get("timeout")),
        proxy=pip.get("proxy") or None,
    )


def _certificates(environment: Mapping[str, str], pip: Mapping[str, str]) -> str | None:
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    named = (pip.get("cert"), *map(environment.get, variables))
    return next((name for name in named if name and Path(name).exists()), None)


def _pip_variables(environment: Mapping[str, str]) -> dict[str, str]:
    found = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }
    if "default-timeout" in found:
        found.setdefault("timeout", found["default-timeout"])
    return found


def _pip_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip.conf's settings: system, user, environment, PIP_CONFIG_FILE; later ones win."""
    named = environment.get("PIP_CONFIG_FILE")
    # pip's own way to say that no file is read.
    if named == os.devnull:
        return {}
    home = Path(environment.get("HOME", str(Path.home())))
    shared = environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
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
    for file in files:
        found |= _pip_file(file)
    return found


def _pip_file(file: Path) -> dict[str, str]:
    # Raw: passwords in index URLs hold percent signs, which ConfigParser takes for references.
    parser = configparser.RawConfigParser()
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser.read_string(file.read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for section in ("global", "install", "download"):
        if parser.has_section(section):
            found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return found


def _uv_files(environment: Mapping[str, str]) -> dict[str, Any]:
    home = Path(environment.get("HOME", str(Path.home())))
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    named = environment.get("UV_CONFIG_FILE")
    files = [Path(named)] if named else [Path("/etc/uv/uv.toml"), own / "uv" / "uv.toml"]
    found: dict[str, Any] = {"default": None, "extra": [], "find_links": []}
    for file in files:
        with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            _add_uv(tomllib.loads(file.read_text(encoding="utf-8")), found)
    return found


def _add_uv(table: Mapping[str, Any], found: dict[str, Any]) -> None:
    for scope in (table, table.get("pip", {})):
        found["default"] = scope.get("index-url") or found["default"]
        found["extra"] += scope.get("extra-index-url", [])
        found["find_links"] += scope.get("find-links", [])
    for index in table.get("index", []):
        url = f"{index['name']}={index['url']}" if "name" in index else index["url"]
        if index.get("default"):
            found["default"] = url
        # uv asks an explicit index only for packages that name it.
        elif not index.get("explicit"):
            found["extra"].append(url)


def _named(url: str, environment: Mapping[str, str]) -> str:
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


def _true(text: str | None) -> bool:
    return (text or "").strip().lower() in {"1", "true", "yes", "on", "y", "t"}


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or ""), 1.0)
    except ValueError:
        return 30.0
