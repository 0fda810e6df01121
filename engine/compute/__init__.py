"""Where a recipe runs, which is no part of it: profiles of the machine's owner, and how a batch is divided."""
