"""Write `.ci/pins/pyproject.toml`: the exact version of every package that uv installs here, and `.ci/action.txt`.

    python .ci/pins.py              after a dependency was added, removed or bounded: the others stay as they are
    python .ci/pins.py --upgrade    take the newest versions that fit

`.ci/action.txt` holds what the action of `action.yml` installs, each with the sha256 of its files: pip refuses others.
uv.lock is not committed, since it names the index that it was made with. `docs/decisions/0008-pins.md`
says why the list is a package of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / ".ci" / "pins" / "pyproject.toml"
HEAD = """\
# Written by `python .ci/pins.py`: the exact version of every package that uv installs in this repository.
[project]
name = "slm-recipe-pins"
version = "0"
requires-python = ">=3.12"
"""
TAIL = """
[tool.uv]
package = false
"""
# Ray's tests take longer than all others of several machines; they run where somebody has installed it.
EXPORT = (
    "export", "--all-extras", "--no-extra", "ray", "--all-groups", "--no-hashes", "--no-annotate", "--no-header",
    "--no-emit-project", "--no-emit-package", "slm-recipe-pins",
)  # fmt: skip


ACTION = ROOT / ".ci" / "action.txt"
COMPILE = (
    "pip", "compile", "-", "--universal", "--python-version", "3.12", "--generate-hashes",
    "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet",
)  # fmt: skip


def main() -> int:
    """Lock, and write the versions of the lock."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = parser.parse_args().upgrade
    before = PINS.read_text(encoding="utf-8") if PINS.exists() else page([])
    if upgrade or not PINS.exists():
        PINS.parent.mkdir(exist_ok=True)
        PINS.write_text(page([]), encoding="utf-8")
    try:
        uv("lock", *(["--upgrade"] if upgrade else []))
        pins = page(uv(*EXPORT).splitlines())
    except subprocess.CalledProcessError as error:
        PINS.write_text(before, encoding="utf-8")
        return int(error.returncode)
    PINS.write_text(pins, encoding="utf-8")
    uv("lock")
    ACTION.write_text(hashed(pins), encoding="utf-8")
    return 0


def hashed(pins: str) -> str:
    """Return what the base install and its build need, in the pinned versions, with digests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "versions.txt"
        versions.write_text(
            "\n".join(tomllib.loads(pins)["project"]["dependencies"]), encoding="utf-8"
        )
        found = uv(*COMPILE, "--constraint", str(versions), given="\n".join(wanted))
    return f"# Written by `python .ci/pins.py`: what the action installs.\n{found}"


def page(pins: list[str]) -> str:
    """Return the list as a project that holds nothing but dependencies."""
    lines = "".join(f'  "{pin.strip()}",\n' for pin in pins)
    return f"{HEAD}dependencies = [\n{lines}]\n{TAIL}"


def uv(*words: str, given: str = "") -> str:
    """Run uv at the root, which reads `given`; its standard output."""
    done = subprocess.run(
        ["uv", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, input=given
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
