"""A row filled into the task of the recipe: its input, its target, and its turns."""
