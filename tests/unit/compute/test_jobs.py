"""Job files: what a profile says as each engine reads it, and nothing that a shell would take otherwise."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engine.compute.jobs import (
    MEETING,
    NODES,
    ClusterJob,
    sky_task,
    slurm_script,
    this_node,
)
from engine.compute.profile import (
    BatchDivision,
    ComputeProfile,
    Ranks,
    StorePlace,
    divided,
    profile_of,
    refuse_indivisible,
    repeated_rows,
)
from engine.errors import RecipeError
from engine.values import replace
from support.launches import METHOD

HPC = ComputeProfile(
    name="hpc", engine="slurm", processes=8, device="h100:8", cores=32, memory="200G",
    time=8 * 3600, retries=3, options={"partition": "gpu", "account": "nlp"},
)  # fmt: skip
SPOT = ComputeProfile(
    name="spot", engine="skypilot", device="H100:8", spot=True, processes=8,
    store=StorePlace(url="s3://b/r"),
)  # fmt: skip


def job(profile: ComputeProfile, folder: Path = Path("/data/team"), *words: str) -> ClusterJob:
    return ClusterJob(
        profile=profile, recipe="tickets", words=words or ("tickets.yaml",),
        folder=str(folder), files=str(folder / ".recipe" / "jobs" / "one"),
    )  # fmt: skip


def options(script: str) -> set[str]:
    return {line.partition("--")[2] for line in script.splitlines() if line.startswith("#SBATCH")}


def test_each_key_of_a_profile_is_an_option_of_sbatch() -> None:
    assert options(slurm_script(job(HPC))) >= {
        "job-name=recipe-tickets", "nodes=1", "gres=gpu:h100:8", "cpus-per-task=32", "mem=200G",
        "time=480", "signal=B:TERM@90", "requeue", "partition=gpu", "account=nlp",
    }  # fmt: skip


def test_without_retries_it_is_never_queued_again() -> None:
    assert "no-requeue" in options(slurm_script(job(replace(HPC, retries=0))))


def run_script(
    folder: Path, text: str, program: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a job's script with `program` in the place of Python and srun, and scontrol that only says its words."""
    (folder / "python").write_text(f"#!/bin/bash\n{program}\n", encoding="utf-8")
    (folder / "scontrol").write_text('#!/bin/bash\necho "$@" > requeued\n', encoding="utf-8")
    for name in ("python", "scontrol"):
        (folder / name).chmod(0o755)
    words = shlex.join([str(folder / "python")])
    return subprocess.run(
        ["bash", "-c", text.replace(shlex.quote(sys.executable), words)],
        env={"PATH": f"{folder}:/usr/bin:/bin", "SLURM_JOB_ID": "7", **variables},
        capture_output=True, text=True, check=False, cwd=folder, timeout=60,
    )  # fmt: skip


def test_a_job_runs_the_words_as_they_were_given_and_writes_its_exit_code(tmp_path: Path) -> None:
    odd = tmp_path / "it's a $(touch gone) folder"
    odd.mkdir()
    words = ("a recipe;touch gone.yaml", "--store", "$HOME/x")
    done = run_script(
        tmp_path,
        slurm_script(job(replace(HPC, parallel=2), odd, *words)),
        'printf "%s\\n" "$@"; pwd; cat "${@: -1}"; exit 1',
    )
    files = odd / ".recipe" / "jobs" / "one"
    lines = done.stdout.splitlines()

    assert done.returncode == 1, done.stderr
    assert lines[:6] == ["-P", "-m", "engine", "run", *words[:2]]
    assert lines[6:12] == [
        words[2], "--on", "job", "--compute", str(files / "compute.yaml"), str(odd)
    ]  # fmt: skip
    assert (files / "code").read_text(encoding="utf-8") == "1\n"
    assert not list(tmp_path.rglob("gone"))
    inner = profile_of("job", files / "compute.yaml")
    assert (inner.engine, inner.processes, inner.parallel, inner.retries) == ("local", 8, 2, 3)


@pytest.mark.parametrize(("restarts", "is_queued"), [("0", True), ("3", False)])
def test_a_run_that_was_ended_is_queued_again_as_often_as_it_may(
    tmp_path: Path, restarts: str, is_queued: bool
) -> None:
    done = run_script(
        tmp_path, slurm_script(job(HPC, tmp_path)), "exit 143", SLURM_RESTART_COUNT=restarts
    )

    assert done.returncode == 143
    assert (tmp_path / "requeued").exists() is is_queued
    assert (tmp_path / ".recipe" / "jobs" / "one" / "code").exists() is not is_queued


