"""The user's word: what is allowed beyond a recipe's project, kept in the user's own folders and nowhere else.

`settings.yaml` in the configuration folder may list `projects`: folders that are one project with all below them. What
`recipe trust` keeps is in `engine.trust.records`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from engine.errors import RecipeError
from engine.files.reading import read_text
from engine.files.user import config_folder
from engine.trust.hosts import Address, parse_host
from engine.trust.keys import HOSTS
from engine.trust.project import lies_below, real_place
from engine.values import Value

SETTINGS: Final = "settings.yaml"


class Allowed(Value):
    """What may be read and asked beyond a project."""

    everything: bool = False
    """For a recipe that the user is writing, and to see what there is to be trusted."""
    read: tuple[Path, ...] = ()
    """Real files, and folders with what is below them."""
    hosts: frozenset[str] = frozenset()
    """`HOST` for any port, or `HOST:PORT`."""
    keys: frozenset[tuple[str, str]] = frozenset()
    """(variable, `HOST` or `HOST:PORT`)."""
    references: frozenset[str] = frozenset()
    """Word for word, as `recipe trust` keeps them."""

    def may_read(self, place: Path) -> bool:
        """Tell whether a real place outside the project may be read."""
        if self.everything or reading(place) in self.references:
            return True
        return any(lies_below(place, root) for root in self.read)

    def may_ask(self, address: Address) -> bool:
        """Tell whether rows may be sent there: this machine needs nobody's word."""
        if self.everything or address.is_loopback:
            return True
        names = {address.name, address.bare, f"{address.bare}:{address.port}"}
        return bool(names & self.hosts) or sending_rows(address) in self.references

    def may_send(self, variable: str, address: Address) -> bool:
        """Tell whether a key belongs to a host. Never true over plain http, but for this machine."""
        if address.scheme != "https" and not address.is_loopback:
            return False
        if self.everything or sending_key(variable, address) in self.references:
            return True
        # the name has the port where it is not 443: another port of that host is another server
        if HOSTS.get(variable) == address.name:
            return True
        # servers on this machine have any port
        any_port = (address.bare,) if address.is_loopback else ()
        names = (address.name, f"{address.bare}:{address.port}", *any_port)
        return any((variable, name) in self.keys for name in names)


def reading(place: Path) -> str:
    """Return the reference to a file or folder outside, in the words that are shown and kept."""
    return f"read {place}"


def sending_rows(address: Address) -> str:
    """Return the reference to a host that rows are sent to."""
    return f"send rows to {address.name}"


def sending_key(variable: str, address: Address) -> str:
    """Return the reference to a key that is sent to a host."""
    return f"send ${variable} to {address.name}"


def from_options(read: Iterable[str], hosts: Iterable[str], keys: Iterable[str]) -> Allowed:
    """Return what `--allow-read`, `--allow-host` and `--allow-key` say. RecipeError R312 for what is none."""
    try:
        places = tuple(real_place(Path(path).expanduser()) for path in read)
        named = frozenset(map(parse_host, hosts))
        pairs = frozenset(map(_pair, keys))
    except (ValueError, RuntimeError) as error:
        raise RecipeError.one(
            "R312",
            f"cannot be allowed: {error}",
            hint="--allow-read PATH, --allow-host HOST[:PORT], --allow-key NAME=HOST[:PORT]",
        ) from None
    return Allowed(read=places, hosts=named, keys=pairs)


def projects() -> tuple[Path, ...]:
    """Return the folders of the user's that count as projects. RecipeError R313 for settings that are none."""
    file = config_folder() / SETTINGS
    try:
        text = read_text(file)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise _no_settings(file, getattr(error, "strerror", "") or "is not UTF-8") from None
    import yaml  # only where there are settings

    try:
        value = yaml.safe_load(text)
    # a number of 5,000 digits or a 99th month, and lists that are nested too deep
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _no_settings(file, "is no YAML") from None
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise _no_settings(file, "is no mapping")
    if odd := sorted(map(str, value.keys() - {"projects"})):
        raise _no_settings(file, f"there is no setting `{odd[0]}`")
    found = value.get("projects") or []
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise _no_settings(file, "`projects` must be a list of folders")
    return tuple(_project(one, file) for one in found)


def _project(text: str, file: Path) -> Path:
    try:
        folder = Path(text).expanduser()
        # a relative one would be a folder of whatever project one stands in
        if not folder.is_absolute():
            raise _no_settings(file, f"`{folder}` is not absolute")
        return real_place(folder)
    # a zero byte; the home of a user that is none
    except (ValueError, RuntimeError) as error:
        raise _no_settings(file, f"`{text}` is no folder: {error}") from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, host = text.partition("=")
    if not separator or not name.isidentifier():
        raise ValueError(f"`{text}` is not NAME=HOST")
    return name, parse_host(host)


def _no_settings(file: Path, why: str) -> RecipeError:
    hint = "write `projects: [/home/you/work]`, or delete the file"
    return RecipeError.one("R313", f"your settings `{file}`: {why}", hint=hint)
