"""Steps that are not those of the rendered rows are named, and sound ones are not."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import LlamaConfig, LlamaForCausalLM

from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training.first_step import nats_and_ahead, padded_row
from engine.runtime.training.gradients import agreement, keep_unpacked
from engine.runtime.training.reference import Reference, places_of
from support.apple import on_apple_gpu
from support.pico import make_pico_model

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


# A row that is padded in a batch is found there, and a model that sees what comes later.
SHORT = ((5, 6, 7), [IGNORED, 6, 7])
LONG = ((5, 6, 7, 8, 9), [IGNORED, IGNORED, 7, 8, 9])
NO_LABELS = [IGNORED] * 2


@pytest.mark.parametrize(
    ("ids", "labels", "place"),
    [
        ([5, 6, 7, 0, 0], [*SHORT[1], *NO_LABELS], slice(0, 3)),
        ([0, 0, 5, 6, 7], [*NO_LABELS, *SHORT[1]], slice(2, 5)),
        ([5, 6, 7, 0, 0], [*NO_LABELS, 7, *NO_LABELS], None),
        ([3, 4, 3, 4, 3], [*NO_LABELS, 3, 4, 3], None),
    ],
    ids=["padded behind", "padded in front", "learned otherwise", "another row"],
)
def test_a_padded_row_is_found_by_its_tokens_and_labels(
    ids: list[int], labels: list[int], place: slice | None
) -> None:
    found = padded_row([list(LONG[0]), ids], [LONG[1], labels], iter([LONG, SHORT]))

    assert found == (place and (1, place, {"input_ids": SHORT[0], "labels": SHORT[1]}))


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "vocab_size": 50, "initializer_range": 0.4}
    made = LlamaForCausalLM(LlamaConfig(**sizes, **heads, attn_implementation="eager", **settings))
    return made.eval()


START = [3, 9, 4, 4, 7, 1, 8, 2, 6]
ALIKE = [[*START, *range(10, 20)], [*START, *range(20, 32)]]
APART = [[5, *START, *range(10, 20)], [*START, *range(20, 32)]]


def looked(ids: list[list[int]], *, sees_all: bool) -> tuple[list[Any], float, list[int]]:
    """What is found of two rows, and how many rows each pass has."""
    asked, passes = model(), list[int]()
    if sees_all:
        for layer in asked.model.layers:
            attend = layer.self_attn.forward
            layer.self_attn.forward = lambda *given, attend=attend, **named: attend(
                *given, **{**named, "attention_mask": None}
            )
    asked.register_forward_pre_hook(
        lambda _, __, named: passes.append(len(named["input_ids"])), with_kwargs=True
    )
    return *nats_and_ahead(asked, rows_of(ids)), passes


def rows_of(ids: list[list[int]]) -> list[Any]:
    return [{"input_ids": one, "labels": [IGNORED, *one[1:]]} for one in ids]


@pytest.mark.parametrize(("ids", "size"), [(ALIKE, 3), (APART, 3), (ALIKE[:1], 2)])
def test_a_model_that_sees_what_comes_later_is_found(ids: Any, size: int) -> None:
    found, sound, passes = looked(ids, sees_all=False)
    _, ahead, _ = looked(ids, sees_all=True)

    assert sum(passes) == size
    assert sound < 1e-5
    assert ahead > 0.1
    by_itself = [nats_and_ahead(model(), [row])[0] for row in rows_of(ids)]
    for one, (other,) in zip(found, by_itself, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


# Gradients before and after an evaluation, of a model with 4-bit weights; nothing else is changed by asking.
def collated(rows: Any) -> Any:
    """One row as a batch."""
    return {name: torch.tensor([rows[0][name]]) for name in ("input_ids", "labels")}


ROWS_GRADIENTS = [{"input_ids": list(range(3, 40))}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


def loaded(base: Path, *, four_bit: bool, dropout: float = 0.5) -> Any:
    """The tiny model with an adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.float32,
        quantization_config=quantization if four_bit else None,
        device_map={"": "cpu"} if four_bit else None,
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, lora_dropout=dropout, target_modules="all-linear")
    return get_peft_model(model, lora)


def test_a_model_without_4bit_weights_is_not_asked(base: Path) -> None:
    assert agreement(loaded(base, four_bit=False), ROWS_GRADIENTS, collated) is None


@pytest.mark.parametrize("column", ["input_ids", "prompt_ids", "prompt_input_ids"])
def test_weights_that_stay_unpacked_keep_their_gradients(base: Path, column: str) -> None:
    model = loaded(base, four_bit=True)
    keep_unpacked(model)

    assert agreement(model, [{column: ROWS_GRADIENTS[0]["input_ids"]}], collated) == 1.0


@pytest.mark.filterwarnings("ignore:.*an autograd kernel was not registered")
def test_weights_that_are_repacked_do_not(base: Path) -> None:
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("this CPU has no AVX512-BF16")
    cosine = agreement(loaded(base, four_bit=True), ROWS_GRADIENTS, collated)

    assert cosine is not None
    assert cosine < 0.9


def test_asking_leaves_modes_gradients_and_random_numbers_as_they_were(base: Path) -> None:
    model = loaded(base, four_bit=True)
    keep_unpacked(model)
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()

    agreement(model, ROWS_GRADIENTS, collated)

    assert [module.training for module in model.modules()] == modes
    assert torch.random.get_rng_state().equal(state)
    assert all(weight.grad is None for weight in model.parameters())
