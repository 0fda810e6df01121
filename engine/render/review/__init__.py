"""A review of two versions of a recipe: on the terminal, as Markdown for a pull request, as JSON."""
