"""Models that answer the holdout without the recipe's training; used by the stage `baseline`."""
