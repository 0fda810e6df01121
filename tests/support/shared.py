"""What all workers of one test run share: made by the first that needs it, copied or only read by the others."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

VARIABLE = "RECIPE_TESTS_SHARED"
ROOM = 2 << 30


def open_shared_folder() -> None:
    """Make the folder of this run, with a user's settings and state; workers find it in their environment.

    Tests keep recipes, models and data in different temporary folders, and some read the shared data sets: this user
    says that all of the machine is one project. What guards projects is tested by users who say no such thing. No
    test writes the key of the developer's own stores.
    """
    if VARIABLE in os.environ:
        return
    in_memory = _in_memory()
    folder = Path(tempfile.mkdtemp(prefix="recipe-tests-", dir=in_memory))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if in_memory and "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = in_memory  # where pytest makes `tmp_path`
    settings = folder / "config" / "slm-recipe" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("projects: [/]\n", encoding="utf-8")
    os.environ[VARIABLE] = str(folder)
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    os.environ["XDG_STATE_HOME"] = str(folder / "state")


def _in_memory() -> str | None:
    """Return a folder in memory, if one has room: tests make and remove 50,000 folders, and disks are slow at that."""
    folder = "/dev/shm"  # noqa: S108 - what is made in it has a random name
    has_room = Path(folder).is_dir() and shutil.disk_usage(folder).free > ROOM
    return folder if has_room else None


def made_once(name: str, build: Callable[[Path], object]) -> Path:
    """Return a folder that `build` has filled, in this worker or in another; nobody may change it."""
    root = Path(os.environ[VARIABLE])
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            made.touch()
    return folder
