"""The machines that a recipe runs on, which are not part of it: profiles of their owner, and how a batch is divided."""
