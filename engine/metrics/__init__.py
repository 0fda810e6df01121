"""How models are judged: predictions in; scores with intervals, checks and verdicts out. No torch.

A family (`families`) turns each prediction into row statistics (`table`), a metric is a function of their sums, and
intervals and p-values come from closed forms (`intervals`) or from weighted and swapped sums (`resampling`). All that
needs NumPy and SciPy and is imported where it is used, so that `plan` starts without them.
"""
