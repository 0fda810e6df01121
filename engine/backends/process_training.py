"""Training in a process of its own: a launch folder, a process that cannot outlive us, and proof that it finished.

The launch folder holds `config.yaml`, `train.jsonl`, `validation.jsonl`, `base_model` (a link), `output/`,
`events.jsonl` (written by `engine.runtime.training.callbacks.Watch` in the process) and `train.log`; of several
processes that train together also `launch.yaml`, the config as each of them takes it, and `events.1.jsonl` and so on.
It survives a killed run, and the next attempt goes on in it. The process works in a new folder that links to
these and holds nothing else: settings files that came with a launch folder are not found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.backends import events, nodes
from engine.backends.base import Launch, Trained
from engine.backends.events import LOG
from engine.backends.nodes import (
    BASE_MODEL,
    CONFIG,
    GRACE_SECONDS,
    GROUP,
    LAUNCH,
    OUTPUT,
    ROWS,
    TARGETS,
    lay_out,
    tail_of,
)
from engine.backends.resuming import train_on
from engine.compute.ranks import divided, for_ranks
from engine.environment import CUBLAS, CUDA_VISIBLE, one_device
from engine.errors import StageError
from engine.failures import NO_MEMORY
from engine.files.reading import parse_json
from engine.process import interrupts
from engine.process import start as processes
from engine.process.caches import caches
from engine.process.confine import Rights
from engine.process.idle import HangsError, IdleClock
from engine.process.policies import TRAINING, rights_of
from engine.process.rank_group import free_port
from engine.runtime.training.event_file import files_of
from engine.values import Value

POLL_SECONDS = 0.3

SET_VARIABLES: dict[str, str] = {
    **CUBLAS,
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
}
"""Besides those of every child: the threads are so many."""
THREAD_VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


SHARDED: dict[str, Any] = {
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    # So that a checkpoint has whole weights, whoever reads it.
    "state_dict_type": "FULL_STATE_DICT",
    "cpu_ram_efficient_loading": False,
}
"""How a model is divided among processes (FSDP2). Compiled for GPUs; not run on one by us."""


class TrainingProgram(Value):
    """A program that trains by a config in its working folder."""

    tool: str
    """Its name in messages."""
    command: Callable[[str | None], processes.Command]
    """What starts it, given the checkpoint to go on from, as a path in its working folder."""
    variables: Mapping[str, str]
    """Its whole environment (`environment`)."""
    folders: tuple[str, ...] = (OUTPUT,)
    """That it writes, and that training goes on from."""
    config: str | None = None
    """As one of several processes takes it; None for one process, which takes the compiled one."""
    imports: str = "-"
    """The module that brings its libraries: several processes on a CPU share one import of it."""


def train(launch: Launch, program: TrainingProgram) -> Trained:
    """Train, or go on from the last complete checkpoint.

    Raises:
        StageError: B411 the process failed, B450 it hung, B412-B414 it ended without a finished training, B420-B423 it
            is not the training that was planned.

    """
    prepare(launch, program.folders)
    output = launch.folder / OUTPUT
    if program.config is not None:
        (launch.folder / LAUNCH).write_text(program.config, encoding="utf-8")

    def run(resume: Path | None, monitor: events.TrainingMonitor) -> None:
        # Events of an earlier attempt would be counted as steps of this one.
        for name in event_files(launch):
            (launch.folder / name).unlink(missing_ok=True)
        command = program.command(f"{OUTPUT}/{resume.name}" if resume else None)
        with _other_machines(launch, program, command) as (group, place):
            code = _run(launch, program, group, monitor, place)
        # Before the exit code, which is that of our own kill where a loss was not a number.
        monitor.refuse_nonfinite()
        if code != 0:
            raise _failure(program.tool, code, monitor, launch.folder / LOG)

    return train_on(launch, output, run, cpu_seconds=lambda: 0.0)


def prepare(launch: Launch, folders: tuple[str, ...] = (OUTPUT,)) -> None:
    """Lay out the launch folder; what another config or other rows left in it is moved aside, not resumed."""
    folder = launch.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = (CONFIG, LAUNCH, *ROWS, *event_files(launch), LOG)
    for path in (folder, *(folder / name for name in (*files, *folders))):
        # The folder may have come with somebody's repository, and a link in it leads outside.
        if path.is_symlink():
            raise StageError.one(
                "B412",
                f"`{path.name}` of the training's folder is a link, and links are not written through",
                hint="delete `.recipe/scratch` and run the same command again",
            )
    config = folder / CONFIG
    if config.exists() and config.read_text(encoding="utf-8") != launch.config:
        # Trainers resume from the highest checkpoint that they see, without asking whether the config is the same.
        other = folder / f"other-{time.time_ns()}"
        other.mkdir()
        for name in folders:
            if (folder / name).exists():
                (folder / name).rename(other / name)
    config.write_text(launch.config, encoding="utf-8")
    for name in ROWS:
        shutil.copyfile(launch.rows / name, folder / name)
    # Under one name, so that the config, which is part of stage keys, holds no path of this machine.
    link = folder / BASE_MODEL
    link.unlink(missing_ok=True)
    link.symlink_to(launch.base_model.resolve(), target_is_directory=True)
    targets = folder / TARGETS
    targets.unlink(missing_ok=True)
    if launch.targets is not None:
        targets.symlink_to(launch.targets.resolve(), target_is_directory=True)


def environment(launch: Launch, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the process: what it needs of ours, and what we decide."""
    # In bf16 another number of threads gives other weights: the number is the one that is reported.
    threads = dict.fromkeys(THREAD_VARIABLES, str(launch.setting.device.threads))
    # A file that is not there: accelerate would otherwise take the user's default_config.yaml.
    absent = Path(caches()["HF_HOME"]) / "no-accelerate-config.yaml"
    return processes.environment(
        {
            **SET_VARIABLES,
            **threads,
            **_devices(launch),
            "ACCELERATE_CONFIG_FILE": str(absent),
            **extra,
        }
    )


