"""Running models: the only folder that imports torch and its kin at the top."""
