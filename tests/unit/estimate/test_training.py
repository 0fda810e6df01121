"""What training takes, against cases computed by hand."""

from pathlib import Path
from typing import Any

import pytest

from engine.backends.usage import Spent, Usage
from engine.errors import StageError
from engine.estimate.cost import Batch, operations, peak, trainable_parameters
from engine.estimate.devices import named_device
from engine.estimate.measured import Measurement
from engine.estimate.row_tokens import Workload
from engine.estimate.shape import refuse_unfit
from engine.estimate.training import Known, course_of, estimate_from, known_of
from engine.recipe.model import FewerLayers, Method, PathRef, Preference, Recipe
from engine.store import Store
from engine.values import replace
from support.estimates import CPU, KV, LINEAR, MLP, TOTAL, Q, recipe_in, shape
from support.launches import make_recipe
from support.pico import make_pico_model

EXACT = Workload(
    train_rows=40,
    validation_rows=20,
    train=((20, 30), (60, 10)),
    validation=((30, 20),),
    exact=True,
    source="counted",
)


def method(folder: Path, **changes: Any) -> Method:
    return recipe_in(folder, **changes).method


def test_an_adapter_has_two_thin_matrices_beside_each_chosen_one(tmp_path: Path) -> None:
    everywhere = 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    attention = 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32))

    assert everywhere == trainable_parameters(shape(), method(tmp_path))
    assert attention == trainable_parameters(shape(), method(tmp_path, target_modules="attention"))
    assert trainable_parameters(shape(), method(tmp_path, kind="full")) == TOTAL


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_reference_is_passed_through_once_more_and_full_training_holds_it(
    tmp_path: Path, kind: str
) -> None:
    """Losses that read pairs alike: DPO asks the untouched model too, SimPO does not."""
    batch, found = Batch(rows=8, length=60), {}
    for loss in ("dpo", "simpo"):
        one = replace(method(tmp_path, kind=kind), preference=Preference(loss=loss, beta=0.1))
        memory = peak(shape(), one, batch, precision="fp32", backend="trl", process=0)
        passes = [operations(shape(), one, batch, backward=back) for back in (True, False)]
        found[loss] = (*passes, memory["weights"])

    forward = operations(shape(), method(tmp_path, kind=kind), batch, backward=False)
    more = [dpo - simpo for dpo, simpo in zip(found["dpo"], found["simpo"], strict=True)]
    assert more == [forward, forward, 4 * TOTAL if kind == "full" else 0]


def test_full_training_holds_weights_optimizer_and_what_the_way_back_needs(tmp_path: Path) -> None:
    found = peak(
        shape(), method(tmp_path, kind="full"), Batch(rows=8, length=60),
        precision="fp32", backend="trl", process=1000,
    )  # fmt: skip
    tokens = 8 * 60

    assert found["activations"] == tokens * (2 * (40 * 64 + 16 * 128) + 8 * 64)
    assert found["logits"] == round(4 * 4.6 * tokens * 320)
    assert [*found.values()][:4] == [1000, 4 * TOTAL, 0, 8 * TOTAL]


@pytest.mark.parametrize(
    ("targets", "dropout", "of_hidden", "of_inner"),
    [
        ("all_linear", 0.0, 32, 16),
        ("all_linear", 0.1, 72, 20),
        ("attention", 0.1, 56, 12),
        (["o_proj"], 0.0, 24, 12),
        (["q_proj"], 0.1, 32, 12),
        (["down_proj"], 0.1, 24, 20),
    ],
)
def test_a_block_keeps_what_was_counted_in_a_real_one(
    tmp_path: Path, targets: Any, dropout: float, of_hidden: int, of_inner: int
) -> None:
    """In 32 bits, by `torch.autograd.graph.saved_tensors_hooks` on Llama models of three shapes."""
    one = method(tmp_path, target_modules=targets, dropout=dropout)
    found = peak(shape(), one, Batch(rows=8, length=60), precision="fp32", backend="trl", process=0)

    assert found["activations"] == 8 * 60 * (2 * (of_hidden * 64 + of_inner * 128) + 8 * 64)


def test_with_a_tiny_batch_the_optimizers_step_is_the_peak(tmp_path: Path) -> None:
    found = peak(
        shape(), method(tmp_path, kind="full"), Batch(rows=1, length=2),
        precision="fp32", backend="trl", process=0,
    )  # fmt: skip

    assert (found["activations"], found["gradients"]) == (0, 4 * TOTAL + 4 * 320 * 64)


