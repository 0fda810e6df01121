"""The model of this folder: a linear model over the vectors of a sentence encoder, perhaps beside counts of words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skops.io import load

# After skops, which looks into every module that is imported by then: transformers has thousands.
from encoder import batches, load_text_encoder  # isort: skip


def classify(texts: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Any:
    """Return the label of each text, or a row of 0 and 1 for each label."""
    rows = vectors_of(texts, folder, settings)
    # skops loads types of scikit-learn and numpy, and refuses anything else.
    if (folder / "tfidf.skops").exists():
        counted = load(folder / "tfidf.skops").transform(texts)
        rows = sparse.hstack([sparse.csr_matrix(rows), counted]).tocsr()
    return load(folder / "classifier.skops").predict(rows)


def vectors_of(texts: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Any:
    """Return a vector of length 1 for each text."""
    encoder = load_text_encoder(folder / "encoder", settings["encoder"], settings["device"])
    found = np.zeros((len(texts), encoder.model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for places in batches(texts):
            found[places] = encoder.unit_vectors([texts[place] for place in places]).numpy()
    return found
