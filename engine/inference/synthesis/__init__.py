"""Asking a model for training rows: what each request says, and the answers to what it wrote."""
