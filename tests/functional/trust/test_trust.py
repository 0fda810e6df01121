"""A whole project with a served baseline: nothing leaves before the user's word, and a key is left nowhere after it."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.chat_service import Service, serving
from support.project import Outcome, Project, rows

pytestmark = pytest.mark.thorough

KEY = "sk-echoed/back+every=where"


def texts(folder: Path) -> str:
    """Everything that a folder's files hold, and their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "".join(f"{path}\n{path.read_bytes().decode('latin-1')}" for path in files)


def test_nothing_is_sent_before_the_users_word_and_no_key_is_kept_after(
    project: Project, careful_user: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    service = Service(answer=lambda _body: f"positive {KEY}", models={"served": f"owner {KEY}"})
    with serving(service):
        served = {"name": "remote", "endpoint": service.url, "model": "served"}
        project.edit(
            baselines=["majority", {"model": {**served, "api_key_env": "THEIR_KEY"}}],
            allow_moving=True,
            export={"formats": ["safetensors"]},
        )

        refused = project.run("run", str(project.recipe))
        asked_before = len(service.asked)
        trusted = project.run("trust", str(project.recipe))
        done = project.run("run", str(project.recipe))

    assert (refused.code, asked_before) == (2, 0)
    assert ("R306" in refused.err, "R308" in refused.err) == (True, True)  # the model is a link
    assert trusted.code == 0
    assert done.code == 0, done.err
    assert {f"Bearer {KEY}"} == {headers["Authorization"] for headers in service.headers}
    bundle = project.run("export", "bundle")
    assert bundle.code == 0
    with tarfile.open(next(tmp_path.glob("*.bundle.tar"))) as archive:
        archive.extractall(tmp_path / "bundle", filter="data")
    output = "".join((refused.err, done.out, done.err, bundle.out, texts(tmp_path)))
    assert "[key]" in output
    assert KEY.lower() not in output.lower()
    assert KEY not in texts(careful_user)


def test_data_outside_are_read_after_one_word(
    project: Project, careful_user: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert careful_user.is_dir()
    shared = tmp_path_factory.mktemp("shared") / "rows.csv"
    (project.folder / "rows.csv").rename(shared)
    (project.folder / "rows.csv").symlink_to(shared)
    words = ("data", str(project.recipe), "--no-tokens")
    base = (project.folder / "base").resolve()

    refused = project.run(*words)
    cached = project.run(*words, "--allow-read", str(shared), "--allow-read", str(base))
    again = project.run(*words)
    project.run("trust", str(project.recipe))
    trusted = project.run(*words)

    assert [refused.code, cached.code, again.code, trusted.code] == [2, 0, 2, 0], trusted.err


def test_a_recipe_that_was_drafted_from_data_elsewhere_is_trusted(
    tmp_path: Path, careful_user: Path, run: Callable[..., Outcome]
) -> None:
    elsewhere = tmp_path / "elsewhere" / "rows.csv"
    elsewhere.parent.mkdir()
    lines = [f"{text},{label}" for text, label in rows(140)]
    elsewhere.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "here").mkdir()
    target = tmp_path / "here" / "recipe.yaml"

    drafted = run("init", str(elsewhere), "-o", str(target))
    checked = run("validate", str(target))

    assert (drafted.code, checked.code) == (0, 0), drafted.err
    assert "R306" not in checked.err
    assert len(list((careful_user / "state" / "slm-recipe" / "trust").iterdir())) == 1
