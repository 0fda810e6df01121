"""A base model is a folder without code, whatever it came as."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.recipe.model import PathRef
from engine.runtime.models.base_model import locate_base_model


def _never(*_: Any) -> Any:
    raise AssertionError("a local folder needs no product")


def _ref(path: Path) -> PathRef:
    return PathRef(path=path, written=path.name)


@pytest.fixture
def folder(pico_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pico_folder, tmp_path / "base"))


def _set(folder: Path, key: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "x--y.Z"}))


def test_a_local_folder_is_used_as_it_is(folder: Path, progress: Any) -> None:
    assert folder == locate_base_model(_ref(folder), _never, progress)


@pytest.mark.parametrize(
    "key", ["auto_map", "_attn_implementation_internal", "_attn_implementation"]
)
def test_a_configuration_that_asks_for_code_is_refused(
    folder: Path, progress: Any, key: str
) -> None:
    _set(folder, key)

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X609"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, progress: Any, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X606"


def test_pickled_weights_are_never_read(folder: Path, progress: Any) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(folder), _never, progress)

    assert caught.value.problems[0].code == "X606"


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, progress: Any) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model")

    def build(_name: str, _payload: Any, make: Any) -> Any:
        return make(tmp_path / "out")

    with pytest.raises(StageError) as caught:
        locate_base_model(_ref(path), build, progress)

    assert caught.value.problems[0].code == "X610"
