"""Train once, for the final model and for each variant: seeds, sweep settings, curve points."""
