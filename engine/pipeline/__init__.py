"""The plan of a run and the loop over its stages; what is refused before it begins; its report."""
