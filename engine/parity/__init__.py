"""Whether the merged, converted and quantized forms of a model still answer as the tuned one does."""
