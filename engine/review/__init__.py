"""Two versions of a recipe, compared by what they mean: `recipe diff` and `recipe ci`."""
