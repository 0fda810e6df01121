"""What the callback tells of a training, called as the trainer calls it; nothing is trained."""

import json
import math
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file

from engine.backends.trainer_state import checkpoints
from engine.errors import StageError
from engine.files.digests import FILE, read_digests
from engine.runtime.training import callbacks
from engine.runtime.training.callbacks import MOST_OVERFLOWS, Watch
from engine.runtime.training.event_file import evaluations_since_best, scheduled_losses
from engine.runtime.training.in_force import method_facts, module_facts
from engine.runtime.training.saved_weights import adapter_norm, model_norm


def tiny() -> Any:
    """A model that takes `input_ids`."""

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(8, 4)
            self.out = torch.nn.Linear(4, 8)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.out(self.embed(input_ids))
            return found

    return Tiny()


def arguments(folder: Path) -> Any:
    """Settings of a trainer."""
    return SimpleNamespace(
        device=torch.device("cpu"),
        bf16=False,
        fp16=False,
        output_dir=str(folder),
        world_size=1,
        n_gpu=0,
        train_batch_size=2,
        gradient_accumulation_steps=3,
        learning_rate=1e-3,
        weight_decay=0.1,
        label_smoothing_factor=0.0,
        max_grad_norm=1.0,
        neftune_noise_alpha=None,
        save_total_limit=2,
    )


def begin(watch: Watch, model: Any, folder: Path, *, is_first: bool = True) -> tuple[Any, Any, Any]:
    """Begin a training, and return what the trainer gives to each call."""
    state = SimpleNamespace(
        global_step=0, max_steps=2, is_world_process_zero=is_first, best_global_step=None
    )
    given = (arguments(folder), state, SimpleNamespace())
    watch.on_train_begin(
        *given, model=model, train_dataloader=SimpleNamespace(dataset=[], collate_fn=None)
    )
    return given


