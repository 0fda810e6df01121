"""What a trainer says before its first step is held to the plan; nothing is trained here."""

from pathlib import Path
from typing import Any

import pytest

from engine.backends.base import CompileInputs, Launch
from engine.backends.events import TrainingMonitor
from engine.backends.launches import refuse_other_processes
from engine.backends.refusals import refuse
from engine.backends.trainer_state import nonfinite
from engine.backends.usage import UsageMeter
from engine.compute.profile import Ranks
from engine.errors import StageError
from support.launches import CPU, METHOD, RecordedProgress

START: dict[str, Any] = {
    "event": "start",
    "trainable_parameters": 1,
    "total_parameters": 2,
    "world_size": 1,
    "devices": 1,
    "rows_per_step": 8,
    "steps": 6,
}


def monitor_of_two() -> TrainingMonitor:
    launch = Launch(
        config="",
        rows=Path(),
        base_model=Path(),
        folder=Path(),
        method=METHOD,
        setting=CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8),
        progress=RecordedProgress(),
        ranks=Ranks(processes=2),
    )
    return TrainingMonitor(launch, UsageMeter(began=0.0))


def monitor(
    progress: RecordedProgress | None = None, config: str = "", *, has_all_layers: bool = True
) -> TrainingMonitor:
    """Of 24 rows in steps of 8, twice."""
    launch = Launch(
        config=config,
        rows=Path(),
        base_model=Path(),
        folder=Path(),
        method=METHOD,
        setting=CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8),
        progress=progress or RecordedProgress(),
        has_all_layers=has_all_layers,
    )
    return TrainingMonitor(launch, UsageMeter(began=0.0))


def refusal(**changes: Any) -> list[str]:
    with pytest.raises(StageError) as refused:
        monitor().handle({**START, **changes})
    return [problem.code for problem in refused.value.problems]


def numbers(**changes: float) -> dict[str, float]:
    """What a trainer says of the method, as planned but for some."""
    names = ("learning_rate", "weight_decay", "rank", "alpha", "dropout")
    planned = {name: float(getattr(METHOD, name)) for name in names}
    return {**planned, "label_smoothing": 0.0, "frozen_parts": 0, **changes}


def test_the_numbers_of_the_method_are_those_of_the_recipe() -> None:
    events = monitor()
    events.handle({**START, "method": numbers()})
    events.handle({"event": "log", "step": 1, "learning_rate": METHOD.learning_rate})

    assert events.facts["method"] == numbers()


@pytest.mark.parametrize("name", [*numbers()])
def test_any_other_is_refused(name: str) -> None:
    assert refusal(method=numbers(**{name: 0.7})) == ["B453"]


@pytest.mark.parametrize(
    ("adapted", "plain"), [(["q_proj"], ["up_proj", "v_proj"]), ([], ["q_proj"])]
)
def test_adapters_on_other_modules_are_refused(adapted: list[str], plain: list[str]) -> None:
    assert refusal(adapted=adapted, plain=plain) == ["B453"]


OF_TRL = "{lr_scheduler_type: cosine, seed: 7, warmup_steps: 2}"
PLANNED = {"lr_scheduler_type": "cosine", "seed": 7, "data_seed": None, "lora_rank_pattern": {}}


@pytest.mark.parametrize(
    ("config", "changes", "codes"),
    [
        (OF_TRL, {}, []),
        (OF_TRL, {"arguments": {**PLANNED, "seed": 8}}, ["B453"]),
        (OF_TRL, {"arguments": {**PLANNED, "data_seed": 8}}, ["B453"]),
        (OF_TRL, {"arguments": {**PLANNED, "lora_rank_pattern": {"q_proj": 1}}}, ["B453"]),
        (OF_TRL, {"optimizer": "is SGD, planned is AdamW"}, ["B453"]),
        (OF_TRL, {"rate_difference": 0.3}, ["B453"]),
        (OF_TRL, {"partly": 7}, ["B453"]),
        # Axolotl's
        ("{lr_scheduler: cosine}", {"arguments": {**PLANNED, "seed": 8}}, []),
    ],
)
def test_settings_are_those_that_were_compiled(
    config: str, changes: dict[str, Any], codes: list[str]
) -> None:
    adapted = {"adapted": ["q_proj"], "plain": []} if "partly" in changes else {}
    found = list[str]()
    try:
        monitor(config=config).handle({**START, "arguments": PLANNED, **adapted, **changes})
    except StageError as error:
        found = [problem.code for problem in error.problems]

    assert found == codes


def test_validation_rows_are_the_rendered_ones() -> None:
    events = monitor()
    events.handle({"event": "validation_rows", "other": 0, "of": 8})

    with pytest.raises(StageError, match="on other rows: 3 of 8"):
        events.handle({"event": "validation_rows", "other": 3, "of": 8})


def test_no_step_has_a_larger_rate() -> None:
    events = monitor()

    with pytest.raises(StageError, match="learning rate"):
        events.handle({"event": "log", "step": 1, "learning_rate": METHOD.learning_rate * 2})


