"""The model of this folder: a sentence encoder that was trained with a classification head."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoder import batches, load_text_encoder
from safetensors.torch import load_file


def classify(texts: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Any:
    """Return the label of each text, or a row of 0 and 1 for each label."""
    logits = logits_of(texts, folder, settings)
    if settings["several"]:
        return (logits > 0).astype(int)
    return [settings["classes"][place] for place in logits.argmax(axis=1)]


def logits_of(texts: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Any:
    """Return a number for each label of each text."""
    encoder = load_text_encoder(folder / "encoder", settings["encoder"], settings["device"])
    device = encoder.model.device
    head = load_file(folder / "head.safetensors", device=str(device))
    found = np.zeros((len(texts), len(head["bias"])), dtype=np.float32)
    in_bf16 = settings["precision"] == "bf16"
    with torch.inference_mode():
        for places in batches(texts):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_bf16):
                tokens = encoder.tokens([texts[place] for place in places])
                pooled = encoder.pooled(encoder.model, tokens)
            logits = torch.nn.functional.linear(pooled.float(), head["weight"], head["bias"])
            found[places] = logits.cpu().numpy()
    return found
