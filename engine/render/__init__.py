"""How results look: problems, progress, and the report as text, JSON, Markdown and one HTML page.

Pure functions from values to texts; only `progress` writes, and only to the stream it is given.
"""

from __future__ import annotations
