"""Folders that tests read, so that a test may move without counting its parents."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
"""The repository."""
EXAMPLES = TESTS / "examples"
GOLDEN = TESTS / "golden"
SHARED_DATA = ROOT.parent / "shared" / "data"
"""Real data sets for development; tests that need them are skipped where they are absent."""
