"""Classification: exactly one label for each text."""

from engine.kinds.kind import (
    ACCURACY,
    AVERAGES,
    LABEL_METRICS,
    AnswerForm,
    Decoding,
    Draft,
    Kind,
    plain,
)

KIND = Kind(
    name="classification",
    order=1,
    reads=(
        *("task.labels", "task.instruction", "task.system", "task.input", "task.output"),
        *("task.out_of_scope", "data.label", "data.label.bins"),
    ),
    needs=("task.instruction", "task.labels", "data.label"),
    needs_threshold=True,
    row_reader="engine.data.kinds.labels",
    answer=AnswerForm.LABEL,
    decoding=Decoding.LABEL_SCORING,
    metrics=(ACCURACY, *plain("balanced_accuracy"), *AVERAGES, *LABEL_METRICS),
    metric_family="engine.metrics.families.classification",
    primary="macro_f1",
    right_share="accuracy",
    compared_by=("accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc"),
    baselines=("majority", "tfidf_svm", "encoder_linear", "zero_shot", "few_shot"),
    more_baselines=("encoder_tuned", "retrieved_few_shot", "model"),
    card_metric="accuracy",
    card_limit="It always answers with a label when decoding is constrained, also where none fits.",
    hub_tag="text-classification",
    draft=Draft(
        description="Tell the {word} of a text.",
        metric="macro_f1",
        threshold=0.8,
        instruction="Which {word} is it: {labels}?",
        short_instruction="Which {word} is it?",
    ),
)
