"""Every system call of a whole run of a stranger's recipe: no file outside, no other host, no program of others."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.process.confine import available
from support.paths import ROOT
from support.traced import SECRETS, STRACE, Traced, traced_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available().landlock, reason="no Landlock here"),
    pytest.mark.skipif(not STRACE, reason="strace is not installed"),
]
SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/opt",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/run",
)
OURS = {"git", "ldconfig"}
"""Programs besides Python that a run may start: the second one tells Python where libraries of the system are."""


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    # Not in the shared memory, where a run may read and write.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        try:
            subprocess.run([STRACE, "-o", "/dev/null", "true"], check=True, capture_output=True)
        except subprocess.CalledProcessError:
            pytest.skip("strace may not trace here")
        yield traced_run(Path(name).resolve())


def test_the_run_did_its_work(traced: Traced) -> None:
    assert traced.code == 0, traced.output
    assert traced.fetched
    assert traced.asked > 0


def test_no_file_outside_is_read(traced: Traced) -> None:
    places = (*SYSTEM, *sys.path, sys.prefix, sys.base_prefix, "socket:", "pipe:", "anon_inode:")
    allowed = (traced.home / "project", traced.home / "temporary", *_own(traced))

    outside = {
        path
        for path in traced.read
        if not path.startswith(tuple(filter(None, places)))
        and not any(Path(path).is_relative_to(one) for one in allowed)
    }

    # What fetches asks the user's own file for the key of an index.
    assert outside <= {"/", *(str(traced.home / one) for one in (".cache", ".netrc"))}
    assert not {str(traced.home / name) for name in SECRETS} & (traced.read | traced.written)


def test_nothing_outside_is_written(traced: Traced) -> None:
    allowed = (traced.home / "project", traced.home / "temporary", *_own(traced))

    outside = {
        path
        for path in traced.written
        if not path.startswith(("/dev/", "/proc/"))
        # What Python compiled of the engine before the verb gave its rights up.
        and not (path.startswith(str(ROOT)) and "/__pycache__/" in path)
        and not any(Path(path).is_relative_to(one) for one in allowed)
    }

    assert outside == set()


def test_no_host_is_asked_but_those_that_the_recipe_names(traced: Traced) -> None:
    # urllib3 finds out at its import whether a socket of IPv6 can be opened.
    assert traced.spoke_to <= traced.allowed | {("::1", 0)}


def test_no_program_is_started_but_ours_and_gits(traced: Traced) -> None:
    names = {Path(path).name for path in traced.started}

    assert {name for name in names if not name.startswith("python")} <= OURS


def _own(traced: Traced) -> tuple[Path, ...]:
    """The folders that the engine and the hub's library have in a home."""
    cached = ("slm-recipe", "slm-recipe-packages", "slm-recipe-bytecode", "huggingface")
    caches = [f".cache/{one}" for one in cached]
    places = (*caches, ".config/slm-recipe", ".local/state/slm-recipe")
    return tuple(traced.home / one for one in places)
