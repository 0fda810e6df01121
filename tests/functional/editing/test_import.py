# ruff: noqa: E501 - a config is written as short as it can be
"""`recipe import`: the configs of other tools, of which every key is taken or named."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.project import Outcome

Run = Callable[..., Outcome]

AXOLOTL = {
    "base_model": "owner/model", "adapter": "qlora", "load_in_4bit": True, "lora_r": 32, "lora_alpha": 64,
    "lora_dropout": 0.05, "lora_target_linear": True, "datasets": [{"path": "owner/rows", "type": "alpaca", "split": "train[:1%]", "shards": 2}],
    "val_set_size": 0.05, "sequence_len": 2048, "sample_packing": False, "micro_batch_size": 2,
    "gradient_accumulation_steps": 4, "num_epochs": 3, "learning_rate": "2e-4", "lr_scheduler": "cosine",
    "warmup_ratio": 0.1, "weight_decay": 0.0, "bf16": "auto", "wandb_project": "x", "output_dir": "./out",
    "flash_attention": True, "fsdp_config": {"a": 1}, "special_tokens": {"pad_token": "x"}, "seqence_len": 3,
}  # fmt: skip
LLAMAFACTORY = {
    "model_name_or_path": "owner/model", "stage": "dpo", "do_train": True, "finetuning_type": "lora", "lora_rank": 8,
    "lora_target": "all", "pref_beta": 0.1, "pref_loss": "orpo", "dataset": "pairs", "template": "qwen", "cutoff_len": 1024,
    "max_samples": 500, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "learning_rate": 5.0e-6,
    "num_train_epochs": 3.0, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1, "bf16": True, "ddp_timeout": 18000,
    "val_size": 0.1, "eval_steps": 500, "plot_loss": True, "report_to": "none",
}  # fmt: skip
CONFIGS: list[tuple[str, str, dict[str, Any]]] = [
    ("axolotl.yaml", yaml.safe_dump(AXOLOTL), {
        "method.kind": "qlora", "method.rank": 32, "method.batch_size": 8, "method.learning_rate": 0.0002, "task.kind": "generation",
        "data.sources": [{"hub": "owner/rows", "split": "train"}], "splits.validation": 0.05, "method.max_length": 2048}),
    ("full.yaml", yaml.safe_dump({**{k: v for k, v in AXOLOTL.items() if not k.startswith(("lora", "adapter", "load"))}, "datasets": [{"path": "rows.jsonl", "type": "chat_template"}]}), {
        "method.kind": "full", "task.kind": "chat", "data.sources": [{"path": "rows.jsonl"}]}),
    ("text.yaml", yaml.safe_dump({**AXOLOTL, "datasets": None, "pretraining_dataset": [{"path": "owner/rows", "name": "en"}], "sample_packing": True}), {
        "task.kind": "text", "method.packing": True, "data.sources": [{"hub": "owner/rows", "config": "en", "split": "train"}]}),
    ("columns.yaml", yaml.safe_dump({**AXOLOTL, "datasets": [{"path": "owner/rows", "type": "chat_template", "field_messages": "talk", "roles": {"user": ["USER"], "assistant": ["BOT"]}, "message_property_mappings": {"role": "who", "content": "what"}}]}), {
        "task.kind": "chat", "data.messages": {"column": "talk", "role": "who", "content": "what", "roles": {"USER": "user", "BOT": "assistant"}}}),
    ("custom.yaml", yaml.safe_dump({**AXOLOTL, "datasets": [{"path": "rows.jsonl", "type": {"field_instruction": "ask", "field_input": "about", "field_output": "reply", "format": "{instruction}: {input}"}}]}), {
        "task.kind": "generation", "task.input": "{ask}\n{about}", "data.answer": {"column": "reply"}}),
    ("pairs.yaml", yaml.safe_dump({**AXOLOTL, "rl": "dpo", "datasets": [{"path": "owner/rows", "type": "chat_template.default", "field_messages": "talk", "field_chosen": "good", "field_rejected": "bad"}]}), {
        "task.kind": "preference", "data.pair": {"prompt": "talk", "chosen": "good", "rejected": "bad"}}),
    ("field.yaml", yaml.safe_dump({**AXOLOTL, "datasets": [{"path": "owner/rows", "type": "completion", "field": "body"}]}), {
        "task.kind": "text", "task.input": "{body}"}),
    ("tested.yaml", yaml.safe_dump({**AXOLOTL, "test_datasets": [{"path": "owner/rows", "type": "alpaca", "split": "test"}]}), {
        "splits.by": "files", "data.sources.1": {"hub": "owner/rows", "split": "test", "into": "holdout"}}),
    ("pattern.yaml", yaml.safe_dump({**AXOLOTL, "lora_target_linear": None, "lora_target_modules": "model.layers.[\\d]+.(up|down)_proj"}), {"method.target_modules": None}),
    ("unset.yaml", yaml.safe_dump({**AXOLOTL, "lora_target_linear": False}), {"method.target_modules": None}),
    ("llamafactory.yaml", yaml.safe_dump(LLAMAFACTORY), {
        "task.kind": "preference", "method.preference": {"loss": "orpo", "beta": 0.1}, "data.sample.rows": 500, "backend.precision": "bf16",
        "data.sources": [{"path": "data/pairs.json"}], "method.target_modules": "all_linear"}),
    ("sft.yaml", yaml.safe_dump({**LLAMAFACTORY, "stage": "sft", "quantization_bit": 4, "default_system": "Be brief."}), {
        "task.kind": "chat", "method.kind": "qlora", "task.system": "Be brief."}),
    ("constant.yaml", yaml.safe_dump({**AXOLOTL, "lr_scheduler": "constant"}), {
        "method.scheduler": "constant", "method.warmup_ratio": 0.0}),
    ("files.yaml", yaml.safe_dump({**AXOLOTL, "gradient_checkpointing": "offload", "datasets": [{"path": "json", "data_files": ["a.jsonl", "b.jsonl"], "type": "alpaca"}]}), {
        "data.sources": [{"path": "a.jsonl"}, {"path": "b.jsonl"}], "method.gradient_checkpointing": True}),
    ("column.yaml", yaml.safe_dump({**AXOLOTL, "datasets": None, "pretraining_dataset": [{"path": "owner/rows", "text_column": "body"}]}), {
        "task.kind": "text", "task.input": "{body}"}),
    ("share.yaml", yaml.safe_dump({**{k: v for k, v in LLAMAFACTORY.items() if k != "warmup_ratio"}, "warmup_steps": 0.03}), {"method.warmup_ratio": 0.03}),
    ("passes.yaml", yaml.safe_dump({k: v for k, v in LLAMAFACTORY.items() if k != "per_device_train_batch_size"}), {"method.batch_size": 64}),
]  # fmt: skip


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part)
    return value


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "text", "says"), CONFIGS, ids=[config[0] for config in CONFIGS])
def test_a_config_becomes_a_valid_recipe(
    folder: Path, run: Run, name: str, text: str, says: dict[str, Any]
) -> None:
    (folder / name).write_text(text, encoding="utf-8")

    outcome = run("import", name, "-o", "r.yaml")

    assert outcome.code == 0, outcome.err
    value = yaml.safe_load((folder / "r.yaml").read_text(encoding="utf-8"))
    assert {path: at(value, path) for path in says} == says
    # The files that a config names are not here, and sending rows has to be allowed.
    assert set(re.findall(r" ([RWD]\d{3}) ", run("validate", "r.yaml").err)) <= {"R302", "R307"}


@pytest.mark.parametrize(
    ("name", "keys"), [("axolotl.yaml", AXOLOTL), ("llamafactory.yaml", LLAMAFACTORY)]
)
def test_every_key_is_taken_or_named(
    folder: Path, run: Run, name: str, keys: dict[str, Any]
) -> None:
    (folder / name).write_text(yaml.safe_dump(keys), encoding="utf-8")

    lines = run("import", name).out.splitlines()

    assert keys.keys() <= {line.split()[0] for line in lines if line.startswith("  ")}
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        (
            "a.yaml",
            yaml.safe_dump({**LLAMAFACTORY, "stage": "sft", "finetuning_type": "oft"}),
            "no method is `oft`: method.kind is lora",
        ),
        (
            "a.yaml",
            yaml.safe_dump(
                {**AXOLOTL, "datasets": [{"path": "a.jsonl", "type": {"system_prompt": "Judge."}}]}
            ),
            "datasets[0].type.system_prompt is left out",
        ),
        (
            "a.yaml",
            yaml.safe_dump({**LLAMAFACTORY, "pref_loss": "hinge"}),
            "no such loss: method.preference has dpo, ipo",
        ),
    ],
)
def test_what_cannot_be_taken_is_named(
    folder: Path, run: Run, name: str, text: str, shown: str
) -> None:
    (folder / name).write_text(text, encoding="utf-8")

    message = " ".join(run("import", name).out.split())

    assert shown in message


def test_a_folder_is_no_model_of_the_hub(folder: Path, run: Run) -> None:
    config = {**AXOLOTL, "base_model": "./merged", "datasets": [{"path": "./rows.jsonl"}]}
    (folder / "a.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    assert run("import", "a.yaml").code == 0
    recipe = yaml.safe_load((folder / "a.recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["base_model"] == {"path": "./merged"}
    assert recipe["data"]["sources"] == [{"path": "./rows.jsonl"}]


def test_data_sets_that_a_file_lists_are_taken(folder: Path, run: Run) -> None:
    listed = {
        "mine": {"path": "data/mine.json", "source": "local", "converter": "pair"},
        "theirs": {"path": "owner/pairs", "split": "train_prefs"},
    }
    config = {
        "model": "Qwen/Qwen3-4B",
        "train_dataset": "data/list.yaml",
        "cutoff_len": 512,
        "float16": True,
    }
    (folder / "data").mkdir()
    (folder / "data" / "list.yaml").write_text(yaml.safe_dump(listed), encoding="utf-8")
    for name, one in (("a", config), ("b", {**config, "train_dataset": "data/none.yaml"})):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(one), encoding="utf-8")

    assert run("import", "a.yaml").code == 0
    recipe = yaml.safe_load((folder / "a.recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["task"]["kind"] == "preference"
    assert recipe["backend"] == {"precision": "fp16"}
    assert recipe["data"]["sources"] == [
        {"path": "data/mine.json"}, {"hub": "owner/pairs", "split": "train_prefs"},
    ]  # fmt: skip
    assert "`data/none.yaml` lists the data sets, and is not here" in run("import", "b.yaml").out


def test_steps_that_warm_up_an_unknown_number_of_steps_are_left_out(folder: Path, run: Run) -> None:
    config = {k: v for k, v in LLAMAFACTORY.items() if k != "warmup_ratio"} | {"warmup_steps": 5}
    (folder / "a.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    _, _, left_out = run("import", "a.yaml").out.partition("left out\n")

    assert re.search(r"warmup_steps +method\.warmup_ratio is the share", left_out)


def test_no_rows_that_steer_are_not_called_taken(folder: Path, run: Run) -> None:
    config = {**AXOLOTL, "val_set_size": 0}
    (folder / "a.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    shown = " ".join(run("import", "a.yaml").out.split())

    assert "val_set_size splits.validation is 0.1: rows that steer" in shown


def test_a_misspelt_key_is_not_taken_for_one_of_the_tool(folder: Path, run: Run) -> None:
    (folder / "axolotl.yaml").write_text(yaml.safe_dump(AXOLOTL), encoding="utf-8")

    shown = " ".join(run("import", "axolotl.yaml").out.split())

    assert "seqence_len not a key that is known here: did you mean `sequence_len`?" in shown
    assert "note: datasets[0].shards is left out" in shown


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.yaml", "a: 1\n", "R425"),
        ("a.yaml", "recipe: v1\nbase_model: {hub: x/y}\nsplits: {by: random}\n", "R425"),
        ("a.yaml", "- 1\n", "R425"),
        ("a.yaml", "a: [\n", "R425"),
        ("a.json", '{"a": 1}', "R425"),
        ("a.json", '{"object": "fine_tuning.job", "model": "m", "training_file": "f"}', "R425"),
        ("a.py", "model = SFTTrainer(model='owner/model')\n", "R425"),
        ("a.ipynb", '{"cells": [{"cell_type": "code", "source": ["x = 1"]}]}', "R425"),
        ("a.yaml", yaml.safe_dump({**LLAMAFACTORY, "stage": "rm"}), "R426"),
        ("a.yaml", yaml.safe_dump({**AXOLOTL, "rl": "grpo"}), "R426"),
        ("a.yaml", yaml.safe_dump({**AXOLOTL, "processor_type": "AutoProcessor"}), "R426"),
        ("a.yaml", yaml.safe_dump({**LLAMAFACTORY, "image_max_pixels": 262144}), "R426"),
        (
            "a.yaml",
            "model_name_or_path: owner/model\ntemplate: qwen\ninfer_backend: huggingface\n",
            "R425",
        ),
        ("a.yaml", "model_name_or_path: owner/model\ntemplate: qwen\nexport_dir: out\n", "R425"),
    ],
)
def test_other_files_are_refused_and_nothing_is_written(
    folder: Path, run: Run, name: str, text: str, code: str
) -> None:
    (folder / name).write_text(text, encoding="utf-8")

    outcome = run("import", name)

    assert (outcome.code, code in outcome.err) == (2, True)
    assert [path.name for path in folder.iterdir() if path.name != ".recipe"] == [name]


def test_rows_in_the_place_of_a_config_are_named_as_rows(folder: Path, run: Run) -> None:
    (folder / "rows.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n', encoding="utf-8")

    rows, absent = run("import", "rows.jsonl").err, run("import", "absent.yaml").err

    assert "it may hold rows: recipe init rows.jsonl" in rows
    assert "imported: no such file or directory" in absent


def test_no_file_is_overwritten(folder: Path, run: Run) -> None:
    (folder / "axolotl.yaml").write_text(yaml.safe_dump(AXOLOTL), encoding="utf-8")
    (folder / "axolotl.recipe.yaml").write_text("mine\n", encoding="utf-8")

    assert "R005" in run("import", "axolotl.yaml").err
    assert (folder / "axolotl.recipe.yaml").read_text(encoding="utf-8") == "mine\n"


LEAST = {"model_name_or_path": "owner/model", "stage": "sft", "dataset": "owner/rows"}
UNSTATED = [
    (
        "a.yaml",
        yaml.safe_dump(LEAST),
        {
            "method.learning_rate": "0.0002, where the tool takes 5e-05",
            "method.rank": "16, where the tool takes 8",
            "method.max_length": "512, where the tool takes 2048",
        },
    ),
    # One factor of the batch.
    ("a.yaml", yaml.safe_dump({**LEAST, "per_device_train_batch_size": 1}), {}),
]


@pytest.mark.parametrize(("name", "text", "says"), UNSTATED)
def test_what_a_config_leaves_to_its_tool_is_named_where_a_recipe_differs(
    folder: Path, run: Run, name: str, text: str, says: dict[str, str]
) -> None:
    (folder / name).write_text(text, encoding="utf-8")

    lines = run("import", name).out.partition("own defaults apply")[2].splitlines()

    shown = dict(line.strip().split(maxsplit=1) for line in lines if line.startswith("  method"))
    assert says.items() <= shown.items()
    # What it states, and what says the same here and there, is not among them.
    assert not {"method.batch_size", "method.epochs", "method.kind"} & shown.keys()
