"""Running models: the only folder that imports torch and what builds on it at the top."""
