"""Recipes that the user trusts, each with the list of what it named outside: one that names something new asks again.

One file a recipe in the user's state folder, for the user alone. What others could have written, and a list that is not
the one that was trusted, is not believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.errors import StoreError
from engine.files.reading import open_regular, parse_json
from engine.files.user import state_folder
from engine.files.writing import write_text
from engine.trust.allowed import projects
from engine.trust.project import lies_below, real_place
from engine.values import Value

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
        """Of the sorted list."""
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
    """Keep the user's word that a recipe may reach what it names outside. StoreError E760 where it cannot be kept."""
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
    """Take the user's word back; tell whether there was one. StoreError E760 where it cannot be taken back."""
    place = _place(recipe)
    try:
        place.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_kept(place, error) from error
    return True


def records() -> tuple[TrustRecord, ...]:
    """Return every recipe that the user trusts, by path."""
    found = [_record(place) for place in sorted((state_folder() / _FOLDER).glob("*.json"))]
    return tuple(sorted((one for one in found if one), key=lambda one: one.recipe))


def _record(place: Path) -> TrustRecord | None:
    """Return a record that the user alone could have written, and whose list is the one that was trusted."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        with open_regular(place, follow=False) as stream:
            status, content = os.fstat(stream.fileno()), stream.read(_MOST_BYTES)
        # a record that others can write is not the user's word
        if hasattr(os, "getuid") and (
            status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & _OTHERS_WRITE
        ):
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
