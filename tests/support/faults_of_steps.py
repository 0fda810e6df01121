"""Steps that are not the optimizer's, and passes that are not those of the rows; a part of `support.fault_table`.

Each begins in the middle of a training, or in what a library does, and logs the losses and rates that are expected.
"""

from collections.abc import Callable, Mapping
from typing import Any

from support.fault_seeds import in_first_step, in_trainer
from support.project import Project
from support.seeded_faults import TRAINING, Fault, Patch, Prepare, Seed, both, recipe, settings

LATE = 4
"""Step from which something is otherwise."""
TWENTIETH = 20
Change = Callable[[Any], object]


def stepping(change: Callable[[Any, int], object]) -> Prepare:
    """Change the optimizer before each of its steps; `change` is given it and how many were taken."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch

        real, taken = torch.optim.AdamW.step, list[int]()

        def step(self: Any, *given: Any, **named: Any) -> Any:
            change(self, len(taken))
            taken.append(1)
            return real(self, *given, **named)

        patch.setattr(torch.optim.AdamW, "step", step)

    return prepare


def set_in_groups(begins: int = 0, **values: Any) -> Prepare:
    """Have the optimizer's groups hold other values from a step on; a function is given the old value."""

    def change(optimizer: Any, taken: int) -> None:
        for group in optimizer.param_groups if taken >= begins else ():
            for name, value in values.items():
                group[name] = value(group[name]) if callable(value) else value

    return stepping(change)


def without_momenta(optimizer: Any, taken: int) -> None:
    """Take what the optimizer remembers."""
    for state in optimizer.state.values() if taken else ():
        state["exp_avg"].zero_()
        state["exp_avg_sq"].zero_()


def clipped(factor: float) -> Prepare:
    """Have clipping multiply gradients."""

    def prepare(_: Project, patch: Patch) -> None:
        from accelerate import Accelerator

        real = Accelerator.clip_grad_norm_

        def clip(self: Any, weights: Any, *given: Any, **named: Any) -> Any:
            every = [*weights]
            found = real(self, every, *given, **named)
            for weight in every:
                if weight.grad is not None:
                    weight.grad.mul_(factor)
            return found

        patch.setattr(Accelerator, "clip_grad_norm_", clip)

    return prepare