def saved(folder: Path, step: int) -> Path:
    """Write what the trainer has saved at a step."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "weights").write_bytes(b"some")
    return checkpoint


def events_of(folder: Path, *, is_first: bool = True) -> list[dict[str, Any]]:
    """Two steps of two passes and one, an evaluation before them, a checkpoint and the end."""
    events: list[dict[str, Any]] = []
    watch, model = Watch(lambda event: events.append(dict(event))), tiny()
    given = begin(watch, model, folder, is_first=is_first)
    state = given[1]
    model(input_ids=torch.zeros(1, 3, dtype=torch.long))
    watch.on_evaluate(*given)
    for step, passes in ((1, 2), (2, 1)):
        watch.on_step_begin(*given)
        for _ in range(passes):
            model(input_ids=torch.zeros(2, 5, dtype=torch.long))
        state.global_step = step
        watch.on_step_end(*given)
    saved(folder, 2)
    watch.on_save(*given)
    watch.on_train_end(*given)
    return events


def test_each_event_says_what_it_took(tmp_path: Path) -> None:
    events = events_of(tmp_path)

    assert [e["event"] for e in events] == ["start", "evaluated", "step", "step", "saved", "end"]
    assert [event["tokens"] for event in events] == [0, 3, 20, 10, 0, 0]
    assert all(event["seconds"] >= 0 and event["cpu_seconds"] >= 0 for event in events)
    assert all(event["peak_bytes"] > 10**7 for event in events)
    start = events[0]
    assert (start["world_size"], start["devices"], start["rows_per_step"]) == (1, 1, 6)
    digest = sha256(b"some").hexdigest()
    assert read_digests(tmp_path / "checkpoint-2" / FILE) == {"weights": digest}


def test_a_further_process_says_the_same_and_writes_no_digests(tmp_path: Path) -> None:
    assert events_of(tmp_path, is_first=False)[0]["event"] == "start"
    assert [path.name for path in (tmp_path / "checkpoint-2").iterdir()] == ["weights"]


def test_older_checkpoints_stay_until_the_new_one_has_its_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(lambda _: None)
    args, state, control = begin(watch, tiny(), tmp_path)
    for step in (1, 2, 3):
        state.global_step, state.best_global_step = step, 1
        saved(tmp_path, step)
        watch.on_save(args, state, control)
    # The trainer itself deletes nothing: it would do so before the digests are there.
    assert args.save_total_limit is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "checkpoint-3"]

    state.global_step = state.best_global_step = 4
    saved(tmp_path, 4)
    with monkeypatch.context() as killed:
        killed.setattr(callbacks, "write_digests", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            watch.on_save(args, state, control)

    assert sorted(step for step, _ in checkpoints(tmp_path)) == [1, 3, 4]
    assert read_digests(tmp_path / "checkpoint-3" / FILE)


def logged(folder: Path, norms: list[float], *, fp16: bool) -> tuple[list[str], bool]:
    """Log gradient norms one a step; return the events, and whether training is to stop."""
    events: list[dict[str, Any]] = []
    watch = Watch(lambda event: events.append(dict(event)))
    args, state, control = begin(watch, tiny(), folder)
    args.fp16, control.should_training_stop = fp16, False
    for step, norm in enumerate(norms, 1):
        state.global_step = step
        watch.on_log(args, state, control, logs={"loss": 1.0, "grad_norm": norm})
        watch.on_log(args, state, control, logs={"eval_loss": 1.0})
    # As it goes into a file of JSON.
    json.dumps(events, allow_nan=False)
    return [event["event"] for event in events[1:]], control.should_training_stop


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_in_fp16_a_step_whose_gradients_overflow_ends_nothing(tmp_path: Path, bad: float) -> None:
    assert logged(tmp_path, [bad, bad, 1.0], fp16=True) == (["log"] * 6, False)
    assert logged(tmp_path, [bad], fp16=False) == (["nonfinite", "log"], True)


def test_steps_that_fp16_has_lost_are_counted(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    watch = Watch(lambda event: events.append(dict(event)))
    args, state, control = begin(watch, tiny(), tmp_path)
    args.fp16 = True
    for norm in (float("inf"), float("nan"), 1.0, float("inf")):
        watch.on_log(args, state, control, logs={"loss": 1.0, "grad_norm": norm})
    watch.on_train_end(args, state, control)

    assert {"event": "passed_over", "steps": 3} in events


def test_the_first_product_of_4_bit_weights_is_what_is_multiplied(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    watch, model = Watch(lambda event: events.append(dict(event))), tiny()
    # As layers of 4-bit weights name it: their product is cast back to the 32 bits of a norm before them.
    model.out.compute_dtype = torch.bfloat16
    args, state, control = begin(watch, model, tmp_path)
    model(torch.tensor([[1]]))
    watch.on_log(args, state, control, logs={"loss": 1.0})

    assert events[-1]["product_dtype"] == "bfloat16"


def test_the_first_product_is_known_where_nobody_asks_the_layer(tmp_path: Path) -> None:
    """As in Unsloth's kernels, which read the weights of layers."""

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj = torch.nn.Linear(4, 4, bias=False, dtype=torch.bfloat16)

        def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, None]:
            return states.bfloat16() @ self.q_proj.weight, None

    events: list[dict[str, Any]] = []
    watch, model = Watch(lambda event: events.append(dict(event))), torch.nn.Sequential(Block())
    args, state, control = begin(watch, model, tmp_path)
    model(torch.ones(1, 4))
    watch.on_log(args, state, control, logs={"loss": 1.0})

    assert events[-1]["product_dtype"] == "bfloat16"
    assert not model[0]._forward_hooks


def test_in_fp16_gradients_that_overflow_at_any_scale_end_the_training(tmp_path: Path) -> None:
    norms = [float("nan")] * MOST_OVERFLOWS
    finite = [*norms, 1.0, *norms]

    assert not logged(tmp_path, finite, fp16=True)[1]
    assert logged(tmp_path, [*norms, float("nan")], fp16=True)[1]


