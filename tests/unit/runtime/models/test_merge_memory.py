"""What a merge takes: the adapter and three of the largest tensors at most, in a process that looks at its own peak."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from engine.runtime.models.weights import weight_files
from support.paths import ROOT
from support.pico import make_pico_model

pytestmark = pytest.mark.thorough

RANK = 16
SHAPES = {
    "vocab_size": 2000,
    "hidden_size": 2048,
    "intermediate_size": 12288,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
}
"""Some 400 MB in 16 bits."""
MEASURE = """
import json, sys
from pathlib import Path
from engine.runtime.models.merge import merge_adapter
from engine.runtime.models.merge import check_merge

class Silent:
    def update(self, *words): pass

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

def peak(work):
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work()
    return memory("VmHWM") - before

def both(base, adapter, out):
    return {
        "merge": peak(lambda: merge_adapter(base, adapter, out, progress=Silent())),
        "check": peak(lambda: check_merge(base, adapter, out)),
    }

small, large, out = map(Path, sys.argv[1:])
both(small / "base", small / "adapter", out / "small")
print(json.dumps(both(large / "base", large / "adapter", out / "large")))
"""
"""A small merge goes first: what is imported and set up once is no memory of a merge."""


def _write_adapter(base: Path, folder: Path) -> None:
    names = [
        tensor
        for file in weight_files(base)
        for tensor in file.tensors
        if tensor.name.endswith("_proj.weight")
    ]
    tensors = {}
    for tensor in names:
        stem = f"base_model.model.{tensor.name.removesuffix('.weight')}"
        out, inner = tensor.shape
        tensors[f"{stem}.lora_A.weight"] = torch.full((RANK, inner), 0.02)
        tensors[f"{stem}.lora_B.weight"] = torch.full((out, RANK), 0.02)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    targets = sorted({tensor.name.split(".")[-2] for tensor in names})
    LoraConfig(r=RANK, lora_alpha=32, target_modules=targets).save_pretrained(folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**SHAPES, tie_word_embeddings=False))
    # Steps of one pattern: drawing 200 million numbers takes longer than merging them.
    tensors = {
        name: (torch.arange(tensor.numel(), dtype=torch.int32) % 251 / 2510)
        .to(torch.bfloat16)
        .reshape(tensor.shape)
        for name, tensor in model.state_dict().items()
    }
    (folder / "base").mkdir()
    save_file(tensors, folder / "base" / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder / "base")
    _write_adapter(folder / "base", folder / "adapter")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    make_pico_model(folder / "base")
    _write_adapter(folder / "base", folder / "adapter")
    return folder


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the system shows no peak of a process"
)
def test_a_merge_takes_the_adapter_and_three_of_the_largest_tensors_at_most(
    small: Path, large: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(small), str(large), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    peaks = json.loads(done.stdout.splitlines()[-1])

    tensors = [tensor for file in weight_files(large / "base") for tensor in file.tensors]
    sizes = [tensor.end - tensor.begin for tensor in tensors]
    allowed = (large / "adapter" / "adapter_model.safetensors").stat().st_size + 3 * max(sizes)
    # The model itself is far larger, or the bound would say nothing.
    assert allowed < sum(sizes) / 2
    assert {name: peak for name, peak in peaks.items() if peak > allowed} == {}
