"""A stage, and the artifact that a finished stage hands to later stages."""
