"""What the Axolotl compiler emits, what recipes may override, and how the process is started."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engine.backends import axolotl, check_backend, launches, load_backend, nodes, process_training
from engine.backends.axolotl import PINNED
from engine.backends.base import CompileInputs, Launch
from engine.backends.checks import vocabulary
from engine.backends.nodes import tail_of
from engine.backends.process_training import prepare
from engine.compute.profile import Ranks
from engine.environment import Device
from engine.errors import RecipeError
from engine.recipe.model import Scheduler
from engine.values import replace
from support.golden import Golden
from support.launches import CPU, METHOD, RecordedProgress, make_recipe
from support.preferences import SETTING, preference_recipe

KEYS = vocabulary("axolotl", axolotl.PINNED)
GPU = Device(kind="cuda", name="a GPU", memory_bytes=1 << 36, cores=16, bf16=True)
SETTINGS = {
    "cpu-fp32": CompileInputs(device=CPU, precision="fp32", train_rows=400, validation_rows=100),
    "cpu-bf16": CompileInputs(
        device=replace(CPU, bf16=True),
        precision="bf16",
        train_rows=400,
        validation_rows=100,
    ),
    "gpu-bf16": CompileInputs(device=GPU, precision="bf16", train_rows=400, validation_rows=100),
}
SETTINGS |= {
    name: replace(SETTINGS["gpu-bf16"], kernels=kernels)
    for name, kernels in {
        "gpu-liger": ("liger-kernel",),
        "gpu-kernels": ("liger-kernel", "flash-attn"),
    }.items()
}
EIGHT_B: dict[str, Any] = {
    "rank": 16,
    "alpha": 32,
    "batch_size": 16,
    "micro_batch_size": 2,
    "max_length": 4096,
    "learning_rate": 2e-4,
    "gradient_checkpointing": True,
}
"""As one trains a model of eight billion parameters on one GPU of 80 GB."""
PACKED: dict[str, Any] = {
    "kind": "full",
    "packing": True,
    "tokens": 600_000,
    "epochs": 0.0,
    "early_stopping": None,
}
WSD = Scheduler(name="constant_then_decay", decay=0.2, floor=0.1)
CONFIGS = [
    ("lora-cpu-fp32", "cpu-fp32", {}),
    ("lora-cpu-bf16", "cpu-bf16", {}),
    ("qlora-gpu-bf16", "gpu-bf16", {"kind": "qlora", "target_modules": "attention"}),
    ("full-gpu-bf16", "gpu-bf16", {"kind": "full", "learning_rate": 2e-5, "early_stopping": None}),
    ("lora-8b-gpu-shared", "gpu-kernels", EIGHT_B),
    ("lora-8b-gpu-dropout", "gpu-kernels", {**EIGHT_B, "dropout": 0.05}),
    ("qlora-8b-gpu-dropout", "gpu-liger", {**EIGHT_B, "kind": "qlora", "dropout": 0.05}),
    ("full-8b-gpu-shared", "gpu-kernels", {**EIGHT_B, "kind": "full", "learning_rate": 1e-5}),
    ("full-packed", "cpu-bf16", PACKED),
    ("full-constant-then-decay", "cpu-bf16", {**PACKED, "scheduler": WSD}),
    ("full-8b-packed", "gpu-kernels", {**EIGHT_B, **PACKED}),
    ("lora-last", "gpu-bf16", {"keep": "last", "target_modules": ("q_proj", "v_proj")}),
]


@pytest.mark.parametrize(("name", "setting", "method"), CONFIGS, ids=[case[0] for case in CONFIGS])
def test_the_compiled_config_is_the_reviewed_one(
    name: str, setting: str, method: dict[str, Any], golden: Golden
) -> None:
    text = axolotl.compile(make_recipe("axolotl", **method), SETTINGS[setting]).text

    golden(f"axolotl/{name}.yaml", text)


@pytest.mark.parametrize(("name", "setting", "method"), CONFIGS, ids=[case[0] for case in CONFIGS])
def test_only_keys_that_axolotl_knows_are_emitted(
    name: str,
    setting: str,
    method: dict[str, Any],
) -> None:
    config = axolotl.compile(make_recipe("axolotl", **method), SETTINGS[setting])

    assert set(yaml.safe_load(config.text)) <= set(KEYS.kinds)


def test_every_list_of_keys_is_within_axolotls() -> None:
    assert (KEYS.overridable | set(KEYS.from_recipe) | set(KEYS.values)) <= set(KEYS.kinds)
    assert not KEYS.overridable & set(KEYS.from_recipe)


@pytest.mark.parametrize(
    "key",
    [
        "plugins",
        "trust_remote_code",
        "trainer_cls",
        "hub_model_id",
        "deepspeed",
        "output_dir",
        "chat_template_jinja",
        "use_wandb",
        "excess_length_strategy",
    ],
)
def test_a_recipe_cannot_run_code_reach_the_network_or_write_elsewhere(key: str) -> None:
    recipe = make_recipe("axolotl", overrides=[(key, "anything")])

    assert [problem.code for problem in check_backend(recipe)] == ["B406"]


def test_a_misspelt_override_names_the_nearest_key() -> None:
    [problem] = check_backend(make_recipe("axolotl", overrides=[("max_gradnorm", 1.0)]))

    assert problem.headline() == (
        "B404  backend.overrides.max_gradnorm: not a key of axolotl 0.21.0"
    )
    assert problem.hint == "did you mean `max_grad_norm`?"


@pytest.mark.parametrize(
    ("device", "method", "precision", "codes"),
    [
        (CPU, "lora", "auto", []),
        (CPU, "lora", "fp16", ["B409"]),
        (CPU, "lora", "bf16", ["B410"]),
        (replace(CPU, kind="mps"), "qlora", "auto", ["B408"]),
        (GPU, "qlora", "fp16", []),
    ],
)
def test_what_a_device_cannot_do_is_reported_beforehand(
    device: Device, method: str, precision: str, codes: list[str]
) -> None:
    recipe = make_recipe("trl", kind=method, precision=precision)

    found = load_backend("trl").check_environment(recipe, device)

    assert [problem.code for problem in found if problem.code != "B402"] == codes


def _launch(tmp_path: Path, config: str = "seed: 7\n") -> Launch:
    rows, base = tmp_path / "rows", tmp_path / "base"
    rows.mkdir(exist_ok=True)
    base.mkdir(exist_ok=True)
    for name in ("train.jsonl", "validation.jsonl"):
        (rows / name).write_text("{}\n", encoding="utf-8")
    return Launch(
        config=config,
        rows=rows,
        base_model=base,
        folder=tmp_path / "launch",
        method=METHOD,
        setting=SETTINGS["cpu-fp32"],
        progress=RecordedProgress(),
    )


def test_axolotl_gets_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    programs = list[process_training.TrainingProgram]()
    monkeypatch.setattr(process_training, "train", lambda _, program: programs.append(program))
    launches.train_axolotl(_launch(tmp_path))
    given = process_training.environment(_launch(tmp_path), programs[0].variables)

    assert "secret" not in given.values()
    assert "ACCELERATE_USE_FSDP" not in given
    assert tuple(
        given[name]
        for name in (
            "AXOLOTL_DO_NOT_TRACK",
            "HF_HUB_OFFLINE",
            "CUDA_VISIBLE_DEVICES",
            "OMP_NUM_THREADS",
        )
    ) == ("1", "1", "1", "2")


def test_the_launch_folder_survives_with_its_checkpoints(tmp_path: Path) -> None:
    prepare(_launch(tmp_path), ("output", "prepared"))
    (tmp_path / "launch" / "output" / "checkpoint-3").mkdir(parents=True)

    prepare(_launch(tmp_path), ("output", "prepared"))

    assert (tmp_path / "launch" / "output" / "checkpoint-3").is_dir()
    assert (tmp_path / "launch" / "base_model").resolve() == (tmp_path / "base").resolve()


def test_checkpoints_of_another_config_are_moved_aside(tmp_path: Path) -> None:
    prepare(_launch(tmp_path), ("output", "prepared"))
    (tmp_path / "launch" / "output" / "checkpoint-3").mkdir(parents=True)

    prepare(_launch(tmp_path, config="seed: 8\n"), ("output", "prepared"))

    assert not (tmp_path / "launch" / "output").exists()
    assert len(list((tmp_path / "launch").glob("other-*/output/checkpoint-3"))) == 1


def test_the_tail_of_a_log_shows_progress_bars_once(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"one\n\n10%\r50%\r100%\nRuntimeError: out of memory\n")

    assert tail_of(log) == ("one", "100%", "RuntimeError: out of memory")


# What the Axolotl process finds around it, and that nothing of it is left when it was asked to end.
def test_its_working_folder_links_to_what_the_config_names_and_to_nothing_else(
    tmp_path: Path,
) -> None:
    launch, folder = tmp_path / "launch", tmp_path / "work"
    for path in (launch, folder):
        path.mkdir()
    for name in (".numba_config.yaml", "matplotlibrc", "json.py", "sitecustomize.py"):
        (launch / name).touch()

    nodes.lay_out(folder, launch, ("output", "prepared"))

    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "train.jsonl", "validation.jsonl", "base_model"),
        *("output", "prepared", "events.jsonl"),
    }
    assert (folder / "output").is_dir()


def test_no_secret_and_no_folder_of_the_project_is_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", "cache")
    monkeypatch.setenv("NVIDIA_API_KEY", "secret")
    setting = SimpleNamespace(device=SimpleNamespace(threads=3, kind="cpu"))
    launch: Any = SimpleNamespace(folder=tmp_path, setting=setting, ranks=Ranks())

    found = process_training.environment(launch, {})

    assert "secret" not in found.values()
    assert Path(found["HF_HOME"]).is_absolute()
    assert not found["HF_HOME"].startswith(str(launch.folder))
    assert found["OMP_NUM_THREADS"] == "3"


# What each backend is given of preferences, as it was reviewed.
CONFIGS_PREFERENCES: list[tuple[str, dict[str, Any]]] = [
    ("dpo", {"answer_weight": 0.2}),
    ("ipo", {}),
    ("orpo", {}),
    ("simpo", {}),
    ("kto", {"undesirable_weight": 1.33}),
]


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
@pytest.mark.parametrize(
    ("loss", "changes"), CONFIGS_PREFERENCES, ids=[case[0] for case in CONFIGS_PREFERENCES]
)
def test_the_compiled_config_is_the_reviewed_one_preferences(
    backend: str, loss: str, changes: dict[str, Any], golden: Golden
) -> None:
    recipe = preference_recipe(backend, loss, **changes)

    text = load_backend(backend).compile(recipe, SETTING).text

    golden(f"{backend}/{loss}-cpu-fp32.yaml", text)


@pytest.mark.parametrize(
    ("loss", "changes"), CONFIGS_PREFERENCES, ids=[case[0] for case in CONFIGS_PREFERENCES]
)
def test_axolotl_is_given_only_keys_that_it_knows(loss: str, changes: dict[str, Any]) -> None:
    config = load_backend("axolotl").compile(preference_recipe("axolotl", loss, **changes), SETTING)

    assert set(yaml.safe_load(config.text)) <= set(vocabulary("axolotl", PINNED).kinds)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"overrides": [("group_by_length", True)]}, "backend.overrides.group_by_length"),
        ({"overrides": [("pad_to_sequence_len", True)]}, "backend.overrides.pad_to_sequence_len"),
    ],
)
def test_an_option_that_axolotl_would_drop_silently_is_refused(
    changes: dict[str, Any], path: str
) -> None:
    recipe = preference_recipe("axolotl", "dpo", **changes)
    plain = replace(recipe, method=replace(recipe.method, preference=None))

    [problem] = load_backend("axolotl").check(recipe)

    assert (problem.code, problem.path) == ("B447", path)
    assert load_backend("axolotl").check(plain) == ()
    with pytest.raises(RecipeError, match="B447"):
        load_backend("axolotl").compile(recipe, SETTING)


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
def test_preferences_are_learned_with_noise(backend: str) -> None:
    recipe = preference_recipe(backend, "dpo", neftune_alpha=5.0)

    keys = yaml.safe_load(load_backend(backend).compile(recipe, SETTING).text)

    # Axolotl's trainers of preferences are given it by `engine.runtime.axolotl_plugin.Recorder`.
    assert keys["neftune_noise_alpha"] == 5
