"""Codes of learning curves and folds (R270 on)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R270": Code(
        title="a learning curve without validation rows",
        why="The models of a learning curve are compared on the validation rows. The holdout is "
        "kept for the one decision it is there for: a curve drawn on it would wear it out.",
        fix="set splits.validation to 40 rows or more, or set learning_curve: false",
    ),
    "R271": Code(
        title="two folds leave the second training no validation rows",
        why="Validation rows are taken from the folds that are not judged. With two folds the "
        "second model's would all stand in the fold that it is judged on, so that it could neither "
        "stop early nor keep its best checkpoint as the first does.",
        fix="set splits.folds to 3 or more (5 is usual), or set splits.validation: 0",
    ),
    "R272": Code(
        title="a stage that this recipe does not have",
        why="`resample` trains the models of learning curves and folds; a recipe that asks for "
        "neither has no such stage.",
        fix="set learning_curve: true or splits.folds, or name another stage",
    ),
    "R273": Code(
        title="the first seed among the further ones",
        why="The model of `method.seed` is trained and judged anyway; trained twice it would only make the"
        " noise look smaller than it is.",
        fix="name another seed in `method.seeds`, or change `method.seed`",
    ),
}
