"""Job files: a profile as Slurm or SkyPilot reads it, around the `recipe run` of the command line.

Pure and light. Keys of a profile are closed, and words of the command line are quoted: nothing of a recipe's text is in
a job file.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from engine.compute.profile import LOCAL, SLURM, ComputeProfile
from engine.errors import RecipeError
from engine.files.writing import COMPILED
from engine.process import __version__
from engine.process.start import OWN_COMMAND
from engine.values import Value

PROFILE: Final = "job"
"""The name of the profile that a job itself runs on."""
NODES: Final = "RECIPE_NODES"
MEETING: Final = "RECIPE_MEETING"
"""Set in a job of several machines: where they find each other, a name that nobody can know before."""
HEADER: Final = f"# slm-recipe {__version__}; {COMPILED}: `recipe compile --on` writes it"
NOTICE_SECONDS: Final = 90
"""Seconds between the signal and the end of a job that is out of time or preempted: enough for a checkpoint."""


KEPT: Final = ("nodes", "processes", "shard", "parallel", "retries")


class Machine(Value):
    number: int
    """Counted from 0, which runs the recipe; the others train with it."""
    count: int
    meeting: str
    """The name of the folder in the store where they find each other."""


def this_node(variables: Mapping[str, str]) -> Machine | None:
    """Return which machine of a job of several this is; None outside of one.

    RecipeError R451 where the job was not made by `slurm_script`: each of its machines would hand in a job of its own.
    """
    meeting = variables.get(MEETING)
    if meeting is None:
        return None
    if not re.fullmatch(r"[0-9]+-[0-9a-f]{24}", meeting):
        raise RecipeError.one(
            "R451",
            f"{MEETING} is set, and names no meeting of a job's machines",
            hint="hand in the script as `recipe compile RECIPE --on NAME` writes it",
        )
    return Machine(
        number=int(variables["SLURM_NODEID"]), count=int(variables[NODES]), meeting=meeting
    )


class ClusterJob(Value):
    profile: ComputeProfile
    recipe: str
    words: tuple[str, ...]
    """Arguments after `recipe run`, without those of the profile."""
    folder: str
    """Absolute folder that relative paths in `words` refer to."""
    files: str
    """Absolute folder of the job, where it writes `compute.yaml` and its exit code, `code`."""

    @property
    def name(self) -> str:
        return f"recipe-{self.recipe}"


def _written_profile(path: str, profile: ComputeProfile) -> list[str]:
    store = profile.store
    kept: dict[str, Any] = {
        **{name: getattr(profile, name) for name in KEPT},
        "store": store and {"url": store.url, "trust": store.trust},
    }
    default = ComputeProfile()
    keys = {key: value for key, value in kept.items() if value != getattr(default, key)}
    engine = SLURM if profile.nodes > 1 else LOCAL
    inner = {"compute": "v1", "profiles": {PROFILE: {"engine": engine} | keys}}
    return [f"cat > \"{path}\" <<'END'", f"{yaml.safe_dump(inner, sort_keys=False)}END"]


def slurm_script(job: ClusterJob) -> str:
    """Return the script for `sbatch`.

    It passes on the signal that Slurm sends before the time is over, and writes the exit code of `recipe` into `files`.
    A run that was ended by a signal (time, another user's priority) is queued again, as often as `retries` says, and
    goes on from its last checkpoint.
    """
    profile = job.profile
    step, meeting = list[str](), list[str]()
    if profile.nodes > 1:
        step = ["srun", "--kill-on-bad-exit=1"]
        name = "$SLURM_JOB_ID-$(od -An -N12 -tx1 /dev/urandom | tr -dc 0-9a-f)"
        meeting = [f"export {NODES}={profile.nodes}", f'export {MEETING}="{name}"']
    inner = shlex.join([*step, *OWN_COMMAND, "run", *job.words, "--on", PROFILE, "--compute"])
    lines = [
        "#!/bin/bash",
        HEADER,
        *(f"#SBATCH --{option}" for option in _sbatch_options(job)),
        "",
        f"cd {shlex.quote(job.folder)} || exit 1",
        f"files={shlex.quote(job.files)}",
        'mkdir -p "$files" || exit 1',
        *_written_profile("$files/compute.yaml", profile),
        *meeting,
        "asked= run=",
        'trap \'asked=yes; [ -z "$run" ] || kill -TERM "$run"\' TERM',
        f'{inner} "$files/compute.yaml" &',
        "run=$!",
        'wait "$run"; code=$?',
        "# a signal ends this wait, and not yet the run",
        'if [ -n "$asked" ]; then wait "$run"; ended=$?; [ "$ended" = 127 ] || code=$ended; fi',
        f'if [ "$code" -gt 128 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {profile.retries} ]; then',
        '    scontrol requeue "$SLURM_JOB_ID" && exit "$code"',
        "fi",
        'echo "$code" > "$files/code"',
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"


def _sbatch_options(job: ClusterJob) -> Iterator[str]:
    profile = job.profile
    name, _, number = (profile.device or "").partition(":")
    options = {
        "job-name": job.name,
        "nodes": profile.nodes,
        "ntasks-per-node": 1,
        "gres": profile.device and f"gpu:{name}:{number or 1}",
        "cpus-per-task": profile.cores,
        "mem": profile.memory,
        "time": profile.time and -(-profile.time // 60),
        "signal": profile.time and f"B:TERM@{NOTICE_SECONDS}",
    }
    yield from (f"{key}={value}" for key, value in options.items() if value)
    yield "requeue" if profile.retries else "no-requeue"
    yield "open-mode=append"
    yield from (f"{key}={value}" for key, value in sorted(profile.options.items()))


def sky_task(job: ClusterJob, *, seconds: int | None = None) -> str:
    """Return the task for `sky jobs launch`; with `seconds` the run is asked to end after so long.

    The project's folder goes along, results go to the shared store, and a machine that was taken away is replaced: the
    run then takes from the store what is finished.
    """
    profile = job.profile
    resources: dict[str, Any] = {
        "accelerators": profile.device,
        "cpus": f"{profile.cores}+" if profile.cores else None,
        "memory": f"{profile.memory.removesuffix('G')}+" if profile.memory else None,
        "use_spot": profile.spot or None,
    }
    inner = ["uvx", "--from", f"slm-recipe=={__version__}", "recipe"]
    inner += ["run", *job.words, "--on", PROFILE, "--compute"]
    if seconds:
        limit = f"--kill-after={NOTICE_SECONDS}"
        inner = ["timeout", "--signal=TERM", limit, str(seconds), *inner]
    # Its own profile stands in a file of the machine.
    lines = ['own="$(mktemp)"', *_written_profile("$own", profile), f'{shlex.join(inner)} "$own"']
    task = {
        "name": job.name,
        "workdir": ".",
        "resources": {key: value for key, value in resources.items() if value is not None},
        "setup": _Block("python3 -m pip install --quiet uv\n"),
        "run": _Block("\n".join(lines) + "\n"),
    }
    return f"{HEADER}\n{yaml.dump(task, Dumper=_TaskDumper, sort_keys=False)}"


class _Block(str):
    __slots__ = ()


class _TaskDumper(yaml.SafeDumper):
    pass


_TaskDumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), "|")
)
