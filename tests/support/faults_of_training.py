"""Faults of rows and trainers, and where a run notices them; the first part of `support.fault_table`."""

from collections.abc import Mapping
from typing import Any

from support.fault_seeds import (
    in_evaluate,
    in_first_step,
    in_scoring,
    in_trainer,
    learned_rows,
    moved_answers,
    noted,
)
from support.pico import CHAT_TEMPLATE
from support.project import Project
from support.seeded_faults import (
    AFTER,
    DOWN,
    EMBEDDING,
    TRAINING,
    Fault,
    Patch,
    Seed,
    both,
    fill,
    recipe,
    rows,
    settings,
    template,
)
from support.seeded_trainer import (
    batches,
    cut_rows,
    frozen,
    labels,
    late_labels,
    loaded_adapter,
    loss,
    masked,
    off_by_one,
    optimizer_of,
    schedule_of,
    shifted,
    standing_still,
    trained_rows,
    validation_loss,
    with_adapter,
    with_arguments,
)

ENDLESS = both(
    template(CHAT_TEMPLATE.replace("'<|im_end|>' + ", "")),
    settings("tokenizer_config.json", lambda found: found.update(eos_token=None)),
)
FULL: Mapping[str, Any] = {"method__kind": "full", "method__rank": None, "method__alpha": None}
LONG = " and on and on it went" * 12


def averaged(_: Project, patch: Patch) -> None:
    """Have each pass of a step count alike, however many tokens it has."""
    from engine.runtime.training import sft

    patch.setattr(sft.LeanTrainer, "_get_num_items_in_batch", lambda *_: None)


def keeping_the_first(_: Project, patch: Patch) -> None:
    """Have the trainer take the first checkpoint for the best one, whatever comes after it."""
    from engine.runtime.training import sft

    real = sft.LeanTrainer._determine_best_metric

    def determine(self: Any, *given: Any, **named: Any) -> bool:
        return self.state.best_global_step is None and real(self, *given, **named)

    patch.setattr(sft.LeanTrainer, "_determine_best_metric", determine)


def decayed_norms(_: Project, patch: Patch) -> None:
    """Have the trainer decay every weight."""
    from transformers import Trainer

    def names(_: Any, model: Any) -> list[str]:
        return [name for name, _ in model.named_parameters()]

    patch.setattr(Trainer, "get_decay_parameter_names", names)


