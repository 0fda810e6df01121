"""Classifiers of a sentence encoder: a linear model over its vectors, or a copy of it tuned with a head.

Logistic regression on the vectors alone, LinearSVC beside TF-IDF: either is about as good as the other, and several
times faster where it is used (`benchmarks/encoders.py --machines`). All blocks have length 1, so that none decides by
its size. Tuning is plain and fixed, since it is what a tuned language model is compared with: AdamW, a rate of 5e-5
that rises and falls, the weights of the last step. The same rows, seed and machine give the same answers.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.encoders.encoder import Encoder
from engine.runtime.encoders.pooling import batches
from engine.runtime.text.tfidf import fit_classifier, words_and_characters
from engine.values import Value

BATCH = 16
EPOCHS, FEWEST_EPOCHS = 10, 2
MOST_STEPS = 4000
RATE, HEAD_RATE = 5e-5, 1e-3
"""Learning rates of the encoder, and of the new head, which is untrained at the start."""
WARMUP = 0.1
DECAY = 0.01
DROPOUT = 0.1
MOST_NORM = 1.0
POOL = 8
"""Batches whose rows are sorted by length among each other."""


def tune(
    encoder: Encoder, texts: Sequence[str], labels: np.ndarray, *, seed: int, progress: Progress
) -> TunedEncoder:
    """Train a copy of the encoder.

    `labels` has a label for each text, or a column of 0 and 1 for each label. StageError G522 when the training rows
    teach nothing.
    """
    require_lesson(texts, labels)
    names = None if labels.ndim > 1 else np.unique(labels)
    device = encoder.model.device
    cuda = [device] if device.type == "cuda" else []
    with _deterministic(), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        tuned = TunedEncoder(encoder, names, width=labels.shape[1] if names is None else len(names))
        tuned.epochs = max(FEWEST_EPOCHS, min(EPOCHS, MOST_STEPS * BATCH // len(texts)))
        targets = torch.from_numpy(
            labels.astype(np.float32) if names is None else np.searchsorted(names, labels)
        )
        loss_of: Callable[..., torch.Tensor] = torch.nn.functional.cross_entropy
        if targets.ndim > 1:
            loss_of = torch.nn.functional.binary_cross_entropy_with_logits
        order = random.Random(seed)  # noqa: S311 - a reproducible order, no secret
        plan = [batch for _ in range(tuned.epochs) for batch in _epoch(texts, order)]
        groups = [
            {"params": list(tuned.model.parameters()), "lr": RATE},
            {"params": list(tuned.head.parameters()), "lr": HEAD_RATE},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
        steps, warm = len(plan), max(1, round(WARMUP * len(plan)))

        def share(step: int) -> float:
            return min((step + 1) / warm, (steps - step) / max(1, steps - warm))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        tuned.train()
        for step, places in enumerate(plan, start=1):
            logits = tuned([texts[place] for place in places])
            loss = loss_of(logits, targets[places].to(logits.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tuned.parameters(), MOST_NORM)
            optimizer.step()
            schedule.step()
            progress.update(step, len(plan), "steps")
        tuned.steps = len(plan)
    return tuned


class TunedEncoder(torch.nn.Module):
    """A copy of the encoder with a head."""

    def __init__(self, encoder: Encoder, names: np.ndarray | None, *, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = names
        """The label of each output, one of which is the answer; None where each output is a yes or no."""
        self.epochs = self.steps = 0
        self.model = copy.deepcopy(encoder.model)
        self.dropout = torch.nn.Dropout(DROPOUT)
        self.head = torch.nn.Linear(encoder.width, width)
        self.head.to(encoder.model.device)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        device = self.model.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.encoder.precision == "bf16"):
            pooled = self.encoder.pooled(self.model, self.encoder.tokens(texts))
        logits: torch.Tensor = self.head(self.dropout(pooled.float()))
        return logits

    def answers(self, texts: Sequence[str]) -> np.ndarray:
        """Return the answers to texts, in the form of the labels. StageError X696 when it computes no numbers."""
        self.eval()
        logits = np.zeros((len(texts), self.head.out_features), dtype=np.float32)
        with _deterministic(), torch.inference_mode():
            for places in batches(texts):
                logits[places] = self([texts[place] for place in places]).cpu().numpy()
        if not np.isfinite(logits).all():
            message = "the encoder cannot be trained: it computes what is no number"
            hint = "set backend.precision: fp32"
            raise StageError.one("X696", message, path="baselines", hint=hint)
        if self.names is None:
            return (logits > 0).astype(int)
        found: np.ndarray = self.names[logits.argmax(axis=1)]
        return found


def require_lesson(texts: Sequence[str], labels: np.ndarray) -> None:
    """Refuse training rows that teach nothing. StageError G522."""
    if labels.ndim == 1 and len(set(labels.tolist())) == 1:
        raise _teaches_nothing("they all have one label")
    if not any(text.strip() for text in texts):
        raise _teaches_nothing("they are blank")


def _teaches_nothing(why: str) -> StageError:
    what = f"an encoder's classifier can learn nothing from the training rows: {why}"
    hint = "remove encoder_linear and encoder_tuned from baselines"
    return StageError.one("G522", what, path="baselines", hint=hint)


def _epoch(texts: Sequence[str], order: random.Random) -> list[list[int]]:
    places = list(range(len(texts)))
    order.shuffle(places)
    pools = (places[start : start + POOL * BATCH] for start in range(0, len(places), POOL * BATCH))
    found = [
        [pool[place] for place in batch]
        for pool in pools
        for batch in batches([texts[place] for place in pool], BATCH)
    ]
    order.shuffle(found)
    return found


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Let torch take algorithms that give the same sums twice, where it has them."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warns)


ALONE, BESIDE = "alone", "beside TF-IDF"
GRIDS: Mapping[str, tuple[float, ...]] = {
    ALONE: (1.0, 3.0, 10.0, 30.0, 100.0),
    BESIDE: (0.1, 0.3, 1.0, 3.0, 10.0),
}
MODELS: Mapping[str, str] = {ALONE: "logistic regression", BESIDE: "linear SVM"}


class LabelledTexts(Value):
    """Texts, their vectors, and their labels; one label each, or a column for each label."""

    texts: Sequence[str]
    vectors: np.ndarray
    labels: np.ndarray
    """With one dimension: a label each. With two: 1 where the row has the column's label."""

    def part(self, places: np.ndarray) -> LabelledTexts:
        chosen = [self.texts[place] for place in places]
        return LabelledTexts(texts=chosen, vectors=self.vectors[places], labels=self.labels[places])


