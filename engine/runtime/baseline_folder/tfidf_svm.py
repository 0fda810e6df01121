"""The model of this folder: a linear SVM on weighted counts of words and parts of words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skops.io import load


def classify(texts: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Any:
    """Return the label of each text, or a row of 0 and 1 for each label."""
    # skops loads types of scikit-learn and numpy, and refuses anything else.
    tfidf, classifier = load(folder / "tfidf.skops"), load(folder / "classifier.skops")
    return classifier.predict(tfidf.transform(texts))
