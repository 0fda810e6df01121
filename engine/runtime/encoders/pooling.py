"""Texts in, one vector each out, as a sentence encoder's own settings say.

An exported baseline carries a copy of this file as `encoder.py`, so it imports nothing of this package.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

BATCH = 32


@dataclass(slots=True, kw_only=True)
class TextEncoder:
    """A transformers model and its tokenizer."""

    model: Any
    tokenizer: Any
    settings: Any
    """`pooling`, `prompt`, `pools_prompt`, `most_tokens` and `lower`."""

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the tokens of texts as the model takes them, padded to the longest."""
        given = [self.settings.prompt + text for text in texts]
        made = self.tokenizer(
            [text.lower() for text in given] if self.settings.lower else given,
            padding=True,
            truncation=self.settings.most_tokens is not None,
            max_length=self.settings.most_tokens,
            return_tensors="pt",
        )
        return {name: tensor.to(self.model.device) for name, tensor in made.items()}

    def pooled(self, model: Any, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return one vector for each row of tokens, as the model, or a tuned copy of it, gives it."""
        states: torch.Tensor = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].bool()
        if self.settings.prompt and not self.settings.pools_prompt:
            mask = mask.clone()
            # Without the token that ends a text.
            mask[:, : len(self.tokenizer(self.settings.prompt)["input_ids"]) - 1] = False
        if self.settings.pooling == "cls":
            return states[:, 0]
        if self.settings.pooling == "lasttoken":
            places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
            last = places.masked_fill(~mask, -1).argmax(dim=1)
            return states[torch.arange(len(states), device=mask.device), last]
        weights = mask.unsqueeze(-1)
        if self.settings.pooling == "max":
            return states.masked_fill(~weights, -torch.inf).amax(dim=1)
        return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

    def unit_vectors(self, texts: Sequence[str]) -> torch.Tensor:
        """Return a row of length 1 for each of a batch of texts."""
        pooled = self.pooled(self.model, self.tokens(texts))
        return torch.nn.functional.normalize(pooled, dim=-1).cpu()


def load_text_encoder(folder: Path, settings: Mapping[str, Any], device: str) -> TextEncoder:
    """Load the encoder of an exported baseline from safetensors, on the device if it is there, else on the CPU."""
    # Otherwise it lists tensors that are not read here.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    usable = device if device == "cuda" and torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    model = AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
    )
    return TextEncoder(
        model=model.to(usable).eval(), tokenizer=tokenizer, settings=SimpleNamespace(**settings)
    )


def batches(texts: Sequence[str], size: int = BATCH) -> Iterator[list[int]]:
    """Yield positions in groups of about one length, the longest first: what is too much fails at once."""
    order = sorted(range(len(texts)), key=lambda place: (-len(texts[place]), place))
    for start in range(0, len(order), size):
        yield order[start : start + size]
