"""What a stage is, and what a finished stage left for the stages after it."""
