from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_layers_hold(root: Path) -> None:
    """The order of `engine.*` in pyproject.toml, and no machine learning in the light half."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout
    assert "kept" in result.stdout
