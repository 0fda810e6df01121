"""What a recipe may reach beyond its project: where the project ends, and what its user has allowed.

A recipe may have come from a stranger, so nothing in its folder counts as consent: the user's word stands in the user's
own folders, or on the command line.
"""
