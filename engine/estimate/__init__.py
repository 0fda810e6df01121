"""What a run will take, before anything is spent: parameters, tokens, steps, memory, disk, time and cost."""
