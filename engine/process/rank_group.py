"""The processes of one training on one machine: `engine.process.rank_group COUNT NODE NODES AT IMPORTS MODULE ...`.

Runs MODULE COUNT times, on the machine of number NODE of NODES; AT is HOST:PORT, where the first process of all is
found, or `-` on a single machine. Each finds in its environment what torch.distributed asks for, as under torchrun:
RANK, WORLD_SIZE, MASTER_ADDR and the rest. They are forked and stay in one process group, whose confinement they
share. IMPORTS is a module that is imported once on Linux, before the fork, so that they share its memory, too; `-`
where that could open a GPU, which no fork may use. Where one fails, the others get a moment and are ended; how the
first one ended is how the group ends. Standard library only.
"""

import gc
import importlib
import os
import runpy
import signal
import socket
import sys
import time

from engine.process.launcher import end_as, tell_when_gone

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 5.0
"""Seconds for the other ranks once one has failed: they would wait for it for ever."""
POLL_SECONDS = 0.05


def main() -> None:
    count, node, nodes, at, imports, module, *arguments = sys.argv[1:]
    interfaces = {
        name: value for name, value in os.environ.items() if name.endswith("_SOCKET_IFNAME")
    }
    # Libraries of other systems start threads that no fork survives.
    if imports != "-" and sys.platform == "linux":
        importlib.import_module(imports)
        # A fork that collects garbage would copy every page of the libraries.
        gc.freeze()
    if at == "-":
        at = f"{LOOPBACK}:{free_port()}"
    # SIGTERM reaches the whole group: each process answers for itself. Until here it ends this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ranks: dict[int, int] = {}
    for rank in range(int(count)):
        number = os.fork()
        if number == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            tell_when_gone(os.getppid(), signal.SIGKILL)
            own = variables(rank, int(count), node=int(node), nodes=int(nodes), at=at)
            os.environ.update({**own, **interfaces})
            sys.argv = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        ranks[number] = rank
    rank, code = _wait(ranks)
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        sys.stderr.write(f"process {rank} of the training {how}\n")
        sys.stderr.flush()
    end_as(code)


def variables(rank: int, count: int, *, node: int, nodes: int, at: str) -> dict[str, str]:
    host, _, port = at.rpartition(":")
    numbers = {
        "RANK": node * count + rank,
        "LOCAL_RANK": rank,
        "GROUP_RANK": node,
        "WORLD_SIZE": nodes * count,
        "LOCAL_WORLD_SIZE": count,
    }
    found = {name: str(number) for name, number in numbers.items()}
    if sys.platform == "linux" and host == LOOPBACK:
        # By the name of the machine they would look for an address that a confined process cannot have.
        found |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return {**found, "MASTER_ADDR": host, "MASTER_PORT": port}


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that nothing uses now; who takes it in between makes the group fail, and it is started again."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(ranks: dict[int, int]) -> tuple[int, int]:
    """Wait for all of them; return the rank that failed first and its status, (0, 0) where none did."""
    left, failed = dict(ranks), list[tuple[int, int]]()
    deadline = float("inf")
    while left:
        number, status = os.waitpid(-1, os.WNOHANG)
        if number in left:
            rank, code = left.pop(number), os.waitstatus_to_exitcode(status)
            if code:
                failed.append((rank, code))
                deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        elif time.monotonic() > deadline:
            break
        else:
            time.sleep(POLL_SECONDS)
    for number in left:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    # One that was killed is the cause, and the others have only lost it.
    return min(failed, key=lambda one: one[1] > 0, default=(0, 0))


if __name__ == "__main__":
    main()
