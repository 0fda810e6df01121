"""Sentence encoders: their folders, the vectors that they make of texts, and classifiers on top of these."""
