"""Pages of checks over all rows and of dividing them: D314 to D319, D360 to D363."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D314": Code(
        title="every answer fits the task's schema",
        why="A model learns the mistakes of its answers too, and an answer that breaks the schema"
        " can never be judged right.",
        fix="Correct the rows, or write `data.checks.schema_violations: drop`.",
    ),
    "D315": Code(
        title="no row is nearly the same as another",
        why="Rows that differ in a word or two weigh more in training than they say, and spread"
        " over the splits they make memory look like skill.",
        fix="Write `data.checks.near_duplicates: drop` to keep one of each, or `warn` where the"
        " rows are honestly alike.",
    ),
    "D316": Code(
        title="no label is contradicted by models that have not seen it",
        why="Wrong labels teach the wrong thing, and in the holdout they cap every score.",
        fix="Look at the rows that are listed; correct them, or write"
        " `data.checks.label_errors: drop`. A guess: expect some of them to be right.",
    ),
    "D317": Code(
        title="the column of the splits names splits",
        why="A row of which nobody can say where it belongs must not be guessed into the holdout.",
        fix="Write train, validation (also dev, val, valid) or holdout (also test) in that column.",
    ),
    "D318": Code(
        title="the column of the time holds times",
        why="Without a time a row can be neither before nor after the holdout.",
        fix="Write ISO 8601, such as 2026-01-31T12:00:00Z, or seconds since 1970. Times without a"
        " zone are taken as UTC.",
    ),
    "D319": Code(
        title="every row has a value in the column of the splits",
        why="Rows without a group would all be one group, and could tear a real one.",
        fix="Fill the column, or take the rows out.",
    ),
    "D360": Code(
        title="files or a column give rows to every split that the recipe asks for",
        why="Without a holdout nothing can be judged; without validation nothing can steer.",
        fix="Give a source `into: holdout`, or name such rows in the column. For validation, write"
        " `validation: 0`, or a number: so many are then drawn from the training rows.",
    ),
    "D361": Code(
        title="the holdout has more than one class",
        why="With one class everywhere, a model that always says that class is never wrong. Test"
        " files of competitions often carry such placeholder labels.",
        fix="Use a file with the true labels as the holdout, or draw one from the labelled rows.",
    ),
    "D362": Code(
        title="every class has at least as many rows as there are folds",
        why="Each fold must judge every class, and each training must have seen it.",
        fix="Add rows of that class, or lower `splits.folds`. The message says how many there are.",
    ),
    "D363": Code(
        title="there are at least as many groups, or texts, as folds",
        why="A fold without rows judges nothing, and a group is never torn.",
        fix="Lower `splits.folds`, or use a column with more groups.",
    ),
}
