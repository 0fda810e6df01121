"""Rules for kinds whose metric is no share, or whose rows have many right answers."""

from typing import Any

from engine.evidence import Fit
from engine.recipe.model import Threshold
from engine.values import replace
from support.trained import (
    LEARNED,
    SETTLED,
    TURNED,
    checkpoint,
    falling,
    found,
    metric,
    recipe,
    scores,
    training,
)


def test_free_text_is_held_to_the_threshold_of_the_recipe_alone() -> None:
    writer = recipe("generation")
    unbound = replace(writer, acceptance=replace(writer.acceptance, metrics=()))
    bound = Threshold(metric="rouge_l", direction="min", bound=0.5)
    strict = replace(writer, acceptance=replace(writer.acceptance, metrics=(bound,)))
    writer_task = replace(writer.task, answer_pattern="")

    for one, fit in ((unbound, Fit.FITS), (strict, Fit.UNDERFITTED)):
        given = replace(one, task=writer_task)
        assert found(0.4, 0.4, 0.4, of=given, name="rouge_l").fit is fit


def test_free_text_is_judged_by_the_metric_that_has_a_threshold() -> None:
    writer = recipe("generation")
    bound = Threshold(metric="numeric_match", direction="min", bound=0.4)
    of = replace(
        writer,
        task=replace(writer.task, answer_pattern=""),
        acceptance=replace(writer.acceptance, metrics=(bound,)),
    )

    def both(match: float | None) -> Any:
        found_by = (metric(0.3, "rouge_l"), metric(match, "numeric_match"))
        return replace(scores(0.3), metrics=found_by)

    # a later checkpoint has the better text, which says nothing of its numbers
    judged = (checkpoint(100, 0.3, name="rouge_l"), checkpoint(200, 0.6, name="rouge_l"))
    low, enough, unmeasured = (
        found(of=of, train=one, validation=one, holdout=one, training=training, checkpoints=judged)
        for one, training in (
            (both(0.02), training(falling(2.0, 1.9, 200), kept_step=100)),
            (both(0.6), training(SETTLED)),
            (both(None), training(SETTLED)),
        )
    )

    assert low.fit is Fit.UNDERFITTED
    assert low.reasons[0] == "numeric_match is 0.020 [0.000, 0.060] on 200 training rows"
    assert enough.fit is Fit.FITS
    assert enough.reasons[0].startswith("numeric_match is 0.600")
    assert unmeasured.reasons[0].startswith("rouge_l is 0.300")


def test_less_is_better_for_bits_per_byte() -> None:
    chat = recipe("chat")
    bound = Threshold(metric="bits_per_byte", direction="max", bound=0.5)
    strict = replace(chat, acceptance=replace(chat.acceptance, metrics=(bound,)))
    turned = training(LEARNED, TURNED)

    def of(train: float, unseen: float, **more: Any) -> Fit:
        return found(train, unseen, unseen, name="bits_per_byte", **more).fit

    assert of(0.6, 0.6, of=chat) is Fit.FITS
    assert of(0.6, 0.6, of=strict) is Fit.UNDERFITTED
    assert of(0.2, 0.9, of=chat) is Fit.FITS
    assert of(0.2, 0.9, of=chat, training=turned) is Fit.OVERFITTED
    assert of(0.9, 0.2, of=chat, training=turned) is Fit.FITS
