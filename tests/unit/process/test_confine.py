"""What a confined child can still do, tried by the child itself; and the rights that a thread passes on."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.process import policies
from engine.process.confine import Available, Rights, available
from engine.process.policies import FILE, PROCESSES, rights_of
from engine.process.start import module, program, script
from engine.runtime.tool_process import run_tool
from support.paths import ROOT
from support.shared import made_once

needs_landlock = pytest.mark.skipif(not available().landlock, reason="no Landlock here")

TRIALS = """\
import ctypes, json, os, resource, signal, socket, subprocess, sys
home, given, target = sys.argv[1:]


def tried(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "done"

def text(path):
    with open(path) as stream:
        return stream.read()

def written(path):
    with open(path, "w") as stream:
        stream.write("x")

print(json.dumps({
    "reads what it is given": tried(lambda: text(given)),
    "reads the home folder": tried(lambda: text(home + "/secret")),
    "lists the home folder": tried(lambda: os.listdir(home)),
    "reads accounts": tried(lambda: text("/etc/passwd")),
    "reads its parent's environment": tried(lambda: text(f"/proc/{os.getppid()}/environ")),
    "writes what it is given": tried(lambda: written(given)),
    "writes the home folder": tried(lambda: written(home + "/x")),
    "writes beside its target": tried(lambda: written(target + "/../x")),
    "writes its target": tried(lambda: written(target + "/x")),
    "replaces a file of its target": tried(lambda: os.rename(target + "/x", target + "/y")),
    "writes its working folder": tried(lambda: written("x")),
    "writes temporary files": tried(lambda: written(os.environ["TMPDIR"] + "/y")),
    "shares memory": tried(lambda: (written("/dev/shm/recipe-x"), os.unlink("/dev/shm/recipe-x"))),
    "starts a program of the system": tried(lambda: subprocess.run(["/bin/true"])),
    "starts a program that it wrote": tried(lambda: (written("z"), os.chmod("z", 0o700), subprocess.run(["./z"]))),
    "speaks IPv4": tried(lambda: socket.socket(socket.AF_INET)),
    "speaks IPv6": tried(lambda: socket.socket(socket.AF_INET6)),
    "speaks to a machine's host": tried(lambda: socket.socket(socket.AF_VSOCK)),
    "speaks to itself": tried(lambda: socket.socketpair()),
    "signals others": tried(lambda: os.kill(os.getppid(), 0)),
    "raises its limits": tried(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))),
    "writes a large file": tried(lambda: os.truncate("x", 9 << 30)),
    "dumps core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "capabilities": int(text("/proc/self/status").split("CapEff:")[1].split()[0], 16),
    "new privileges": int(text("/proc/self/status").split("NoNewPrivs:")[1].split()[0]),
}))
"""
EXPECTED: Mapping[str, object] = {
    "reads what it is given": "done",
    "reads the home folder": "PermissionError",
    "lists the home folder": "PermissionError",
    "reads accounts": "PermissionError",
    "reads its parent's environment": "PermissionError",
    "writes what it is given": "PermissionError",
    "writes the home folder": "PermissionError",
    "writes beside its target": "PermissionError",
    "writes its target": "done",
    "replaces a file of its target": "done",
    "writes its working folder": "done",
    "writes temporary files": "done",
    "shares memory": "done",
    "starts a program of the system": "done",
    "starts a program that it wrote": "PermissionError",
    "speaks IPv4": "PermissionError",
    "speaks IPv6": "PermissionError",
    "speaks to a machine's host": "PermissionError",
    "speaks to itself": "done",
    "signals others": "PermissionError",
    "raises its limits": "ValueError",
    "writes a large file": "OSError",
    "dumps core": 0,
    "new privileges": 1,
}


def _try(found: Path) -> None:
    # Not in the shared memory, where tests have their folders: a child may write there.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (found / "found.json").write_text(_tried_in(Path(folder)))


def _tried_in(folder: Path) -> str:
    home, target, own = (folder / name for name in ("home", "target", "own"))
    for one in (home, target, own):
        one.mkdir()
    (home / "secret").write_text("x")
    (folder / "given").write_text("x")
    trials = own / "trials.py"
    trials.write_text(TRIALS.replace("except OSError", "except (OSError, ValueError)"))
    lines: list[str] = []
    run_tool(
        script(trials)(str(home), str(folder / "given"), str(target)),
        code="X641",
        tool="it",
        reads=(folder / "given",),
        writes=(target,),
        on_line=lines.append,
    )
    return lines[-1]


@cache
def _found() -> dict[str, object]:
    found: dict[str, object] = json.loads((made_once("confined", _try) / "found.json").read_text())
    return found


@needs_landlock
@pytest.mark.parametrize("trial", EXPECTED)
def test_a_confined_child_can_do_its_work_and_nothing_else(trial: str) -> None:
    assert _found()[trial] == EXPECTED[trial]


@needs_landlock
def test_of_root_nothing_is_left_but_the_right_to_its_files() -> None:
    kept = {0, 1, 3, 4}

    assert {bit for bit in range(64) if int(str(_found()["capabilities"])) >> bit & 1} <= kept


def test_a_child_that_cannot_be_confined_as_promised_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux" or not available().landlock:
        pytest.skip("nothing is promised here")
    run = tmp_path / "run.py"
    run.write_text("print(1)")
    # A limit that no kernel takes: `setrlimit` refuses it.
    monkeypatch.setattr(
        "engine.runtime.tool_process.rights_of",
        lambda *_, **__: Rights(limits={"RLIMIT_FSIZE": -5}),
    )
    lines: list[str] = []

    with pytest.raises(StageError):
        run_tool(script(run), code="X641", tool="it", on_line=lines.append)

    assert lines == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Available(), "not confined: this kernel has no Landlock"),
        (Available(network=True), "not confined: this kernel has no Landlock"),
        (Available(landlock=3), "confined: landlock 3, files only"),
        (Available(landlock=7, network=True), "confined: landlock 7, no network"),
    ],
)
def test_one_line_says_what_is_taken_away(found: Available, words: str) -> None:
    assert found.words == words


def test_limits_grow_with_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(1000))
    rights = rights_of(program("true"), reads=(tmp_path / "model",))

    assert rights.limits["RLIMIT_FSIZE"] == 1000 * FILE[0] + FILE[1]


def test_the_files_that_links_of_a_model_folder_lead_to_are_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(b"x")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.safetensors").symlink_to("../blobs/0123")

    rights = rights_of(program("true"), reads=(snapshot,))

    assert str((tmp_path / "blobs" / "0123").resolve()) in rights.read


@pytest.mark.parametrize("place", ["/", "home", "above"])
def test_a_search_path_that_is_the_home_folder_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    home = tmp_path / "above" / "home"
    monkeypatch.setenv("HOME", str(home))
    folder = {"/": "/", "home": str(home), "above": str(home.parent)}[place]
    monkeypatch.setattr(sys, "path", [*sys.path, folder])
    policies.base_rights.cache_clear()

    try:
        assert folder not in policies.base_rights().execute
    finally:
        policies.base_rights.cache_clear()


def test_a_program_of_another_environment_may_read_that_environment(tmp_path: Path) -> None:
    environment, base = tmp_path / "env", tmp_path / "python"
    for folder in (environment, base):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_bytes(b"")
        (folder / "bin" / "python").chmod(0o700)
    (environment / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")

    rights = rights_of(program(environment / "bin" / "python"))

    assert {str(environment), str(base)} <= set(rights.execute)


def test_the_launcher_needs_nothing_else_of_the_engine_to_confine() -> None:
    loads = f"import runpy, sys; runpy.run_path({str(ROOT / 'engine/process/confine.py')!r})"
    shows = "print(*[name for name in sys.modules if name.partition('.')[0] == 'engine'])"

    shown = subprocess.run(
        [sys.executable, "-I", "-c", f"{loads}; {shows}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout.strip() == ""


# Limits of children grow with the machine, and a GPU's devices are there before anything is confined.
@pytest.mark.parametrize("cores", [2, 208])
def test_a_process_of_training_for_each_gpu_has_its_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    most = rights_of(module("x")).processes

    # torch, and the linear algebra of numpy and of scipy, which takes 64 at most, in each of eight processes.
    assert most >= max(PROCESSES if cores < 32 else 0, 8 * (cores + 2 * min(cores, 64)))


def test_a_device_that_cuda_would_make_is_made_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    devices, tools = tmp_path / "dev", tmp_path / "bin"
    devices.mkdir()
    tools.mkdir()
    helper = tools / "nvidia-modprobe"
    helper.write_text(f'#!/bin/sh\n[ "$*" = "-u -c 0" ] && : > {devices}/nvidia-uvm\n', "utf-8")
    helper.chmod(0o755)
    monkeypatch.setattr(policies, "DEV", devices)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    assert policies.gpus.__wrapped__() == ()
    (devices / "nvidiactl").touch()

    found = policies.gpus.__wrapped__()
    assert [Path(one).name for one in found] == ["nvidia-uvm", "nvidiactl"]