class LinearChoice(Value):
    """The model that was chosen, and by what."""

    features: str
    c: float
    scores: Mapping[str, float]
    answers: np.ndarray


class FittedLinear(Value):
    """A classifier of vectors, or of vectors beside weights of words and parts of words."""

    tfidf: Any | None
    classifier: Any


def linear_answers(
    train: LabelledTexts,
    validation: LabelledTexts | None,
    asked: LabelledTexts,
    *,
    folds: Sequence[int],
    seed: int,
    feature_sets: Sequence[str] = (ALONE, BESIDE),
) -> LinearChoice:
    """Return the answers with the better features, trained on the training rows alone.

    C is chosen by cross-validation inside them, `folds` being the fold of each, or -1 for a row that has no part in
    that choice; the features by the validation rows, or by the same cross-validation where there are none. Ties go to
    the smaller C, and to the encoder alone. StageError G522 when the training rows teach nothing.
    """

    def answers(rows: LabelledTexts, features: str) -> np.ndarray:
        fitted = fit_linear(train, features, chosen[features], seed=seed)
        if not len(rows.texts):  # which scikit-learn refuses to answer
            return train.labels[:0]
        return np.asarray(fitted.classifier.predict(_features(fitted.tfidf, rows)))

    numbers = np.asarray(folds)
    require_lesson(train.texts, train.labels)
    crossing = np.flatnonzero(numbers >= 0)
    scores: dict[str, float] = {}
    chosen: dict[str, float] = {}
    for features in feature_sets:
        crossed = _cross_validated(train.part(crossing), features, numbers[crossing], seed=seed)
        chosen[features] = max(GRIDS[features], key=lambda c: (crossed[c], -c))
        scores[features] = crossed[chosen[features]]
        if validation is not None:
            found = answers(validation, features)
            scores[features] = _macro_f1(validation.labels, found)
    best = max(feature_sets, key=lambda features: scores[features])
    return LinearChoice(features=best, c=chosen[best], scores=scores, answers=answers(asked, best))


def _cross_validated(
    rows: LabelledTexts, features: str, folds: np.ndarray, *, seed: int
) -> dict[float, float]:
    """Return macro-F1 over all rows, each judged by what was learned without its fold, by C; 0 where there are none."""
    found = {c: np.zeros_like(rows.labels) for c in GRIDS[features]}
    for fold in sorted(set(folds.tolist())):
        learned = rows.part(np.flatnonzero(folds != fold))
        places = np.flatnonzero(folds == fold)
        tfidf = _tfidf(learned, features)
        given, judged = _features(tfidf, learned), _features(tfidf, rows.part(places))
        for c in GRIDS[features]:
            new = partial(_model, features, c, seed=seed)
            found[c][places] = fit_classifier(new, given, learned.labels).predict(judged)
    return {c: _macro_f1(rows.labels, answers) for c, answers in found.items()}


def fit_linear(train: LabelledTexts, features: str, c: float, *, seed: int) -> FittedLinear:
    """Fit the linear model of some features at one C. StageError G522 when the training rows teach nothing."""
    tfidf = _tfidf(train, features)
    new = partial(_model, features, c, seed=seed)
    classifier = fit_classifier(new, _features(tfidf, train), train.labels)
    return FittedLinear(tfidf=tfidf, classifier=classifier)


def _model(features: str, c: float, *, seed: int) -> Any:
    if features == ALONE:
        return LogisticRegression(C=c, max_iter=1000)
    return LinearSVC(C=c, max_iter=10_000, random_state=seed)


def _tfidf(train: LabelledTexts, features: str) -> Any | None:
    """Return the weights of words, learned from the training rows; None where the vectors stand alone."""
    if features == ALONE:
        return None
    try:
        return words_and_characters().fit(train.texts)
    except ValueError as error:
        raise _teaches_nothing(str(error).splitlines()[0]) from error


def _features(tfidf: Any | None, rows: LabelledTexts) -> Any:
    if tfidf is None:
        return rows.vectors
    counted = tfidf.transform(rows.texts)
    return sparse.hstack([sparse.csr_matrix(rows.vectors), counted]).tocsr()


def _macro_f1(labels: np.ndarray, answers: np.ndarray) -> float:
    # scikit-learn judges no empty list
    return (
        float(f1_score(labels, answers, average="macro", zero_division=0.0)) if len(labels) else 0.0
    )
