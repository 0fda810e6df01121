"""Ask the advisory database about every pinned package: `uv run just audit`.

Exit code 1 where a version has a known weakness. Where the database cannot be reached (a machine without a network,
an index that is a mirror of files only), it says so and ends with 0: no finding is not the same as none that exists.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PINS = Path(__file__).parent / "pins" / "pyproject.toml"
TOOL = "pip-audit==2.10.1"
SECONDS = 300
PLAIN = re.compile(r"[A-Za-z0-9._-]+==[^ ;@]+")


def main() -> int:
    """Audit the pins."""
    pins = tomllib.loads(PINS.read_text(encoding="utf-8"))["project"]["dependencies"]
    # Of markers only what this Python would install is asked for; a file or an address has no advisory.
    asked = [pin for pin in pins if PLAIN.match(pin)]
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "pins.txt"
        listed.write_text("\n".join(asked) + "\n", encoding="utf-8")
        words = ["uvx", "--quiet", TOOL, "--requirement", str(listed), "--no-deps", "--disable-pip"]
        try:
            done = subprocess.run(
                [*words, "--format", "json", "--progress-spinner", "off"],
                capture_output=True, text=True, check=False, timeout=SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return skipped(str(error))
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return skipped((done.stderr.strip().splitlines() or ["no answer"])[-1])
    known = [one for one in found if "skip_reason" not in one]
    weak = [(one, bug) for one in known for bug in one.get("vulns", [])]
    for one, bug in weak:
        fixed = ", ".join(bug.get("fix_versions", [])) or "no version"
        print(f"{one['name']} {one['version']}: {bug['id']}, fixed in {fixed}")
    if not known:
        return skipped("none of the packages is known to it")
    print(f"{len(known)} of {len(asked)} pinned packages audited, {len(weak)} known weaknesses")
    return int(bool(weak))


def skipped(why: str) -> int:
    """Say that nothing was audited, and why."""
    print(f"not audited: the advisory database cannot be reached ({why[:200]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
