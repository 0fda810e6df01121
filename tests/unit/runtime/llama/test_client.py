"""llama.cpp answers as transformers does, and its failures are reported."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import EnvironmentProblem, StageError
from engine.process.start import module
from engine.runtime.generation.generate import generate
from engine.runtime.gguf.convert import find_tools, read_facts, write_gguf
from engine.runtime.llama import client as llama
from engine.runtime.llama.client import FileTokenizer, Request, ask_gguf, file_tokenizer
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.chat import chat_of
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.tool_process import run_tool
from support.gguf_labels import choose_gguf
from support.pico import pico_gguf

TEXTS = ["good", "not a good film at all", "日本 é ½ 12", "", "x" * 90, " the  plot\n\nwas bad"]
ANSWERS = ["positive<|im_end|>", "negative<|im_end|>", "not sure<|im_end|>"]


@pytest.fixture(scope="session")
def gguf() -> Path:
    return pico_gguf()


@pytest.fixture(scope="session")
def prompts(pico: LoadedModel) -> list[str]:
    return [pico.chat.prompt([{"role": "user", "content": text}]) for text in TEXTS]


@torch.inference_mode()
def _log_probabilities(pico: LoadedModel, ids: list[int]) -> Any:
    return torch.log_softmax(pico.model(torch.tensor([ids])).logits[0].double(), dim=-1)


def _scored_one_by_one(pico: LoadedModel, prompt: str, answers: list[str]) -> list[float]:
    """Every answer by itself: no cache, no tree."""
    start, found = pico.chat.token_ids(prompt), []
    for answer in answers:
        tokens = pico.chat.token_ids(answer)
        log_probabilities = _log_probabilities(pico, [*start, *tokens])
        steps = enumerate(tokens, start=len(start) - 1)
        found.append(sum(float(log_probabilities[place, token]) for place, token in steps))
    return found


MANY = [f"label {one}{two} of all<|im_end|>" for one in "abcdefgh" for two in "uvwxyz"]
"""More branches than one row may keep in the cache."""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("answers", [ANSWERS, MANY])
def test_the_choice_is_that_of_scoring_every_answer_by_itself(
    answers: list[str],
    pico: LoadedModel,
    gguf: Path,
    prompts: list[str],
    progress: Any,
) -> None:
    common: Any = {"threads": 1, "progress": progress}
    best = choose_gguf(gguf, prompts, answers, **common)
    every = choose_gguf(gguf, prompts, answers, **common, distribution=True)

    for prompt, one, all_shares in zip(prompts, best.choices, every.choices, strict=True):
        scores = _scored_one_by_one(pico, prompt, answers)
        exact = torch.softmax(torch.tensor(scores, dtype=torch.float64), dim=0).tolist()
        assert exact.index(max(exact)) == one.index == all_shares.index
        assert exact == pytest.approx(list(all_shares.probabilities), abs=1e-2)


def test_the_likelihood_is_that_of_transformers(
    pico: LoadedModel, gguf: Path, prompts: list[str], progress: Any
) -> None:
    ids = [pico.chat.token_ids(prompt) for prompt in prompts]
    rows = [
        TokenRow(ids=tuple(row), learned=tuple(place >= 3 for place in range(len(row))))
        for row in ids
    ]

    answers = ask_gguf(gguf, Request(learned=rows), threads=1, progress=progress)

    expected = [
        -sum(
            float(_log_probabilities(pico, row)[place - 1, row[place]])
            for place in range(3, len(row))
        )
        for row in ids
    ]
    assert expected == pytest.approx(answers.likelihoods, rel=2e-3)


def test_speed_and_memory_are_measured(gguf: Path, prompts: list[str], progress: Any) -> None:
    request = Request(prompts=prompts[:3], timed=4)

    answers = ask_gguf(gguf, request, threads=1, progress=progress)

    assert answers.speed is not None
    assert (answers.speed["prompts"], answers.speed["tokens"]) == (3, 4)
    assert answers.speed["tokens_per_second"] > 0 < answers.speed["first_token_seconds"]
    assert answers.peak_memory_bytes > gguf.stat().st_size


def test_prompts_have_the_tokens_of_transformers(
    pico: LoadedModel, gguf: Path, prompts: list[str], progress: Any
) -> None:
    answers = choose_gguf(gguf, prompts, ANSWERS, threads=1, progress=progress)

    assert [pico.chat.token_ids(prompt) for prompt in prompts] == answers.token_ids


def test_free_text_comes_with_the_same_choices(
    pico: LoadedModel, gguf: Path, prompts: list[str], progress: Any
) -> None:
    common: Any = {"threads": 1, "progress": progress, "distribution": True}
    alone = choose_gguf(gguf, prompts[::-1], MANY, **common)

    both = choose_gguf(gguf, prompts, MANY, **common, max_new_tokens=4)

    generated = generate(pico, prompts, max_new_tokens=4, progress=progress)
    expected = [one.text for one in generated]
    # to the last bit: the order of the rows, and what else is asked, move nothing
    assert (expected, alone.choices[::-1]) == (both.texts, both.choices)


def test_a_file_that_is_no_model_is_a_stage_error_with_the_last_words(
    tmp_path: Path, progress: Any
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF broken")

    with pytest.raises(StageError) as caught:
        choose_gguf(path, ["a"], ANSWERS, threads=1, progress=progress)

    problem = caught.value.problems[0]
    assert (problem.code, "broken.gguf" in (problem.hint or "")) == ("X641", True)


def test_without_llama_cpp_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, progress: Any
) -> None:
    monkeypatch.setattr(llama, "version_of", lambda _name: None)

    with pytest.raises(EnvironmentProblem) as caught:
        choose_gguf(tmp_path, ["a"], ANSWERS, threads=1, progress=progress)

    assert "uv sync --extra gguf" in (caught.value.problems[0].hint or "")


def test_a_killed_tool_is_reported_with_its_signal() -> None:
    command = module("timeit")("-n1", "import os; os.kill(os.getpid(), 9)")

    with pytest.raises(StageError) as caught:
        run_tool(command, code="X641", tool="it")

    assert caught.value.problems[0].message == "it was ended by signal 9"


def test_facts_count_what_the_file_stores(gguf: Path, pico: LoadedModel) -> None:
    facts = read_facts(gguf, "F16")

    template = pico.chat.tokenizer.chat_template
    assert (20, 0, template) == (
        facts.tensors,
        facts.fallback_tensors,
        file_tokenizer(gguf).chat_template,
    )
    assert facts.bits_per_weight == pytest.approx(16, abs=0.2)


@pytest.mark.thorough
def test_an_export_is_repeatable(pico_folder: Path, gguf: Path, tmp_path: Path) -> None:
    again = tmp_path / "model-F16.gguf"
    write_gguf(pico_folder, again, "F16", threads=1, tools=find_tools())

    assert gguf.read_bytes() == again.read_bytes()


def test_missing_tools_are_named() -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        find_tools(lambda name: None if name == "inferna" else "1")

    assert caught.value.problems[0].message == "GGUF export needs inferna"


def test_a_llama_cpp_of_the_user_must_be_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "convert_hf_to_gguf.py").touch()
    monkeypatch.setenv("LLAMA_CPP_DIR", str(tmp_path))

    with pytest.raises(EnvironmentProblem) as caught:
        find_tools()

    assert caught.value.problems[0].message == "GGUF export needs llama-quantize"


@pytest.mark.thorough
def test_a_model_the_converter_does_not_know_is_reported(pico_folder: Path, tmp_path: Path) -> None:
    odd = Path(shutil.copytree(pico_folder, tmp_path / "odd"))
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}))

    with pytest.raises(StageError) as caught:
        write_gguf(odd, tmp_path / "model-F16.gguf", "F16", threads=1, tools=find_tools())

    problem = caught.value.problems[0]
    assert (problem.code, "NoSuchModel" in (problem.hint or "")) == ("X631", True)


def test_a_full_disk_is_reported_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, pico_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 0))

    with pytest.raises(EnvironmentProblem) as caught:
        write_gguf(pico_folder, tmp_path / "m.gguf", "F16", threads=1, tools=find_tools())

    assert (caught.value.problems[0].code, list(tmp_path.iterdir())) == ("E710", [])


def test_the_converter_runs_no_code_that_a_model_names(pico_folder: Path, tmp_path: Path) -> None:
    strange = Path(shutil.copytree(pico_folder, tmp_path / "strange"))
    settings = json.loads((strange / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    (strange / "tokenizer_config.json").write_text(json.dumps(settings))
    (strange / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    tools = find_tools()

    with pytest.raises(StageError, match="X691"):
        write_gguf(strange, tmp_path / "m.gguf", "F16", threads=1, tools=tools)
    convert = tools.convert(str(strange), "--outfile", "m.gguf")
    run_tool(convert, code="X631", tool="it", reads=(strange,))

    assert not (tmp_path / "ran").exists()


# A GGUF file is asked by its own template, as the folder that it was made of is asked.
TURNS = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "good?\n½"}]


def test_the_prompt_is_that_of_the_folder(pico: LoadedModel) -> None:
    chat = chat_of(file_tokenizer(pico_gguf()))

    assert chat.prompt(TURNS) == pico.chat.prompt(TURNS)
    assert chat.terminator == pico.chat.terminator


def test_a_file_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and no more")

    with pytest.raises(StageError, match="X634"):
        chat_of(file_tokenizer(tmp_path / "model.gguf"))


def test_special_tokens_stand_in_the_template() -> None:
    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = FileTokenizer(chat_template=template, **special)

    text = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}])

    assert text == "<s>hi</s>"
