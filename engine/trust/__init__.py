"""The reach of a recipe beyond its project: where the project ends, and what its user has allowed."""
