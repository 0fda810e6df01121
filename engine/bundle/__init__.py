"""A bundle: recipe, lock, report and model card of an accepted run in one file, signed, to be checked offline.

`archive` owns the bytes of the file, `signing` keys and signatures, `statement` what is signed, `build`
puts a bundle together, `verify` takes it apart. Light: no model is loaded.
"""

from __future__ import annotations
