"""A run as a job of Slurm: its script, submission and progress until its end."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine.compute.jobs import ClusterJob, slurm_script
from engine.errors import EnvironmentProblem, StageError
from engine.process.start import Finished, ask, program
from engine.store.records import Runs

SCRIPT, LOG, CODE = "job.sh", "log", "code"
POLL_SECONDS: Final = 2.0
LATE_SECONDS: Final = 30.0
"""Time until files written on another machine of the cluster are visible on this one."""
GONE: Final = "invalid job id"
"""Slurm's message about a job that ended some minutes ago."""
ENDED: Final = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
     "TIMEOUT"}
)  # fmt: skip
Show = Callable[[str], None]


def run_job(job: ClusterJob, root: Path, *, note: Show, show: Show) -> tuple[int, Path | None]:
    """Submit the job, wait for its end, and return the exit code of `recipe` and the folder of its run.

    `note` gets the events of the job, `show` its output. EnvironmentProblem X850 without Slurm, StageError X851 where
    it refuses the job, X852 where the job ended before `recipe` did.
    """
    files = Path(job.files)
    files.mkdir(parents=True)
    (files / SCRIPT).write_text(slurm_script(job), encoding="utf-8")
    runs = Runs(root)
    before = set(runs.of(job.recipe))
    # Slurm replaces %j and the like in the name of a log.
    log = str(files / LOG).replace("%", "%%")
    places = (f"--output={log}", f"--chdir={job.folder}")
    answer = _ask("sbatch", "--parsable", *places, str(files / SCRIPT))
    if answer.status != 0:
        raise StageError.one(
            "X851",
            f"sbatch refuses the job: {answer.last_error or 'no answer'}",
            hint=f"change the profile in compute.yaml, or see {files / SCRIPT}",
        )
    number = answer.text.strip().partition(";")[0]
    note(f"job {number} ({job.name}) is submitted; its files are in {files}")
    try:
        code = _await(number, files, note=note, show=show)
    except KeyboardInterrupt:
        note(f"job {number} is still running: `scancel {number}` ends it")
        raise
    new = [run for run in runs.of(job.recipe) if run not in before]
    return code, new[-1] if new else None


def _await(number: str, files: Path, *, note: Show, show: Show) -> int:
    offset, known, since = 0, "", float("inf")
    while True:
        answer = _ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}")
        # Empty where Slurm no longer knows the job; None where it does not answer now.
        state = "" if GONE in answer.last_error.lower() else None
        if answer.status == 0:
            state = answer.text.strip().partition("\n")[0]
        if state and state != known:
            note(f"job {number}: {state}")
            known = state
        new = b""
        with suppress(OSError), (files / LOG).open("rb") as stream:
            stream.seek(offset)
            new = stream.read()
            offset += len(new)
        show(new.decode("utf-8", errors="replace"))
        with suppress(OSError, ValueError):
            return int((files / CODE).read_text(encoding="ascii"))
        if state in ENDED or state == "":
            since = min(since, time.monotonic())
        if time.monotonic() - since > LATE_SECONDS:
            raise StageError.one(
                "X852",
                f"job {number} has ended ({known.lower() or 'unknown to Slurm'}) before `recipe` did",
                hint=f"see the end of {files / LOG}; the same command resumes the run",
            )
        time.sleep(POLL_SECONDS)


def _ask(command: str, *words: str) -> Finished:
    if shutil.which(command) is None:
        raise EnvironmentProblem.one(
            "X850",
            f"there is no command `{command}` of Slurm here",
            hint="run this where jobs are submitted, or write the script only: recipe compile RECIPE --on NAME",
        )
    # as usual, a job gets the environment of its user
    return ask(program(command)(*words), variables=os.environ)
