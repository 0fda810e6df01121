"""A tiny model that was trained until it knows one text by heart: it predicts that text best as it was trained."""

import shutil
from pathlib import Path

from support.pico import make_pico_model
from support.shared import made_once

LAYERS = 5
STEPS = 150


def make_trained_pico(folder: Path) -> Path:
    """Write the model into `folder`; made once, in some seconds."""
    shutil.copytree(made_once("pico-trained", _write), folder, dirs_exist_ok=True)
    return folder


def _write(folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from engine.runtime.models.base_check import TEXT

    make_pico_model(folder)
    (folder / "model.safetensors").unlink()
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = LAYERS
    config.max_position_embeddings = 2048
    config.initializer_range = 0.02
    ids = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")["input_ids"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that it learns the same with every number of processors
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for _ in range(STEPS):
            loss = model(input_ids=ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    model.save_pretrained(folder)
