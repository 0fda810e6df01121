"""Preference: chosen and rejected answers, or answers with a thumb; judged by which one the model prefers."""

from engine.kinds.kind import AnswerForm, Decoding, Draft, Kind, MetricSpec, Turns

KIND = Kind(
    name="preference",
    order=7,
    reads=("task.system", "data.pair"),
    formats=("dpo", "kto"),
    columns_key="pair",
    row_reader="engine.data.kinds.preference",
    turns=Turns.PREFERENCE,
    # An answer to the same prompt, written the same way in two splits, would be leakage.
    group="prompt",
    answer=AnswerForm.TEXT,
    decoding=Decoding.LIKELIHOOD,
    metrics=(
        MetricSpec(name="preference_accuracy", is_row_share=True),
        MetricSpec(name="preference_margin", unit="nats"),
        MetricSpec(name="accuracy_chosen_longer"),
        MetricSpec(name="accuracy_chosen_shorter"),
        MetricSpec(name="chosen_log_probability", unit="nats a token"),
    ),
    metric_family="engine.metrics.families.preference",
    primary="preference_accuracy",
    right_share="preference_accuracy",
    compared_by=("preference_accuracy",),
    baselines=("longer_answer", "untouched"),
    judged_by="which of two answers got likelier",
    card_metric="preference_margin",
    draft=Draft(
        description="Prefer the answers that people chose.",
        metric="preference_accuracy",
        threshold=0.6,
    ),
)