OF_TRAINING: Mapping[str, Fault] = {
    "F1": Fault(
        name="the end of a turn is never learned",
        seeds={
            "template and tokenizer without an end": Seed(prepare=ENDLESS, code="D391"),
            "last learned token masked": in_trainer(labels(masked(-1)), "B424"),
        },
    ),
    "F2": Fault(
        name="the mask is on other tokens than the answers",
        seeds={
            "labels on the end of the prompt": in_trainer(labels(shifted), "B424"),
            "all tokens learned": in_trainer(labels(lambda ids, _: ids), "B424"),
        },
    ),
    "F3": Fault(
        name="the end of some turns is lost",
        seeds={
            "in rows of an even length": in_trainer(
                labels(lambda ids, found: found if len(ids) % 2 else masked(-1)(ids, found)),
                "B424",
            ),
            "the last two learned tokens": in_trainer(labels(masked(-1, -2)), "B424"),
        },
    ),
    "F4": Fault(
        name="the first token of an answer is masked, or labels are off by one",
        seeds={
            "first learned token masked": in_trainer(labels(masked(0)), "B424"),
            "labels one place too late": in_trainer(labels(off_by_one), "B424"),
        },
    ),
    "F5": Fault(
        name="nothing is learned: all labels are ignored",
        seeds={
            "in every row": in_trainer(labels(lambda ids, _: [-100] * len(ids)), "B424"),
            "in rows of an even length": in_trainer(
                labels(lambda ids, found: found if len(ids) % 2 else [-100] * len(ids)), "B424"
            ),
            "in the last rows": in_trainer(trained_rows(late_labels), "B424"),
        },
    ),
    "F6": Fault(
        name="rows are cut behind the checks",
        seeds={
            "to ten tokens": in_trainer(cut_rows(10), "B424"),
            "by their last tokens": in_trainer(cut_rows(40), "B424"),
        },
    ),
    "F7": Fault(
        name="rows are cut or left out for their length",
        seeds={
            "refused": Seed(
                prepare=rows(lambda found: found[0].__setitem__(0, LONG * 3)), code="D390"
            ),
            "left out": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="drop"),
                ),
                "D410",
            ),
            "cut": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="warn"),
                ),
                "D411",
            ),
        },
    ),
    "F8": Fault(
        name="the loss of accumulated batches is scaled wrongly",
        seeds={
            "twice as large": in_first_step(loss(lambda found: found * 2), "B425"),
            "by the number of small batches": in_first_step(
                both(recipe(method__micro_batch_size=2), loss(lambda found: found / 4)), "B425"
            ),
            "parts averaged, not weighted by their tokens": in_first_step(
                both(recipe(method__micro_batch_size=2), averaged), "B425"
            ),
        },
        missed="gradients that are scaled behind the loss",
    ),
    "F9": Fault(
        name="rows of one batch see each other",
        seeds={
            "positions of a shared start": noted(
                batches(lambda batch: batch["position_ids"].zero_()), "batches are plain", "train"
            ),
            "logits of other places": noted(
                batches(lambda batch: batch["logits_to_keep"].sub_(1)), "batches are plain", "train"
            ),
        },
    ),
    "F10": Fault(
        name="the loss is next to nothing from the start",
        seeds={
            "zero": in_first_step(loss(lambda found: found * 0), "B425"),
            "a thousandth": in_first_step(loss(lambda found: found / 1000), "B425"),
        },
    ),
    "F11": Fault(
        name="numbers that are none",
        seeds={
            "NaN in the base model": Seed(prepare=fill(DOWN, float("nan"), (0, 0)), code="X770"),
            "infinity in a row of the embedding": Seed(
                prepare=fill(EMBEDDING, float("inf"), (319, 0)), code="X770"
            ),
            "NaN as a loss": in_first_step(loss(lambda found: found * float("nan")), "B4"),
        },
    ),
    "F13": Fault(
        name="the trainer measured another model than is asked",
        seeds={
            "a hundredth of the validation loss": in_evaluate(validation_loss(0.01), "B430"),
            "a validation loss of nothing": in_evaluate(validation_loss(0.0), "B430"),
            "an adapter that is not applied": in_evaluate(loaded_adapter(0.0), "B451"),
            "an adapter of half its size": in_evaluate(loaded_adapter(0.5), "B451"),
        },
        missed="where the training learned next to nothing; kinds of task without labels",
    ),
    "F56": Fault(
        name="the method in force is not the recipe's",
        seeds={
            "ten times the learning rate": in_trainer(with_arguments(learning_rate=5e-2), "B453"),
            "labels that are smoothed": in_trainer(
                with_arguments(label_smoothing_factor=0.3), "B453"
            ),
            "weights that decay": in_trainer(with_arguments(weight_decay=10.0), "B453"),
            "an adapter of another size": in_trainer(with_adapter(lora_alpha=80), "B453"),
            "an adapter of another rank": in_trainer(with_adapter(r=1), "B453"),
            "an adapter on other modules": in_trainer(
                with_adapter(target_modules=["q_proj"]), "B453"
            ),
            "gradients that are cut to nothing": in_trainer(
                with_arguments(max_grad_norm=1e-6), "B453"
            ),
            "noise on the embeddings": in_trainer(with_arguments(neftune_noise_alpha=50.0), "B453"),
            "a layer that stands still": in_trainer(frozen(".layers.1."), "B453"),
            "another seed": in_trainer(with_arguments(seed=1), "B453"),
            "another draw of rows": in_trainer(with_arguments(data_seed=5), "B453"),
            "rows by their length": in_trainer(
                with_arguments(train_sampling_strategy="group_by_length"), "B453"
            ),
            "a rate that does not fall": in_trainer(
                with_arguments(lr_scheduler_type="constant"), "B453"
            ),
            "a rate that rises for longer": in_trainer(with_arguments(warmup_steps=5), "B453"),
            "a schedule of twice the length": in_trainer(schedule_of(2.0), "B453"),
            "a schedule of half the length": in_trainer(schedule_of(0.5), "B453"),
            "another optimizer": in_trainer(with_arguments(optim="sgd"), "B453"),
            "an optimizer that is made otherwise": in_trainer(optimizer_of("SGD"), "B453"),
            "an optimizer with other momenta": in_trainer(
                optimizer_of("AdamW", betas=(0.0, 0.5)), "B453"
            ),
            "an optimizer that decays weights": in_trainer(
                optimizer_of("AdamW", weight_decay=1.0), "B453"
            ),
            "an optimizer that decays norms": in_trainer(
                both(recipe(**FULL, method__weight_decay=0.1), decayed_norms), "B453"
            ),
            "a validation loss that is asked rarely": in_trainer(
                with_arguments(eval_steps=100), "B453"
            ),
            "the worst checkpoint for the best": Seed(
                prepare=both(recipe(method__keep="best"), with_arguments(greater_is_better=True)),
                code="B453",
                where=AFTER,
                until="train",
            ),
            "the first checkpoint for the best": Seed(
                prepare=both(recipe(method__keep="best"), keeping_the_first),
                code="B453",
                where=AFTER,
                until="train",
            ),
            "a scale by the root of the rank": in_trainer(with_adapter(use_rslora=True), "B453"),
            "ranks of their own for some modules": in_trainer(
                with_adapter(rank_pattern={"q_proj": 1}), "B453"
            ),
            "sizes of their own for some modules": in_trainer(
                with_adapter(alpha_pattern={"q_proj": 99}), "B453"
            ),
            "adapters in some layers alone": in_trainer(
                both(
                    recipe(method__target_modules=["q_proj", "up_proj"]),
                    with_adapter(layers_to_transform=[1]),
                ),
                "B453",
            ),
        },
        missed="gradients that are scaled behind the loss, which AdamW undoes",
    ),
    "F62": Fault(
        name="weights stand still though they get gradients",
        seeds={
            "a rate of nothing within the optimizer": in_first_step(standing_still("lora"), "B458"),
            "one half of each pair": Seed(
                prepare=standing_still("lora_A"), code="B458", where=TRAINING, until="train"
            ),
            "one matrix": in_first_step(standing_still("layers.1.mlp.down_proj.lora_B"), "B458"),
        },
        missed="after the third step, of optimizers of Adam's family other than AdamW; of any others",
    ),
    "F63": Fault(
        name="answers are at other rows than their own",
        seeds={
            "one row too late": moved_answers(lambda rows: [-1, *sorted(rows)[:-1]]),
            "one row too early": moved_answers(lambda rows: [*sorted(rows)[1:], 0]),
            "from the last to the first": moved_answers(lambda rows: sorted(rows)[::-1]),
            "in the order of their lengths": moved_answers(lambda rows: rows),
        },
        missed="where no answer is sure; of kinds of task without labels",
    ),
    "F60": Fault(
        name="rows that judge were learned from",
        seeds={
            "of the validation rows": in_evaluate(learned_rows("validation"), "B432"),
            "of the holdout": in_evaluate(learned_rows("holdout"), "B432"),
        },
        missed="of few rows; of rows divided by time, group or column; of tasks without labels",
    ),
    "F30": Fault(
        name="a scorer that shares starts is wrong",
        seeds={
            "answers do not see their rows": in_scoring(lambda seen: seen.clear()),
            "answers see the beginning of their rows": in_scoring(
                lambda seen: seen.__delitem__(slice(len(seen) // 2, None))
            ),
        },
    ),
}
