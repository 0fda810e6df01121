"""Rows in, examples out: reading, labelling, checking and splitting."""
