"""Files and folders of the user's, hashed."""

from pathlib import Path

import pytest

from engine.errors import DataError
from engine.recipe.model import PathRef
from engine.sources import local
from engine.sources.local import DigestMemory


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
