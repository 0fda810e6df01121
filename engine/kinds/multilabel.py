"""Multilabel: any number of labels for each text."""

from engine.kinds.kind import (
    ACCURACY,
    AVERAGES,
    LABEL_METRICS,
    AnswerForm,
    Decoding,
    Draft,
    Kind,
    MetricSpec,
)

KIND = Kind(
    name="multilabel",
    order=2,
    reads=(
        *("task.labels", "task.instruction", "task.system", "task.input", "task.output"),
        *("task.max_new_tokens", "data.label", "data.label.separator"),
        "data.label.missing",
    ),
    needs=("task.instruction", "task.labels", "data.label"),
    row_reader="engine.data.kinds.labels",
    answer=AnswerForm.LABELS,
    decoding=Decoding.GRAMMAR,
    metrics=(ACCURACY, *AVERAGES, MetricSpec(name="hamming_loss", better="lower"), *LABEL_METRICS),
    metric_family="engine.metrics.families.multilabel",
    primary="macro_f1",
    right_share="accuracy",
    compared_by=("accuracy", "macro_f1", "micro_f1", "weighted_f1", "hamming_loss"),
    baselines=("majority", "tfidf_svm", "encoder_linear", "zero_shot", "few_shot"),
    more_baselines=("encoder_tuned", "retrieved_few_shot", "model"),
    card_metric="accuracy",
    card_limit="It always answers with labels of this list when decoding is constrained.",
    hub_tag="text-classification",
    draft=Draft(
        description="Tell the {word} of a text.",
        metric="micro_f1",
        threshold=0.6,
        instruction="Which of these {word} apply: {labels}?",
        short_instruction="Which {word} apply?",
    ),
)