def test_narrow_weights_take_half_and_4_bits_an_eighth(tmp_path: Path) -> None:
    batch = Batch(rows=1, length=8)
    wide, narrow, tiny = (
        peak(shape(), method(tmp_path, kind=kind), batch, precision=precision, backend="trl", process=0)
        for kind, precision in (("lora", "fp32"), ("lora", "bf16"), ("qlora", "bf16"))
    )  # fmt: skip

    assert wide["weights"] == 2 * narrow["weights"]
    assert round(0.516 * LINEAR) + 4 * (TOTAL - LINEAR) == tiny["weights"]


def test_gradient_checkpointing_keeps_one_block_and_takes_a_pass_more(tmp_path: Path) -> None:
    batch = Batch(rows=8, length=60)
    kept, again = (method(tmp_path, kind="full", gradient_checkpointing=on) for on in (False, True))
    peaks = [
        peak(shape(num_hidden_layers=20), one, batch, precision="fp32", backend="trl", process=0)
        for one in (kept, again)
    ]
    forward = operations(shape(), kept, batch, backward=False)

    assert peaks[1]["activations"] < peaks[0]["activations"] / 4
    assert 4 * forward == operations(shape(), again, batch, backward=True)
    assert 3 * forward == operations(shape(), kept, batch, backward=True)


def test_a_forward_pass_multiplies_each_weight_twice_for_each_token(tmp_path: Path) -> None:
    found = operations(shape(), method(tmp_path), Batch(rows=1, length=10), backward=False)

    assert found == 10 * (2 * (LINEAR + 320 * 64) + 4 * 64 * 10 * 2)
    assert 2 * (2 * Q + 2 * KV + 3 * MLP) == LINEAR


def known(**changes: Any) -> Known:
    return replace(Known(shape=shape(), workload=EXACT), **changes)


def test_everything_that_is_known_is_reported_with_its_reason(tmp_path: Path) -> None:
    found = estimate_from(recipe_in(tmp_path, epochs=2), CPU, known())

    assert (found.steps, found.tokens) == (10, 1200)
    assert found.fits
    assert found.basis == "computed"
    assert [what for what, _ in found.derived] == [
        "rows",
        "steps",
        "parameters",
        "memory",
        "time",
        "disk",
    ]


def test_a_model_larger_than_the_device_does_not_fit(tmp_path: Path) -> None:
    small = replace(CPU, memory_bytes=1_000_000)

    assert estimate_from(recipe_in(tmp_path), small, known()).fits is False


def measured(**changes: Any) -> Measurement:
    usage = Usage(
        starting=Spent(count=1, seconds=5.0),
        first=Spent(count=1, seconds=3.0, tokens=8 * 60),
        steps=Spent(count=1, seconds=2.0, tokens=8 * 60),
        evaluations=Spent(count=1, seconds=1.0, tokens=8 * 30),
        saves=Spent(count=1, seconds=0.5),
        ending=Spent(count=1, seconds=0.25),
        peak_bytes=123_000_000,
    )
    return replace(
        Measurement(by="probe", created="2026-11-25T03:00:00+00:00", usage=usage, work={}),
        **changes,
    )


def test_a_measured_training_takes_the_place_of_the_estimate(tmp_path: Path) -> None:
    """Rows padded as in the trial steps: five steps of two seconds, one evaluation before them and one an epoch."""
    even = replace(EXACT, train=((60, 40),), validation=((30, 20),))
    recipe = recipe_in(tmp_path, epochs=1, evaluations_per_epoch=1)
    found = estimate_from(recipe, CPU, known(workload=even, measured=measured()))

    evaluations = 2 * 20 * 30 / 240
    assert found.memory_bytes == 123_000_000
    assert pytest.approx(5.0 + 1.0 + 5 * 2.0 + evaluations + 0.5 + 0.25) == found.seconds
    assert found.basis == "probe"
    assert any(
        "trial steps on this machine on 2026-11-25 03:00 UTC" in how for _, how in found.derived
    )


