"""Two versions of a recipe, compared by what they mean: `recipe diff` and `recipe ci`.

`version` loads a version from the disk or from a revision of a git repository, `flatten` lays it out by
key, `findings` lists what each change does to the evidence, `reruns` and `costs` what it does to a run.
Light: no network, no machine-learning library.
"""
