"""Training in a process of its own: a launch folder, a process that cannot outlive us, and proof that it finished.

The launch folder holds `config.yaml`, `train.jsonl`, `validation.jsonl`, `base_model` (a link), `output/`,
`events.jsonl` (written by `engine.runtime.training.callbacks.Watch` in the process) and `train.log`; of several
processes that train together also `launch.yaml`, the config as each of them takes it, and `events.1.jsonl` and so on.
It survives a killed run, and the next attempt goes on in it. The process works in a new folder that links to
these and holds nothing else: settings files that came with a launch folder are not found.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.backends import events, nodes, trainer_state
from engine.backends.base import Launch, Trained, keeps_best
from engine.backends.events import LOG, EventLogs
from engine.backends.nodes import CONFIG, GRACE_SECONDS, LAUNCH, OUTPUT, ROWS, lay_out, tail_of
from engine.backends.usage import UsageMeter
from engine.compute.profile import divided
from engine.environment import CUBLAS, CUDA_VISIBLE, one_device
from engine.errors import StageError, first_line
from engine.failures import NO_MEMORY
from engine.process import interrupts
from engine.process import start as processes
from engine.process.child import HangsError, IdleClock
from engine.process.confine import LOOPBACK, OPEN
from engine.process.library_settings import caches
from engine.process.policies import rights_of
from engine.process.rank_group import free_port
from engine.runtime.training.event_file import files_of
from engine.values import Value, field

Run = Callable[[Path | None, events.TrainingMonitor], None]
"""Trains from a checkpoint, or from the start; StageError when it fails."""
REPEATING = (
    *NO_MEMORY, "memoryerror", "no space left", "disk quota", "file too large", "no room on ray",
)  # fmt: skip
"""In the message of a failure that another try would not mend; one by SIGKILL may be that of a machine."""
BROKEN_OFF = ("B411", "B450")
"""A trainer that ended with an error of its own, or hung."""


def train_on(
    launch: Launch, output: Path, run: Run, *, cpu_seconds: Callable[[], float]
) -> Trained:
    """Train from the last whole checkpoint in `output`, or from the start.

    `cpu_seconds` returns what the process that trains has computed before.

    StageError: what `run` raises, and B412-B414 for what it left.
    """
    left, broke_off = launch.ranks.retries, set[str]()
    while True:
        resume = resume_point(launch, output)
        started = time.monotonic()
        monitor = events.TrainingMonitor(launch, UsageMeter(began=started, cpu_began=cpu_seconds()))
        try:
            run(resume, monitor)
        except StageError as error:
            if not left or monitor.where in broke_off or not may_help(error):
                raise
            left -= 1
            broke_off.add(monitor.where)
            launch.progress.note(
                f"{first_line(error)}: it goes on by itself, {left} more times at most"
            )
            continue
        seconds = time.monotonic() - started
        return events.trained(launch, monitor, output=output, resume=resume, seconds=seconds)


def may_help(error: StageError) -> bool:
    """Tell whether to go on may help: not after a failure of memory, room or numbers, or another training."""
    problem = error.problems[0]
    repeats = any(word in problem.message.lower() for word in REPEATING)
    return problem.code in BROKEN_OFF and not repeats


def resume_point(launch: Launch, output: Path) -> Path | None:
    """Return the last whole checkpoint, after moving aside those that are not whole; say so."""
    best = keeps_best(launch.method, validation_rows=launch.setting.validation_rows)
    for name, why in trainer_state.set_damaged_aside(output, best=best):
        launch.progress.note(f"{name} is set aside: {why}")
    found = trainer_state.checkpoints(output)
    if not found:
        return None
    step, path = found[-1]
    launch.progress.note(f"continuing from step {step}")
    return path


POLL_SECONDS = 0.3
SET_VARIABLES: dict[str, str] = {**CUBLAS, "MKL_DYNAMIC": "FALSE", "OMP_DYNAMIC": "FALSE"}
THREAD_VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


SHARDED: dict[str, Any] = {
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    # So that a checkpoint has whole weights, whoever reads it.
    "state_dict_type": "FULL_STATE_DICT",
    "cpu_ram_efficient_loading": False,
}
"""How a model is divided among processes (FSDP2). Compiled for GPUs; not run on one by us."""


class TrainingProgram(Value):
    tool: str
    command: Callable[[str | None], processes.Command]
    """What starts it, given the checkpoint to go on from, as a path in its working folder."""
    variables: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = (OUTPUT,)
    config: Mapping[str, Any] | None = None
    """As one of several processes takes it; None for one process, which takes the compiled one."""
    imports: str = "-"
    """The module that brings its libraries: several processes on a CPU share one import of it."""


def train(launch: Launch, program: TrainingProgram) -> Trained:
    """Train, or go on from the last complete checkpoint.

    StageError: B411 the process failed, B450 it hung, B412-B414 it ended without a finished training, B420-B423 it is
    not the training that was planned.
    """
    prepare(launch, program.folders)
    if program.config is not None:
        text = yaml.safe_dump(dict(program.config), sort_keys=False, allow_unicode=True)
        (launch.folder / LAUNCH).write_text(text, encoding="utf-8")

    def run(resume: Path | None, monitor: events.TrainingMonitor) -> None:
        # Events of an earlier attempt would be counted as steps of this one.
        for name in files_of(launch.ranks.size):
            (launch.folder / name).unlink(missing_ok=True)
        command = program.command(f"{OUTPUT}/{resume.name}" if resume else None)
        with _other_machines(launch, program, command) as (group, place):
            code = _run(launch, program, group, monitor, place)
        # Before the exit code, which is that of our own kill where a loss was not a number.
        monitor.refuse_nonfinite()
        if code != 0:
            raise _failure(program.tool, code, monitor, launch.folder / LOG)

    return train_on(launch, launch.folder / OUTPUT, run, cpu_seconds=lambda: 0.0)


def prepare(launch: Launch, folders: tuple[str, ...] = (OUTPUT,)) -> None:
    """Lay out the launch folder; what another config or other rows left in it is moved aside, not resumed."""
    folder = launch.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = (CONFIG, LAUNCH, *ROWS, *files_of(launch.ranks.size), LOG)
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
    for name, target in ((nodes.BASE_MODEL, launch.base_model), (nodes.TARGETS, launch.targets)):
        (folder / name).unlink(missing_ok=True)
        if target is not None:
            (folder / name).symlink_to(target.resolve(), target_is_directory=True)


def environment(launch: Launch, extra: Mapping[str, str]) -> dict[str, str]:
    # In bf16 another number of threads gives other weights: the number is the one that is reported.
    threads = dict.fromkeys(THREAD_VARIABLES, str(launch.setting.device.threads))
    devices = one_device(launch.setting.device, os.environ)
    if launch.ranks.devices:
        # Each takes the one of its number, as under torchrun.
        devices[CUDA_VISIBLE] = ",".join(launch.ranks.devices)
    # A file that is not there: accelerate would otherwise take the user's default_config.yaml.
    absent = {"ACCELERATE_CONFIG_FILE": f"{caches()['HF_HOME']}/no-accelerate-config.yaml"}
    return processes.environment({**SET_VARIABLES, **threads, **devices, **absent, **extra})


@contextlib.contextmanager
def _other_machines(
    launch: Launch, program: TrainingProgram, command: processes.Command
) -> Iterator[tuple[processes.Command, Path | None]]:
    ranks = launch.ranks
    if ranks.meeting is None:
        yield of_ranks(launch, program, command), None
        return
    assignment = nodes.SharedTraining(
        arguments=command.arguments,
        variables=environment(launch, program.variables),
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
        by_ray = processes.module("engine.backends.ray_child")(str(place), ranks.ray)
        yield by_ray if ranks.ray else assignment.group(0), place


def of_ranks(
    launch: Launch, program: TrainingProgram, command: processes.Command
) -> processes.Command:
    if launch.ranks.size == 1:
        return command
    imports = _imports(launch, program)
    return nodes.GROUP(
        str(launch.ranks.size), "0", "1", "-", imports, command.name, *command.arguments
    )


def ranks_config(launch: Launch, rows: str) -> dict[str, Any]:
    """Return the compiled config with the batch divided; `rows` is the backend's key for the rows of a pass.

    The compiled config itself stays that of one process: its bytes are part of stage keys and of the lock.
    """
    config: dict[str, Any] = yaml.safe_load(launch.config)
    division = divided(launch.method, launch.ranks)
    passes = {"gradient_accumulation_steps": division.accumulation}
    return {**config, rows: division.micro_batch_size, **passes}


def _imports(launch: Launch, program: TrainingProgram) -> str:
    return program.imports if launch.setting.device.kind == "cpu" else "-"


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
    ranks, names = launch.ranks, files_of(launch.ranks.size)
    variables, rights = environment(launch, program.variables), None
    if ranks.ray:
        # It starts its own processes, keeps the rights of the run, and asks for the user's token.
        variables |= ray_variables()
    else:
        rights = rights_of(
            command,
            reads=_read_of(launch),
            writes=(launch.folder,),
            network=LOOPBACK if ranks.meeting is None else OPEN,
            uses_gpu=True,
        )
    with (launch.folder / LOG).open("ab") as log, processes.working_folder() as folder:
        lay_out(folder, launch.folder.absolute(), program.folders, events=names)
        child = processes.start(
            command,
            folder=folder,
            variables=variables,
            out=log,
            errors=processes.STDOUT,
            rights=rights,
        )
        with child, interrupts.deferred():
            event_logs = EventLogs(launch.folder / name for name in names)
            try:
                clock = IdleClock(child.number)
                while not monitor.is_broken and interrupts.pending() is None:
                    ended = child.has_ended(within=POLL_SECONDS)
                    # Read after the look at the process, so that its last events are not missed.
                    if event_logs.pass_on(monitor):
                        clock.wrote()
                    if ended:
                        break
                    if place is not None:
                        nodes.refuse_failed(place, program.tool, monitor.where)
                    clock.tick()
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
            event_logs.pass_on(monitor)
        return child.status


def ray_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


def _read_of(launch: Launch) -> tuple[Path, ...]:
    own = (launch.rows, launch.base_model)
    return own if launch.targets is None else (*own, launch.targets)


def _failure(tool: str, code: int, monitor: events.TrainingMonitor, log: Path) -> StageError:
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    tail = "\n".join(tail_of(log))
    hint = "run the same command again: it continues from the last checkpoint; if it cannot, delete `.recipe/scratch`"
    # Our own kills end in other errors, so SIGKILL is the kernel's.
    if code == -signal.SIGKILL:
        hint = "lower method.micro_batch_size: the machine ran out of memory"
    elif any(text in tail.lower() for text in NO_MEMORY):
        hint = "lower method.micro_batch_size, or set method.gradient_checkpointing: memory ran out"
    message = f"{tool} {ended} {monitor.where}; last lines of its log:\n{tail}"
    return StageError.one("B411", message, hint=hint)
