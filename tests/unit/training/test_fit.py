"""Before training it is known whether the base model has what a method names."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends.base import CompileInputs, Trained
from engine.compute.profile import Ranks
from engine.errors import StageError
from engine.recipe.model import FewerLayers, HubRef, TrainOnly
from engine.training import train
from engine.training.preflight import TRANSPOSED, refuse_unfit, unfit
from engine.training.train import refuse_other_precision
from support.launches import CPU, METHOD, RecordedProgress, make_recipe
from support.pico import make_pico_model


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_pico_model(tmp_path / "base")


@pytest.mark.parametrize(
    ("method", "code", "path"),
    [
        ({"layers": (0, 2)}, "X730", "method.layers"),
        ({"layers": "last_3"}, "X730", "method.layers"),
        (
            {"kind": "full", "train_only": TrainOnly(layers="last_3")},
            "X730",
            "method.train_only.layers",
        ),
        ({"ranks": (("q_prj", 4),)}, "X731", "method.ranks.q_prj"),
        ({"target_modules": ("q_proj", "v_prj")}, "X731", "method.target_modules"),
    ],
)
def test_what_the_base_model_does_not_have_is_refused(
    method: dict[str, Any], code: str, path: str, base: Path
) -> None:
    with pytest.raises(StageError) as refused:
        refuse_unfit(make_recipe("trl", **method).method, base)

    [problem] = refused.value.problems
    assert (problem.code, problem.path) == (code, path)
    assert problem.hint


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
def test_an_adapter_that_could_not_be_merged_is_refused_before_it_is_trained(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}', encoding="utf-8")
    method = make_recipe("trl", kind=kind).method

    if kind == "full":
        refuse_unfit(method, tmp_path)
        return
    with pytest.raises(StageError, match=r"X621.*transposed"):
        refuse_unfit(method, tmp_path)


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_the_models_with_transposed_matrices_are_those_of_transformers(kind: str) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    config = CONFIG_MAPPING[kind](n_layer=1, n_embd=8, n_head=2, vocab_size=11, n_positions=8)
    model = AutoModelForCausalLM.from_config(config)
    lora = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")

    with pytest.warns(UserWarning, match="Conv1D"):
        trained = get_peft_model(model, lora)
    assert trained.peft_config["default"].fan_in_fan_out


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"layers": "last_2"},
        {"layers": (1,), "ranks": (("down_proj", 2), ("self_attn.q_proj", 8))},
        {"kind": "full", "train_only": TrainOnly(embeddings=True)},
    ],
    ids=str,
)
def test_what_it_has_is_trained(method: dict[str, Any], base: Path) -> None:
    refuse_unfit(make_recipe("trl", **method).method, base)


@pytest.mark.parametrize(
    ("method", "codes"),
    [
        ({"layers": (0, 2), "ranks": (("q_prj", 4),)}, ["X730", "X731"]),
        ({"layers": (1,), "ranks": (("down_proj", 2), ("self_attn.q_proj", 8))}, []),
    ],
)
def test_a_shape_alone_says_it_too(method: dict[str, Any], codes: list[str]) -> None:
    names = ("q_proj", "k_proj", "down_proj")

    found = unfit(make_recipe("trl", **method).method, layers=2, modules=names)

    assert [one.code for one in found] == codes


def test_what_is_not_known_of_a_base_model_is_not_refused() -> None:
    method = make_recipe("trl", layers=(0, 2), ranks=(("q_prj", 4),)).method

    assert list(unfit(method, layers=None, modules=())) == []


# The precision that was measured while training is the planned one, or the training is not believed.
def trained(facts: dict[str, Any], *, resumed: int | None = None) -> Trained:
    return Trained(
        folder=Path("output"),
        log=Path("train.log"),
        steps=6,
        epochs=2.0,
        seconds=1.0,
        kept_step=6,
        stopped_early=False,
        resumed_from_step=resumed,
        trainable_parameters=1,
        total_parameters=2,
        history=(),
        facts=facts,
    )


@pytest.mark.parametrize("facts", [{"product_dtype": "float32"}, {}], ids=str)
def test_another_precision_or_none_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(StageError) as refused:
        refuse_other_precision(trained(facts), "bf16")

    assert [problem.code for problem in refused.value.problems] == ["B418"]


def test_a_training_that_had_been_done_before_measures_nothing() -> None:
    refuse_other_precision(trained({}, resumed=6), "bf16")
    refuse_other_precision(trained({"product_dtype": "bfloat16"}), "bf16")
    with pytest.raises(StageError):
        refuse_other_precision(trained({}, resumed=3), "bf16")


# What the backend is given says whether the base model was cut.
WHOLE = HubRef(repo="someone/model", revision=None)


@pytest.mark.parametrize(
    ("base_model", "has_all"), [(WHOLE, True), (FewerLayers(of=WHOLE, keep_layers=4), False)]
)
def test_only_a_cut_base_model_lacks_layers(
    base_model: Any, has_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8)
    monkeypatch.setattr(train, "setting_of", lambda *_: setting)
    recipe = SimpleNamespace(method=METHOD, base_model=base_model, teacher=None)
    training: Any = SimpleNamespace(
        config="", base=Path(), scratch=Path(), rendered=SimpleNamespace(path=Path())
    )
    context: Any = SimpleNamespace(recipe=recipe, progress=RecordedProgress(), ranks=Ranks())

    assert train.make_launch(training, context).has_all_layers is has_all
