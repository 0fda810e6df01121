"""How models are judged: predictions in; scores with intervals, checks and verdicts out. No torch.

Counting and closed forms are plain Python. Resampling (`resampling`, `tally`, `paired`) needs NumPy
and is imported where it is used, so that `plan` starts without it.
"""
