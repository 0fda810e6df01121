"""Several machines that train one model: the first one runs the recipe, the others share each of its trainings."""

import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.backends.events import LOG
from engine.compute.jobs import Machine
from engine.compute.profile import Ranks
from engine.environment import CUDA_VISIBLE, detect_device, devices_for
from engine.errors import EngineError, StageError
from engine.files.reading import read_json
from engine.files.writing import write_text
from engine.process import interrupts
from engine.process import start as processes
from engine.process.confine import OPEN
from engine.process.policies import rights_of
from engine.runtime.training.event_file import files_of
from engine.values import Value, from_json, to_json

OUTPUT = "output"
EVENTS = "events.jsonl"
CONFIG = "config.yaml"
LAUNCH = "launch.yaml"
BASE_MODEL = "base_model"
TARGETS = "targets"
ROWS = ("train.jsonl", "validation.jsonl")
TAIL_LINES = 12
GROUP: Final = processes.module("engine.process.rank_group")
CHILD: Final = "engine.backends.training_process"
FILE: Final = "assignment.json"
END: Final = "end"
POLL_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 6.0
"""For a checkpoint at the end of the step that is being done: less than a container has before it is killed."""
WAIT_SECONDS: Final = 600.0
"""For the first machine to open the meeting."""


def lay_out(
    folder: Path, launch: Path, folders: tuple[str, ...], *, events: Sequence[str] = (EVENTS,)
) -> None:
    """Fill the working folder with links to what the config names, so that libraries find nothing else there."""
    for name in folders:
        (launch / name).mkdir(exist_ok=True)
    for name in events:
        (launch / name).touch()
    names = [CONFIG, *ROWS, BASE_MODEL, *folders, *events]
    names += [name for name in (TARGETS, LAUNCH) if (launch / name).exists()]
    for name in names:
        (folder / name).symlink_to(launch / name)


def tail_of(log: Path) -> tuple[str, ...]:
    """Return the last lines of a log that say something; progress bars count as their final state."""
    text = log.read_bytes()[-65536:].decode("utf-8", errors="replace")
    written = (line.rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return tuple([line[:300] for line in written if line.strip()][-TAIL_LINES:])


class SharedTraining(Value):
    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    launch: str
    folders: tuple[str, ...]
    reads: tuple[str, ...]
    ranks: int
    """On each machine."""
    nodes: int
    at: str
    """HOST:PORT of the first process of all; empty until Ray has chosen its machine."""
    has_gpus: bool = False
    imports: str = "-"

    def group(self, node: int) -> processes.Command:
        """Return what starts a machine's share; one process alone has nobody to meet."""
        if self.ranks * self.nodes == 1:
            return processes.module(CHILD)(*self.arguments)
        numbers = str(self.ranks), str(node), str(self.nodes)
        return GROUP(*numbers, self.at, self.imports, CHILD, *self.arguments)

    @property
    def events(self) -> tuple[str, ...]:
        return files_of(self.ranks * self.nodes)


@contextlib.contextmanager
def meeting(ranks: Ranks) -> Iterator[None]:
    """Open the meeting of a job's machines for the run of the first one, and let the others go at its end."""
    if ranks.meeting is None:
        yield
        return
    ranks.meeting.mkdir(parents=True)
    try:
        yield
    finally:
        write_text(ranks.meeting / END, "")


@contextlib.contextmanager
def assigned(folder: Path, assignment: SharedTraining) -> Iterator[Path]:
    """Have the other machines do their share of a training meanwhile; yields its folder."""
    place = folder
    # Several variants of a run may look for their folder at the same time.
    for number in itertools.count(len(list(folder.glob("training-*")))):
        place = folder / f"training-{number}"
        with contextlib.suppress(FileExistsError):
            place.mkdir()
            break
    write_text(place / FILE, json.dumps(to_json(assignment)))
    try:
        yield place
    finally:
        write_text(place / END, "")


def refuse_failed(place: Path, tool: str, where: str) -> None:
    """StageError B411 where another machine has failed at its share of a training."""
    for path in sorted(place.glob("failed-*")):
        node, why = path.name.partition("-")[2], path.read_text(encoding="utf-8", errors="replace")
        raise StageError.one(
            "B411",
            f"{tool} failed on machine {node} {where}; last lines of its log:\n{why}",
            hint="run the same command again: it continues from the last checkpoint",
        )


def serve(folder: Path, node: Machine) -> None:
    """Share each training of the first machine until it ends. StageError B471 where it never opens the meeting."""
    began, done = time.monotonic(), set[Path]()
    while not (folder / END).exists():
        if not folder.exists() and time.monotonic() - began > WAIT_SECONDS:
            raise StageError.one(
                "B471",
                f"machine {node.number} of the job does not see `{folder}`, where the first one should be",
                hint="put the recipe's folder on a disk that all machines of the job share",
            )
        for path in sorted(folder.glob(f"training-*/{FILE}")):
            if path not in done:
                done.add(path)
                _serve(path.parent, from_json(SharedTraining, read_json(path)), node)
        interrupts.raise_pending()
        time.sleep(POLL_SECONDS)


def _own_gpus(assignment: SharedTraining) -> dict[str, str]:
    # Its own name them, and not those of the first machine, by their UUIDs.
    named = os.environ.get(CUDA_VISIBLE)
    if named is None and assignment.has_gpus:
        named = ",".join(devices_for(detect_device(), assignment.ranks, os.environ))
    return {} if named is None else {CUDA_VISIBLE: named}


def _serve(place: Path, assignment: SharedTraining, node: Machine) -> None:
    log, failed = place / f"log-{node.number}", place / f"failed-{node.number}"
    try:
        code = train_share(place, assignment, node, log)
    except (EngineError, OSError, ValueError) as error:
        write_text(failed, f"{error}")
        return
    # Beyond 128: it was asked to end.
    if code < 0 or 0 < code < 128:
        write_text(failed, "\n".join((f"ended with {code}", *tail_of(log))))


def train_share(
    place: Path, assignment: SharedTraining, node: Machine, log: Path | None = None
) -> int:
    """Start a machine's share of a training, end it where the training ends, and return its status.

    What its processes write goes to `log`, else to that of the training. OSError where this machine does not see its
    files, EnvironmentProblem B431 where it has too few GPUs.
    """
    launch, reads = Path(assignment.launch), [Path(one) for one in assignment.reads]
    command = assignment.group(node.number)
    own = _own_gpus(assignment)
    missing = [str(path) for path in (launch, *reads) if not path.exists()]
    if missing:
        raise FileNotFoundError(f"this machine does not see {missing[0]}")
    with (log or launch / LOG).open("ab") as out, processes.working_folder() as folder:
        lay_out(folder, launch, assignment.folders, events=assignment.events)
        child = processes.start(
            command,
            folder=folder,
            variables={**assignment.variables, **own},
            out=out,
            errors=processes.STDOUT,
            # Processes of several machines reach each other over the network.
            rights=rights_of(command, reads=reads, writes=(launch,), network=OPEN, uses_gpu=True),
        )
        with child, interrupts.deferred():
            while not child.has_ended(within=POLL_SECONDS):
                if (place / END).exists() or interrupts.pending() is not None:
                    child.stop(grace=GRACE_SECONDS)
                    return 0
        return child.wait()