def test_shorter_rows_than_those_of_the_probe_take_less(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    even = replace(EXACT, train=((60, 40),))
    short = replace(EXACT, train=((20, 40),))
    long, less = (
        estimate_from(recipe, CPU, known(workload=one, measured=measured())).seconds
        for one in (even, short)
    )

    assert long is not None
    assert less is not None
    assert less < long


def test_another_measured_training_says_how_fast_the_machine_is(tmp_path: Path) -> None:
    slow = measured(operations=1e6)
    fast = measured(operations=1e9)
    recipe = recipe_in(tmp_path)
    first, second = (estimate_from(recipe, CPU, known(like=one)).seconds for one in (slow, fast))

    assert first is not None
    assert second is not None
    assert first > second


def estimated(recipe: Recipe, folder: Path, device: Any = CPU) -> Any:
    known = known_of(recipe, Store(folder / "store"), device, {}, None)
    return estimate_from(recipe, device, known)


def test_a_recipe_with_local_rows_and_a_local_model_is_estimated(tmp_path: Path) -> None:
    found = estimated(recipe_in(tmp_path), tmp_path)

    assert found.unknown == ()
    assert found.seconds is not None
    assert (
        "an estimate from the characters of 80 rows, by their scripts"
        in dict(found.derived)["rows"]
    )


def test_a_sample_of_which_every_row_is_too_long_leaves_nothing_to_estimate(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, max_length=16, dropout=0.0)
    checks = replace(recipe.data.checks, truncation="drop")
    data = replace(recipe.data, checks=checks)
    found = estimated(replace(recipe, data=data), tmp_path)

    assert (found.tokens, found.memory_bytes, found.seconds) == (0, None, None)


def test_what_is_unknown_says_what_makes_it_known(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, config=None)
    splits = replace(recipe.splits, train=0.5, validation=0.25, holdout=0.25)
    found = estimated(replace(recipe, splits=splits), tmp_path)

    assert (found.steps, found.memory_bytes, found.seconds) == (None, None, None)
    folder, rows = found.unknown
    assert "folder is not there" in folder
    assert "`recipe data`" in rows


def test_a_faster_device_is_estimated_to_take_less_and_marked_as_assumed(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    t4, h200 = (estimated(recipe, tmp_path, named_device(name)) for name in ("t4", "h200"))

    assert t4.seconds > h200.seconds
    spent, _, source = dict(h200.derived)["time"].partition("; ")
    assert spent.startswith("start 3 s, steps ")
    assert "is assumed" in source


def test_tokens_that_all_rows_begin_with_are_computed_once_in_a_batch(tmp_path: Path) -> None:
    work = replace(EXACT, shared=12, learned=2.0)
    shared, plain = (
        course_of(recipe_in(tmp_path, dropout=dropout, batch_size=8), work)
        for dropout in (0.0, 0.1)
    )

    assert shared is not None
    assert plain is not None
    # The mean row has 30 tokens, and the longest of eight drawn rows nearly 60.
    assert shared.batch == Batch(rows=8, length=30, shared=12, learned=2)
    assert (shared.batch.tokens, shared.batch.logits) == (12 + 8 * 18, 16)
    assert plain.batch.tokens == plain.batch.logits == 8 * plain.batch.length
    assert plain.batch.length > 50
    assert shared.evaluation_tokens == 20 / 8 * (12 + 8 * 18)


def test_each_row_keeps_what_it_learns_and_the_token_before(tmp_path: Path) -> None:
    work = replace(EXACT, train=((10, 40),), validation=(), shared=10, learned=3.0)
    course = course_of(recipe_in(tmp_path, dropout=0.0), work)

    assert course is not None
    assert course.batch.shared == 10 - (3 + 1)


def test_epochs_are_those_that_the_trainer_counts(tmp_path: Path) -> None:
    """20 rows are 10 passes of 2, and 9 steps of 3 passes go through them 2 times and 3 passes further."""
    work = replace(EXACT, train_rows=20)
    recipe = recipe_in(tmp_path, epochs=2, min_steps=9, batch_size=6, micro_batch_size=2)

    found = dict(estimate_from(recipe, CPU, Known(shape=None, workload=work)).derived)

    assert found["steps"] == "20 rows in batches of 6, 2.3 epochs: 9"


@pytest.mark.parametrize(("asked", "seen"), [(1, "1 epoch"), (1000, "1000 epochs")])
def test_epochs_of_a_plan_are_counted_as_those_of_a_run(
    asked: int, seen: str, tmp_path: Path
) -> None:
    work = replace(EXACT, train_rows=20)
    recipe = recipe_in(tmp_path, epochs=asked, batch_size=2, micro_batch_size=2, min_steps=1)

    found = dict(estimate_from(recipe, CPU, Known(shape=None, workload=work)).derived)

    assert found["steps"] == f"20 rows in batches of 2, {seen}: {10 * asked}"


# A plan refuses what the base model that is here does not have.
@pytest.mark.parametrize(
    ("keep", "method", "code"),
    [
        ((0, 9), {}, "X741"),
        (3, {}, "X741"),
        ((0,), {"layers": "last_2"}, "X730"),
        ((0,), {"target_modules": ("q_prj",)}, "X731"),
        ((0,), {"target_modules": ("q_proj", "embed_tokens")}, ""),
    ],
)
def test_a_plan_knows_what_the_base_model_lacks(
    keep: Any, method: dict[str, Any], code: str, tmp_path: Path
) -> None:
    base = make_pico_model(tmp_path / "base")
    whole = PathRef(path=base, written=str(base))
    recipe = replace(
        make_recipe("trl", **method), base_model=FewerLayers(of=whole, keep_layers=keep)
    )
    found = ""
    try:
        refuse_unfit(recipe, Store(tmp_path / "store"))
    except StageError as error:
        [found] = [one.code for one in error.problems]

    assert found == code
