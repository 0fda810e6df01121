"""How models are judged: predictions in; scores with intervals, checks and verdicts out. No torch.

Needs NumPy; only `predictions` and `intervals` do without.
"""
