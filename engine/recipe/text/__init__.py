"""A recipe as text: strict YAML with positions, parents and patterns in it, its layout, and how it is written."""
