"""The settings in force in a trainer, from its arguments, optimizer and adapter; the caller compares them."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import torch
from transformers import Trainer, TrainerState, TrainingArguments, get_scheduler

ARGUMENTS: Final = (
    *("num_train_epochs", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim"),
    *("adam_beta1", "adam_beta2", "adam_epsilon", "seed", "data_seed", "train_sampling_strategy"),
    *("eval_steps", "save_steps", "load_best_model_at_end"),
)
ADAPTER: Final[Mapping[str, str]] = {
    "use_dora": "use_dora",
    "use_rslora": "use_rslora",
    "lora_rank_pattern": "rank_pattern",
    "lora_alpha_pattern": "alpha_pattern",
}
"""The same of an adapter, and their names in PEFT."""
PLAIN: Final = re.compile(r"((layernorm|rmsnorm|_norm|\.norm)\.weight|\.bias)$")
"""Ends of the names of weights that transformers never decays."""
LIKE_PLAIN: Final = re.compile(r"norm|bias", re.IGNORECASE)
"""Words in the names of weights that it may leave undecayed."""
POINTS: Final = 20


def method_facts(model: torch.nn.Module, args: TrainingArguments) -> dict[str, float]:
    found = {
        "learning_rate": args.learning_rate,
        "weight_decay": args.weight_decay,
        "label_smoothing": args.label_smoothing_factor,
        "max_grad_norm": args.max_grad_norm,
        "neftune_alpha": args.neftune_noise_alpha or 0.0,
    }
    adapter = _adapter(model)
    if adapter is not None:
        parts = (
            one for name, one in model.named_parameters() if ".lora_" in name and ".default" in name
        )
        found |= {
            "rank": adapter.r,
            "alpha": adapter.lora_alpha,
            "dropout": adapter.lora_dropout,
            "frozen_parts": sum(not one.requires_grad for one in parts),
        }
    return found


def setting_arguments(model: torch.nn.Module, args: TrainingArguments) -> dict[str, Any]:
    found = {name: getattr(args, name, None) for name in ARGUMENTS}
    if (adapter := _adapter(model)) is not None:
        found |= {name: getattr(adapter, own) for name, own in ADAPTER.items()}
    return {name: one.value if isinstance(one, Enum) else one for name, one in found.items()}


def other_optimizer(args: TrainingArguments, optimizer: Any) -> str:
    """Return how an optimizer is not the one that the arguments ask for; "" for the same."""
    made = getattr(optimizer, "optimizer", optimizer)
    kind, wanted = Trainer.get_optimizer_cls_and_kwargs(args)
    if not isinstance(made, kind):
        return f"is {type(made).__name__}, planned is {kind.__name__}"
    rates = {group.get("initial_lr", args.learning_rate) for group in made.param_groups}
    if len(rates) == 1 and rates != {args.learning_rate}:
        return f"has lr {rates.pop():g}, planned is {args.learning_rate:g}"
    for group in made.param_groups:
        # The rate is the schedule's, and LoRA+ has two of them.
        for name, value in wanted.items():
            if name != "lr" and name in group and not _is_equal(group[name], value):
                return f"has {name} {group[name]}, planned is {value}"
        decay = group.get("weight_decay", 0.0)
        if decay not in (0.0, args.weight_decay):
            return f"has weight_decay {decay:g}, planned is {args.weight_decay:g}"
    return ""


def other_decay(model: torch.nn.Module, args: TrainingArguments, optimizer: Any) -> str:
    """Return how weight decay is on other weights than transformers puts it on: not on norms and biases; "" if so."""
    if not args.weight_decay:
        return ""
    groups = getattr(getattr(optimizer, "optimizer", optimizer), "param_groups", ())
    decay = {id(one): group.get("weight_decay", 0.0) for group in groups for one in group["params"]}
    for name, weight in model.named_parameters():
        if id(weight) not in decay:
            continue
        if PLAIN.search(name) and decay[id(weight)]:
            return f"has weight_decay for `{name}`, planned is none for norms and biases"
        if weight.ndim == 2 and not LIKE_PLAIN.search(name) and not decay[id(weight)]:
            return f"has no weight_decay for `{name}`, planned is {args.weight_decay:g}"
    return ""


def rate_difference(args: TrainingArguments, state: TrainerState, scheduler: Any) -> float:
    """Return by how much a schedule is off from that of the arguments, as a share of the largest rate."""
    made = getattr(getattr(scheduler, "scheduler", scheduler), "lr_lambdas", None)
    if not made:
        return 0.0
    planned = get_scheduler(
        args.lr_scheduler_type,
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0),
        num_warmup_steps=args.get_warmup_steps(state.max_steps),
        num_training_steps=state.max_steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs or {},
    )
    steps = range(0, state.max_steps + 1, max(1, state.max_steps // POINTS))
    return max(abs(float(one(at) - planned.lr_lambdas[0](at))) for one in made for at in steps)


def module_facts(model: torch.nn.Module) -> dict[str, Any]:
    """Return the names within their blocks of the linear layers that have an adapter, and of those that have none.

    Where some of a name have one and others not, `partly` says how many have none.
    """
    if not hasattr(model, "peft_config"):
        return {}
    found: dict[bool, list[str]] = {True: [], False: []}
    for path, module in model.named_modules():
        name = path.removesuffix(".base_layer").rpartition(".")[2]
        if isinstance(module, torch.nn.Linear) and ".lora_" not in path and "lm_head" not in path:
            found[path.endswith(".base_layer")].append(name)
    adapted = {*found[True]}
    return {
        "adapted": sorted(adapted),
        "plain": sorted({*found[False]} - adapted),
        "partly": sum(name in adapted for name in found[False]),
    }


def _adapter(model: torch.nn.Module) -> Any:
    # PEFT names an adapter that was given no name so.
    found = getattr(model, "peft_config", {}).get("default")
    return found if hasattr(found, "lora_alpha") else None


def _is_equal(one: Any, two: Any) -> bool:
    return [*one] == [*two] if isinstance(one, list | tuple) else bool(one == two)
