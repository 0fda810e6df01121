"""What every backend must do, with a tiny real model. Members subclass it and say their name."""

import re
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from safetensors.torch import load_file

from engine.backends import load_backend
from engine.backends.base import CompileInputs, Launch, Trained, schedule
from engine.backends.trainer_state import checkpoints
from engine.errors import RecipeError, StageError
from engine.process import interrupts
from engine.runtime.training.saved_weights import adapter_norm
from engine.values import replace, to_json
from support.damages import zero_the_middle
from support.launches import CPU, RecordedProgress, make_launch, make_recipe

SETTING = CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8)


WITHOUT_FIRST_EVALUATION = (("eval_on_start", False),)


class AskedToEnd(RecordedProgress):
    """Progress during which SIGTERM comes, at a step that the schedule does not save."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        if unit == "step" and done >= 4 and interrupts.pending() is None:
            signal.raise_signal(signal.SIGTERM)


class CompileSuite:
    """The pure half: fast for every backend."""

    name: ClassVar[str]

    def test_equal_recipes_compile_to_equal_bytes(self) -> None:
        backend = load_backend(self.name)

        first = backend.compile(make_recipe(self.name), SETTING)

        assert first == backend.compile(make_recipe(self.name), SETTING)

    def test_every_line_of_the_config_has_an_origin(self) -> None:
        config = load_backend(self.name).compile(make_recipe(self.name), SETTING)

        assert [line.key for line in config.lines] == list(yaml.safe_load(config.text))
        assert all(line.origin for line in config.lines)

    def test_changing_the_rank_changes_one_line(self) -> None:
        backend = load_backend(self.name)
        one = backend.compile(make_recipe(self.name), SETTING).lines
        other = backend.compile(make_recipe(self.name, rank=16), SETTING).lines

        changed = [new for old, new in zip(one, other, strict=True) if old != new]

        assert [tuple(to_json(line).values()) for line in changed] == [
            ("lora_r", 16, "method.rank")
        ]

    @pytest.mark.parametrize(
        ("key", "value", "code"),
        [
            ("lora_rnk", 4, "B404"),
            ("learning_rate", 1.0, "B405"),
            ("max_grad_norm", "much", "B407"),
            ("max_grad_norm", True, "B407"),
            ("attn_implementation", "someone/kernel", "B407"),
        ],
    )
    def test_a_bad_override_is_refused_with_its_own_code(
        self, key: str, value: Any, code: str
    ) -> None:
        recipe = make_recipe(self.name, overrides=[(key, value)])
        backend = load_backend(self.name)

        with pytest.raises(RecipeError) as refused:
            backend.compile(recipe, SETTING)

        assert [code] == [problem.code for problem in refused.value.problems]
        assert refused.value.problems == backend.check(recipe)

    def test_an_override_is_compiled_and_says_where_it_comes_from(self) -> None:
        recipe = make_recipe(self.name, overrides=[("max_grad_norm", 0.3)])

        config = load_backend(self.name).compile(recipe, SETTING)

        [line] = [line for line in config.lines if line.key == "max_grad_norm"]
        assert (line.value, line.origin) == (0.3, "backend.overrides.max_grad_norm")

    def test_without_validation_rows_nothing_is_evaluated(self) -> None:
        setting = replace(SETTING, validation_rows=0)

        config = load_backend(self.name).compile(make_recipe(self.name), setting)

        keys = {line.key: line.value for line in config.lines}
        assert "eval_steps" not in keys
        assert keys["load_best_model_at_end"] is False


@pytest.fixture(scope="class")
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pico_model: Path
) -> tuple[Launch, Trained]:
    """One whole training of the class's backend."""
    name = request.cls.name
    launch = make_launch(make_recipe(name), tmp_path_factory.mktemp(name), pico_model)
    return launch, load_backend(name).train(launch)


