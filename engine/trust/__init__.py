"""What a recipe may reach beyond its project: where the project ends, and what its user has allowed."""
