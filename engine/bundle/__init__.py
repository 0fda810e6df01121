"""A bundle: recipe, lock, report, model card and row statistics of an accepted run in one signed file, checked offline.

`archive` owns the bytes of the file, `signing` keys, signatures and what is signed, `rows` the statistics that
`recomputed` computes all numbers from; `build` puts a bundle together, `verify` takes it apart.
"""