def test_why_batches_are_plain_after_all_is_kept_and_shown() -> None:
    progress = RecordedProgress()
    watched = monitor(progress)
    watched.handle({"event": "shared_prefix", "used": False, "reason": "sliding_window"})
    watched.handle(START)

    assert watched.facts["shared_prefix"] == {"used": False, "reason": "sliding_window"}
    assert progress.notes == ["batches are plain: sliding_window"]


@pytest.mark.parametrize("changes", [{"world_size": 2, "rows_per_step": 8}, {"devices": 2}])
def test_another_number_of_processes_or_devices_is_refused(changes: dict[str, int]) -> None:
    assert refusal(**changes) == ["B420"]


def test_one_process_where_two_were_planned_is_refused() -> None:
    with pytest.raises(StageError) as refused:
        monitor_of_two().handle(START)

    [problem] = refused.value.problems
    assert problem.code == "B420"
    assert "2 processes with one device each were planned" in problem.message


def test_steps_of_a_further_process_are_not_counted_and_what_it_took_is() -> None:
    two = monitor_of_two()
    taken = {"seconds": 1.0, "cpu_seconds": 2.0, "tokens": 9, "peak_bytes": 7}
    two.handle({**START, "world_size": 2})
    two.handle({"event": "step", "step": 1, "steps": 6, **taken})
    two.handle({"event": "step", "step": 1, "steps": 6, **taken, "peak_bytes": 8}, rank=1)

    assert (two.done, two.usage.first.count, two.usage.first.tokens) == (1, 1, 9)
    assert (two.usage.peak_bytes, two.usage.cpu_seconds) == (8, 4.0)


def test_what_a_further_process_sees_refuses_a_training_too() -> None:
    with pytest.raises(StageError) as refused:
        monitor_of_two().handle({"event": "gradients", "cosine": 0.5}, rank=1)

    assert [problem.code for problem in refused.value.problems] == ["B423"]


@pytest.mark.parametrize("changes", [{"rows_per_step": 16}, {"rows_per_step": 4}, {"steps": 12}])
def test_other_rows_a_step_or_other_steps_are_refused(changes: dict[str, int]) -> None:
    assert refusal(**changes) == ["B421"]


@pytest.mark.parametrize("cosine", [0.63, 0.9989, -1.0, float("nan")])
def test_other_gradients_are_refused(cosine: float) -> None:
    with pytest.raises(StageError) as refused:
        refuse({"event": "gradients", "cosine": cosine})

    assert [problem.code for problem in refused.value.problems] == ["B423"]


@pytest.mark.parametrize("name", ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_a_process_that_a_launcher_started_as_one_of_several_is_refused(name: str) -> None:
    with pytest.raises(StageError) as refused:
        refuse_other_processes({name: "2"})

    assert [problem.code for problem in refused.value.problems] == ["B420"]


def test_a_process_by_itself_is_not() -> None:
    refuse_other_processes({"WORLD_SIZE": "1", "PMI_SIZE": ""})


@pytest.mark.parametrize(
    ("step", "path"), [(0, "base_model"), (1, "base_model"), (2, "method.learning_rate")]
)
def test_before_anything_was_learned_no_learning_rate_is_blamed(step: int, path: str) -> None:
    (problem,) = nonfinite("loss", "nan", step).problems

    assert problem.path == path
    assert ("learning_rate" in (problem.hint or "")) is (path == "method.learning_rate")


def test_a_loss_that_is_no_number_before_the_first_step_leaves_the_word_to_the_look_at_it() -> None:
    found = monitor()
    found.handle(START)
    # However soon the events are read: between these two the training must not be ended.
    found.handle({"event": "nonfinite", "step": 0, "eval_loss": "nan"})
    assert not found.is_broken

    with pytest.raises(StageError) as refused:
        found.handle({"event": "base_loss", "loss": "nan", "guess": 5.0})

    assert [problem.code for problem in refused.value.problems] == ["B428"]


def test_a_cut_base_model_may_predict_badly_before_it_is_trained() -> None:
    whole, cut = monitor(), monitor(has_all_layers=False)
    cut.handle({"event": "base_loss", "loss": "40.0", "guess": 5.0})

    for found, loss in ((whole, "40.0"), (cut, "nan")):
        with pytest.raises(StageError, match="B428"):
            found.handle({"event": "base_loss", "loss": loss, "guess": 5.0})


def test_a_loss_that_is_no_number_after_a_step_ends_the_training_at_once() -> None:
    found = monitor()
    found.handle(START)
    found.handle({"event": "step", "step": 1, "steps": 6, "seconds": 1.0, "tokens": 8})
    found.handle({"event": "nonfinite", "step": 1, "loss": "nan"})

    assert found.is_broken


def test_steps_that_fp16_has_lost_are_noted() -> None:
    progress = RecordedProgress()

    monitor(progress).handle({"event": "passed_over", "steps": 3})

    assert progress.notes[0].startswith("3 of 6 steps changed nothing")
