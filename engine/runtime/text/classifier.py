"""Fitting a scikit-learn classifier to one label a text, or to a yes or no for each label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.multioutput import MultiOutputClassifier


def fit_classifier(new: Callable[[], Any], rows: Any, labels: np.ndarray) -> Any:
    """Return a fitted classifier of rows; `new` gives an unfitted one.

    `labels` has a label for each row, or a column of 0 and 1 for each label: then one classifier is fitted to
    each column, and an answer has as many columns. A single class is answered always.
    """
    if labels.ndim == 1:
        return _fit_one(new(), rows, labels)
    several = MultiOutputClassifier(new())
    several.estimators_ = [_fit_one(new(), rows, column) for column in labels.T]
    return several


def _fit_one(model: Any, rows: Any, labels: np.ndarray) -> Any:
    # Neither LinearSVC nor LogisticRegression learns from a single class.
    if len(set(labels.tolist())) == 1:
        model = DummyClassifier(strategy="most_frequent")
    return model.fit(rows, labels)
