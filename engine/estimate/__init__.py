"""Estimates of a run before anything is spent: parameters, tokens, steps, memory, disk, time and cost."""
