"""Profiles of `compute.yaml`: read only from where its owner put them, with every mistake at its place."""

from argparse import Namespace
from pathlib import Path

import pytest

from engine.cli.output import compute_of
from engine.compute import profile as compute_profile
from engine.compute.profile import (
    FILE,
    ComputeProfile,
    StorePlace,
    profile_of,
    refuse_unready,
)
from engine.errors import EnvironmentProblem, RecipeError

HEAD = "compute: v1\nstore: s3://team/recipes\nprofiles:\n"


def written(folder: Path, body: str) -> Path:
    path = folder / FILE
    path.write_text(HEAD + body, encoding="utf-8")
    return path


def test_without_a_file_it_is_one_process_of_this_machine(careful_user: Path) -> None:
    assert profile_of(None) == ComputeProfile()


def test_a_profile_has_every_default_and_the_store_of_all(tmp_path: Path) -> None:
    path = written(
        tmp_path, "  laptop: {}\n  hpc: {engine: slurm, nodes: 4, processes: 8, time: 8h}\n"
    )

    laptop, hpc = (profile_of(name, path) for name in ("laptop", "hpc"))

    assert laptop == ComputeProfile(name="laptop", store=StorePlace(url="s3://team/recipes"))
    assert (hpc.engine, hpc.ranks.size, hpc.time) == ("slurm", 32, 8 * 3600)


def test_a_profile_may_have_a_store_of_its_own_that_is_only_read(tmp_path: Path) -> None:
    path = written(tmp_path, "  ci: {store: {url: /mnt/results, trust: read}}\n")

    assert profile_of("ci", path).store == StorePlace(url="/mnt/results", trust="read")


def test_a_file_beside_the_recipe_is_not_read(
    tmp_path: Path, careful_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "  box: {processes: 8}\n")

    with pytest.raises(RecipeError) as refused:
        profile_of("box")

    assert [problem.code for problem in refused.value.problems] == ["R430"]


def test_the_users_own_file_is_read(careful_user: Path) -> None:
    folder = careful_user / "config" / "slm-recipe"
    folder.mkdir(parents=True)
    written(folder, "  box: {processes: 8}\n")

    assert profile_of("box").processes == 8


@pytest.mark.parametrize(
    ("body", "code", "line", "column", "words"),
    [
        ("  box: {procesess: 8}\n", "R104", 4, 9, "did you mean `processes`?"),
        ("  box: {num_gpus: 8}\n", "R104", 4, 9, "did you mean `processes`?"),
        ("  box: {engine: slrum}\n", "R107", 4, 17, "did you mean `slurm`?"),
        ("  box: {processes: 0}\n", "R108", 4, 20, "must be at least 1"),
        ("  box: {processes: eight}\n", "R106", 4, 20, "must be a whole number"),
        ("  box: {time: 8 hours, engine: slurm}\n", "R109", 4, 15, "such as 8h"),
        ("  box: {address: 'ray://h:1', engine: ray}\n", "R109", 4, 18, "HOST:PORT"),
        ("  box: {options: {queue: gpu}, engine: slurm}\n", "R104", 4, 19, "partition"),
        ("  box: {options: {account: 'a; rm'}, engine: slurm}\n", "R109", 4, 28, "must be letters"),
        ("  box: {store: {trust: read}}\n", "R105", 4, 9, "is missing"),
        ("  box: {spot: true}\n", "R432", 4, 9, "means nothing to the engine `local`"),
        ("  box: {engine: ray}\n", "R432", 4, 3, "there is one"),
        ("  box: {engine: ray, parallel: 4}\n", "R432", 4, 3, "the address of a cluster"),
        ("  box: {device: H100, engine: ray, nodes: 2}\n", "R432", 4, 9, "means nothing"),
        ("  box: {memory: 64, engine: slurm}\n", "R106", 4, 17, "must be"),
        ("  box: {shard: true}\n", "R432", 4, 9, "there is one"),
        ("  box: {nodes: 2}\n", "R432", 4, 9, "set engine: ray"),
    ],
)
def test_a_mistake_has_its_code_and_place(
    tmp_path: Path, body: str, code: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(RecipeError) as refused:
        profile_of("box", written(tmp_path, body))

    [problem] = refused.value.problems
    assert problem.place is not None
    assert (problem.code, problem.place.line, problem.place.column) == (code, line, column)
    assert words in f"{problem.message} {problem.hint}"


def test_a_misspelt_name_of_a_profile_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        profile_of("bx", written(tmp_path, "  box: {}\n  laptop: {}\n"))

    [problem] = refused.value.problems
    assert problem.code == "R431"
    assert "did you mean `box`?" in str(problem.hint)


@pytest.mark.parametrize(
    ("address", "variables", "codes"),
    [
        ("local", {}, []),
        ("127.0.0.1:6379", {}, []),
        ("10.0.0.5:6379", {}, ["R452"]),
        ("10.0.0.5:6379", {"RAY_AUTH_MODE": "token"}, []),
        ("127.evil.example:6379", {}, ["R452"]),
    ],
)
def test_a_ray_elsewhere_is_used_with_a_token_only(
    monkeypatch: pytest.MonkeyPatch, address: str, variables: dict[str, str], codes: list[str]
) -> None:
    profile = ComputeProfile(name="ray", engine="ray", address=address, nodes=2)
    monkeypatch.setattr(compute_profile, "find_spec", lambda name: name)
    try:
        refuse_unready(profile, variables)
        found = []
    except RecipeError as error:
        found = [problem.code for problem in error.problems]

    assert found == codes


def test_without_ray_a_run_is_refused_and_a_plan_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "  ray: {engine: ray, nodes: 2}\n")
    options = Namespace(on="ray", compute=path)
    monkeypatch.setattr(compute_profile, "find_spec", lambda name: None)

    assert compute_of(options).nodes == 2
    with pytest.raises(EnvironmentProblem) as refused:
        compute_of(options, runs=True)

    assert [problem.code for problem in refused.value.problems] == ["X853"]


def test_ray_places_variants_of_one_process_each(tmp_path: Path) -> None:
    profile = profile_of(
        "box", written(tmp_path, "  box: {engine: ray, address: '10.0.0.5:6379', parallel: 4}\n")
    )

    assert (profile.parallel, profile.ranks.size) == (4, 1)
