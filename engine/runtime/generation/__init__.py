"""Answers as text: greedy decoding, free or constrained by a grammar."""
