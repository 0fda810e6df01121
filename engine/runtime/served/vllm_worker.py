"""Run by the Python that has vLLM: `python -I vllm_worker.py REQUEST ANSWERS`. Imports nothing of ours.

The request is that of `engine.runtime.served.vllm`; the answers are, for each prompt, its tokens with the
negative log-probability of each in nats.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process, so that nothing outlives it
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, where there is no GPU
}
SHARE = 0.9
"""Of the GPU memory that nobody uses yet."""


def main() -> None:
    """Answer the request."""
    request_file, answers_file = map(Path, sys.argv[1:])
    request = json.loads(request_file.read_text(encoding="utf-8"))
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    answers_file.write_text(json.dumps(answers(request)), encoding="utf-8")


def answers(request: dict[str, Any]) -> list[list[tuple[int, float]]]:
    """Return the greedy tokens of each prompt."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]  # after the settings
    from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]

    longest = max(map(len, request["prompts"]), default=0) + request["max_new_tokens"]
    adapter = request["adapter"]
    lora = {"enable_lora": True, "max_lora_rank": request["rank"]} if adapter else {}
    model = LLM(
        model=request["model"],
        dtype=request["dtype"],
        trust_remote_code=False,
        max_model_len=longest + 1,
        # Token ids go in and come out, so that another version's tokenizer cannot cut the text otherwise.
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        disable_log_stats=True,
        seed=0,
        **_hardware(),
        **lora,
    )
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=request["max_new_tokens"],
        stop_token_ids=request["stops"],
        ignore_eos=True,  # the stops say what ends an answer
        detokenize=False,
        # No alternatives: the log-probability of the chosen token comes anyway.
        logprobs=0,
    )
    outputs = model.generate(
        [{"prompt_token_ids": prompt} for prompt in request["prompts"]],
        sampling,
        lora_request=LoRARequest("adapter", 1, adapter) if adapter else None,
        use_tqdm=False,
    )
    return [_with_nll(one.outputs[0]) for one in outputs]


def _with_nll(output: Any) -> list[tuple[int, float]]:
    pairs = zip(output.token_ids, output.logprobs, strict=True)
    return [(token, -shares[token].logprob) for token, shares in pairs]


def _hardware() -> dict[str, Any]:
    """Leave alone what the caller's model takes of the GPU; without one, compile nothing."""
    import torch  # vLLM's own, after the settings

    if not torch.cuda.is_available():
        return {"enforce_eager": True}
    free, total = torch.cuda.mem_get_info()
    return {"gpu_memory_utilization": SHARE * free / total}


if __name__ == "__main__":
    main()
