"""Child processes: how they are started, limited, interrupted and ended."""
