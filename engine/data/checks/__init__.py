"""Checks of rows: those of single rows in `rows`, those that compare rows here: `all_rows` drops exact duplicates."""
