import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from engine.errors import EnvironmentProblem, StoreError
from engine.files.digests import sha256_of
from engine.store import DamagedError, Store, Stored, make_key, storage_problem
from engine.store.manifest import sign
from engine.store.store import MARK, SMALL

KEY = make_key({"stage": "data", "revision": 1})


def write_rows(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "rows.jsonl").write_text("one\n", encoding="utf-8")


def test_a_key_depends_on_content_and_not_on_order() -> None:
    assert make_key({"a": 1, "b": [1, 2]}).digest == make_key({"b": (1, 2), "a": 1}).digest
    assert make_key({"a": 1}).digest != make_key({"a": 2}).digest
    assert make_key({"a": 1}).digest != make_key({"a": True}).digest


def test_a_path_cannot_be_part_of_a_key() -> None:
    with pytest.raises(TypeError, match="path"):
        make_key({"file": Path("/somewhere")})


def test_nan_cannot_be_part_of_a_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_key({"value": float("nan")})


def test_what_was_put_is_got_back(tmp_path: Path) -> None:
    store = Store(tmp_path)

    artifact = store.put("data", KEY, write_rows)

    assert artifact.file("sub/rows.jsonl").read_text(encoding="utf-8") == "one\n"
    assert artifact == store.get(KEY.digest)
    assert artifact.payload == KEY.payload


@pytest.mark.skipif(os.name == "nt", reason="files have no such rights there")
def test_who_may_read_the_store_may_read_what_a_library_wrote_for_its_owner_alone(
    tmp_path: Path,
) -> None:
    def write(folder: Path) -> None:
        write_rows(folder)
        (folder / "sub" / "rows.jsonl").chmod(0o600)

    open_to_all, private = tmp_path / "shared", tmp_path / "private"
    for root, mode in ((open_to_all, 0o022), (private, 0o077)):
        before = os.umask(mode)
        try:
            stored = Store(root).put("data", KEY, write).file("sub/rows.jsonl")
        finally:
            os.umask(before)
        assert stored.stat().st_mode & 0o777 == (0o644 if root == open_to_all else 0o600)


def test_the_same_key_is_built_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    built: list[Path] = []

    for _ in range(2):
        store.put("data", KEY, lambda folder: (built.append(folder), write_rows(folder))[0])

    assert len(built) == 1


def test_who_waits_for_another_process_knows_before(tmp_path: Path) -> None:
    held, free = Event(), Event()
    waits: list[str] = []

    def hold() -> None:
        with Store(tmp_path).lock(KEY.digest):
            held.set()
            free.wait(60)

    def waiting() -> None:
        waits.append("once")
        free.set()

    Store(tmp_path).put("data", KEY, write_rows, waits=waiting)
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait(60)
        made = Store(tmp_path).put("data", KEY, write_rows, anew=True, waits=waiting)
        holding.result()

    assert waits == ["once"]
    assert made.file("sub/rows.jsonl").is_file()