def late(change: Callable[[Any, dict[str, Any]], object]) -> Prepare:
    """Have the trainer do something else before its passes from a step on; `change` is given model and batch."""

    def prepare(_: Project, patch: Patch) -> None:
        from transformers import Trainer

        real, passes = Trainer.training_step, list[int]()

        def training_step(self: Any, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
            passes.append(1)
            batch = {**inputs}
            if len(passes) > LATE:
                change(model, batch)
            return real(self, model, batch, *given, **named)

        patch.setattr(Trainer, "training_step", training_step)

    return prepare


def drawn_anew(model: Any, _: dict[str, Any]) -> None:
    """Begin one half of each pair of the adapter again."""
    for name, weight in model.named_parameters():
        if "lora_A" in name:
            weight.data.normal_(0, 0.02)


def smaller(model: Any, _: dict[str, Any]) -> None:
    """Make one trained matrix smaller."""
    for name, weight in model.named_parameters():
        if "layers.1.mlp.down_proj.lora_B" in name:
            weight.data.mul_(0.5)


def other_labels(change: Change) -> Prepare:
    """Have the loss read other labels from a step on."""

    def changed(_: Any, batch: dict[str, Any]) -> None:
        for name in {"labels", "shift_labels"} & batch.keys():
            batch[name] = change(batch[name])

    return late(changed)


def in_the_loss(change: Callable[[Any], object]) -> Prepare:
    """Have the loss itself read other labels from the twentieth pass on, behind what the model is given."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch
        from transformers.loss.loss_utils import LOSS_MAPPING

        real, passes = LOSS_MAPPING["ForCausalLM"], list[int]()

        def loss(logits: Any, labels: Any, *given: Any, **named: Any) -> Any:
            passes.extend([1] if torch.is_grad_enabled() else [])
            if len(passes) >= TWENTIETH and torch.is_grad_enabled():
                labels = change(labels)
                if named.get("shift_labels") is not None:
                    named["shift_labels"] = change(named["shift_labels"])
            return real(logits, labels, *given, **named)

        patch.setitem(LOSS_MAPPING, "ForCausalLM", loss)

    return both(recipe(method__micro_batch_size=4, method__epochs=8), prepare)


def without_ends(found: Any) -> Any:
    """Learn the last token of no answer: the end of the turn, which all share."""
    return found.masked_fill(found == found.max(), -100)


def ahead(_: Project, patch: Patch) -> None:
    """Have attention leave its mask out."""
    from torch.nn import functional

    real = functional.scaled_dot_product_attention

    def attend(query: Any, key: Any, value: Any, *_: Any, **named: Any) -> Any:
        return real(query, key, value, **{**named, "attn_mask": None, "is_causal": False})

    patch.setattr(functional, "scaled_dot_product_attention", attend)


def same_draw(_: Project, patch: Patch) -> None:
    """Have every epoch draw the rows in the same order."""
    import torch
    from torch.utils.data import RandomSampler

    def drawn(self: Any) -> Any:
        generator = torch.Generator().manual_seed(3)
        return iter(torch.randperm(len(self.data_source), generator=generator).tolist())

    patch.setattr(RandomSampler, "__iter__", drawn)
    patch.setattr("accelerate.data_loader.SeedableRandomSampler.__iter__", drawn)


def forgotten_pass(_: Project, patch: Patch) -> None:
    """Have the second pass of each step begin without the gradients of the first."""
    from transformers import Trainer

    real, passes = Trainer.training_step, list[int]()

    def training_step(self: Any, model: Any, *given: Any, **named: Any) -> Any:
        passes.append(1)
        if len(passes) % 2 == 0:
            model.zero_grad()
        return real(self, model, *given, **named)

    patch.setattr(Trainer, "training_step", training_step)


def saved_as(change: Callable[[str, Any], Any]) -> Prepare:
    """Have checkpoints hold other tensors of an adapter; `change` is given a name and what is trained."""

    def prepare(_: Project, patch: Patch) -> None:
        from peft import peft_model

        real = peft_model.get_peft_model_state_dict

        def state(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            return {name: change(name, one) for name, one in found.items()}

        patch.setattr(peft_model, "get_peft_model_state_dict", state)

    return prepare


def a_little_larger(name: str, found: Any) -> Any:
    """Return one half of each pair a fiftieth larger."""
    return found * 1.02 if "lora_B" in name else found


def in_training(prepare: Prepare, code: str) -> Seed:
    """Return a seed that shows behind the first step."""
    return Seed(prepare=prepare, code=code, where=TRAINING, until="train")


OF_STEPS: Mapping[str, Fault] = {
    "F64": Fault(
        name="the optimizer takes other steps than its settings give",
        seeds={
            "uphill": in_first_step(set_in_groups(maximize=True), "B458"),
            "a tenth of the rate": in_first_step(set_in_groups(lr=lambda rate: rate / 10), "B458"),
            "a hundredth of the rate from a later step on": in_training(
                set_in_groups(LATE, lr=lambda rate: rate / 100), "B458"
            ),
            "without what it remembers": in_training(stepping(without_momenta), "B458"),
            "against the gradients": in_first_step(clipped(-1.0), "B458"),
            "with gradients of next to nothing": in_first_step(clipped(1e-12), "B458"),
            "without the gradients of a pass": in_first_step(
                both(recipe(method__micro_batch_size=4), forgotten_pass), "B458"
            ),
        },
        missed="one wrong step among those that are not looked at; optimizers other than AdamW",
    ),
    "F65": Fault(
        name="something else than the optimizer changes weights",
        seeds={
            "one half of each pair is drawn anew": in_training(late(drawn_anew), "B458"),
            "one matrix is made smaller": in_training(late(smaller), "B458"),
        },
    ),
    "F66": Fault(
        name="a model sees what comes later",
        seeds={
            "a setting of the base model": in_trainer(
                settings("config.json", lambda found: found.update(is_causal=False)), "B459"
            ),
            "attention without its mask": in_trainer(ahead, "B459"),
        },
    ),
    "F72": Fault(
        name="a checkpoint holds other weights than were trained",
        seeds={
            "rounded": in_training(saved_as(lambda _, one: one.bfloat16().float()), "B460"),
            "a fiftieth larger": in_training(saved_as(a_little_larger), "B460"),
            "as of another type": in_training(saved_as(lambda _, one: one.half()), "B460"),
        },
        missed="what several processes save together; the middle of tensors of a million numbers and more",
    ),
    "F67": Fault(
        name="later batches are learned with other labels",
        seeds={
            "one place too late": in_training(
                other_labels(lambda found: found.roll(1, -1)), "B424"
            ),
            "the same in all rows": in_training(
                other_labels(lambda found: found.clamp_max(found.max() - 1)), "B424"
            ),
            "rolled by one place within the loss, from the twentieth pass on": in_training(
                in_the_loss(lambda found: found.roll(1, -1)), "B424"
            ),
            "without the end of the turn, from the twentieth pass on": in_training(
                in_the_loss(without_ends), "B424"
            ),
        },
    ),
}
