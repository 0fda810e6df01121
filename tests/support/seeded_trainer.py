"""Ways to have a trainer do otherwise than it was asked (`support.fault_table` lists them)."""

from collections.abc import Callable
from typing import Any

from support.project import Project
from support.seeded_faults import Patch, Prepare


def labels(change: Callable[[list[int], list[int]], list[int]]) -> Prepare:
    """Have the trainer read other labels; `change` is given tokens and labels of a row."""

    def prepare(_: Project, patch: Patch) -> None:
        from datasets import Dataset

        from engine.runtime.training import sft

        real = sft.tokenised

        def tokenised(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            if found is None:
                return None
            changed = [
                {**row, "labels": change(list(row["input_ids"]), list(row["labels"]))}
                for row in found
            ]
            return Dataset.from_list(changed)

        patch.setattr(sft, "tokenised", tokenised)

    return prepare


def learned(found: list[int]) -> list[int]:
    """Places that are learned."""
    return [place for place, label in enumerate(found) if label != -100]


def masked(*which: int) -> Callable[[list[int], list[int]], list[int]]:
    """Take learned tokens out, by their number among those of a row."""

    def change(_: list[int], found: list[int]) -> list[int]:
        places = {learned(found)[one] for one in which}
        return [-100 if place in places else label for place, label in enumerate(found)]

    return change


def shifted(ids: list[int], found: list[int]) -> list[int]:
    """Learn the prompt's last tokens in the place of the answer."""
    places = {place - len(learned(found)) for place in learned(found)}
    return [ids[place] if place in places else -100 for place in range(len(ids))]


def off_by_one(ids: list[int], found: list[int]) -> list[int]:
    """Learn each token one place too late."""
    return [-100, *found[:-1]]


def loss(change: Callable[[Any], Any]) -> Prepare:
    """Have the trainer compute another loss."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.compute_loss

        def compute_loss(self: Any, model: Any, inputs: Any, **options: Any) -> Any:
            found = real(self, model, inputs, **options)
            return change(found) if model.training and not isinstance(found, tuple) else found

        patch.setattr(sft.LeanTrainer, "compute_loss", compute_loss)

    return prepare


def batches(change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Have what makes batches make others."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import batches
        from engine.runtime.training.batches import shared_batch as real

        def shared_batch(given: Any) -> Any:
            batch = real(given)
            change(batch)
            return batch

        patch.setattr(batches, "shared_batch", shared_batch)

    return prepare


def trained_rows(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Prepare:
    """Have the trainer read other rows than were rendered."""

    def prepare(_: Project, patch: Patch) -> None:
        from datasets import Dataset

        from engine.runtime.training import sft

        real = sft.tokenised

        def tokenised(path: Any, *given: Any, **named: Any) -> Any:
            found = real(path, *given, **named)
            if found is None or path.name != "train.jsonl":
                return found
            return Dataset.from_list(change([dict(row) for row in found]))

        patch.setattr(sft, "tokenised", tokenised)

    return prepare


def validated_on_train(_: Project, patch: Patch) -> None:
    """Have the trainer measure its validation loss on rows that it learns."""
    from engine.runtime.training import sft

    real = sft.tokenised

    def tokenised(path: Any, *given: Any, **named: Any) -> Any:
        found: Any = real(path.with_name("train.jsonl"), *given, **named)
        return found if path.name == "train.jsonl" else found.select(range(20))

    patch.setattr(sft, "tokenised", tokenised)


def of_other_tokens(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Begin every row as an earlier preparation did."""
    return [
        {key: [row[key][-1], *row[key][1:]] if key == "input_ids" else row[key] for key in row}
        for row in found
    ]


def late_labels(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have the last rows teach nothing."""
    ignored = [{**row, "labels": [-100] * len(row["labels"])} for row in found[-3:]]
    return [*found[:-3], *ignored]


def batched_rows(change: Callable[[list[Any]], list[Any]]) -> Prepare:
    """Have the trainer's batches be made of other rows than its own set holds."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training.first_step import FirstStep

        real = FirstStep.begin

        def begin(self: Any, model: Any, loader: Any, *given: Any) -> None:
            real(self, model, loader, *given)
            loader = getattr(loader, "base_dataloader", loader)
            make, first = loader.collate_fn, list[Any]()

            def collate(rows: list[Any]) -> Any:
                first.extend([] if first else rows)
                return make(change(first) if len(rows) == len(first) else rows)

            loader.collate_fn = collate

        patch.setattr(FirstStep, "begin", begin)

    return prepare


def loaded_adapter(factor: float) -> Prepare:
    """Have the trained model be loaded with an adapter of another size; 0 leaves it out."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.models import load

        real = load.get_peft_model_state_dict  # type: ignore[attr-defined]  # as it is imported there

        def state(model: Any, *given: Any, **named: Any) -> Any:
            found = real(model, *given, **named)
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.data.mul_(factor)
            return found

        patch.setattr(load, "get_peft_model_state_dict", state)

    return prepare


def standing_still(part: str) -> Prepare:
    """Have the optimizer leave some weights as they are, while it counts its steps."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch

        from engine.runtime.training import sft

        real, kept = sft.LeanTrainer.create_optimizer, set[int]()

        def create_optimizer(self: Any, *given: Any, **named: Any) -> Any:
            kept.update(id(one) for name, one in self.model.named_parameters() if part in name)
            return real(self, *given, **named)

        step = torch.optim.AdamW.step

        def stand(self: Any, *given: Any, **named: Any) -> Any:
            weights = [one for group in self.param_groups for one in group["params"]]
            before = [(one, one.detach().clone()) for one in weights if id(one) in kept]
            found = step(self, *given, **named)
            for one, values in before:
                one.data.copy_(values)
            return found

        patch.setattr(sft.LeanTrainer, "create_optimizer", create_optimizer)
        patch.setattr(torch.optim.AdamW, "step", stand)

    return prepare


def second_passes(name: str) -> Prepare:
    """Have the optimizer of the first step stand still, or take another step."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch

        real = torch.optim.AdamW.step

        def step(self: Any, *given: Any, **named: Any) -> Any:
            found = real(self, *given, **named)
            if name == "twice":
                return real(self, *given, **named)
            for state in self.state.values():
                state["step"].zero_()
            return found

        patch.setattr(torch.optim.AdamW, "step", step)

    return prepare


def cut_rows(room: int) -> Prepare:
    """Have the trainer read rows that were cut to so many tokens behind every check."""

    def prepare(_: Project, patch: Patch) -> None:
        from datasets import Dataset

        from engine.runtime.training import sft

        real = sft.tokenised

        def tokenised(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            if found is None:
                return None
            return Dataset.from_list([{key: row[key][:room] for key in row} for row in found])

        patch.setattr(sft, "tokenised", tokenised)

    return prepare


def without_gradient(part: str) -> Prepare:
    """Have the gradients of some modules come to nothing."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.create_optimizer

        def create_optimizer(self: Any, *given: Any, **named: Any) -> Any:
            for name, weight in self.model.named_parameters():
                if part in name and weight.requires_grad:
                    weight.register_hook(lambda gradient: gradient * 0)
            return real(self, *given, **named)

        patch.setattr(sft.LeanTrainer, "create_optimizer", create_optimizer)

    return prepare


def validation_loss(factor: float) -> Prepare:
    """Have the trainer count another loss of validation rows."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.prediction_step

        def prediction_step(self: Any, *given: Any, **named: Any) -> Any:
            found, *others = real(self, *given, **named)
            return (found * factor, *others)

        patch.setattr(sft.LeanTrainer, "prediction_step", prediction_step)

    return prepare


def with_arguments(**changes: object) -> Prepare:
    """Have the trainer's library be given other settings."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.arguments

        def arguments(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            for name, value in changes.items():
                setattr(found, name, value)
            return found

        patch.setattr(sft, "arguments", arguments)

    return prepare


def with_adapter(**changes: object) -> Prepare:
    """Have another adapter be made."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft._lora

        def lora(*given: Any) -> Any:
            found = real(*given)
            for name, value in changes.items():
                setattr(found, name, value)
            return found

        patch.setattr(sft, "_lora", lora)

    return prepare


def frozen(part: str) -> Prepare:
    """Have some weights of the adapter stand still."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.create_optimizer

        def create_optimizer(self: Any, *given: Any, **named: Any) -> Any:
            for name, weight in self.model.named_parameters():
                if part in name:
                    weight.requires_grad_(False)
            return real(self, *given, **named)

        patch.setattr(sft.LeanTrainer, "create_optimizer", create_optimizer)

    return prepare


def schedule_of(factor: float) -> Prepare:
    """Have the rates be those of a longer or shorter training."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.create_scheduler

        def create_scheduler(self: Any, num_training_steps: int, optimizer: Any = None) -> Any:
            return real(self, int(num_training_steps * factor), optimizer)

        patch.setattr(sft.LeanTrainer, "create_scheduler", create_scheduler)

    return prepare


def optimizer_of(kind: str, **named: Any) -> Prepare:
    """Have another optimizer be made than the one that the arguments name."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch

        from engine.runtime.training import sft

        def create_optimizer(self: Any, *_: Any, **__: Any) -> Any:
            weights = [one for one in self.model.parameters() if one.requires_grad]
            rate = self.args.learning_rate
            self.optimizer = getattr(torch.optim, kind)(weights, lr=rate, **named)
            return self.optimizer

        patch.setattr(sft.LeanTrainer, "create_optimizer", create_optimizer)

    return prepare


def unshuffled(_: Project, patch: Patch) -> None:
    """Have the trainer go through its rows as they stand."""
    from torch.utils.data import SequentialSampler

    from engine.runtime.training import sft

    def sampler(self: Any, *_: Any) -> Any:
        return SequentialSampler(self.train_dataset)

    patch.setattr(sft.LeanTrainer, "_get_train_sampler", sampler)