def test_anew_builds_again_and_replaces(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("data", KEY, write_rows)

    store.put("data", KEY, lambda f: (f / "x").write_text("two", encoding="utf-8"), anew=True)

    found = store.get(KEY.digest)
    assert found is not None
    assert [entry.name for entry in found.files] == ["x"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        write_rows(folder)
        raise KeyError("half way")

    with pytest.raises(KeyError):
        store.put("data", KEY, fail)
    assert store.get(KEY.digest) is None
    assert not store.folder(KEY.digest).exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_changed_file_is_damage_and_is_moved_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.put("data", KEY, write_rows)
    artifact.file("sub/rows.jsonl").write_text("two\n", encoding="utf-8")

    assert store.get(KEY.digest) is None
    assert store.stored(KEY.digest) is Stored.DAMAGED

    store.put("data", KEY, write_rows)
    assert store.get(KEY.digest) is not None
    (kept,) = (tmp_path / "damaged").iterdir()
    assert (kept / "files" / "sub" / "rows.jsonl").read_text(encoding="utf-8") == "two\n"


def test_a_touched_file_with_the_same_bytes_is_not_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.put("data", KEY, write_rows)
    path = artifact.file("sub/rows.jsonl")
    path.write_text("one\n", encoding="utf-8")

    assert store.get(KEY.digest) is not None


def test_equal_bytes_give_equal_digests_whatever_the_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    other = make_key({"stage": "data", "revision": 2})

    first, second = store.put("data", KEY, write_rows), store.put("data", other, write_rows)

    assert first.digest() == second.digest()


def test_scratch_outlives_a_failure_and_goes_with_success(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.scratch(KEY.digest) / "checkpoint").write_text("7", encoding="utf-8")

    assert (store.scratch(KEY.digest) / "checkpoint").exists()
    store.put("train", KEY, write_rows)
    assert not (tmp_path / "scratch" / KEY.digest).exists()


def test_a_full_disk_while_sealing_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("engine.store.store.manifest_text", full)

    with pytest.raises(EnvironmentProblem, match="E710"):
        store.put("data", KEY, write_rows)
    assert store.get(KEY.digest) is None
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("where", ["a result", "a checkpoint"])
def test_a_limited_size_is_reported_whatever_a_library_says_of_it(
    where: str, tmp_path: Path
) -> None:
    import resource

    def build(folder: Path) -> None:
        place = folder if where == "a result" else Store(tmp_path).scratch(KEY.digest)
        (place / "rows").write_bytes(bytes(1 << 16))
        raise RuntimeError("70000 requested and 65536 written")

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="E742"):
            Store(tmp_path).put("data", KEY, build)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(RuntimeError, match="requested"):
        Store(tmp_path).put("data", KEY, build)


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(StoreError, match="E750"):
        Store(tmp_path / "file" / "store").put("data", KEY, write_rows)


def test_other_failed_writes_are_a_store_error(tmp_path: Path) -> None:
    problem = storage_problem(OSError(errno.EROFS, "Read-only file system"), tmp_path)

    assert isinstance(problem, StoreError)
    assert "Read-only" in str(problem)


def flip(path: Path) -> None:
    """Change one bit in the middle, and keep size and time, as a disk does that rots."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    # The time of change is the one thing that shows it, and clocks of file systems may tick a hundred times a second.
    while path.stat().st_ctime_ns == status.st_ctime_ns:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def large(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(bytes(SMALL))


def test_a_flipped_bit_in_a_small_file_is_damage_wherever_it_is_looked_at(tmp_path: Path) -> None:
    artifact = Store(tmp_path).put("data", KEY, write_rows)
    flip(artifact.file("sub/rows.jsonl"))

    assert Store(tmp_path).get(KEY.digest) is None
    assert Store(tmp_path).stored(KEY.digest) is Stored.DAMAGED


def test_a_flipped_bit_in_a_large_file_is_damage_where_it_is_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.put("merge", KEY, large)
    assert store.whole(KEY.digest) == artifact
    flip(artifact.file("model/weights"))

    assert store.get(KEY.digest) == artifact  # planning reads no gigabytes
    assert store.whole(KEY.digest) is None
    assert store.put("merge", KEY, large).file("model/weights").read_bytes() == bytes(SMALL)
    assert len([*(tmp_path / "damaged").iterdir()]) == 1


def test_a_large_file_is_read_once_by_who_built_it_and_a_small_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(folder: Path) -> None:
        large(folder)
        write_rows(folder)

    read = list[str]()

    def hashed(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("engine.store.store.sha256_of", hashed)
    store = Store(tmp_path)
    artifact = store.put("merge", KEY, both)

    assert store.whole(KEY.digest) == Store(tmp_path).get(KEY.digest) == artifact
    assert sorted(read) == ["rows.jsonl", "rows.jsonl", "rows.jsonl", "weights"]
    assert Store(tmp_path).whole(KEY.digest) == artifact
    assert read.count("weights") == 2


def test_a_bit_that_is_flipped_behind_the_building_is_damage_for_who_built_it(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    flip(store.put("merge", KEY, large).file("model/weights"))

    assert store.whole(KEY.digest) is None


def test_what_leaves_is_hashed_as_it_leaves(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    artifact = store.put("merge", KEY, large)
    store.deliver(artifact, "model", tmp_path / "one")
    assert (tmp_path / "one" / "weights").stat().st_nlink == 2
    flip(artifact.file("model/weights"))

    with pytest.raises(DamagedError, match="E752"):
        store.deliver(artifact, "model", tmp_path / "two")

    assert not artifact.path.exists()
    assert len([*(tmp_path / "store" / "damaged").iterdir()]) == 1


def test_what_is_copied_is_hashed_where_it_has_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file system, whose copies are cut off."""
    store = Store(tmp_path / "store")
    artifact = store.put("data", KEY, write_rows)

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("shutil.copy2", lambda _, target: Path(target).write_bytes(b"on"))

    with pytest.raises(DamagedError, match="E752"):
        store.deliver(artifact, "sub/rows.jsonl", tmp_path / "rows.jsonl")


def test_a_result_is_not_believed_under_another_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("data", KEY, write_rows)
    other = make_key({"stage": "gate"}).digest
    shutil.copytree(store.folder(KEY.digest), store.folder(other))

    assert store.get(other) is None


def test_fields_of_a_newer_version_are_passed_over(tmp_path: Path) -> None:
    artifact = Store(tmp_path).put("data", KEY, write_rows)
    path = artifact.path.parent / "artifact.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["files"][0]["mode"] = 0o644
    path.write_text(json.dumps(sign("artifact", {**fields, "licence": "MIT"})), encoding="utf-8")

    assert Store(tmp_path).get(KEY.digest) == artifact


def test_a_result_in_another_versions_form_is_kept_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.put("data", KEY, write_rows).path.parent / "artifact.json"
    newer = json.dumps({"schema": "artifact.v2", "of": "another form"})
    path.write_text(newer, encoding="utf-8")
    assert store.stored(KEY.digest) is Stored.FOREIGN

    built = store.put("data", KEY, lambda f: (f / "x").write_text("two", encoding="utf-8"))

    [kept] = (tmp_path / "foreign").glob("*/artifact.json")
    assert kept.read_text(encoding="utf-8") == newer
    assert Store(tmp_path).whole(KEY.digest) == built


def test_scratch_that_was_killed_before_its_mark_is_no_stranger_s(tmp_path: Path) -> None:
    store = Store(tmp_path)
    place = tmp_path / "scratch" / KEY.digest
    place.mkdir(parents=True)
    (place / f".{MARK}.{'0' * 24}.part").write_text("half", encoding="utf-8")

    assert [path.name for path in store.scratch(KEY.digest).iterdir()] == [MARK]
    assert not (tmp_path / "foreign").exists()
