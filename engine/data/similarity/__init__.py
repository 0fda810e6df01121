"""Rows that are nearly equal, and leakage between splits. Exact duplicates: `engine.data.checks.all_rows`."""
