"""Generation: a text for each text, with one or more right answers."""

from engine.kinds.kind import (
    EXACT_MATCH,
    VALID_OUTPUT,
    AnswerForm,
    Decoding,
    Draft,
    Kind,
    MetricSpec,
    plain,
)

KIND = Kind(
    name="generation",
    order=4,
    reads=(
        *("task.instruction", "task.system", "task.input", "task.answer_pattern"),
        *("task.max_new_tokens", "data.answer", "data.answer.references"),
    ),
    formats=("alpaca", "prompt_completion", "openai_messages", "sharegpt"),
    columns_key="answer",
    row_reader="engine.data.kinds.generation",
    answer=AnswerForm.TEXT,
    decoding=Decoding.FREE,
    metrics=(
        EXACT_MATCH,
        MetricSpec(name="normalised_match", is_row_share=True),
        MetricSpec(name="answer_match", is_row_share=True),
        MetricSpec(name="numeric_match", is_row_share=True),
        *plain("rouge_1", "rouge_2", "rouge_l", "chrf", "bleu"),
        VALID_OUTPUT,
    ),
    metric_family="engine.metrics.families.generation",
    metric_packages=("rouge-score", "sacrebleu"),
    primary="rouge_l",
    primary_with_pattern="answer_match",
    right_share="exact_match",
    compared_by=("exact_match", "normalised_match", "answer_match", "rouge_l", "chrf", "bleu"),
    baselines=("majority", "zero_shot", "few_shot", "retrieved_few_shot"),
    more_baselines=("model",),
    judged_by="free decoding",
    card_metric="exact_match",
    draft=Draft(
        description="Answer as the examples do.", metric="rouge_l", threshold=0.3, target="answer"
    ),
)
