"""What `recipe run`, `challenge` and `compare` do, importable, and finding the runs and models that they left."""
