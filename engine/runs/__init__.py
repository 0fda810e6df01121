"""What `recipe run`, `challenge` and `compare` do, importable."""