def test_an_earlier_peak_is_forgotten() -> None:
    large = torch.ones(50_000_000)
    peak = callbacks.held_bytes("cpu", peak=True)
    del large
    forgot = callbacks.begin("cpu")
    now = callbacks.held_bytes("cpu", peak=True)

    assert peak > 2 * 10**8
    assert now < peak if forgot else now >= peak


def test_the_method_in_force_is_read_off_the_model(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    assert events_of(tmp_path)[0]["method"]["weight_decay"] == 0.1

    model = get_peft_model(tiny(), LoraConfig(r=2, lora_alpha=6, target_modules=["out"]))
    for name, weight in model.named_parameters():
        weight.requires_grad_("lora_A" in name)
    found = method_facts(model, arguments(tmp_path))

    assert (found["rank"], found["alpha"], found["frozen_parts"]) == (2, 6, 1)
    assert module_facts(model) == {"adapted": ["out"], "plain": [], "partly": 0}
    assert module_facts(tiny()) == {}


# Early stopping counts the evaluations of the schedule, whether or not training was interrupted between them.
Log = list[dict[str, float]]

WHOLE: Log = [
    {"step": 0, "eval_loss": 0.1},
    {"step": 5, "eval_loss": 0.5},
    {"step": 6, "loss": 0.4},
    {"step": 10, "eval_loss": 0.3},
    {"step": 15, "eval_loss": 0.4},
    {"step": 17, "eval_loss": 0.6},
]


@pytest.mark.parametrize("extra", [{"step": 12, "eval_loss": 0.01}, {"step": 10, "eval_loss": 0.2}])
def test_what_going_on_adds_to_the_log_is_not_counted(extra: dict[str, float]) -> None:
    log = sorted([*WHOLE, extra], key=lambda entry: entry["step"])

    assert scheduled_losses(log, every=5, steps=17) == (0.5, 0.3, 0.4, 0.6)


def test_patience_is_what_came_after_the_best() -> None:
    assert evaluations_since_best(scheduled_losses(WHOLE, every=5, steps=17)) == 2
    assert evaluations_since_best(()) == 0
    assert evaluations_since_best((0.5, 0.5)) == 1


# Trained weights are believed only when they are finite, paired and moved.
A, B = "base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight"


def _adapter(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    config = {"r": 2, "lora_alpha": 4}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_the_norm_is_that_of_the_whole_delta(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(2, 5, generator=generator)
    b = torch.randn(3, 2, generator=generator)

    norm = adapter_norm(_adapter(tmp_path, {A: a, B: b}))

    assert norm == pytest.approx(float(torch.linalg.matrix_norm(2.0 * b @ a)), rel=1e-5)


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({A: torch.ones(2, 5), B: torch.zeros(3, 2)}, "B416"),
        ({A: torch.full((2, 5), math.nan), B: torch.ones(3, 2)}, "B415"),
        ({A: torch.ones(2, 5), B: torch.full((3, 2), math.inf)}, "B415"),
        ({A: torch.ones(2, 5)}, "B417"),
        ({B: torch.ones(3, 2)}, "B417"),
        ({A: torch.ones(2, 5), B: torch.ones(3, 2), "other": torch.ones(1)}, "B417"),
    ],
)
def test_an_adapter_that_learned_nothing_or_is_damaged_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], code: str
) -> None:
    with pytest.raises(StageError) as refused:
        adapter_norm(_adapter(tmp_path, tensors))

    assert [problem.code for problem in refused.value.problems] == [code]


def test_the_norm_of_full_training_is_the_distance_from_the_base(tmp_path: Path) -> None:
    base, model = tmp_path / "base", tmp_path / "model"
    for folder, value in ((base, 1.0), (model, 3.0)):
        folder.mkdir()
        save_file({"w": torch.full((2, 2), value)}, folder / "model.safetensors")

    assert model_norm(model, base) == pytest.approx(4.0)
    with pytest.raises(StageError):
        model_norm(base, base)
