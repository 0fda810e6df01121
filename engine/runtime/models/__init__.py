"""Model folders: base model, weights, tokenizer, adapters, merging and its audit."""
