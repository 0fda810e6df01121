"""A recipe from the config of another tool: every key is taken, or named with why it is not."""

from __future__ import annotations

from engine.drafting.imported.build import Imported, imported
from engine.drafting.imported.configs import read_config

__all__ = ["Imported", "imported", "read_config"]
