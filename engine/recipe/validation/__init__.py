"""A recipe against its schema, and what is wrong in plain words."""
