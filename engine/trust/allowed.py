"""The user's word: what is allowed beyond a recipe's project, kept in the user's own folders and nowhere else."""

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError, StoreError
from engine.files.reading import config_folder, open_regular, parse_json, read_text, state_folder
from engine.files.writing import write_text
from engine.trust.hosts import HOSTS, Address, parse_host
from engine.values import Value, from_json

STORE: Final = ".recipe"
"""The one name with a dot in front that belongs to a project: the engine's own."""


class Project(Value):
    """The folders whose files a recipe may name without asking."""

    folder: Path
    """The recipe's own folder, links followed."""
    roots: tuple[Path, ...]
    """Real folders; the recipe's own is one of them."""

    def holds(self, place: Path) -> bool:
        return any(lies_below(place, root) for root in self.roots)


def project_of(recipe: Path, further: Sequence[Path] = ()) -> Project:
    """Return the project of a recipe file; `further` are roots of the user's that count where the recipe is below them.

    A recipe that is a link belongs to the project that the link is in.
    """
    folder = real_place(
        Path(os.path.abspath(recipe)).parent
    )  # resolve() follows a link of the file
    above = [_repository(folder), *(root for root in further if folder.is_relative_to(root))]
    return Project(
        folder=folder,
        roots=tuple(dict.fromkeys(root for root in (*above, folder) if root is not None)),
    )


def real_place(path: Path) -> Path:
    return Path(os.path.realpath(path))


def lies_below(place: Path, root: Path) -> bool:
    """Tell whether a real place is `root` or below it, with no hidden name between them."""
    if not place.is_relative_to(root):
        return False
    return not any(_is_hidden(name) for name in place.relative_to(root).parts if name != STORE)


def _is_hidden(name: str) -> bool:
    """Some file systems drop invisible characters from names, so that one before `.git` still opens `.git`."""
    if name.isascii():
        return name.startswith(".")
    plain = unicodedata.normalize("NFKC", name)
    visible = (letter for letter in plain if unicodedata.category(letter) != "Cf")
    return next(visible, "") == "."


def _repository(folder: Path) -> Path | None:
    """Return the top of the git repository around a folder, found without running git and following no link.

    A repository of somebody else's around the folder does not count, and neither does one that holds the user's home:
    people keep their settings in such a one, and what they download lands below it.
    """
    home = None
    with suppress(RuntimeError):  # nobody's process has no home
        home = real_place(Path.home())
    for top in (folder, *folder.parents):
        if home is not None and home.is_relative_to(top):
            return None
        if _is_top(top):
            with suppress(OSError):
                return top if top.stat().st_uid == folder.stat().st_uid else None
            return None
    return None


def _is_top(folder: Path) -> bool:
    try:
        mode = (folder / ".git").lstat().st_mode
        # a file is that of a worktree or a submodule; an empty folder of that name is no
        # repository
        return not stat.S_ISDIR(mode) or (folder / ".git" / "HEAD").exists()
    except OSError:
        return False


SCHEMA: Final = "trust.v1"
_FOLDER: Final = "trust"
_MOST_BYTES: Final = 1 << 20
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class TrustRecord(Value):
    """A recipe that the user trusts, and what it named then."""

    recipe: Path
    """Links followed."""
    references: tuple[str, ...]
    """Sorted."""
    trusted: str
    """When, in UTC."""

    @property
    def sha256(self) -> str:
        return _digest(self.references)


def trusted(recipe: Path) -> frozenset[str]:
    """Return what the user trusts a recipe with; nothing where there is no word, or none that holds."""
    found = _record(_place(recipe))
    # the path is compared, too: the file could have been renamed to stand for another recipe
    return frozenset(found.references if found and found.recipe == real_place(recipe) else ())


def is_own(recipe: Path) -> bool:
    """Tell whether a recipe is the user's own: trusted, if only with nothing outside, or below one of their projects.

    RecipeError R313 for settings that are none.
    """
    found = _record(_place(recipe))
    if found is not None and found.recipe == real_place(recipe):
        return True
    return any(lies_below(real_place(recipe), root) for root in projects())


