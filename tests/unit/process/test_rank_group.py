"""Several processes of one training: what each finds around it, and how the group ends when one of them does."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.process import start as processes
from engine.process.child import Child
from engine.process.rank_group import variables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is seen in /proc who is gone")
WAIT_SECONDS = 60.0
RANK = """
import json, os, pathlib, signal, sys, time
rank, folder = os.environ["RANK"], pathlib.Path()
seen = [os.environ[name] for name in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")]
seen.append(sys.modules["shared"].importer)
(folder / f"{rank}.part").write_text(json.dumps([seen, os.getpid()]))
(folder / f"{rank}.part").rename(folder / f"rank-{rank}.json")
if rank == "1":
    eval(sys.argv[1])
elif sys.argv[1] != "None":
    # As one that has lost the other: it fails, too, once that is gone.
    other = folder / "rank-1.json"
    while not other.exists() or pathlib.Path(f"/proc/{json.loads(other.read_text())[1]}").exists():
        time.sleep(0.01)
    sys.exit(1)
"""


SHARED = """
import os
importer = os.getpid()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ranked.py").write_text(RANK, encoding="utf-8")
    (tmp_path / "shared.py").write_text(SHARED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@contextmanager
def started(folder: Path, action: str) -> Iterator[Child]:
    command = processes.module("engine.process.rank_group")(
        *("2", "0", "1", "-", "shared", "ranked", action)
    )
    with (folder / "log").open("wb") as log:
        child = processes.start(
            command, folder=folder, variables=processes.environment(), out=log, errors=log
        )
        with child:
            yield child


def ended(folder: Path, action: str) -> tuple[int, str]:
    with started(folder, action) as child:
        assert child.has_ended(within=WAIT_SECONDS)
        child.wait()
    return child.status, (folder / "log").read_text(encoding="utf-8")


def test_each_finds_its_number_and_the_same_port(folder: Path) -> None:
    code, _ = ended(folder, "None")
    one, two = (json.loads((folder / f"rank-{n}.json").read_text("utf-8"))[0] for n in (0, 1))

    assert code == 0
    assert (one[:2], two[:2]) == (["2", "0"], ["2", "1"])
    assert one[2] == two[2]


def test_they_share_one_import(folder: Path) -> None:
    ended(folder, "None")
    one, two = (json.loads((folder / f"rank-{n}.json").read_text("utf-8")) for n in (0, 1))

    assert one[0][3] == two[0][3]
    assert one[0][3] not in (one[1], two[1])


def test_a_group_that_is_asked_to_end_while_it_imports_ends(folder: Path) -> None:
    slow = "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(600)\n"
    (folder / "shared.py").write_text(slow, encoding="utf-8")
    with started(folder, "None") as child:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (folder / "importing").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        child.signal(signal.SIGTERM)
        assert child.has_ended(within=WAIT_SECONDS)
        child.wait()

    assert child.status == -signal.SIGTERM
    assert not list(folder.glob("rank-*"))


@pytest.mark.parametrize(
    ("action", "code", "word"),
    [
        ("sys.exit(7)", 7, "process 1 of the training ended with 7"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            -signal.SIGKILL,
            "process 1 of the training was ended by signal 9",
        ),
    ],
)
def test_the_group_ends_as_the_first_of_them_that_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, action: str, code: int, word: str
) -> None:
    found, log = ended(folder, action)

    assert found == code, log
    assert word in log


def test_it_is_the_environment_that_torchrun_gives() -> None:
    found = variables(3, 4, node=0, nodes=1, at="127.0.0.1:29500")

    assert (found["RANK"], found["WORLD_SIZE"], found["MASTER_ADDR"]) == ("3", "4", "127.0.0.1")
    assert found["MASTER_PORT"] == "29500"
    assert ("GLOO_SOCKET_IFNAME" in found) is (sys.platform == "linux")


def test_processes_of_a_second_machine_come_after_those_of_the_first() -> None:
    found = variables(1, 4, node=1, nodes=2, at="10.0.0.5:29500")

    assert (found["RANK"], found["LOCAL_RANK"], found["WORLD_SIZE"]) == ("5", "1", "8")
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("10.0.0.5", "29500")
    assert "GLOO_SOCKET_IFNAME" not in found
