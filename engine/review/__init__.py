"""Two versions of a recipe, compared by what they mean: `recipe diff` and `recipe ci`.

`sides` loads a version from the disk or from a revision of a git repository, `leaves` lays it out by
key, `judge` says what each change does to the evidence, `reruns`, `config` and `costs` what it does
to a run. Light: no network, no machine-learning library.
"""
