"""SIGKILL while a model writes rows: nothing that was answered is asked again, and the rows are the same bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.store import Store
from support.chat_service import Body, Service, Trouble, serving
from support.paths import ROOT
from support.project import Project
from support.runs import manifests
from support.written_rows import Writer, with_synthesis, write_labelled

pytestmark = pytest.mark.thorough
SECONDS = 60


def rows_of(folder: Path) -> bytes:
    """The bytes of what the stage has left: kept and refused rows, and the training rows with them."""
    root = folder / ".recipe"
    stages = ("synthesize", "synthetic_rows")
    keys = [one["key"] for one in manifests(root) if one["stage"] in stages]
    files = [Store(root).folder(key) / "files" for key in keys]
    names = ("synthetic.jsonl", "refused.jsonl", "review.jsonl", "train.jsonl")
    return b"".join(
        (one / name).read_bytes() for one in files for name in names if (one / name).is_file()
    )


def kept_answers(folder: Path) -> int:
    """How many answers the dying run has written down."""
    ledgers = (folder / ".recipe").rglob("answers.jsonl")
    return sum(len(file.read_bytes().splitlines()) for file in ledgers)


# 40 rows are written in parts of 32, and the rows of a part are asked again before the next one
@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("answered", "of_this_part"), [(20, 20), (42, 10), (68, 4)], ids=["written", "judged", "next"]
)
def test_a_killed_run_asks_no_question_twice_and_ends_with_the_same_rows(
    project: Project, monkeypatch: pytest.MonkeyPatch, answered: int, of_this_part: int
) -> None:
    monkeypatch.chdir(project.folder)
    write_labelled(project)
    with serving(Service(answer=Writer())) as service:
        with_synthesis(project, service, rows=40)
        whole = project.run("run", "recipe.yaml", "--until", "synthesize")
        assert whole.code == 0, whole.err
        right, asked = rows_of(project.folder), len(service.asked)
        shutil.rmtree(project.folder / ".recipe")
        (project.folder / "recipe.lock.json").unlink(missing_ok=True)
        service.asked.clear()
        running: list[subprocess.Popen[bytes]] = []

        def trouble(_body: Body, before: int) -> Trouble | None:
            """Let the run die once all answers are kept, and hold back the requests after them."""
            if before < answered:
                return None
            until = time.monotonic() + SECONDS
            while kept_answers(project.folder) < of_this_part and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(running[0].pid, signal.SIGKILL)
            return Trouble(status=500, body={})

        service.trouble = trouble
        words = [sys.executable, "-m", "engine", "run", "recipe.yaml", "--until", "synthesize"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        running.append(subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL))
        died = running[0].wait()
        first = [json.dumps(body) for body in service.asked]
        service.trouble = lambda _body, _before: None
        after = project.run("run", "recipe.yaml", "--until", "synthesize")
        second = [json.dumps(body) for body in service.asked[len(first) :]]

    assert died == -signal.SIGKILL
    assert after.code == 0, after.err
    assert not set(first[:answered]) & set(second), "what was answered is not asked again"
    assert len(second) == asked - answered
    assert rows_of(project.folder) == right
