"""Checks of single rows: wrong decoding, invisible characters, personal data, label marks, oddities."""
