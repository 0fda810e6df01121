"""Model files that are damaged or lie about themselves: one typed error each, before anything is computed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from engine.environment import Device
from engine.errors import StageError
from engine.estimate.shape import shape_of_folder
from engine.recipe.model import PathRef
from engine.runtime.models.base_model import _dequantize, locate_base_model, locate_tokenizer
from engine.runtime.models.load import load_model
from support.pico import pico_gguf

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=1, bf16=False)
DEEP = "[" * 100_000


def _never(*_: Any) -> Any:
    raise AssertionError("a local folder needs no product")


def _edit(name: str, **values: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.layers.1.mlp.down_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _header(text: str) -> Callable[[Path], object]:
    whole = len(text).to_bytes(8, "little") + text.encode() + bytes(8)
    return lambda folder: (folder / "model.safetensors").write_bytes(whole)


TENSOR = '{"a": {"dtype": %s, "shape": %s, "data_offsets": [0, %s]}}'


def _of_another_size(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:3].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


BROKEN: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "deep config": (_text("config.json", DEEP), {"X694"}),
    "config is a list": (_text("config.json", "[]"), {"X694"}),
    "config is a number": (_text("config.json", "3"), {"X694"}),
    "layers is a text": (_edit("config.json", num_hidden_layers="two"), {"X601", "X604"}),
    "negative heads": (_edit("config.json", num_attention_heads=-4), {"X694"}),
    "no heads": (_edit("config.json", num_attention_heads=0), {"X601", "X604"}),
    "unknown type": (
        _edit("config.json", model_type="nothing", architectures=[]),
        {"X601", "X604"},
    ),
    "deep tokenizer": (_text("tokenizer.json", DEEP), {"X694"}),
    "empty tokenizer": (_text("tokenizer.json", "{}"), {"X601"}),
    "tokenizer of a wrong type": (_edit("tokenizer.json", model={"type": "None"}), {"X601"}),
    "a tokenizer of two": (
        _edit("tokenizer_config.json", tokenizer_class="RagTokenizer"),
        {"X601"},
    ),
    "tokenizer settings null": (_text("tokenizer_config.json", "null"), {"X694"}),
    "generation settings deep": (_text("generation_config.json", DEEP), {"X694"}),
    "index is a list": (_text("model.safetensors.index.json", "[]"), {"X694"}),
    "index names nothing": (_text("model.safetensors.index.json", '{"weight_map": 3}'), {"X607"}),
    "index is deep": (_text("model.safetensors.index.json", DEEP), {"X694"}),
    "weights are text": (_text("model.safetensors", "no weights at all"), {"X607"}),
    "a tensor that ends nowhere": (_header(TENSOR % ('"F32"', "[2]", "1e999")), {"X607"}),
    "a tensor without end": (_header(TENSOR % ('"F32"', "[1e999]", "8")), {"X607"}),
    "a size below none": (_header(TENSOR % ('"F32"', "[-2]", "8")), {"X607"}),
    "a type that is a list": (_header(TENSOR % ('["F32"]', "[2]", "8")), {"X607"}),
    "a tensor is missing": (_without_a_tensor, {"X692"}),
    "a tensor has another size": (_of_another_size, {"X604", "X692"}),
    "template that is none": (_text("chat_template.jinja", "{% for %}"), {"X603"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_folder_is_one_typed_error(
    pico_folder: Path, tmp_path: Path, progress: Any, name: str
) -> None:
    folder = Path(shutil.copytree(pico_folder, tmp_path / "base"))
    change, codes = BROKEN[name]
    change(folder)

    def load() -> None:
        base = locate_base_model(PathRef(path=folder, written="base"), _never, progress)
        load_model(base, device=CPU, precision="fp32")

    with pytest.raises(StageError) as caught:
        load()

    assert {problem.code for problem in caught.value.problems} <= codes


GARBAGE = {
    "nothing": b"",
    "magic only": b"GGUF",
    "too many": b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16 + b"\0" * 100,
    "cut off": b"GGUF" + (3).to_bytes(4, "little") + (2).to_bytes(8, "little") * 2 + b"\7" * 90,
    "zeros": b"GGUF" + b"\0" * 4096,
    "noise": b"GGUF" + bytes(range(256)) * 16,
    # transformers makes the 7 billion parameters of its defaults of it: 14 GB
    "no sizes": b"GGUF"
    + (3).to_bytes(4, "little")
    + bytes(8)
    + (1).to_bytes(8, "little")
    + (20).to_bytes(8, "little")
    + b"general.architecture"
    + (8).to_bytes(4, "little")
    + (5).to_bytes(8, "little")
    + b"llama",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_gguf_file_of_garbage_is_one_typed_error(
    tmp_path: Path, progress: Any, name: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(GARBAGE[name])

    with pytest.raises(StageError) as caught:
        _dequantize(path, tmp_path / "out", progress)

    assert caught.value.problems[0].code == "X610"


def test_what_stands_beside_a_gguf_file_is_not_read(
    tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = Path(shutil.copy(pico_gguf(), tmp_path / "model.gguf"))
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    auto_map = {"AutoConfig": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        (tmp_path / name).write_text(json.dumps({"auto_map": auto_map, "model_type": "evil"}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")

    def build(_name: str, _payload: Any, make: Any) -> Any:
        (tmp_path / "out").mkdir()
        make(tmp_path / "out")
        return SimpleNamespace(file=(tmp_path / "out").joinpath)

    folder = locate_tokenizer(PathRef(path=gguf, written="model.gguf"), build, progress)

    assert (folder / "tokenizer.json").is_file()
    assert shape_of_folder(folder) is not None, "a plan after `recipe data` has no estimate"
    assert not ran.exists()
