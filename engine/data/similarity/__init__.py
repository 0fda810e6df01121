"""Rows that are equal or nearly equal: duplicates, and leakage between splits."""
