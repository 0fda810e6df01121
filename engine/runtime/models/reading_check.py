"""Whether a trained base model predicts ordinary text: one that is read otherwise than it was trained does not.

Settings such as the base of positions, the activation or the number of heads fit weights of the same shapes whatever
they say, and tensors in each other's place do too. Weights that nothing has trained predict nothing, and are not asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open
from torch.nn.functional import cross_entropy
from transformers.utils import logging as transformers_logging

from engine.environment import Device
from engine.errors import Problem, Severity
from engine.files.reading import read_json
from engine.runtime.models.load import DTYPES, load_whole
from engine.runtime.models.tensor_check import FLOATS, NORM, SAME_MODEL
from engine.runtime.models.torch_device import torch_device
from engine.runtime.models.weights import weight_files
from engine.runtime.rendering.chat import kept_tokenizer

REVISION: Final = 6
TEXT: Final = (
    "The river rises in the hills north of the town and flows south for about forty miles before it reaches the sea."
    " In spring, when the snow melts, the water is high and brown, and the people who live near the banks move their"
    " animals to higher ground. By the end of summer it is so low that children can walk across it without getting"
    " their knees wet.\n\nFor a long time there was only one bridge. It was built of stone in the year 1742, after a"
    " flood had carried away the old wooden one, and it was wide enough for a single cart. Farmers who came to the"
    " market on Saturday mornings often had to wait for an hour or more until it was their turn to cross. A second"
    " bridge, made of steel, was opened in 1931, and the old one is now used by people on foot and on bicycles.\n\n"
)
BLIND: Final = 0.65
"""Loss, as a share of guessing any token, from which a model is suspected; SmolLM2 of 135 M has 0.24."""
GUESSING: Final = 1.0
"""The same from which it is refused: no text of another language is predicted worse than by guessing."""


def is_trained(folder: Path) -> bool:
    """Say whether a norm of a model has different numbers: each begins with one number, and any training changes it."""
    for file in weight_files(folder):
        with safe_open(file.path, framework="pt") as source:
            for tensor in file.tensors:
                is_norm = NORM.search(tensor.name) and tensor.name.endswith(".weight")
                if (
                    is_norm
                    and len(tensor.shape) == 1
                    and tensor.shape[0]
                    and tensor.dtype in FLOATS
                ):
                    weight = source.get_tensor(tensor.name)
                    if bool((weight != weight[0]).any()):
                        return True
    return False


def reading_problems(folder: Path, *, device: Device, precision: str) -> Iterator[Problem]:
    """Yield X846 for trained weights that predict ordinary text hardly better than guessing, or worse."""
    if read_json(folder / "config.json").get("quantization_config") or not is_trained(folder):
        return
    transformers_logging.disable_progress_bar()
    if device.kind == "cpu":
        torch.set_num_threads(device.threads)
    model = load_whole(folder, dtype=DTYPES[precision], use_safetensors=True).eval()
    model.to(torch_device(device))
    ids = torch.tensor([kept_tokenizer(folder)(TEXT)["input_ids"]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits
    loss = float(cross_entropy(logits[0, :-1].float(), ids[0, 1:]))
    guess = math.log(model.config.vocab_size)
    # Written this way round, so that NaN is odd too.
    if loss < BLIND * guess:
        return
    is_possible = loss < GUESSING * guess
    yield Problem(
        code="X846",
        message=f"the base model was trained, and predicts ordinary English text with {loss:.3g} nats a token, where"
        f" guessing gives {guess:.3g}: config.json, tokenizer and weights may be of different models",
        path="base_model",
        hint=f"{SAME_MODEL}{'; a model of other texts only can be right as it is' if is_possible else ''}",
        severity=Severity.WARNING if is_possible else Severity.ERROR,
    )
