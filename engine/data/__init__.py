"""Rows in, examples out: reading, labelling, checking and splitting. No model, no tokens."""
