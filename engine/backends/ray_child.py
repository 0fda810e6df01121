"""The machines of a training found by Ray: `engine.backends.ray_child FOLDER ADDRESS`.

FOLDER holds the `assignment.json` of a training (`engine.backends.nodes`). Ray chooses a machine for each share of it
and starts one task there, which starts the processes as on any other machine of a job.
"""

import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from engine.backends import nodes
from engine.compute.jobs import Machine
from engine.compute.profile import LOCAL
from engine.files.reading import read_json
from engine.files.writing import write_text
from engine.process.rank_group import free_port
from engine.process.start import search_path, working_folder
from engine.values import from_json, replace

ROOM_SECONDS: Final = 60.0
"""For machines with room: Ray itself would wait for ever."""
BEGIN_SECONDS: Final = 90.0
"""For a cluster to take the training, whatever it does instead: Ray tries for minutes to reach one that is gone."""
SETTINGS: Final = {
    # Workers would be slowed on a busy machine, and those that start late are given up.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Its own 30 seconds are too few on a busy machine.
    "RAY_gcs_server_port_wait_time_s": "90",
}
TRIES: Final = 3
STORE_BYTES: Final = 100 << 20
"""Of the memory that a local Ray takes for objects, of which there are none."""


def main(folder: str, address: str) -> None:
    os.environ.update(SETTINGS)
    if address == LOCAL:
        # Nobody else's processes give it orders; its own import what this one does.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        os.environ["PYTHONPATH"] = os.pathsep.join(search_path())
    place = Path(folder)
    training = from_json(nodes.SharedTraining, read_json(place / nodes.FILE))
    # All shares then save a checkpoint and end.
    signal.signal(signal.SIGTERM, lambda *_: write_text(place / nodes.END, ""))
    ray: Any = import_module("ray")
    late = threading.Timer(BEGIN_SECONDS, _give_up)
    late.daemon = True
    if address != LOCAL:
        late.start()
    with working_folder() as own:
        settings: dict[str, Any] = {}
        if address == LOCAL:
            settings = {
                "num_cpus": training.ranks * training.nodes,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": str(own),
            }
        _begin(ray, address, settings)
        try:
            _run(ray, place, training, is_local=address == LOCAL, begun=late.cancel)
        finally:
            ray.shutdown()


def _give_up() -> NoReturn:
    sys.stderr.write(f"no room on Ray within {BEGIN_SECONDS:g} seconds: it does not answer\n")
    sys.stderr.flush()
    os._exit(1)


def _begin(ray: Any, address: str, settings: dict[str, Any]) -> None:
    """Start or join a Ray; on a busy machine its own 30 seconds for a start may be too few."""
    for left in reversed(range(TRIES)):
        try:
            # Always with an address: without one it joins whatever cluster its own file names, also one that is gone.
            ray.init(address=address, log_to_driver=False, **settings)
        except Exception:
            ray.shutdown()
            if not left:
                raise
        else:
            return


def _run(
    ray: Any,
    place: Path,
    training: nodes.SharedTraining,
    *,
    is_local: bool,
    begun: Callable[[], None],
) -> None:
    """Train; `begun` is called once Ray has found machines, and started a process on the first one."""
    device = "GPU" if training.has_gpus else "CPU"
    bundles = [{device: training.ranks} for _ in range(training.nodes)]
    group = ray.util.placement_group(bundles, strategy="PACK" if is_local else "STRICT_SPREAD")
    # Not `ready`, which is a task that needs a process of its own.
    if not group.wait(ROOM_SECONDS):
        _fail(
            f"no room on Ray within {ROOM_SECONDS:g} seconds for {training.nodes} machines with"
            f" {training.ranks} {device} each"
        )

    def on(node: int, function: Any) -> Any:
        strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            group, placement_group_bundle_index=node
        )
        # Ray adds a core to each task by itself, of which a bundle of GPUs has none.
        gpus = {"num_gpus": training.ranks, "num_cpus": 0}
        share = gpus if training.has_gpus else {"num_cpus": training.ranks}
        return ray.remote(function).options(max_retries=0, scheduling_strategy=strategy, **share)

    try:
        training = replace(training, at=ray.get(on(0, _first_address).remote()))
        begun()
        shares = [
            on(node, _share).remote(str(place), training, node) for node in range(training.nodes)
        ]
        while shares:
            ended, shares = ray.wait(shares)
            if code := max(ray.get(ended)):
                _fail(f"a share of the training ended with {code}", code)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        _fail(f"Ray lost a machine or a process of the training: {lines[-1] if lines else ''}")
    finally:
        write_text(place / nodes.END, "")


def _first_address() -> str:
    host: str = import_module("ray").util.get_node_ip_address()
    return f"{host}:{free_port(host)}"


def _share(place: str, training: nodes.SharedTraining, node: int) -> int:
    machine = Machine(number=node, count=training.nodes, meeting="")
    status = nodes.train_share(Path(place), training, machine)
    return 128 - status if status < 0 else status


def _fail(why: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(code)


if __name__ == "__main__":
    # By its name, which Ray's workers import it by.
    from engine.backends.ray_child import main as of_module

    of_module(*sys.argv[1:])
