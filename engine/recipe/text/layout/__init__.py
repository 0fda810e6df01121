"""How a recipe is laid out: its text as a tree that keeps comments, and one way to write it.

`formatted` is what `recipe fmt` writes. It changes where things stand, never what they say.
"""

from __future__ import annotations

from engine.recipe.text.layout.format import formatted

__all__ = ["formatted"]
