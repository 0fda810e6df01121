"""Publishing a run's model: its files, card and evidence, put where people fetch models, and read back."""
