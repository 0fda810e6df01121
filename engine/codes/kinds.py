"""R24x: what each kind of task needs. D35x: rows that are not what their kind needs."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R240": Code(
        title="a key that this kind of task needs",
        why="Classification and multilabel need an instruction, labels and data.label; extraction "
        "needs an instruction, a schema and data.answer. Nothing can stand in for them.",
        fix="Add the key; `recipe schema KEY` shows an example.",
    ),
    "R241": Code(
        title="a key that means nothing to this kind of task",
        why="It would be ignored, and a reader of the recipe would believe that it does something.",
        fix="Delete the key, or correct task.kind.",
    ),
    "R242": Code(
        title="an answer that comes from nowhere, or from two places",
        why="Two ways can disagree, row by row, and nothing says which one is right.",
        fix="Keep exactly one of column, fields, spans and tags under data.answer; generation "
        "knows column and references.",
    ),
    "R243": Code(
        title="a shape that does not go with the kind or with other keys",
        why="Generation reads alpaca, prompt_completion, openai_messages and sharegpt; chat reads "
        "the same; preference reads dpo and kto. A shape says where everything stands, so no "
        "other key can say it too.",
        fix="Correct data.shape, or delete it and name the columns.",
    ),
    "R244": Code(
        title="a label that cannot stand among several",
        why="An answer joins its labels with commas, and is `none` when there is no label.",
        fix="Rename the label; data.label.relabel leads the data's value to the new name.",
    ),
    "R245": Code(
        title="a schema that answers cannot be checked against",
        why="Every answer is checked against task.schema. It must be a JSON Schema of draft "
        "2020-12 for an object, with nothing outside the recipe.",
        fix="Correct it at the place named; move shared parts to $defs and refer to them as "
        '"#/$defs/NAME".',
    ),
    "R246": Code(
        title="nothing must hold",
        why="Without a bound every classifier would be accepted.",
        fix="Name at least one metric: acceptance: {metrics: {macro_f1: {min: 0.8}}}",
    ),
    "R247": Code(
        title="a bound on a kind of task that is not measured yet",
        why="For preference pairs there are no metrics yet, and a bound that nothing measures "
        "would hold nothing.",
        fix="Delete the bound.",
    ),
    "R248": Code(
        title="a field of the answer that the schema does not allow",
        why="With additionalProperties: false every row would violate the schema.",
        fix="Add the field to task.schema.properties, or correct its name.",
    ),
    "R249": Code(
        title="a kind of task that cannot be run to the end yet",
        why="Preference pairs are not evaluated yet. Training a model that nothing can judge "
        "would spend hours and prove nothing.",
        fix="`recipe data RECIPE` and `recipe run --until data RECIPE` work for every kind.",
    ),
    "R274": Code(
        title="a baseline that cannot answer this kind of task",
        why="A linear SVM says labels, and nothing but a language model has a perplexity: on "
        "another kind of task the baseline would have nothing to say.",
        fix="Take it out of `baselines`, or leave `baselines` out for those of the kind.",
    ),
    "R275": Code(
        title="two baselines of one name",
        why="Reports and stored answers are told apart by the baseline's name.",
        fix="Give each model a name of its own.",
    ),
    "R276": Code(
        title="an answer pattern that cannot be used",
        why="`task.answer_pattern` is a regular expression. Its group, or the whole match where it "
        "has none, is the answer that is compared.",
        fix='Correct it, with at most one group: "#### (-?[0-9.,]+)"',
    ),
    "D350": Code(
        title="the rows have a shape that the kind of task can read",
        why="The first row has the columns of none of the shapes that fit, and the recipe does not "
        "say which columns hold what. Guessing could train on the wrong column.",
        fix="Name the columns: data.answer for generation, data.messages for chat, data.pair for "
        "preference. Or correct task.kind.",
    ),
}
