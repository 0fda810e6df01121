"""A sealed lock: with its key it is the lock that it was, and without it nothing of single rows can be confirmed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from engine.data.examples.example import content_key
from engine.data.membership import KEY_BYTES, joined_parts
from engine.data_view.view import seal_lock
from engine.errors import DataError
from engine.lock.file import Lock, LockedSplit, Wear, lock_path, lock_text, read_lock, write_lock
from engine.lock.seal import VARIABLE, key_path, make_key
from support.recipe_pairs import accepted_run

TEXTS = ("my card 4929 was charged twice", "the app crashes", "how do I export?")
MEMBERS = joined_parts(content_key(text)[:KEY_BYTES] for text in TEXTS)
PLAIN = Lock(
    recipe="tickets",
    draw={"splits.seed": 7},
    inputs="ab" * 32,
    drawn_with=None,
    splits={
        "train": LockedSplit(rows=9, digest="0c" * 32, members=None, left_out=MEMBERS),
        "holdout": LockedSplit(rows=3, digest="1d" * 32, members=MEMBERS),
    },
    unused=MEMBERS,
    firewall=None,
    holdout=Wear(looks=3, redraws=1),
)
LOCK = replace(PLAIN, accepted=replace(accepted_run(PLAIN), fingerprints=MEMBERS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return lock_path(tmp_path / "tickets.yaml")


@pytest.fixture
def sealed(path: Path) -> Path:
    make_key(path)
    write_lock(path, LOCK)
    return path


def strings(path: Path) -> dict[str, str]:
    data = json.loads(path.read_text("utf-8"))
    splits, accepted = data["splits"], data["accepted"]
    return {
        "members": splits["holdout"]["members"],
        "left_out": splits["train"]["left_out"],
        "unused": data["unused"],
        "fingerprints": accepted["fingerprints"],
        "entries": accepted["answers"]["entries"],
    }


def code_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_lock(path)
    return caught.value.problems[0].code


def test_with_its_key_it_is_the_lock_that_it_was(sealed: Path) -> None:
    assert read_lock(sealed) == LOCK


def test_a_guessed_text_is_not_confirmed(sealed: Path) -> None:
    content = sealed.read_bytes() + b"".join(map(base64.b64decode, strings(sealed).values()))

    for text in TEXTS:
        key = content_key(text)
        assert key[:4] not in content
        assert base64.b64encode(key[:6]) not in content
    assert MEMBERS.encode() not in content


def test_equal_strings_look_different(sealed: Path) -> None:
    assert len(set(strings(sealed).values())) == len(strings(sealed))


def test_the_same_lock_is_the_same_file(sealed: Path) -> None:
    before = sealed.read_bytes()

    assert write_lock(sealed, LOCK) is False
    assert sealed.read_bytes() == before


def test_one_use_more_changes_one_line(sealed: Path) -> None:
    before = sealed.read_text("utf-8").splitlines()
    write_lock(sealed, replace(LOCK, holdout=Wear(looks=4, redraws=1)))
    after = sealed.read_text("utf-8").splitlines()

    assert [new for old, new in zip(before, after, strict=True) if old != new] == [
        '    "looks": 4,'
    ]


def test_without_its_key_it_is_not_read(sealed: Path) -> None:
    key_path(sealed).unlink()

    assert code_of(sealed) == "D402"


@pytest.mark.parametrize("text", ["ab" * 32, "no key", ""])
def test_another_key_does_not_open_it(sealed: Path, text: str) -> None:
    key_path(sealed).write_text(text, encoding="ascii")

    assert code_of(sealed) == "D402"


def test_the_key_may_stand_in_the_environment(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, key_path(sealed).read_text("ascii"))
    key_path(sealed).unlink()

    assert read_lock(sealed) == LOCK


@pytest.mark.parametrize("name", ["members", "unused", "fingerprints", "entries"])
def test_strings_that_change_places_are_found(sealed: Path, name: str) -> None:
    found = strings(sealed)
    text = sealed.read_text("utf-8").replace(found[name], found["left_out"])
    sealed.write_text(text, encoding="utf-8")

    assert code_of(sealed) == "D402"


def test_the_key_is_for_its_owner_alone(sealed: Path) -> None:
    assert key_path(sealed).stat().st_mode & 0o777 == 0o600


def test_a_lock_without_a_key_is_plain(path: Path) -> None:
    write_lock(path, LOCK)

    assert path.read_text("utf-8") == lock_text(LOCK)
    assert read_lock(path) == LOCK


def test_a_sealed_lock_follows_the_schema(sealed: Path, root: Path) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text("utf-8"))

    jsonschema.validate(
        json.loads(sealed.read_text("utf-8")), schema, cls=jsonschema.Draft202012Validator
    )


def test_sealing_says_what_to_keep(path: Path) -> None:
    recipe = path.with_name("tickets.yaml")
    nothing = seal_lock(recipe)
    write_lock(path, LOCK)

    first, again = seal_lock(recipe), seal_lock(recipe)

    assert nothing == "`tickets.lock.json` is not there: there is nothing to seal"
    assert "keep `tickets.lock.key` safe and out of version control" in first
    assert again == "`tickets.lock.json` is sealed with `tickets.lock.key`"
    assert read_lock(path) == LOCK
