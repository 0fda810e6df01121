"""Digests of files, remembered."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError, EnvironmentProblem
from engine.recipe.model import HubRef, PackageRef, PathRef
from engine.sources import fetch, identity, local
from engine.sources.hub import digest_of, require_cached, require_digests
from engine.sources.local import DigestMemory


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def path_ref(path: Path, pin: str | None = None) -> PathRef:
    return PathRef(path=path, written=path.name, sha256=pin)


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"one")
    memory = tmp_path / "digests.json"
    DigestMemory(memory).sha256(file)
    stored = json.loads(memory.read_text())
    stored["files"][str(file)][0] = "remembered"
    memory.write_text(json.dumps(stored))

    assert DigestMemory(memory).sha256(file) == "remembered"


def test_a_changed_file_of_the_same_size_and_time_is_hashed_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"one")
    memory = DigestMemory(tmp_path / "digests.json")
    memory.sha256(file)
    times = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert memory.sha256(file) == sha256(b"two")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1, "files": 3}', '{"version": 9}'])
def test_a_damaged_memory_is_rebuilt(tmp_path: Path, content: str) -> None:
    memory = tmp_path / "digests.json"
    memory.write_text(content)
    file = tmp_path / "rows.csv"
    file.write_bytes(b"one")

    assert DigestMemory(memory).sha256(file) == sha256(b"one")
    assert json.loads(memory.read_text())["files"][str(file)][0] == sha256(b"one")


def test_a_memory_that_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_bytes(b"a file, not a folder")
    file = tmp_path / "rows.csv"
    file.write_bytes(b"one")

    assert DigestMemory(tmp_path / "blocked" / "digests.json").sha256(file) == sha256(b"one")


def test_the_identity_of_a_path_is_its_content_not_its_place(tmp_path: Path) -> None:
    memory = DigestMemory(tmp_path / "digests.json")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.csv").write_bytes(b"same")

    first = identity(path_ref(tmp_path / "a" / "a.csv"), memory)
    second = identity(path_ref(tmp_path / "b" / "b.csv"), memory)

    assert first == second == {"sha256": sha256(b"same")}


def test_the_identity_of_a_folder_covers_names_and_bytes_of_all_files(tmp_path: Path) -> None:
    memory = DigestMemory(tmp_path / "digests.json")
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_bytes(b"1")
    before = identity(path_ref(folder), memory)
    (folder / "deep" / "a").rename(folder / "deep" / "b")
    renamed = identity(path_ref(folder), memory)
    (folder / "deep" / "b").write_bytes(b"22")

    assert len({str(i) for i in (before, renamed, identity(path_ref(folder), memory))}) == 3


def test_pinned_references_are_identified_without_the_network(tmp_path: Path) -> None:
    memory = DigestMemory(tmp_path / "digests.json")
    package = PackageRef(name="p", version="1", sha256="ab", file="p/x.csv")

    assert identity(HubRef(repo="o/n", revision="f" * 40), memory) == {
        "hub": "o/n",
        "revision": "f" * 40,
    }
    assert identity(package, memory) == {
        "package": "p",
        "version": "1",
        "sha256": "ab",
        "file": "p/x.csv",
    }


def test_a_missing_path_names_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        identity(path_ref(tmp_path / "review.csv"), DigestMemory(tmp_path / "digests.json"))

    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("D320", "did you mean `reviews.csv`?")


@pytest.mark.parametrize("look", ["fetch", "identity"])
def test_a_pinned_file_with_other_bytes_shows_both_digests(tmp_path: Path, look: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"new")
    ref = path_ref(file, sha256(b"old"))
    memory = DigestMemory(tmp_path / "digests.json")
    never: Any = pytest.fail
    with pytest.raises(DataError) as caught:
        fetch(ref, never, never) if look == "fetch" else identity(ref, memory)

    (problem,) = caught.value.problems
    assert problem.code == "D340"
    assert sha256(b"old") in problem.message
    assert sha256(b"new") in problem.message


def test_a_pinned_file_with_its_own_bytes_is_given(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"same")

    assert fetch(path_ref(file, sha256(b"same")), pytest.fail, pytest.fail) == file  # type: ignore[arg-type]


# Files of the hub are held to the digests that the hub names.
CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BLOB = hashlib.sha1(b"blob 7\0" + CONTENT).hexdigest()  # noqa: S324 - git's own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that a repository was downloaded into."""
    metadata = tmp_path / ".cache" / "huggingface" / "download"
    (metadata / "sub").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    for name, digest in (("model.safetensors", SHA256), ("sub/config.json", BLOB)):
        (tmp_path / name).write_bytes(CONTENT)
        (metadata / f"{name}.metadata").write_text(f"{'0' * 40}\n{digest}\n1.0\n", encoding="utf-8")
    (metadata / "gone.bin.metadata").write_text(f"{'0' * 40}\n{SHA256}\n1.0\n", encoding="utf-8")
    (metadata / "config.json.metadata").write_text("cut off", encoding="utf-8")
    (tmp_path / "config.json").write_bytes(b"{}")
    return tmp_path


def test_git_names_a_blob_so(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    # git hash-object /dev/null
    assert digest_of(tmp_path / "empty", BLOB) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_files_with_their_digests_are_taken(folder: Path) -> None:
    require_digests(folder, "owner/model")


@pytest.mark.parametrize("name", ["model.safetensors", "sub/config.json"])
def test_another_byte_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"Weights")

    with pytest.raises(EnvironmentProblem, match=rf"X810.*{name} of `owner/model`"):
        require_digests(folder, "owner/model")


def test_a_file_of_the_cache_is_held_to_its_name(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / SHA256
    blob.parent.mkdir()
    blob.write_bytes(CONTENT)
    (tmp_path / "rows.csv").symlink_to(blob)

    require_cached(tmp_path / "rows.csv", "owner/rows")
    blob.write_bytes(b"Weights")

    with pytest.raises(EnvironmentProblem, match=r"X810.*rows.csv of `owner/rows`"):
        require_cached(tmp_path / "rows.csv", "owner/rows")


def test_a_plain_file_has_no_digest_to_be_held_to(folder: Path) -> None:
    require_cached(folder / "config.json", "owner/rows")


def test_a_folder_of_very_many_files_is_refused_before_one_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `base_model.path: /` is: to hash all of a machine takes hours."""
    monkeypatch.setattr(local, "MOST_ENTRIES", 3)
    hashed: list[Path] = []
    monkeypatch.setattr(DigestMemory, "sha256", lambda _, path: hashed.append(path) or "0" * 64)
    folder, memory = tmp_path / "base", DigestMemory(tmp_path / "digests.json")
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}").touch()
    ref = PathRef(path=folder, written="base")

    local.digest_of_path(ref, memory)
    (folder / "3").touch()

    with pytest.raises(DataError, match="more than 3 files"):
        local.digest_of_path(ref, memory)
    assert len(hashed) == 3
