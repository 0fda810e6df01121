"""Some layers of a model: the tensors of those that are kept, numbered anew, and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import StageError
from engine.recipe.references import kept_layers
from engine.runtime.models.load import load_model
from engine.runtime.models.start import write_fewer_layers


@pytest.fixture
def deep(pico_folder: Path, tmp_path: Path) -> Path:
    """The pico model with six layers: its two, three times, each a little different."""
    folder = Path(shutil.copytree(pico_folder, tmp_path / "deep"))
    tensors = load_file(folder / "model.safetensors")
    more = {
        name.replace(f"layers.{layer}.", f"layers.{layer + 2 * time}."): value + 0.01 * time
        for name, value in tensors.items()
        for layer in (0, 1)
        for time in (1, 2)
        if f"layers.{layer}." in name
    }
    save_file({**tensors, **more}, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, num_hidden_layers=6)
    return folder


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("keep", "numbers"),
    [("every_second", [0, 2, 4]), ("every_third", [0, 3]), (4, [0, 1, 2, 3]), ((1, 5), [1, 5])],
)
def test_layers_are_named_in_four_ways(keep: Any, numbers: list[int]) -> None:
    assert kept_layers(keep, 6) == numbers


def test_the_kept_layers_compute_what_they_did(deep: Path, tmp_path: Path, cpu: Any) -> None:
    write_fewer_layers(deep, tmp_path / "student", (1, 4))

    whole = load_model(deep, device=cpu, precision="fp32")
    student = load_model(tmp_path / "student", device=cpu, precision="fp32")
    layers = whole.model.model.layers
    whole.model.model.layers = torch.nn.ModuleList([layers[1], layers[4]])
    for place, layer in enumerate(whole.model.model.layers):
        layer.self_attn.layer_idx = place
    whole.model.config.num_hidden_layers = 2
    ids = torch.tensor([whole.chat.token_ids("the film was good")])
    with torch.inference_mode():
        expected = whole.model(input_ids=ids, use_cache=False).logits
        found = student.model(input_ids=ids, use_cache=False).logits

    assert torch.equal(expected, found)


def test_a_student_continues_a_text_by_its_cache(deep: Path, tmp_path: Path, cpu: Any) -> None:
    """A layer that kept its old number would look for its keys and values in a place that is not there."""
    write_fewer_layers(deep, tmp_path / "student", (1, 4))

    student = load_model(tmp_path / "student", device=cpu, precision="fp32")
    ids = torch.tensor([student.chat.token_ids("the film was good")])
    with torch.inference_mode():
        logits = [
            student.model.generate(ids, max_new_tokens=8, do_sample=False, use_cache=cached)
            for cached in (True, False)
        ]

    assert torch.equal(*logits)


def test_what_was_made_is_counted(deep: Path, tmp_path: Path) -> None:
    facts = write_fewer_layers(deep, tmp_path / "student", "every_third")

    kept = load_file(tmp_path / "student" / "model.safetensors").values()
    whole = load_file(deep / "model.safetensors").values()
    assert facts == {
        "kept": [0, 3],
        "of": 6,
        "parameters": sum(one.numel() for one in kept),
        "parameters_before": sum(one.numel() for one in whole),
    }


def test_a_setting_of_each_layer_is_cut_alike(deep: Path, tmp_path: Path) -> None:
    edit(deep, layer_types=[*["full_attention"] * 5, "sliding_attention"], sliding_window=64)

    write_fewer_layers(deep, tmp_path / "student", (0, 5))

    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2
    assert config["layer_types"] == ["full_attention", "sliding_attention"]


def test_tokenizer_and_template_stay(deep: Path, tmp_path: Path) -> None:
    write_fewer_layers(deep, tmp_path / "student", "every_second")

    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "student" / name).read_bytes() == (deep / name).read_bytes()


def test_a_layer_that_is_not_there_is_refused(deep: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 6))

    assert caught.value.problems[0].code == "X741"
    assert "there is no layer 6" in str(caught.value)


def test_layers_that_lean_on_each_other_are_refused(deep: Path, tmp_path: Path) -> None:
    edit(deep, num_kv_shared_layers=2)

    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 1))

    assert caught.value.problems[0].code == "X742"


def test_tensors_without_numbered_layers_are_refused(deep: Path, tmp_path: Path) -> None:
    edit(deep, num_hidden_layers=7)

    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 1))

    assert caught.value.problems[0].code == "X742"
