"""A first recipe from a data file: how the file is read, what its columns are, what that makes of the task.

Every choice is a guess with its reason, shown to the person, and can be overridden; the draft is checked
as any recipe is, and its rows are divided once, before it is written.
"""

from engine.drafting.draft import draft
from engine.drafting.guess import DraftOptions

__all__ = ["DraftOptions", "draft"]
