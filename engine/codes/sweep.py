"""Codes of sweeps (R282 to R287, R289)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R282": Code(
        title="a sweep without validation rows",
        why="The best setting is chosen on the validation rows. Chosen on the holdout, it would be the "
        "one that fits those rows best, and its score there would say nothing of other rows.",
        fix="set splits.validation to 40 rows or more; 100 tell settings apart that differ by much",
    ),
    "R283": Code(
        title="a sweep with folds",
        why="With folds every row is judged once. The validation rows that chose the setting would "
        "stand among them, so that the score would be too good.",
        fix="sweep with a holdout, write the winner into `method`, then cross-validate that",
    ),
    "R284": Code(
        title="a sweep with one setting",
        why="There is nothing to choose from, and the setting stands in two places.",
        fix="write it into `method` and delete `sweep`, or add another setting",
    ),
    "R285": Code(
        title="the same setting twice in a sweep",
        why="Both would be trained, and one of them would lose to itself. Keys that are not written "
        "have their defaults: rank 8 with alpha 16 is rank 8.",
        fix="delete one of the two",
    ),
    "R286": Code(
        title="a sweep with many settings",
        why="Each is a training, and the best of many on a hundred rows is to a good part the "
        "luckiest. The holdout then says how good it is, but it may well not be the best.",
        fix="try fewer values, or sweep coarsely first and finely around the winner",
    ),
    "R287": Code(
        title="a sweep with too many settings",
        why="A grid grows with every key: four values of four keys are 256 trainings.",
        fix="try fewer values, or write the settings that you believe in as `sweep: {list: [...]}`",
    ),
    "R289": Code(
        title="a sweep of the length of blocks",
        why="A document is trained on and judged in blocks of `max_length` tokens. Longer blocks give every "
        "token more to go by, so that the perplexity falls without a better model, and the base model was "
        "judged with the length that stands in `method`.",
        fix="choose `method.max_length` by what the model is for, and sweep other keys",
    ),
}
