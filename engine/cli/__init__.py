"""The command line: one module a verb, each a translation of arguments into one call."""

from __future__ import annotations
