"""The lock beside a recipe: written whole or not at all, read strictly."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.errors import DataError
from engine.lock.file import (
    Accepted,
    Lock,
    LockedFirewall,
    LockedSplit,
    Wear,
    lock_path,
    lock_text,
    read_lock,
    write_lock,
)
from engine.values import fields, replace, to_json

LOCK = Lock(
    recipe="reviews",
    draw={"splits.seed": 7, "splits.by": "stratified", "splits.holdout": 2},
    inputs="ab" * 32,
    drawn_with=None,
    splits={
        "holdout": LockedSplit(rows=2, digest="0c" * 32, members="AAAAAAAAAAEAAAAAAAAAAg=="),
        "train": LockedSplit(rows=30_000, digest="1d" * 32, members=None),
    },
    unused=None,
    firewall=LockedFirewall(
        method="5-character shingles, Jaccard similarity",
        similarity=0.8,
        found_exact=0,
        found_near=1,
        left_exact=0,
        left_near=0,
    ),
    holdout=Wear(looks=3, redraws=1),
)


def changed(path: str, value: Any) -> str:
    """The text of the lock with one value replaced, or taken out for `...`."""
    data = json.loads(lock_text(LOCK))
    *parents, last = path.split("/")
    node = data
    for part in parents:
        node = node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return json.dumps(data)


def test_it_stands_beside_the_recipe_under_its_name(tmp_path: Path) -> None:
    assert lock_path(tmp_path / "my.reviews.yaml") == tmp_path / "my.reviews.lock.json"


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "reviews.lock.json"

    assert write_lock(path, LOCK)
    found = read_lock(path)

    assert found is not None
    assert to_json(found) == to_json(LOCK)
    assert [entry.name for entry in tmp_path.iterdir()] == ["reviews.lock.json"]


def test_it_follows_its_schema(root: Path) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(lock_text(LOCK)), schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", [Lock, LockedSplit, LockedFirewall, Wear, Accepted])
def test_the_schema_has_every_field(root: Path, kind: type) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    part = schema if kind is Lock else schema["$defs"][kind.__name__]
    names = {field.name for field in fields(kind)}

    assert set(part["properties"]) - {"schema"} == names
    optional = {"accepted", "left_out", "replay", "stages", "synthetic", "teacher", "trainer"}
    assert set(part["required"]) - {"schema"} == names - optional
    assert part["additionalProperties"] is False


def test_the_text_does_not_depend_on_the_order_of_making() -> None:
    other = replace(
        LOCK,
        draw=dict(reversed(list(LOCK.draw.items()))),
        splits=dict(reversed(list(LOCK.splits.items()))),
    )

    assert lock_text(other) == lock_text(LOCK)


def test_the_versions_of_an_accepted_run_stand_in_one_order(root: Path) -> None:
    lock = read_lock(root / "tests" / "examples" / "run" / "recipe.lock.json")
    assert lock is not None
    assert lock.accepted is not None
    versions = dict(sorted(lock.accepted.versions.items(), reverse=True))
    other = replace(lock, accepted=replace(lock.accepted, versions=versions))

    assert lock_text(other) == lock_text(lock)
    assert list(json.loads(lock_text(other))["accepted"]["versions"]) == sorted(versions)


def test_one_more_look_changes_one_line() -> None:
    worn = replace(LOCK, holdout=Wear(looks=4, redraws=1))
    pairs = zip(lock_text(LOCK).splitlines(), lock_text(worn).splitlines(), strict=True)

    assert [(a.strip(), b.strip()) for a, b in pairs if a != b] == [('"looks": 3,', '"looks": 4,')]


def test_the_same_lock_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "reviews.lock.json"
    write_lock(path, LOCK)
    before = path.stat().st_mtime_ns

    assert not write_lock(path, LOCK)
    assert path.stat().st_mtime_ns == before


def test_a_write_that_fails_leaves_the_old_lock_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reviews.lock.json"
    write_lock(path, LOCK)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write_lock(path, replace(LOCK, holdout=Wear(looks=9, redraws=0)))

    assert read_lock(path) == LOCK
    assert [entry.name for entry in tmp_path.iterdir()] == ["reviews.lock.json"]


def test_the_size_of_a_lock_is_counted_in_bytes_as_its_reader_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = replace(LOCK, recipe="überprüfung")
    monkeypatch.setattr("engine.lock.file.MAX_BYTES", len(lock_text(lock)))

    with pytest.raises(OSError, match="would be larger"):
        write_lock(tmp_path / "reviews.lock.json", lock)


def test_without_a_file_there_is_no_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "none.lock.json") is None


BAD = {
    "merge conflict": ('{\n<<<<<<< ours\n"a": 1\n=======\n>>>>>>> theirs\n}', "D380", "conflict"),
    "half a file": (lock_text(LOCK)[:90], "D380", "not JSON"),
    "not ours": ('{"name": "npm", "lockfileVersion": 3}', "D381", "not a lock"),
    "a list": ("[]", "D381", "not a lock"),
    "newer": (changed("schema", "lock.v9"), "D381", "lock.v9"),
    "more": (changed("surprise", 1), "D382", "surprise"),
    "less": (changed("inputs", ...), "D382", "inputs"),
    "looks in words": (changed("holdout/looks", "three"), "D382", "looks"),
    "looks below 0": (changed("holdout/looks", -1), "D382", "looks"),
    "truth for a number": (changed("holdout/looks", True), "D382", "looks"),
    "no rows": (changed("splits/holdout/rows", ...), "D382", "rows"),
    "more in a part": (changed("firewall/luck", 1), "D382", "luck"),
    "members": (changed("splits/holdout/members", 3), "D382", "members"),
    "draw": (changed("draw", "stratified"), "D382", "draw"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_lock_is_refused_and_never_touched(tmp_path: Path, name: str) -> None:
    text, code, message = BAD[name]
    path = tmp_path / "reviews.lock.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DataError) as caught:
        read_lock(path)

    (problem,) = caught.value.problems
    assert problem.code == code
    assert message in problem.message
    assert problem.hint
    assert path.read_text(encoding="utf-8") == text


def test_a_folder_in_its_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "reviews.lock.json").mkdir()

    with pytest.raises(DataError) as caught:
        read_lock(tmp_path / "reviews.lock.json")

    assert caught.value.problems[0].code == "D380"
