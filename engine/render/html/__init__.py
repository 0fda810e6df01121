"""The writer of one self-contained HTML page."""
