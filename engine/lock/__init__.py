"""The lock file: the draw of the holdout, the accepted run, and whether a later run reproduces it."""
