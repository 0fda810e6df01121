"""Extraction: a JSON object of a schema for each text."""

from engine.kinds.kind import (
    EXACT_MATCH,
    OF_FIELDS,
    VALID_OUTPUT,
    AnswerForm,
    Decoding,
    Draft,
    Kind,
    MetricSpec,
    plain,
)

KIND = Kind(
    name="extraction",
    order=3,
    reads=(
        *("task.schema", "task.instruction", "task.system", "task.input", "task.max_new_tokens"),
        *("data.answer", "data.answer.fields", "data.answer.spans", "data.answer.tags"),
        "data.answer.missing",
    ),
    needs=("task.instruction", "task.schema", "data.answer"),
    row_reader="engine.data.kinds.extraction",
    answer=AnswerForm.OBJECT,
    decoding=Decoding.GRAMMAR,
    metrics=(
        EXACT_MATCH,
        *plain("field_precision", "field_recall", "field_f1", "macro_field_f1"),
        MetricSpec(name="schema_validity", is_row_share=True),
        MetricSpec(name="type_errors", better="lower", is_row_share=True),
        VALID_OUTPUT,
        *OF_FIELDS,
    ),
    metric_family="engine.metrics.families.extraction",
    primary="field_f1",
    right_share="exact_match",
    compared_by=("exact_match", "field_precision", "field_recall", "field_f1", "macro_field_f1"),
    baselines=("majority", "zero_shot", "few_shot", "retrieved_few_shot"),
    more_baselines=("model",),
    card_metric="exact_match",
    card_limit="It always answers in the schema when decoding is constrained; the values can be wrong.",
    draft=Draft(
        description="Take a text apart into its fields.",
        metric="field_f1",
        threshold=0.7,
        instruction="Take the text apart into its fields: {fields}.",
        short_instruction="Take the text apart into its fields.",
        target="fields",
    ),
)
