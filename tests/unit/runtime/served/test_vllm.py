"""What is asked of vLLM and read from its answers, with a stand-in for the library in a Python of its own.

The library itself is tested where the environment variable `VLLM_PYTHON` names one.
"""

from __future__ import annotations

import json
import os
import sys
from math import log
from pathlib import Path
from typing import Any

import pytest

from engine.environment import VLLM, _vllm_version, version_of
from engine.errors import EnvironmentProblem, StageError
from engine.runtime.generation.generate import generate
from engine.runtime.models.load import LoadedModel
from engine.runtime.served.vllm import _rank, generate_with_vllm, reason_not_to_ask

pytestmark = pytest.mark.thorough

REAL = os.environ.get("VLLM_PYTHON")
LIBRARY = """
import json
from types import SimpleNamespace

class SamplingParams(SimpleNamespace):
    pass

class LLM:
    def __init__(self, **options):
        self.options = options

    def generate(self, prompts, sampling, lora_request=None, use_tqdm=True):
        asked = {"prompts": prompts, **vars(sampling), **self.options}
        asked["lora"] = lora_request and lora_request.path
        open(SEEN, "w").write(json.dumps(asked))
        shares = [{token: SimpleNamespace(logprob=share)} for token, share in SAMPLED]
        tokens = [token for token, _ in SAMPLED]
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=tokens, logprobs=shares)])
                for _ in prompts[:ANSWERED]]
"""
PYTHON = """#!{python}
import runpy, sys
words = sys.argv[2:]
if words[0] == "-c":
    print("9.9")
else:
    sys.path.insert(0, {folder!r})
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
"""


class Silent:
    """Hears progress."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Python whose vLLM says given tokens to every prompt; returns where it writes what it was asked."""

    def stand_in(tokens: list[tuple[int, float]], *, answered: int = 99) -> Path:
        seen, package = tmp_path / "seen.json", tmp_path / "other" / "vllm"
        (package / "lora").mkdir(parents=True)
        values = f"SEEN, SAMPLED, ANSWERED = {str(seen)!r}, {tokens!r}, {answered}\n"
        (package / "__init__.py").write_text(values + LIBRARY, encoding="utf-8")
        request = (
            "class LoRARequest:\n    def __init__(self, name, number, path): self.path = path\n"
        )
        (package / "lora" / "__init__.py").write_text("", encoding="utf-8")
        (package / "lora" / "request.py").write_text(request, encoding="utf-8")
        python = tmp_path / "python"
        text = PYTHON.format(python=sys.executable, folder=str(package.parent))
        python.write_text(text, encoding="utf-8")
        python.chmod(0o755)
        monkeypatch.setenv("VLLM_PYTHON", str(python))
        return seen

    yield stand_in
    _vllm_version.cache_clear()


def test_text_ends_where_the_turn_ends_and_its_probability_counts_the_ending(
    pico: LoadedModel, stand_in: Any
) -> None:
    tokens = pico.chat.token_ids("good film")
    (stop,) = pico.chat.token_ids(pico.chat.terminator)
    sampled = [(token, log(0.5)) for token in (*tokens, stop, tokens[0])]
    seen = stand_in(sampled)

    (answer,) = generate_with_vllm(pico, ["the plot"], max_new_tokens=9, progress=Silent())

    asked = json.loads(seen.read_text())
    assert (answer.text, answer.finished) == (pico.chat.text(tokens), True)
    assert answer.probability == pytest.approx(0.5 ** (len(tokens) + 1))
    assert asked["prompts"] == [{"prompt_token_ids": pico.chat.token_ids("the plot")}]
    assert (asked["temperature"], asked["max_tokens"], asked["lora"]) == (0.0, 9, None)
    assert stop in asked["stop_token_ids"]
    assert (asked["model"], asked["dtype"]) == (str(pico.folder), "float32")
    assert version_of(VLLM) == "9.9"


def test_missing_answers_are_an_error(pico: LoadedModel, stand_in: Any) -> None:
    stand_in([(1, -1.0)], answered=1)

    with pytest.raises(StageError, match="X618"):
        generate_with_vllm(pico, ["one", "two"], max_new_tokens=2, progress=Silent())


def test_a_python_without_vllm_is_reported(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_PYTHON", str(Path(os.sep) / "nowhere" / "python"))

    with pytest.raises(EnvironmentProblem, match="X617"):
        generate_with_vllm(pico, ["one"], max_new_tokens=2, progress=Silent())


@pytest.mark.parametrize(("rank", "room"), [(4, 8), (8, 8), (9, 16), (16, 16), (24, 32)])
def test_room_for_the_adapter_is_a_power_of_two(tmp_path: Path, rank: int, room: int) -> None:
    config = {"r": 2, "rank_pattern": {"layers.0": rank}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")

    assert _rank(tmp_path) == room


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"r": 8}, ""),
        ({"r": 8, "use_rslora": True}, ""),
        ({"r": 8, "rank_pattern": {"q_proj": 16}, "alpha_pattern": {"q_proj": 32}}, ""),
        ({"r": 8, "use_dora": True}, "it has no DoRA"),
        ({"r": 8, "use_rslora": True, "rank_pattern": {"q_proj": 16}}, "one rank"),
        ({"r": 600}, "ranks up to 512"),
    ],
)
def test_an_adapter_that_vllm_would_refuse_or_misread_is_not_given_to_it(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")

    found = reason_not_to_ask(tmp_path)
    assert reason in found
    assert bool(reason) == bool(found)
    assert reason_not_to_ask(None) == ""


@pytest.mark.skipif(REAL is None, reason="VLLM_PYTHON names no environment with vLLM")
def test_vllm_says_what_transformers_says(pico: LoadedModel) -> None:
    prompts = [pico.chat.prompt([{"role": "user", "content": text}]) for text in ("good", "a film")]

    ours = generate(pico, prompts, max_new_tokens=6, progress=Silent())
    theirs = generate_with_vllm(pico, prompts, max_new_tokens=6, progress=Silent())

    assert [one.text for one in theirs] == [one.text for one in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-3)
