"""Files of the hub are held to the digests that the hub names."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import EnvironmentProblem
from engine.sources.hub import digest_of, require_cached, require_digests

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
