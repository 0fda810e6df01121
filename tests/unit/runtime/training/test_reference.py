"""Steps that are not those of the rendered rows are named, and sound ones are not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import LlamaConfig, LlamaForCausalLM

from engine.runtime.rendering.files import IGNORED
from engine.runtime.training.reference import Reference, places_of
from support.apple import on_apple_gpu

ARGS = SimpleNamespace(
    **dict.fromkeys(("fp16", "bf16"), False),
    **dict.fromkeys(("neftune_noise_alpha", "label_smoothing_factor"), 0.0),
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    max_grad_norm=1.0,
    world_size=1,
    logging_steps=1,
)
ROWS = [
    {
        "input_ids": [*range(first, first + size)],
        "labels": [IGNORED, *range(first + 1, first + size)],
    }
    for first, size in ((1, 4), (9, 9), (20, 5), (3, 12))
]
WIDTH = 12
Change = Callable[[Any], object]


def nothing(_: Any) -> None:
    """Change nothing."""


def batch_of(rows: Any) -> dict[str, torch.Tensor]:
    """Rows that are padded behind."""

    def filled(name: str, value: int) -> torch.Tensor:
        return torch.tensor([[*row[name], *[value] * WIDTH][:WIDTH] for row in rows])

    return {"input_ids": filled("input_ids", 0), "labels": filled("labels", IGNORED)}


PLAIN: dict[str, Any] = {
    **dict.fromkeys(("given", "between", "within", "before"), nothing),
    "kind": torch.optim.AdamW,
    "is_averaged": False,
    "size": 1.0,
}
"""A sound training: what is done to batches and weights on the way, and its loss."""


def trained(steps: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """What is wrong by the reference with a training of two passes a step that is changed on the way."""
    how = SimpleNamespace(**{**PLAIN, **changes})
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "vocab_size": 50, "initializer_range": 0.2}
    model: Any = LlamaForCausalLM(LlamaConfig(**sizes, **heads))
    optimizer = how.kind(model.parameters(), lr=1e-3, weight_decay=0.01)
    scheduler = LambdaLR(optimizer, lambda step: 1 - step / 10)
    found = list[Any]()
    look = Reference(model, ARGS, optimizer, scheduler, found.append)
    halves = [ROWS[:2], ROWS[2:]]
    total = sum(len(row["input_ids"]) - 1 for row in ROWS)
    for step in range(steps):
        model.train()
        how.between(model)
        look.before(step, steps, halves)
        nats = 0.0
        for half in halves:
            batch = batch_of(half)
            how.given(batch)
            items = {} if how.is_averaged else {"num_items_in_batch": torch.tensor(total)}
            loss = model(**batch, **items).loss * how.size / (2 if how.is_averaged else 1)
            loss.backward()
            nats += float(loss.detach())
            how.within(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), ARGS.max_grad_norm)
        how.before(optimizer)
        look.before_update(step)
        optimizer.step()
        look.after(step + 1)
        look.logged(nats)
        scheduler.step()
        model.zero_grad()
    return [one for one in found if is_wrong(one)]


def is_wrong(event: dict[str, Any]) -> bool:
    if event["event"] == "loss":
        return abs(float(event["logged"]) - float(event["computed"])) > event["allowed"]
    if "difference" in event:
        return not float(event["difference"]) <= event["allowed"] or bool(event.get("count"))
    return True


def grown(optimizer: Any) -> list[Any]:
    return [one for one in optimizer.param_groups[0]["params"] if one.grad is not None]


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_sound_steps_are_not_named(kind: Any) -> None:
    assert trained(kind=kind) == []


def test_gradients_of_an_apple_gpu_are_compared_in_64_bits_elsewhere() -> None:
    def move(optimizer: Any) -> None:
        for weight in grown(optimizer):
            weight.grad = on_apple_gpu(weight.grad)

    assert trained(before=move) == []


def other_bias(model: Any) -> None:
    """Change weights behind the back of the optimizer."""
    model.model.norm.weight.data += 1


def other_rate(optimizer: Any) -> None:
    """Take a rate that the schedule does not give."""
    optimizer.param_groups[0]["lr"] *= 0.9


def turned(optimizer: Any) -> None:
    """Have clipping turn gradients round."""
    for weight in grown(optimizer):
        weight.grad.neg_()


def one_tensor(optimizer: Any) -> None:
    """Change the gradient of one tensor of twenty."""
    grown(optimizer)[3].grad.mul_(-1)


def forgotten() -> Change:
    """Begin each second pass without the gradients of the first."""
    passes = list[int]()

    def forget(model: Any) -> None:
        passes.append(1)
        if len(passes) % 2:
            model.zero_grad()

    return forget


def rolled(batch: Any) -> None:
    batch["labels"] = batch["labels"].roll(1, -1)


def without_last(batch: Any) -> None:
    batch["labels"] = batch["labels"].masked_fill(batch["labels"] == batch["labels"].max(), IGNORED)


def other_rows(batch: Any) -> None:
    batch["input_ids"][0, 1] += 1


@pytest.mark.parametrize(
    ("how", "events"),
    [
        ({"between": other_bias}, ("taken",)),
        ({"before": other_rate}, ("taken",)),
        ({"before": turned}, ("first_gradient",)),
        ({"before": one_tensor}, ("first_gradient",)),
        ({"within": forgotten()}, ("first_gradient",)),
        ({"given": rolled}, ("fed",)),
        ({"given": without_last}, ("fed",)),
        ({"given": other_rows}, ("fed",)),
        ({"is_averaged": True}, ("weighted",)),
        ({"size": 2.0}, ("weighted",)),
    ],
)
def test_what_is_otherwise_is_named_first(how: dict[str, Any], events: tuple[str, ...]) -> None:
    assert tuple(one["event"] for one in trained(**how)[: len(events)]) == events


def test_a_loss_that_is_logged_otherwise_is_named() -> None:
    assert {one["event"] for one in trained(size=1.5)} == {"weighted", "loss"}


def test_rows_that_are_padded_in_front_are_found_there() -> None:
    ids = torch.tensor([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]])
    rows = [
        {"input_ids": [5, 6, 7], "labels": [IGNORED, IGNORED, 7]},
        {"input_ids": [1, 2, 3, 4, 5], "labels": [IGNORED, IGNORED, IGNORED, 4, 5]},
    ]

    assert places_of(rows, {"input_ids": ids}, torch.zeros(2, 5, 9)) == ([3, 7, 8], [7, 4, 5])
