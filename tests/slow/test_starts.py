"""Models that the engine makes itself, in llama.cpp: the same tokens of any text, and the same logits."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.environment import Device
from engine.recipe.model import NewTokenizer, Scratch
from engine.runtime.gguf.convert import find_tools, write_gguf
from engine.runtime.llama.engine import Context, Engine
from engine.runtime.models.load import load_model
from engine.runtime.models.start import write_blank_model, write_byte_pairs, write_fewer_layers
from support.pico import make_pico_model
from support.words import WORDS

pytestmark = pytest.mark.slow

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=1, bf16=False)
TEXTS = (
    "the cat and some river with",
    "KING:\nWho's there?  Nay,\n\n\tanswer me: 1602",
    "Zürich, 東京, 🙂 ½ — don't",
    "def f(x): return x ** 2  # code",
)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blank") / "model"
    folder.mkdir()
    texts = [f"the {one} and some {other} with" for one in WORDS for other in WORDS]
    write_byte_pairs(texts, folder, size=300)
    tokenizer = NewTokenizer(size=300)
    sizes = {"layers": 3, "width": 64, "heads": 4, "kv_heads": 2, "feed_forward": 192}
    write_blank_model(Scratch(**sizes, context=128, seed=7, tokenizer=tokenizer), folder)
    return folder


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers that are left of six."""
    place = tmp_path_factory.mktemp("student")
    whole = make_pico_model(place / "whole")
    tensors = load_file(whole / "model.safetensors")
    more = {
        name.replace(f"layers.{layer}.", f"layers.{layer + 2 * time}."): value * (1 + 0.1 * time)
        for name, value in tensors.items()
        for layer in (0, 1)
        for time in (1, 2)
        if f"layers.{layer}." in name
    }
    save_file({**tensors, **more}, whole / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((whole / "config.json").read_text())
    (whole / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 6}))
    write_fewer_layers(whole, place / "model", (1, 4))
    return place / "model"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["blank", "student"])
def test_llama_cpp_reads_and_computes_as_transformers_does(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(request.getfixturevalue(name), tmp_path / "model"))
    gguf = tmp_path / "model.gguf"
    write_gguf(folder, gguf, "F16", threads=1, tools=find_tools())
    loaded = load_model(folder, device=CPU, precision="fp32")
    engine = Engine(str(gguf), threads=1)

    for text in TEXTS:
        ids = loaded.chat.token_ids(text)
        assert engine.tokens(text) == ids
        context = Context(engine, cells=128, batch=128, lanes=1)
        context.add(0, 0, ids, wanted=[True] * len(ids))
        context.decode()
        with torch.inference_mode():
            expected = loaded.model(input_ids=torch.tensor([ids])).logits[0]
        for place, logits in enumerate(expected):
            found = torch.tensor(context.logits(place))
            assert torch.allclose(found, logits, atol=0.02 * float(logits.abs().max()) + 1e-3)
