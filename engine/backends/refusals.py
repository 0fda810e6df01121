"""What refuses a training, by the event that reports it (`engine.runtime.training.reference` and the others)."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

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
LEAST_COSINE: Final = 0.999
"""Of the gradients of one row before and after an evaluation; 1.0 was measured, at most 0.7 with repacked weights."""
NUMBERS: Final = ("cosine", "loss", "difference", "logged", "computed")
"""Facts that are text where JSON has no number for them."""
APART: Final = ": they lie {difference:.2g} apart, {allowed:g} is rounding"
TAKEN: Final[Mapping[str, str]] = {
    "between": "{some} of {of} trained tensors changed between step {step} and the next one",
    "optimizer": "step {step} moved {some} of {of} trained tensors otherwise than AdamW does with the settings and the"
    " schedule of the recipe",
}
ROWS: Final = {"missing": "{} were left out", "again": "{} were seen twice"}
ORDERS: Final[Mapping[str, str]] = {
    "in_order": "in the order of their file, and they were to be shuffled",
    "as_before": "in the same order in every epoch, and they were to be shuffled anew",
}


class Refusal(NamedTuple):
    code: str
    message: str
    """With the facts of the event, and `why`."""
    why: Callable[[Event], Any] = lambda _: True
    """Returns what is wrong; nothing where nothing is. Written so that NaN is wrong too."""
    path: str = "method"
    hint: str = AGAIN


def _is_apart(event: Event) -> bool:
    return not event["difference"] <= event["allowed"]


def _wrong_rows(event: Event) -> str:
    faults = [words.format(event[name]) for name, words in ROWS.items() if event[name]]
    if faults:
        listed = ", ".join(faults)
        return f"has not learned each of {event['of']} rows once in an epoch: {listed}"
    found = next((words for name, words in ORDERS.items() if event.get(name)), "")
    return found and f"goes through the rows {found}"


REFUSALS: Final[Mapping[str, Refusal]] = {
    "gradients": Refusal(
        "B423",
        "after an evaluation the gradients of a row are others than before it (cosine {cosine:.3f})",
        lambda event: not event["cosine"] > LEAST_COSINE,
        path="method.kind",
        hint="set method.kind: lora, or train on a GPU",
    ),
    "packed_rows": Refusal(
        "X735",
        "documents of a packed row see each other in this model: its loss or gradients lie {difference:.2g} from those"
        " of the documents by themselves",
        _is_apart,
        path="method.packing",
        hint="set method.packing: false",
    ),
    "labels": Refusal(
        "B424",
        "the mask of the trainer is wrong in {wrong} rows: it would learn {learned!r} where the answer is {expected!r}",
        lambda event: event["wrong"],
    ),
    "fed": Refusal(
        "B424",
        "at step {step} the loss is computed on other labels than those of the rows of its batch",
    ),
    "base_loss": Refusal(
        "B428",
        "the base model predicts the rows far worse than guessing does: {loss:.3g} nats a token, and guessing"
        " gives {guess:.3g}",
        lambda event: not event["loss"] <= WORST * event["guess"],
        path="base_model",
        hint="weights, config.json and tokenizer do not belong together, or are damaged: fetch or make them again",
    ),
    "weighted": Refusal(
        "B425",
        "at step {step} the tokens of a pass count {factor:.3g} times what they are of the learned tokens of the whole"
        " batch",
        hint="set method.micro_batch_size to method.batch_size, and report it",
    ),
    "rows_alone": Refusal(
        "B425",
        f"at step {{step}} rows have other probabilities in training than by themselves{APART}",
        _is_apart,
    ),
    "first_gradient": Refusal(
        "B458",
        "at the first step the gradients are not those of the rows by themselves, made shorter as the recipe says"
        f"{APART}",
        lambda event: _is_apart(event) or event["count"],
    ),
    "loss": Refusal(
        "B425",
        "the trainer counts a loss of {logged:.4g} at step {step}, and the rows have {computed:.4g}",
        lambda event: (
            not abs(event["logged"] - event["computed"])
            <= max(LEAST, event["allowed"] * max(abs(event["computed"]), 1.0))
        ),
    ),
    "padded_row": Refusal(
        "B456",
        f"a validation row that is padded in its batch has another probability than by itself{APART}, so the validation"
        " loss chooses wrongly",
        _is_apart,
    ),
    "ahead": Refusal(
        "B459",
        "the model sees what comes later in a row: with another end its beginning has other probabilities"
        f"{APART}, so answers would be read off and not be learned",
        _is_apart,
    ),
    "still": Refusal(
        "B426",
        "no gradient reaches {some} of {of} trained parts: what is asked for there would not be learned",
        # Where none gets any, training changes nothing, and B416 says that with what is known by then.
        lambda event: 0 < event["count"] < event["of"],
        path="method.target_modules",
        hint="leave these modules out, or take a base model that uses them",
    ),
    "optimizer": Refusal(
        "B427",
        "the optimizer has taken {steps} steps where the trainer counts {step}",
        lambda event: event["steps"] != event["step"],
        hint="delete `.recipe/scratch` and run the same command again, from the first step",
    ),
    "rows": Refusal("B452", "the trainer {why}", _wrong_rows, hint=FROM_SCRATCH),
    "validation_rows": Refusal(
        "B452",
        "the trainer measures its validation loss on other rows: {other} of {of} are not the rendered ones",
        lambda event: event["other"],
        hint=FROM_SCRATCH,
    ),
    "taken": Refusal("B458", "{why}", lambda event: TAKEN[event["what"]].format(**event)),
    "saved_weights": Refusal(
        "B460",
        "the checkpoint of step {step} holds {some} of {of} trained tensors otherwise than the trainer has them",
    ),
}


def refuse(event: Event) -> None:
    refusal = REFUSALS[event["event"]]
    facts = {**event, **{name: float(event[name]) for name in NUMBERS if name in event}}
    if event.get("names"):
        more = event.get("count", 1) - 1
        facts["some"] = f"`{event['names'][0]}`" + (f" and {more} more" if more else "")
    if why := refusal.why(facts):
        message = refusal.message.format(**{"why": why, **facts})
        raise StageError.one(refusal.code, message, path=refusal.path, hint=refusal.hint)
