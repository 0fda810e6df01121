"""How models are judged: predictions in; scores with intervals, checks and verdicts out. No torch.

One design for all kinds of tasks: a family (`families`) turns each prediction into row statistics
(`table`), a metric is a function of their sums (`measure`), and intervals and p-values come from
closed forms (`intervals`) or from weighted and swapped sums (`resampling`). `scoring` judges one
model, `paired` the difference of two. All of that needs NumPy and SciPy and is imported where it is
used, so that `plan` starts without them. The interval of F1: of one label Wilson's, in `intervals`; of `macro_f1`
and of grouped rows by resampling, in `resampling`; `scoring.metrics_of` chooses.
"""
