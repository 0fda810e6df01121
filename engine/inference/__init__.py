"""A model evaluated on the rows of a split: the tuned model, its files and the baselines, with predictions cached."""
