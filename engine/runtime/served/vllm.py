"""Free text said by vLLM, where the user has it: in an environment of its own, named by `VLLM_PYTHON`.

vLLM pins other versions of torch and transformers than training does, so it runs as a process of that
environment, and its memory is free again when it ends. It gets token ids and returns token ids; what
ends an answer and what its text is, is decided here, as for every other way of asking. Labels and
answers held to a grammar are not asked of it: `engine.runtime.scoring.label_search` needs fewer tokens for those.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

from engine.environment import MISSING, VLLM, version_of, vllm_python
from engine.errors import EnvironmentProblem, StageError
from engine.process.start import program
from engine.progress import Progress
from engine.runtime.generation.generate import GeneratedText
from engine.runtime.generation.sequence import FreeDecoding
from engine.runtime.models.load import LoadedModel
from engine.runtime.tool_process import run_tool

WORKER = Path(__file__).with_name("vllm_worker.py")
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def is_configured() -> bool:
    """Tell whether the user names a vLLM."""
    return vllm_python() is not None


def generate_with_vllm(
    loaded: LoadedModel, prompts: Sequence[str], *, max_new_tokens: int, progress: Progress
) -> list[GeneratedText]:
    """Return for each prompt the greedy text, as `engine.runtime.generation.generate.generate` without a grammar.

    EnvironmentProblem X617 when `VLLM_PYTHON` names no environment with vLLM, StageError X618 when vLLM fails.
    """
    version = version_of(VLLM)
    if version == MISSING:
        raise EnvironmentProblem.one(
            "X617",
            "`VLLM_PYTHON` names no Python that has vLLM",
            hint="name the Python of an environment with vLLM, or unset VLLM_PYTHON",
        )
    progress.note(f"free text is said by vLLM {version}")
    request = {
        "model": str(loaded.folder.absolute()),
        "adapter": str(loaded.adapter.absolute()) if loaded.adapter else None,
        "rank": _rank(loaded.adapter),
        "dtype": DTYPES[loaded.precision],
        "prompts": [loaded.chat.token_ids(prompt) for prompt in prompts],
        "max_new_tokens": max_new_tokens,
        "stops": sorted(loaded.chat.stop_ids()),
    }
    answers = _ask(request)
    if len(answers) != len(prompts):
        raise StageError.one("X618", f"vLLM answered {len(answers)} of {len(prompts)} rows")
    progress.update(len(prompts), len(prompts), "rows")
    return [_to_text(loaded, answer, most=max_new_tokens) for answer in answers]


def _to_text(
    loaded: LoadedModel, answer: Sequence[tuple[int, float]], *, most: int
) -> GeneratedText:
    """Return the text of tokens, each with its negative log-probability in nats."""
    decoding = FreeDecoding(loaded.chat)
    for token, nll in answer:
        if not decoding.step(token, nll, most=most):
            break
    return GeneratedText(
        text=decoding.text(), probability=exp(-decoding.nll), finished=decoding.finished
    )


def _rank(adapter: Path | None) -> int:
    """Return the rank that vLLM has to make room for: the adapter's, rounded up to a power of two."""
    if adapter is None:
        return 0
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    largest = max([int(config["r"]), *map(int, config.get("rank_pattern", {}).values())])
    return max(8, 1 << (largest - 1).bit_length())


def _ask(request: dict[str, Any]) -> list[list[tuple[int, float]]]:
    with tempfile.TemporaryDirectory(prefix="recipe-vllm-") as folder:
        request_file, answers_file = Path(folder) / "request.json", Path(folder) / "answers.json"
        request_file.write_text(json.dumps(request), encoding="utf-8")
        # -I: neither this environment's packages nor this folder's modules are in reach of the other Python
        command = program(str(vllm_python()))(
            "-I", str(WORKER), str(request_file), str(answers_file)
        )
        run_tool(command, code="X618", tool="vLLM", variables=("VLLM_",))
        answers: list[list[tuple[int, float]]] = json.loads(
            answers_file.read_text(encoding="utf-8")
        )
        return answers
