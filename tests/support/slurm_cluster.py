"""A real Slurm of this machine's packages, with two machines that are both this one."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("slurmctld", "slurmd")
PLACES = "/usr/sbin:/usr/local/sbin:/sbin"
NODES = ("n1", "n2")
CORES = 2
"""Of each machine: room for two jobs at once."""
START_SECONDS = 60.0
KILL_WAIT = 10

CONFIG = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/slurm
CredType=auth/slurm
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MessageTimeout=30
UnkillableStepTimeout=180
KillWait={kill_wait}
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why no cluster can be started here; empty where one can."""
    missing = [name for name in (*DAEMONS, "sbatch") if _found(name) is None]
    if missing:
        return f"no {', '.join(missing)}: apt install slurmctld slurmd slurm-client"
    return "" if os.geteuid() == 0 else "the daemons of Slurm are started by root"


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables by which the commands of Slurm find it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir()
    key = folder / "slurm.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    config, host = folder / "slurm.conf", socket.gethostname().partition(".")[0]
    controller, *ports = _free_ports(1 + len(NODES))
    machine = "NodeName={} NodeHostname={} NodeAddr=127.0.0.1 Port={} CPUs={} RealMemory=1000"
    machines = [
        machine.format(name, host, port, CORES) for name, port in zip(NODES, ports, strict=True)
    ]
    text = CONFIG.format(
        folder=folder, host=host, controller=controller, kill_wait=KILL_WAIT,
        nodes="\n".join(machines), names=",".join(NODES),
    )  # fmt: skip
    config.write_text(text, encoding="utf-8")
    variables = {"SLURM_CONF": str(config)}
    try:
        _start("slurmctld", "-f", str(config))
        # A machine that does not find it tries again half a minute later.
        _await(["scontrol", "ping"], "is UP", variables)
        for name in NODES:
            _start("slurmd", "-f", str(config), "-N", name)
        idle = ["sinfo", "--noheader", "--states=idle", "--format=machines:%D"]
        _await(idle, f"machines:{len(NODES)}", variables)
        yield variables
    finally:
        for file in folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text(encoding="ascii")), signal.SIGTERM)


def _start(name: str, *words: str) -> None:
    found = _found(name)
    assert found is not None
    # by its whole path: slurmctld starts a copy of itself
    subprocess.run([found, *words], check=True, capture_output=True)


def _found(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _await(words: list[str], answer: str, variables: dict[str, str]) -> None:
    """Ask until the answer is there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = subprocess.run(
            words, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if answer in found.stdout:
            return
        time.sleep(0.05)
    raise TimeoutError(found.stdout + found.stderr)