def _devices(launch: Launch) -> dict[str, str]:
    found = one_device(launch.setting.device, os.environ)
    # Each takes the one of its number, as under torchrun.
    together = {CUDA_VISIBLE: ",".join(launch.ranks.devices)} if launch.ranks.devices else {}
    return found | together


@contextlib.contextmanager
def _other_machines(
    launch: Launch, program: TrainingProgram, command: processes.Command
) -> Iterator[tuple[processes.Command, Path | None]]:
    """Yield what starts this machine's processes, and the folder of what the others do meanwhile."""
    ranks = launch.ranks
    if ranks.meeting is None:
        yield of_ranks(launch, program, command), None
        return
    assignment = nodes.SharedTraining(
        module=command.name,
        arguments=command.arguments,
        variables=program.variables,
        launch=str(launch.folder.resolve()),
        folders=program.folders,
        reads=tuple(str(path.resolve()) for path in _read_of(launch)),
        ranks=ranks.processes,
        nodes=ranks.nodes,
        at="" if ranks.ray else f"{ranks.host}:{free_port(ranks.host)}",
        has_gpus=launch.setting.device.kind == "cuda",
        imports=_imports(launch, program),
    )
    with nodes.assigned(ranks.meeting, assignment) as place:
        if ranks.ray:
            yield processes.module("engine.backends.ray_child")(str(place), ranks.ray), place
        else:
            yield assignment.group(0), place


def of_ranks(
    launch: Launch, program: TrainingProgram, command: processes.Command
) -> processes.Command:
    """Return what starts a module so many times as there are ranks."""
    if launch.ranks.size == 1:
        return command
    imports = _imports(launch, program)
    return GROUP(str(launch.ranks.size), "0", "1", "-", imports, command.name, *command.arguments)


def _imports(launch: Launch, program: TrainingProgram) -> str:
    """Return what its processes may import before they are forked."""
    return program.imports if launch.setting.device.kind == "cpu" else "-"


def ranks_config(launch: Launch, keys: tuple[str, str]) -> dict[str, Any]:
    """Return the compiled config as one of several processes takes it; `keys` as `engine.compute.ranks.for_ranks`."""
    config: dict[str, Any] = yaml.safe_load(launch.config)
    return for_ranks(config, divided(launch.method, launch.ranks), keys)


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return a config of several processes as a file's text."""
    text: str = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return text


def event_files(launch: Launch) -> tuple[str, ...]:
    """Return the names of the files of events, of the first process first."""
    return files_of(launch.ranks.size)


