"""How a recipe is laid out: its text as a tree that keeps comments, and one way to write it.

`format.formatted` is what `recipe fmt` writes. It changes where things stand, never what they say.
"""