class TrainSuite:
    """The half that trains: seconds in process, minutes for Axolotl."""

    name: ClassVar[str]
    long: ClassVar[float] = 2.0
    """Epochs of a training that still goes on when it is asked to end."""

    def test_it_takes_every_planned_step(self, finished: tuple[Launch, Trained]) -> None:
        launch, trained = finished
        plan = schedule(launch.method, train_rows=24, validation_rows=8)

        assert (plan.steps, 2.0, False) == (trained.steps, trained.epochs, trained.stopped_early)
        assert (plan.steps, plan.steps) == launch.progress.updates[-1]  # type: ignore[attr-defined]

    @pytest.mark.thorough
    def test_few_rows_are_seen_until_there_are_so_many_steps(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        recipe = make_recipe(self.name, epochs=1.0, min_steps=8, early_stopping=None)
        trained = load_backend(self.name).train(make_launch(recipe, tmp_path, pico_model))

        assert trained.steps == 8
        assert trained.epochs == pytest.approx(8 / 3, abs=0.34)

    def test_the_history_starts_before_training_and_the_loss_falls(
        self, finished: tuple[Launch, Trained]
    ) -> None:
        _, trained = finished
        validation = [point.eval_loss for point in trained.history if point.eval_loss is not None]

        assert trained.history[0].step == 0
        assert validation[-1] < validation[0]

    def test_the_kept_checkpoint_is_the_one_of_lowest_validation_loss(
        self, finished: tuple[Launch, Trained]
    ) -> None:
        _, trained = finished
        losses = {
            point.step: point.eval_loss
            for point in trained.history
            if point.eval_loss is not None and point.step > 0
        }

        assert min(losses, key=losses.__getitem__) == trained.kept_step
        assert trained.folder.name == f"checkpoint-{trained.kept_step}"

    def test_the_adapters_of_all_few_checkpoints_are_kept(
        self, finished: tuple[Launch, Trained]
    ) -> None:
        _, trained = finished

        assert [step for step, _ in trained.checkpoints] == [3, 6]
        assert all(adapter_norm(folder) > 0 for _, folder in trained.checkpoints)

    def test_the_adapter_is_finite_and_moved(self, finished: tuple[Launch, Trained]) -> None:
        assert adapter_norm(finished[1].folder) > 0

    def test_rows_share_their_common_start_and_train_as_rows_by_themselves(
        self, finished: tuple[Launch, Trained], tmp_path: Path, pico_model: Path
    ) -> None:
        _, shared = finished
        # One who says which attention to take gets it, and plain batches.
        recipe = make_recipe(self.name, overrides=[("attn_implementation", "sdpa")])
        plain = load_backend(self.name).train(make_launch(recipe, tmp_path, pico_model))

        assert shared.facts["shared_prefix"]["used"], shared.facts["shared_prefix"]
        assert "shared_prefix" not in plain.facts
        assert shared.usage.steps.tokens < 0.7 * plain.usage.steps.tokens
        for name in ("loss", "eval_loss"):
            losses, expected = (
                [
                    getattr(point, name)
                    for point in trained.history
                    if getattr(point, name) is not None
                ]
                for trained in (shared, plain)
            )
            assert losses == pytest.approx(expected, rel=1e-3)

    def test_parameters_and_precision_are_measured(self, finished: tuple[Launch, Trained]) -> None:
        _, trained = finished

        assert 0 < trained.trainable_parameters < trained.total_parameters
        assert trained.facts["product_dtype"] == "float32"

    def test_a_training_that_is_asked_to_end_saves_first_and_ends_with_the_same_weights(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        recipe = make_recipe(self.name, epochs=self.long, early_stopping=None, keep="last")
        launch = make_launch(recipe, tmp_path, pico_model)
        whole = load_backend(self.name).train(replace(launch, folder=tmp_path / "uninterrupted"))

        with interrupts.handled(), pytest.raises(interrupts.Interrupted):
            load_backend(self.name).train(replace(launch, progress=AskedToEnd()))

        saved = checkpoints(launch.folder / "output")[-1][0]
        assert 4 <= saved < whole.steps
        resumed = load_backend(self.name).train(launch)
        assert resumed.resumed_from_step == saved
        name = "adapter_model.safetensors"
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()

    def test_a_killed_training_goes_on_from_the_last_whole_checkpoint(
        self, finished: tuple[Launch, Trained], tmp_path: Path
    ) -> None:
        launch, whole = finished
        again = replace(launch, folder=tmp_path / "launch")
        shutil.copytree(launch.folder, again.folder, symlinks=True)
        last = again.folder / "output" / f"checkpoint-{whole.steps}"
        weights = last / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

        resumed = load_backend(self.name).train(again)

        assert resumed.resumed_from_step == 3
        expected = load_file(whole.folder / weights.name)
        actual = load_file(resumed.folder / weights.name)
        assert expected.keys() == actual.keys()
        assert all(expected[name].equal(actual[name]) for name in expected)

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(
        "name", ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
    )
    def test_a_checkpoint_with_other_bytes_is_set_aside_and_the_one_before_it_is_taken(
        self, finished: tuple[Launch, Trained], tmp_path: Path, name: str
    ) -> None:
        launch, whole = finished
        again = _copied(launch, tmp_path)
        damaged = again.folder / "output" / f"checkpoint-{whole.steps}" / name
        zero_the_middle(damaged)

        resumed = load_backend(self.name).train(again)

        assert resumed.resumed_from_step == 3
        assert _weights(resumed) == _weights(whole)
        assert (again.folder / "output" / "incomplete" / f"checkpoint-{whole.steps}-0").is_dir()

    @pytest.mark.thorough
    def test_where_no_checkpoint_is_whole_it_trains_from_the_start(
        self, finished: tuple[Launch, Trained], tmp_path: Path
    ) -> None:
        launch, whole = finished
        again = _copied(launch, tmp_path)
        for folder in (again.folder / "output").glob("checkpoint-*"):
            (folder / "digests.json").unlink()  # as an earlier version left them

        resumed = load_backend(self.name).train(again)

        assert resumed.resumed_from_step is None
        assert _weights(resumed) == _weights(whole)

    def test_a_config_of_other_steps_than_planned_is_refused_before_the_first_one(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        launch = make_launch(make_recipe(self.name), tmp_path, pico_model)
        kept = (launch.rows / "train.jsonl").read_text(encoding="utf-8").splitlines()[:9]
        (launch.rows / "train.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
        launch = replace(launch, setting=replace(launch.setting, train_rows=9))
        config = launch.config.replace("num_train_epochs: 2", "num_train_epochs: 6")

        with pytest.raises(StageError) as refused:
            load_backend(self.name).train(replace(launch, config=config))

        assert [problem.code for problem in refused.value.problems] == ["B421"]
        assert launch.progress.updates == []  # type: ignore[attr-defined]

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_qlora_learns_the_same_with_and_without_an_evaluation_at_the_start(
        self, tmp_path: Path, pico_model: Path, precision: str
    ) -> None:
        recipe = make_recipe(self.name, kind="qlora", precision=precision, epochs=1.0)
        without = replace(
            recipe, backend=replace(recipe.backend, overrides=WITHOUT_FIRST_EVALUATION)
        )
        device = replace(CPU, bf16=precision == "bf16")

        evaluated, not_evaluated = (
            load_backend(self.name).train(
                make_launch(one, tmp_path / name, pico_model, device=device)
            )
            for one, name in ((recipe, "with"), (without, "without"))
        )

        assert evaluated.history[0].step == 0
        assert not_evaluated.history[0].step > 0
        assert _weights(evaluated) == _weights(not_evaluated)

    @pytest.mark.filterwarnings("ignore:.*an autograd kernel was not registered")
    def test_gradients_that_an_evaluation_changes_are_refused_before_the_first_step(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        _needs_repacking()
        launch = make_launch(make_recipe(self.name, kind="qlora"), tmp_path, pico_model)
        config = launch.config.replace("repack_4bit: false", "repack_4bit: true")
        config = re.sub(r",\s*engine\.runtime\.axolotl_plugin\.Unpacked", "", config)
        assert config != launch.config

        with pytest.raises(StageError) as refused:
            load_backend(self.name).train(replace(launch, config=config))

        assert [problem.code for problem in refused.value.problems] == ["B423"]
        assert launch.progress.updates == []  # type: ignore[attr-defined]

    def test_a_base_whose_loss_is_not_a_number_is_refused_before_the_first_step(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        broken = tmp_path / "base"
        shutil.copytree(pico_model, broken)
        _poison(broken / "model.safetensors")
        launch = make_launch(make_recipe(self.name), tmp_path, broken)

        with pytest.raises(StageError) as failed:
            load_backend(self.name).train(launch)

        assert [problem.code for problem in failed.value.problems] == ["B428"]
        assert launch.progress.updates == []  # type: ignore[attr-defined]


def _needs_repacking() -> None:
    """Skip where bitsandbytes never repacks: on CPUs without AVX512-BF16."""
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("this CPU has no AVX512-BF16")


def _copied(launch: Launch, folder: Path) -> Launch:
    """The same launch in another folder, with all that the first one left."""
    again = replace(launch, folder=folder / "launch")
    shutil.copytree(launch.folder, again.folder, symlinks=True)
    return again


def _weights(trained: Trained) -> bytes:
    return (trained.folder / "adapter_model.safetensors").read_bytes()


def _poison(weights: Path) -> None:
    """Make one weight of a model not a number."""
    from safetensors.torch import save_file  # as its reader above

    tensors = load_file(weights)
    name = "model.norm.weight"
    tensors[name] = tensors[name].clone()
    tensors[name][0] = float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