def _run(
    launch: Launch,
    program: TrainingProgram,
    command: processes.Command,
    monitor: events.TrainingMonitor,
    place: Path | None,
) -> int:
    """Run the process to its end, telling progress; when we are asked to end it saves a checkpoint and ends first.

    `place` is the folder of what other machines do. StageError B411 where one of them failed.
    """
    with _started(launch, program, command) as child:
        with child, interrupts.deferred():
            event_log = _EventLogs(launch)
            try:
                _follow(child, event_log, monitor, failed=_failed_on(place, program, monitor))
            except HangsError as error:
                child.kill()
                raise StageError.one(
                    "B450",
                    f"{program.tool} {error}; it was ended {monitor.where}",
                    hint="run the same command again: it continues from the last checkpoint",
                ) from error
            if monitor.is_broken:
                # Weights that are NaN are not worth a checkpoint.
                child.kill()
            else:
                child.stop(grace=GRACE_SECONDS)
            # What it wrote while it was ending, after the last look.
            event_log.pass_on(monitor)
        return child.status


@contextlib.contextmanager
def _started(
    launch: Launch, program: TrainingProgram, command: processes.Command
) -> Iterator[processes.Child]:
    """Yield a new process."""
    with (launch.folder / LOG).open("ab") as log, processes.working_folder() as folder:
        lay_out(folder, launch.folder.absolute(), program.folders, events=event_files(launch))
        more = ray_variables() if launch.ranks.ray else {}
        yield processes.start(
            command,
            folder=folder,
            variables={**program.variables, **more},
            out=log,
            errors=processes.STDOUT,
            rights=_rights(launch, command),
        )


def _rights(launch: Launch, command: processes.Command) -> Rights | None:
    """Return the rights of the process; None for Ray, which starts its own, keeps those of the run."""
    if launch.ranks.ray:
        return None
    policy = TRAINING if launch.ranks.meeting is None else nodes.OVER_NETWORK
    return rights_of(policy, command, reads=_read_of(launch), writes=(launch.folder,))


def ray_variables() -> dict[str, str]:
    """Return the user's own settings of Ray, with the token that it asks for."""
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


def _read_of(launch: Launch) -> tuple[Path, ...]:
    own = (launch.rows, launch.base_model)
    return own if launch.targets is None else (*own, launch.targets)


def _failed_on(
    place: Path | None, program: TrainingProgram, monitor: events.TrainingMonitor
) -> Callable[[], None]:
    """Return what raises StageError B411 where another machine has failed."""
    if place is None:
        return lambda: None
    return lambda: nodes.refuse_failed(place, program.tool, monitor.where)


def _follow(
    child: processes.Child,
    event_log: _EventLogs,
    monitor: events.TrainingMonitor,
    *,
    failed: Callable[[], None],
) -> None:
    """Tell every new event until the process ends, or until going on is for nothing or not wanted.

    HangsError, and what `failed` raises.
    """
    clock = IdleClock(child.number)
    while not monitor.is_broken and interrupts.pending() is None:
        ended = child.has_ended(within=POLL_SECONDS)
        # Read after the look at the process, so that its last events are not missed.
        if event_log.pass_on(monitor):
            clock.wrote()
        if ended:
            return
        failed()
        clock.tick()


class _EventLogs:
    """The files of events of all ranks."""

    def __init__(self, launch: Launch) -> None:
        self._logs = [_EventLog(launch.folder / name) for name in event_files(launch)]

    def pass_on(self, monitor: events.TrainingMonitor) -> int:
        """Hand over what is new, and return how much that was."""
        count = 0
        for rank, log in enumerate(self._logs):
            for event in log.read():
                count += 1
                if rank:
                    monitor.handle_other(rank, event)
                else:
                    monitor.handle(event)
        return count


class _EventLog:
    """The events file, read on from where the last look ended; a line being written is left for the next look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                whole, newline, _ = stream.read().rpartition(b"\n")
        except OSError:
            return []
        self._offset += len(whole) + len(newline)
        return [parse_json(line) for line in whole.splitlines()]


def _failure(tool: str, code: int, monitor: events.TrainingMonitor, log: Path) -> StageError:
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    tail = "\n".join(tail_of(log))
    hint = "run the same command again: it continues from the last checkpoint"
    # Our own kills end in other errors, so SIGKILL is the kernel's.
    if code == -signal.SIGKILL:
        hint = "lower method.micro_batch_size: the machine ran out of memory"
    elif any(text in tail.lower() for text in NO_MEMORY):
        hint = "lower method.micro_batch_size, or set method.gradient_checkpointing: memory ran out"
    return StageError.one(
        "B411", f"{tool} {ended} {monitor.where}; last lines of its log:\n{tail}", hint=hint
    )
