"""Programs that an exported baseline carries: `predict.py`, and its `classifier.py` by kind of baseline.

They run in a folder of their own where this package is not installed, so they import none of it; `classifier` and
`encoder` are the names of their neighbours there.
"""
