"""A child of ours: where it works, what it sees and imports, and that it never outlives us."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.process import library_settings
from engine.process import start as processes
from engine.process.child import Child
from engine.process.library_settings import CACHES
from engine.runtime.tool_process import run_tool

FACTS = (
    "import json, os, sys; print(json.dumps({'cwd': os.listdir('.'), 'here': os.getcwd(), "
    "'env': dict(os.environ), 'path': sys.path, 'stdin': sys.stdin.read(), "
    "'safe': sys.flags.safe_path}))"
)
STRANGERS = ("json.py", "numpy.py", "sitecustomize.py", "usercustomize.py", "timeit.py")


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, object]]:
    """What a child finds, started from a folder that a stranger filled."""
    for name in STRANGERS:
        (tmp_path / name).write_text("open('ran', 'w').close()\n", encoding="utf-8")
    (tmp_path / "a.pth").write_text("import json\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def facts() -> dict[str, object]:
        script = tmp_path / "elsewhere" / "facts.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(FACTS, encoding="utf-8")
        found: dict[str, object] = json.loads(processes.answer_of(processes.script(script)))
        return found

    return facts


@pytest.mark.parametrize("value", ["", ".", "pkg", ":", "/nowhere:", ":/nowhere"])
def test_nothing_is_imported_from_the_folder_one_stands_in(
    facts: Callable[[], dict[str, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    monkeypatch.setenv("PYTHONPATH", value)
    monkeypatch.setenv("PYTHONSTARTUP", "json.py")
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])

    found = facts()

    assert not (tmp_path / "ran").exists()
    assert str(tmp_path) not in found["path"]  # type: ignore[operator]
    assert "" not in found["path"]  # type: ignore[operator]
    assert found["safe"] is True


def test_it_works_in_an_empty_folder_and_reads_nothing(
    facts: Callable[[], dict[str, object]], tmp_path: Path
) -> None:
    found = facts()

    assert found["cwd"] == []
    assert not str(found["here"]).startswith(str(tmp_path))
    assert not Path(str(found["here"])).exists()
    assert found["stdin"] == ""


SECRETS = (
    *("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN"),
    *("NVIDIA_API_KEY", "SSL_KEY_PASSWORD", "CUDA_AUTH_TOKEN", "DATABASE_URL", "PYTHONHOME"),
)


def test_it_gets_no_secret_and_no_setting_that_it_does_not_need(
    facts: Callable[[], dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        if name != "PYTHONHOME":
            monkeypatch.setenv(name, "the secret")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    seen = facts()["env"]

    assert isinstance(seen, dict)
    assert "the secret" not in seen.values()
    assert seen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert (seen["HF_HUB_OFFLINE"], seen["USE_HUB_KERNELS"]) == ("1", "NO")


def test_no_room_of_the_engine_can_be_imported_as_a_module_of_its_own() -> None:
    """A child finds the package where it is, not `engine/` itself: its `files` or `data` would hide libraries."""
    found = [folder for folder in processes.search_path() if (Path(folder) / "errors.py").exists()]

    assert found == []
    assert (processes.ROOT / "engine" / "errors.py").is_file()


@pytest.mark.parametrize("name", ["PATH", "LD_LIBRARY_PATH"])
def test_search_paths_keep_their_absolute_parts_only(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f".{os.pathsep}/usr/bin{os.pathsep}{os.pathsep}bin")

    assert processes.environment()[name] == "/usr/bin"


@pytest.mark.parametrize(
    ("running", "given", "expected"),
    [
        ("cpu 1 2\nprocs_running 1\nprocs_blocked 0\n", {}, "3000"),
        ("procs_running 7\n", {}, "1000"),
        ("cpu 1 2\n", {}, "1000"),
        (None, {}, "1000"),
        ("procs_running 1\n", {"GOMP_SPINCOUNT": "7"}, "7"),
        ("procs_running 1\n", {"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_threads_wait_awake_briefly_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    running: str | None,
    given: dict[str, str],
    expected: str | None,
) -> None:
    if running is not None:
        (tmp_path / "stat").write_text(running, encoding="ascii")
    monkeypatch.setattr(library_settings, "STAT", tmp_path / "stat")
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert processes.environment().get("GOMP_SPINCOUNT") == expected

    library_settings.wait_briefly()

    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_caches_are_the_users_own_whatever_the_environment_says(
    facts: Callable[[], dict[str, object]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (*CACHES, "NUMBA_CACHE_LOCATOR_CLASSES"):
        monkeypatch.setenv(name, "relative.Evil")

    seen = facts()["env"]

    assert isinstance(seen, dict)
    for name in CACHES:
        assert seen[name].startswith(str(tmp_path / "cache" / "slm-recipe"))
    assert seen["NUMBA_CACHE_LOCATOR_CLASSES"] == "UserProvidedCacheLocator"


def test_a_module_of_ours_is_found_and_not_the_strangers(
    facts: Callable[[], dict[str, object]], tmp_path: Path
) -> None:
    facts()
    lines: list[str] = []
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("open('ran', 'w')", encoding="utf-8")

    command = processes.module("timeit")("-n1", "-r1", "pass")
    run_tool(command, code="X641", tool="it", on_line=lines.append)

    assert "1 loop" in lines[0]
    assert not (tmp_path / "ran").exists()


NESTED = (
    "import os, subprocess, sys\n"
    "inner = subprocess.Popen([sys.executable, '-P', '-c', 'import time; time.sleep(60)'])\n"
    "print(os.getpid(), inner.pid, flush=True)\n"
    "inner.wait()\n"
)
PARENT = (
    "import subprocess, sys, time\n"
    "from pathlib import Path\n"
    "from engine.process import start as processes\n"
    "child = processes.start(processes.script(Path(sys.argv[1])), folder=Path('/'), "
    "variables=processes.environment(), out=subprocess.PIPE, errors=subprocess.DEVNULL)\n"
    "print(child.number, next(child.lines()), flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whatever_ends_us_ends_children_and_grandchildren(
    tmp_path: Path, root: Path, number: int
) -> None:
    nested = tmp_path / "nested.py"
    nested.write_text(NESTED, encoding="utf-8")
    command = [sys.executable, "-P", "-c", PARENT, str(nested)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    ) as parent:
        assert parent.stdout is not None
        numbers = [int(word) for word in parent.stdout.readline().split()]
        handles = [os.pidfd_open(one) for one in numbers]
        parent.send_signal(number)

    assert len(numbers) == 3
    for handle in handles:
        _await_end(handle)


def test_leaving_a_child_early_ends_its_whole_group(tmp_path: Path) -> None:
    nested = tmp_path / "nested.py"
    nested.write_text(NESTED, encoding="utf-8")
    with processes.start(
        processes.script(nested),
        folder=tmp_path,
        variables=processes.environment(),
        out=subprocess.PIPE,
        errors=subprocess.DEVNULL,
    ) as child:
        handles = [os.pidfd_open(int(word)) for word in next(child.lines()).split()]

    for handle in handles:
        _await_end(handle)


def test_a_child_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(1, flush=True)\ntime.sleep(60)\n",
        encoding="utf-8",
    )
    with processes.start(
        processes.script(stubborn),
        folder=tmp_path,
        variables=processes.environment(),
        out=subprocess.PIPE,
        errors=subprocess.DEVNULL,
    ) as child:
        next(child.lines())

        assert child.stop(grace=0.1) == -signal.SIGKILL


def test_a_program_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no answer"):
        processes.answer_of(processes.program(tmp_path / "absent"))


def _await_end(handle: int) -> None:
    """Return when the process behind a descriptor has ended, which the kernel tells."""
    ready, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    assert ready


HANGS = "import sys, time\nprint('begun', flush=True)\ntime.sleep(60)\n"
WORKS = "import time\nends = time.process_time() + 0.6\nwhile time.process_time() < ends: pass\nprint('done')\n"


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_helper_that_neither_writes_nor_computes_is_ended_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Child.lines, "__kwdefaults__", {"idle": 0.2})
    for name, text in (("hangs", HANGS), ("works", WORKS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    lines: list[str] = []

    command = processes.script(tmp_path / "works.py")
    run_tool(command, code="X641", tool="it", on_line=lines.append)
    command = processes.script(tmp_path / "hangs.py")
    with pytest.raises(StageError) as caught:
        run_tool(command, code="X641", tool="it", on_line=lines.append)

    assert lines == ["done", "begun"]
    assert caught.value.problems[0].code == "X800"
    assert "did nothing for" in str(caught.value)
