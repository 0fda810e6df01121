"""Whose results a store holds: the key that cannot have come with a repository, and what is signed with it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import EnvironmentProblem
from engine.files.reading import STORE_KEY
from engine.store import manifest
from engine.store.manifest import Origin, origin_of, sign

RECORD = {"schema": "run.v1", "outcome": "accepted", "seconds": 1.5}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a user who has no key yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(STORE_KEY, raising=False)
    return tmp_path / "state" / "slm-recipe"


def be_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))


def test_what_was_signed_is_ours_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = sign("run", RECORD)

    assert origin_of("run", signed) is Origin.OURS
    assert origin_of("run", {**signed, "outcome": "refused"}) is Origin.CHANGED
    assert origin_of("run", {**signed, "more": 1}) is Origin.CHANGED
    assert origin_of("artifact", signed) is Origin.CHANGED
    assert origin_of("run", RECORD) is Origin.FOREIGN
    be_another_user(monkeypatch, tmp_path)
    sign("run", RECORD)
    assert origin_of("run", signed) is Origin.FOREIGN


@pytest.mark.parametrize("signed", [None, [], "x", {}, {"by": 1}, {"by": "é", "hmac": ["x"]}])
def test_a_signature_of_another_shape_is_none_of_ours(signed: object) -> None:
    sign("run", RECORD)

    assert origin_of("run", {**RECORD, "signed": signed}) is Origin.FOREIGN


def test_looking_makes_no_key(state: Path) -> None:
    signed = {**RECORD, "signed": {"by": "0" * 16, "hmac": "0" * 64}}

    assert origin_of("run", signed) is Origin.FOREIGN
    assert not state.exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_key_is_for_its_user_alone(state: Path) -> None:
    sign("run", RECORD)

    assert [path.name for path in state.iterdir()] == ["store.key"]
    assert stat.S_IMODE((state / "store.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert len((state / "store.key").read_bytes()) == 32


def test_users_of_one_home_get_one_key(state: Path) -> None:
    """Each of eight finds no key at first, as processes that start together do."""
    place = state / "store.key"
    make = manifest._make
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(make, [place] * 8))

    assert len(keys) == 1
    assert [path.name for path in state.iterdir()] == ["store.key"]
    assert keys == {place.read_bytes()}
    assert make(place) == place.read_bytes()


def test_machines_that_share_a_key_share_results(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "team.key"
    key.write_text("a secret of the team, long enough for a key\n", encoding="utf-8")
    monkeypatch.setenv(STORE_KEY, str(key))

    signed = sign("run", RECORD)
    be_another_user(monkeypatch, tmp_path)

    assert origin_of("run", signed) is Origin.OURS
    assert not state.exists()


@pytest.mark.parametrize("harm", ["absent", "short", "folder", "pipe", "huge", "no home"])
def test_a_key_that_cannot_be_used_is_reported_and_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    key = tmp_path / "team.key"
    monkeypatch.setenv(STORE_KEY, str(key))
    match harm:
        case "short":
            key.write_bytes(b"short")
        case "folder":
            key.mkdir()
        case "pipe":
            os.mkfifo(key)
        case "huge":
            key.write_bytes(bytes(range(256)) * 100)
        case "no home":
            monkeypatch.delenv(STORE_KEY)
            monkeypatch.delenv("XDG_STATE_HOME")
            monkeypatch.setattr(
                Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home"))
            )

    with pytest.raises(EnvironmentProblem, match="E757"):
        sign("run", RECORD)

    if harm == "short":
        assert key.read_bytes() == b"short"


def test_every_byte_of_a_random_key_counts(state: Path) -> None:
    """White space at its ends is not cut off, as it would be of a text."""
    state.mkdir(parents=True)
    (state / "store.key").write_bytes(b"\n" + bytes(30) + b" ")

    assert origin_of("run", sign("run", RECORD)) is Origin.OURS
