"""What is asked: the recipe's text, its rules, and the recipe as a value.

Pure: reads recipe files, never the data, the network or the machine-learning stack.
"""

from engine.recipe.resolve import check_recipe, load_recipe
from engine.recipe.rules.places import moving_references
from engine.recipe.text.dump import dump_resolved, resolved_mapping

__all__ = ["check_recipe", "dump_resolved", "load_recipe", "moving_references", "resolved_mapping"]
