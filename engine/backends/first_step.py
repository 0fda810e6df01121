"""What a trainer says of its first step (`engine.runtime.training.first_step`), and when that refuses the training.

Each error names the part that is wrong, since a model that learned the wrong tokens looks like one that was
trained too little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.errors import StageError

Event = Mapping[str, Any]
AGAIN: Final = (
    "run the same command again; if this stays, report it: other rows or epochs would not help"
)
FROM_SCRATCH: Final = (
    "delete `.recipe/scratch` and run the same command again; if this stays, report it"
)
WORST: Final = 2.0
"""Loss of a base model, as a multiple of guessing: random weights have up to 1.3."""
LEAST: Final = 1e-4
"""Nats by which two losses may differ whatever their size: logs are rounded."""


def _labels(event: Event) -> None:
    """B424 when a batch learns other tokens than the answers of its rows."""
    if event["wrong"]:
        raise StageError.one(
            "B424",
            f"the mask of the trainer is wrong in {event['wrong']} rows:"
            f" it would learn {event['learned']!r} where the answer is {event['expected']!r}",
            path="method",
            hint=AGAIN,
        )


def _base_loss(event: Event) -> None:
    """B428 when the base model predicts texts worse than any model that was read as it was written."""
    loss, guess = float(event["loss"]), float(event["guess"])
    # Written this way round, so that NaN is refused too.
    if not loss <= WORST * guess:
        raise StageError.one(
            "B428",
            f"the base model predicts the rows far worse than guessing does: {loss:.3g} nats a token, and guessing"
            f" gives {guess:.3g}",
            path="base_model",
            hint="weights, config.json and tokenizer do not belong together, or are damaged: fetch or make them again",
        )


def _first_rows(event: Event) -> None:
    """B425 when the passes of the trainer give rows other probabilities than the model does by itself."""
    _refuse_apart(
        event,
        "B425",
        "rows of the first batch have other probabilities in training than by themselves",
    )


def _padded_row(event: Event) -> None:
    """B456 when a validation row that is padded in its batch has another probability than by itself."""
    _refuse_apart(
        event,
        "B456",
        "a validation row that is padded in its batch has another probability than by itself",
        ", so the validation loss chooses wrongly",
    )


def _refuse_apart(event: Event, code: str, what: str, so: str = "") -> None:
    """Refuse probabilities that lie further apart than rounding puts them."""
    difference = float(event["difference"])
    # Written this way round, so that NaN is refused too.
    if not difference <= event["allowed"]:
        raise StageError.one(
            code,
            f"{what}: they lie {difference:.2g} apart, {event['allowed']:g} is rounding{so}",
            path="method",
            hint=AGAIN,
        )


def _first_loss(event: Event) -> None:
    """B425 when the trainer logs another loss than its probabilities give."""
    logged, computed = float(event["logged"]), float(event["computed"])
    if not abs(logged - computed) <= max(LEAST, event["allowed"] * max(abs(computed), 1.0)):
        raise StageError.one(
            "B425",
            f"the trainer counts a loss of {logged:.4g} at its first step, and the rows have {computed:.4g}",
            path="method",
            hint=AGAIN,
        )


def _still(event: Event) -> None:
    """B426 when a part that is to be trained gets no gradient."""
    count, of = event["count"], event["of"]
    # Where none gets any, training changes nothing, and B416 says that with what is known by then.
    if 0 < count < of:
        raise StageError.one(
            "B426",
            f"no gradient reaches {_some_of(event)} of {of} trained parts: what is asked for there"
            " would not be learned",
            path="method.target_modules",
            hint="leave these modules out, or take a base model that uses them",
        )


def _moved(event: Event) -> None:
    """B457 when a trained part with a gradient stands still in a step."""
    if event["count"]:
        raise StageError.one(
            "B457",
            f"{_some_of(event)} of {event['of']} trained tensors get gradients and stand still in the third"
            " step: the optimizer holds other weights, or a rate of nothing for these",
            path="method",
            hint=AGAIN,
        )


def _some_of(event: Event) -> str:
    """Name the first of the tensors, and say how many more there are."""
    more = event["count"] - 1
    return f"`{event['names'][0]}`" + (f" and {more} more" if more else "")


def _optimizer(event: Event) -> None:
    """B427 when optimizer and trainer count other steps."""
    if event["steps"] != event["step"]:
        raise StageError.one(
            "B427",
            f"the optimizer has taken {event['steps']} steps where the trainer counts {event['step']}",
            path="method",
            hint="delete `.recipe/scratch` and run the same command again, from the first step",
        )


def _rows(event: Event) -> None:
    """B452 when an epoch has not seen each rendered row once, shuffled, with the labels that were written."""
    wrong = {
        "missing": "were left out",
        "again": "were seen twice",
        "strange": "were other rows, or had other labels",
    }
    faults = [f"{event[name]} {words}" for name, words in wrong.items() if event[name]]
    if faults:
        raise StageError.one(
            "B452",
            f"the trainer has not learned each of {event['of']} rows once in an epoch: {', '.join(faults)}",
            path="method",
            hint=FROM_SCRATCH,
        )
    orders = {
        "in_order": "in the order of their file, and they were to be shuffled",
        "as_before": "in the same order in every epoch, and they were to be shuffled anew",
    }
    for name, words in orders.items():
        if event.get(name):
            raise StageError.one(
                "B452",
                f"the trainer goes through the rows {words}",
                path="method",
                hint=FROM_SCRATCH,
            )


def _validation_rows(event: Event) -> None:
    """B452 when the validation loss is not that of the rendered validation rows."""
    if event["other"]:
        raise StageError.one(
            "B452",
            f"the trainer measures its validation loss on other rows: {event['other']} of {event['of']} are not the"
            " rendered ones",
            path="method",
            hint=FROM_SCRATCH,
        )


TAKEN: Final[Mapping[str, str]] = {
    "between": "{some} of {of} trained tensors changed between step {step} and the next one",
    "clipping": "gradients are {name} when step {step} of the optimizer follows, where clipping makes them shorter",
    "optimizer": "step {step} moved {some} of {of} trained tensors otherwise than AdamW does with the settings and the"
    " schedule of the recipe",
}


def _taken(event: Event) -> None:
    """B458 when weights change otherwise than by the steps that gradients, momenta and schedule give."""
    count, names = event.get("count", 1), event["names"]
    some = _some_of({"names": names, "count": count})
    step = event["step"] + (event["what"] == "clipping")
    message = TAKEN[event["what"]].format(some=some, of=event.get("of"), step=step, name=names[0])
    raise StageError.one("B458", message, path="method", hint=AGAIN)


def _saved_weights(event: Event) -> None:
    """B460 when a checkpoint holds other weights than those that were trained."""
    raise StageError.one(
        "B460",
        f"the checkpoint of step {event['step']} holds {_some_of(event)} of {event['of']} trained tensors otherwise"
        " than the trainer has them",
        path="method",
        hint=AGAIN,
    )


def _ahead(event: Event) -> None:
    """B459 when what comes later in a row changes what the model expects before it."""
    _refuse_apart(
        event,
        "B459",
        "the model sees what comes later in a row: with another end its beginning has other probabilities",
        ", so answers would be read off and not be learned",
    )


def _fed(event: Event) -> None:
    """B424 when the loss of a later batch is that of other labels than those of its rows."""
    raise StageError.one(
        "B424",
        f"at step {event['step']} the loss is computed on other labels than those of the rows of its batch",
        path="method",
        hint=AGAIN,
    )


CHECKS: Final[Mapping[str, Callable[[Event], None]]] = {
    "labels": _labels,
    "base_loss": _base_loss,
    "ahead": _ahead,
    "fed": _fed,
    "taken": _taken,
    "saved_weights": _saved_weights,
    "first_rows": _first_rows,
    "padded_row": _padded_row,
    "first_loss": _first_loss,
    "still": _still,
    "optimizer": _optimizer,
    "moved": _moved,
    "rows": _rows,
    "validation_rows": _validation_rows,
}
"""By the event's name."""
