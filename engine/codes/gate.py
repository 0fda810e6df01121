"""Pages of G5xx: verdicts of the gates, and what keeps a baseline from being measured."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "G501": Code(
        title="a metric does not keep its threshold",
        why="The measured value is on the wrong side of the bound that `acceptance.metrics` or "
        "`export.after_quantization` sets. Nothing is merged or exported.",
        fix="look at the confusion matrix in the report for what is mixed up; better or more "
        "training rows help more often than other settings",
    ),
    "G502": Code(
        title="the holdout is too small to decide",
        why="The value keeps the bound and the end of its interval does not: a model worse than "
        "the bound could have scored the same by luck. What is not shown to be good does not pass.",
        fix="enlarge splits.holdout; the check says about how many rows would decide",
    ),
    "G503": Code(
        title="a metric could not be computed",
        why="A class without rows, a label that was never predicted, or no rows at all. A number "
        "that is not there never passes.",
        fix="see the reason beside the check; usually the holdout needs rows of that class",
    ),
    "G504": Code(
        title="the gain over the best baseline is too small",
        why="A model that hardly beats something cheaper is not worth its upkeep. The gain is "
        "measured on the same rows, against the baseline that is best on that metric.",
        fix="ship the baseline, or lower acceptance.over_baselines.<metric>.min_gain",
    ),
    "G505": Code(
        title="the model is overfitted",
        why="It answers the rows it was trained on much better than the validation rows: it has "
        "learned them by heart.",
        fix="fewer epochs, a lower rank or learning rate, more dropout, or more training rows",
    ),
    "G506": Code(
        title="quantization cost too much",
        why="The quantized file is what people run. It lost more of a metric than `max_drop`, or "
        "answers too many rows otherwise than the merged model.",
        fix="set export.quantization to one with more bits, such as Q8_0",
    ),
    "G507": Code(
        title="a baseline already keeps every threshold",
        why="With `stop_if_baseline_passes: true` the run ends before training: something cheaper "
        "is good enough.",
        fix="ship that baseline, raise the thresholds, or set stop_if_baseline_passes: false",
    ),
    "G508": Code(
        title="too few rows of a class to decide",
        why="A bound on one class or field stands on its own rows. With fewer than 30 of them its "
        "interval is wider than 0.2 over most of its range, so that such a bound is never kept for "
        "sure, whatever `decide_on` says. A value below the bound still fails.",
        fix="enlarge splits.holdout; the check says about how many rows bring the class to 30. Or "
        "bound a macro average instead",
    ),
    "G509": Code(
        title="the last accepted model is better, or cannot be compared",
        why="`acceptance.over_previous` compares with the last accepted model of the recipe, row by "
        "row. The new one lost more than `max_drop`, or it is not sure that it did not; or that "
        "model was judged on another holdout, or neither the store nor the lock tells its answers.",
        fix="keep the last accepted model; with another holdout, take over_previous out until a "
        "model has been accepted on it",
    ),
    "G510": Code(
        title="the TF-IDF baseline cannot learn from the training rows",
        why="It needs at least two labels and texts that hold some characters.",
        fix="remove tfidf_svm from `baselines`, or look at the training rows",
    ),
    "G520": Code(
        title="training unlearned too much",
        why="The probes have nothing to do with the task, and the tuned model answers fewer of them "
        "than the base model by more than `acceptance.forgetting.max_drop`, or the probes are too "
        "few to exclude that. A model that paid for its task with its language fails on inputs "
        "that are a little unlike the training rows.",
        fix="lower method.learning_rate or method.epochs; the report says which probes were lost",
    ),
}