def trust(recipe: Path, references: Sequence[str]) -> TrustRecord:
    """StoreError E760 where the word cannot be kept."""
    found = TrustRecord(
        recipe=real_place(recipe),
        references=tuple(sorted(set(references))),
        trusted=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    fields = {
        "schema": SCHEMA,
        "recipe": str(found.recipe),
        "sha256": found.sha256,
        "trusted": found.trusted,
        "references": list(found.references),
    }
    place = _place(recipe)
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(fields, indent=2, ensure_ascii=True) + "\n"
        write_text(place, text, below=state_folder())
        place.chmod(0o600)
    except OSError as error:
        raise _not_kept(place, error) from error
    return found


def forget(recipe: Path) -> bool:
    """Tell whether there was a word to take back. StoreError E760 where it cannot be taken back."""
    place = _place(recipe)
    try:
        place.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_kept(place, error) from error
    return True


def records() -> tuple[TrustRecord, ...]:
    found = [_record(place) for place in sorted((state_folder() / _FOLDER).glob("*.json"))]
    return tuple(sorted((one for one in found if one), key=lambda one: one.recipe))


def _record(place: Path) -> TrustRecord | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        with open_regular(place, follow=False) as stream:
            status, content = os.fstat(stream.fileno()), stream.read(_MOST_BYTES)
        # a record that others can write is not the user's word
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & _OTHERS_WRITE:
            return None
        fields: dict[str, Any] = parse_json(content)
        listed = tuple(str(one) for one in fields["references"])
        if fields["schema"] == SCHEMA and fields["sha256"] == _digest(listed):
            return TrustRecord(
                recipe=Path(fields["recipe"]), references=listed, trusted=str(fields["trusted"])
            )
    return None


def _digest(references: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(references)).encode()).hexdigest()


def _place(recipe: Path) -> Path:
    # a digest, since a path can be longer than the name of a file may be, and hold any byte
    name = hashlib.sha256(os.fsencode(real_place(recipe))).hexdigest()[:32]
    return state_folder() / _FOLDER / f"{name}.json"


def _not_kept(place: Path, error: OSError) -> StoreError:
    reason = (error.strerror or str(error)).lower()
    return StoreError.one(
        "E760",
        f"your word cannot be kept in `{place.parent}`: {reason}",
        hint="set XDG_STATE_HOME to a folder that you can write, or allow it on the command line",
    )


SETTINGS: Final = "settings.yaml"


class Allowed(Value):
    everything: bool = False
    """Set for a recipe that the user is writing, and to list what can be trusted."""
    read: tuple[Path, ...] = ()
    """Real files, and folders with what is below them."""
    hosts: frozenset[str] = frozenset()
    """`HOST` for any port, or `HOST:PORT`."""
    keys: frozenset[tuple[str, str]] = frozenset()
    """(variable, `HOST` or `HOST:PORT`)."""
    references: frozenset[str] = frozenset()
    """Word for word, as `recipe trust` keeps them."""

    def may_read(self, place: Path) -> bool:
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
    return f"read {place}"


def sending_rows(address: Address) -> str:
    return f"send rows to {address.name}"


def sending_key(variable: str, address: Address) -> str:
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


class _Settings(Value):
    projects: tuple[str, ...] | None = None


def projects() -> tuple[Path, ...]:
    """RecipeError R313 for settings that are none."""
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
    try:
        found = from_json(_Settings, {} if value is None else value)
    except (TypeError, ValueError) as error:
        raise _no_settings(file, str(error)) from None
    folders = []
    for one in found.projects or ():
        # a zero byte; the home of a user that is none
        try:
            folder = Path(one).expanduser()
            place = real_place(folder)
        except (ValueError, RuntimeError) as error:
            raise _no_settings(file, f"`{one}` is no folder: {error}") from None
        # a relative one would be a folder of whatever project one stands in
        if not folder.is_absolute():
            raise _no_settings(file, f"`{folder}` is not absolute")
        folders.append(place)
    return tuple(folders)


def _pair(text: str) -> tuple[str, str]:
    name, separator, host = text.partition("=")
    if not separator or not name.isidentifier():
        raise ValueError(f"`{text}` is not NAME=HOST")
    return name, parse_host(host)


def _no_settings(file: Path, why: str) -> RecipeError:
    hint = "write `projects: [/home/you/work]`, or delete the file"
    return RecipeError.one("R313", f"your settings `{file}`: {why}", hint=hint)
