"""Rows in, examples out: reading, labelling, checking and splitting. No model, no tokens.

Duplicate rows are dropped in `checks/all_rows.py`; rows that leak from one split into another in `similarity/`.
"""
