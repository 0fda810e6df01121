"""Ways of evaluating a classifier, each a function that runs in a process of its own.

Every one gets the same model, prompts and labels, one thread, and is timed in seconds of processor
time, from token ids or text to labels; loading is not counted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - a benchmark of the runtime
from evaluate_cases import Case
from evaluate_model import load

from engine.runtime.gguf.convert import find_tools, write_gguf
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring.label_scoring import search_rows
from engine.runtime.scoring.label_search import Search, make_tree

Measured = dict[str, Any]
"""`rows`, `seconds` of processor time, `answers` (places of labels; None for none of them), and more."""
SLOTS = 8
"""Of llama.cpp's server."""
LONGEST = 24
"""Tokens that `generate` may say where nothing holds it."""


def ours(folder: Path, case: Case, rows: int, *, exhaustive: bool = False) -> Measured:
    """Search best first; or the whole tree. Memory: the peak, above what was there with the weights loaded."""
    loaded = load(folder)
    before = _memory("VmRSS")
    _reset_peak()
    prompts, answers = case.prompts(loaded.chat, rows), case.answers(loaded.chat)
    started = time.process_time()
    tree = make_tree([loaded.chat.token_ids(answer) for answer in answers])
    found: dict[int, tuple[int, int]] = {}
    scores: dict[int, list[float]] = {}

    def done(row: int, search: Search) -> None:
        found[row] = search.choice.index, search.expanded
        if exhaustive:
            scores[row] = [search.scores[at] for at in range(len(answers))]

    search_rows(loaded, prompts, tree, make=partial(Search, tree, exhaustive=exhaustive), done=done)
    seconds = time.process_time() - started
    return {
        "rows": rows,
        "seconds": seconds,
        "answers": [found[row][0] for row in range(rows)],
        "expanded": sum(count for _, count in found.values()) / rows,
        "forced": len(tree.forced),
        "megabytes": (_memory("VmHWM") - before) / 1e6,
        "scores": [scores[row] for row in range(rows)] if exhaustive else [],
    }


def whole_tree(folder: Path, case: Case, rows: int) -> Measured:
    """Score every label, packed, in the tree."""
    return ours(folder, case, rows, exhaustive=True)


@torch.inference_mode()
def plain(folder: Path, case: Case, rows: int) -> Measured:
    """Score every label in a pass of its own: no cache, no tree, no packing."""
    loaded = load(folder)
    prompts, answers = case.prompts(loaded.chat, rows), case.answers(loaded.chat)
    started = time.process_time()
    scores = [[_plain_score(loaded, prompt, answer) for answer in answers] for prompt in prompts]
    return {
        "rows": rows,
        "seconds": time.process_time() - started,
        "answers": [max(range(len(row)), key=row.__getitem__) for row in scores],
        "scores": scores,
    }


def _plain_score(loaded: LoadedModel, prompt: str, answer: str) -> float:
    asked, answer_ids = loaded.chat.token_ids(prompt), loaded.chat.token_ids(answer)
    output = loaded.model(
        input_ids=torch.tensor([[*asked, *answer_ids]]),
        use_cache=False,
        logits_to_keep=len(answer_ids) + 1,
    )
    scored = output.logits[0, :-1].double().log_softmax(-1)  # in fp32 the sum is off by 1e-4 itself
    return float(scored[range(len(answer_ids)), answer_ids].sum())


@torch.inference_mode()
def generate(folder: Path, case: Case, rows: int) -> Measured:
    """Decode greedily with transformers, one row at a time, to the turn's ending."""
    loaded = load(folder)
    prompts = case.prompts(loaded.chat, rows)
    stops = sorted(loaded.chat.stop_ids())
    places: list[int | None] = []
    tokens = 0
    started = time.process_time()
    for prompt in prompts:
        ids = torch.tensor([loaded.chat.token_ids(prompt)])
        output = loaded.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LONGEST,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )
        new = output[0, ids.shape[1] :].tolist()
        tokens += len(new)
        places.append(_place(case, loaded.chat.text(new).strip()))
    return {
        "rows": rows,
        "seconds": time.process_time() - started,
        "answers": places,
        "generated": tokens / rows,
    }


def harness(folder: Path, case: Case, rows: int) -> Measured:
    """Score every label with the `hf` model of lm-evaluation-harness, as its multiple choice does."""
    from lm_eval.api.instance import Instance  # a peer, where it is measured
    from lm_eval.models.huggingface import HFLM

    loaded = load(folder)
    model = HFLM(
        pretrained=loaded.model,
        tokenizer=loaded.chat.tokenizer,
        batch_size=8,
        add_bos_token=False,
    )
    prompts, answers = case.prompts(loaded.chat, rows), case.answers(loaded.chat)
    requests = [
        Instance(
            request_type="loglikelihood",
            doc={},
            arguments=(prompt, answer),
            idx=place,
            metadata=(case.task.instruction, row, 1),
        )
        for row, prompt in enumerate(prompts)
        for place, answer in enumerate(answers)
    ]
    started = time.process_time()
    scored = [score for score, _ in model.loglikelihood(requests, disable_tqdm=True)]
    seconds = time.process_time() - started
    width = len(answers)
    scores = [scored[row * width : (row + 1) * width] for row in range(rows)]
    return {
        "rows": rows,
        "seconds": seconds,
        "answers": [max(range(width), key=row.__getitem__) for row in scores],
        "scores": scores,
    }


def server(folder: Path, case: Case, rows: int, *, quantization: str = "F16") -> Measured:
    """Ask llama.cpp's server: slots in parallel, prompts cached, a grammar of the labels, no HTTP between."""
    import xllamacpp  # a peer, where it is measured

    from engine.runtime.rendering.chat import load_chat

    file = folder.with_name(f"{folder.name}-{quantization}.gguf")
    if not file.exists():
        write_gguf(folder, file, quantization, threads=1, tools=find_tools())
    chat = load_chat(folder)
    prompts = case.prompts(chat, rows)
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = 2048 * SLOTS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    running = xllamacpp.Server(params)
    grammar = "root ::= " + " | ".join(json.dumps(label) for label in case.task.labels)
    ask = partial(_complete, running, grammar)
    ask(prompts[0])  # warms up; its slot holds the shared start
    started = time.process_time()
    with ThreadPoolExecutor(SLOTS) as pool:
        replies = list(pool.map(ask, prompts))
    return {
        "rows": rows,
        "seconds": time.process_time() - started,
        "answers": [_place(case, reply["choices"][0]["text"]) for reply in replies],
        "generated": sum(reply["timings"]["predicted_n"] for reply in replies) / rows,
        "read": sum(reply["timings"]["prompt_n"] for reply in replies) / rows,
        "file": file.name,
    }


def _complete(running: Any, grammar: str, prompt: str) -> Any:
    return running.handle_completions(
        {
            "prompt": prompt,
            "grammar": grammar,
            "temperature": 0.0,
            "n_predict": 2 * LONGEST,
            "cache_prompt": True,
        }
    )


def _place(case: Case, text: str) -> int | None:
    return case.task.labels.index(text) if text in case.task.labels else None


def _memory(name: str) -> int:
    """Return a number of /proc/self/status in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _reset_peak() -> None:
    """Let VmHWM begin again: loading takes more than running."""
    Path("/proc/self/clear_refs").write_text("5")


CONTESTANTS: dict[str, Callable[[Path, Case, int], Measured]] = {
    "ours": ours,
    "tree": whole_tree,
    "plain": plain,
    "generate": generate,
    "lm-eval": harness,
    "server": server,
}
