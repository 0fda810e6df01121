"""Compiled loops keep their cache, which is unpickled, in the user's own folder, whatever a project says."""

import os
import subprocess
import sys
from pathlib import Path

RUN = (
    "import numpy as np\n"
    "from engine.runtime.text.near import compiled, _numba\n"
    "from engine.runtime.text.near import room\n"
    "print(room(np.array([0, 9, 12], np.int64)), _numba.config.CACHE_DIR, _numba.config.DISABLE_JIT)\n"
)


def test_a_projects_settings_of_numba_are_not_read(tmp_path: Path, root: Path) -> None:
    project, cache = tmp_path / "project", tmp_path / "cache"
    project.mkdir()
    settings = "cache_dir: stranger\ndisable_jit: 1\ncache_locator_classes: evil.Locator\n"
    (project / ".numba_config.yaml").write_text(settings, encoding="utf-8")
    (project / "evil.py").write_text("open('ran', 'w')", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN],
        cwd=project,
        env={
            **{name: value for name, value in os.environ.items() if "NUMBA" not in name},
            "PYTHONPATH": str(root),
            "XDG_CACHE_HOME": str(cache),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["9", str(cache / "slm-recipe" / "numba"), "0"]
    assert {path.name for path in project.iterdir()} == {".numba_config.yaml", "evil.py"}
    assert list((cache / "slm-recipe" / "numba").rglob("*.nbi"))
