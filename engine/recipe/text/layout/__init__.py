"""How a recipe is laid out: its text as a tree that keeps comments, and one way to write it."""