def test_the_signal_before_the_time_is_over_reaches_the_run_and_its_end_is_awaited(
    tmp_path: Path,
) -> None:
    saves = "trap 'sleep 0.3; touch saved; exit 7' TERM"
    program = f"{saves}; sleep 0.3; kill -TERM $PPID; for i in {{1..99}}; do sleep 0.1; done"
    done = run_script(tmp_path, slurm_script(job(replace(HPC, retries=0), tmp_path)), program)

    # its own, not the one of a wait that a signal has ended
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "saved").exists()


def test_machines_of_a_job_meet_under_a_name_that_differs_each_time(tmp_path: Path) -> None:
    script = slurm_script(job(replace(HPC, nodes=2), tmp_path))
    (tmp_path / "srun").write_text('#!/bin/bash\nshift; exec "$@"\n', encoding="utf-8")
    (tmp_path / "srun").chmod(0o755)
    names = [
        run_script(tmp_path, script, f'echo "${MEETING} ${NODES}"').stdout.split() for _ in "ab"
    ]

    assert [count for _, count in names] == ["2", "2"]
    assert names[0][0] != names[1][0]
    node = this_node({MEETING: names[0][0], NODES: "2", "SLURM_NODEID": "1"})
    assert node is not None
    assert (node.number, node.count) == (1, 2)


def test_outside_of_a_job_there_is_no_node_and_another_meeting_is_refused() -> None:
    assert this_node({"SLURM_NODEID": "1"}) is None
    with pytest.raises(RecipeError) as refused:
        this_node({MEETING: "../elsewhere", NODES: "2", "SLURM_NODEID": "1"})

    assert [problem.code for problem in refused.value.problems] == ["R451"]


def test_a_task_of_skypilot_takes_the_project_along_and_writes_into_the_store(
    tmp_path: Path,
) -> None:
    task = yaml.safe_load(sky_task(job(SPOT, tmp_path, "a b.yaml"), seconds=3600))

    assert task["resources"] == {"accelerators": "H100:8", "use_spot": True}
    assert task["workdir"] == "."
    assert "timeout --signal=TERM --kill-after=90 3600 uvx" in task["run"]
    assert "run 'a b.yaml' --on job" in task["run"]
    written = task["run"].partition("<<'END'\n")[2].partition("END\n")[0]
    (tmp_path / "compute.yaml").write_text(written, encoding="utf-8")
    assert profile_of("job", tmp_path / "compute.yaml").store == StorePlace(url="s3://b/r")


@pytest.mark.parametrize("batch", [1, 6, 8, 12, 32])
@pytest.mark.parametrize("micro", [1, 2, 3, 4, 32])
def test_the_global_batch_never_changes_and_no_device_holds_more(batch: int, micro: int) -> None:
    method = replace(METHOD, batch_size=batch, micro_batch_size=micro)
    for size in [one for one in range(1, batch + 1) if batch % one == 0]:
        one = divided(method, Ranks(processes=size))

        assert one.micro_batch_size * one.accumulation * size == batch
        assert one.micro_batch_size <= micro


def test_one_process_has_the_recipes_own_numbers() -> None:
    assert divided(METHOD, Ranks()) == BatchDivision(micro_batch_size=4, accumulation=2)


def test_nodes_count_as_their_processes() -> None:
    division = divided(METHOD, Ranks(processes=2, nodes=2))

    assert division == BatchDivision(micro_batch_size=2, accumulation=1)


def test_a_batch_that_does_not_divide_is_refused_with_the_worlds_that_do() -> None:
    methods = [replace(METHOD, batch_size=size) for size in (16, 8, 12, 16)]

    with pytest.raises(RecipeError) as refused:
        refuse_indivisible(methods, Ranks(processes=6))

    assert [(one.code, one.message) for one in refused.value.problems] == [
        ("R433", "batch_size 16 runs on 1, 2, 4, 8 or 16 processes, not 6"),
        ("R433", "batch_size 8 runs on 1, 2, 4 or 8 processes, not 6"),
    ]


def test_rows_that_fill_the_last_pass_are_counted() -> None:
    one, two = Ranks(), Ranks(processes=2)

    assert repeated_rows(93, divided(METHOD, two), two) == 3
    assert repeated_rows(96, divided(METHOD, two), two) == 0
    assert repeated_rows(93, divided(METHOD, one), one) == 0
