"""Baselines as folders: what leaves answers as was judged, without this package; nothing else is written."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.environment import Device, detect_device
from engine.render.number_format import size
from engine.values import replace
from support.declared import import_skops, predict
from support.encoders import make_tiny_encoder
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import report

pytestmark = pytest.mark.thorough
PASSES = {"metrics": {"macro_f1": {"min": 0.6}}}


def _passing(project: Project) -> None:
    make_tiny_encoder(project.folder / "encoder")
    project.edit(
        baselines=["majority", "tfidf_svm", {"encoder_linear": {"path": "encoder"}}],
        stop_if_baseline_passes=True,
        acceptance=PASSES,
    )


@pytest.fixture(scope="module")
def passed() -> RunOnce:
    import_skops()
    return run_once("baseline passes", _passing)


@pytest.fixture
def project(
    passed: RunOnce,
    tmp_path: Path,
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """A project whose SVM passes, in the current folder."""
    project = passed.copy_to(tmp_path / "project", run)
    monkeypatch.chdir(project.folder)
    return project


def judged(project: Project, name: str) -> list[dict[str, str]]:
    """The stored predictions of a baseline."""
    (file,) = project.folder.glob(f".recipe/store/*/*/files/predictions.{name}.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def holdout(project: Project) -> list[str]:
    """The texts of the holdout."""
    (file,) = project.folder.glob(".recipe/store/*/*/files/holdout.jsonl")
    return [json.loads(line)["input"] for line in file.read_text(encoding="utf-8").splitlines()]


def sums(folder: Path) -> Iterator[tuple[str, str]]:
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        yield name, digest


def test_the_best_baseline_that_passes_is_a_folder_that_labels_rows(
    project: Project, tmp_path: Path
) -> None:
    made = project.run("export", "baseline", "recipe.yaml", "--format", "json")
    found = json.loads(made.out)
    folder = project.folder / "tiny-tfidf_svm"
    texts = holdout(project)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts), encoding="utf-8")
    answered = predict(folder, str(rows))

    assert (made.code, found["baseline"], found["rows"]) == (0, "tfidf_svm", 40), made.err
    assert answered.stdout.splitlines() == [row["label"] for row in judged(project, "tfidf_svm")]
    assert answered.stderr == ""
    assert dict(sums(folder)) == found["files"]
    for name, digest in sums(folder):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {path.name for path in folder.rglob("*")} == {*found["files"], "SHA256SUMS"}
    card = (folder / "README.md").read_text(encoding="utf-8")
    baselines = {one["name"]: one for one in report(project.folder / ".recipe")["baselines"]}
    metrics = {one["name"]: one for one in baselines["tfidf_svm"]["scores"]["metrics"]}
    macro = metrics["macro_f1"]
    assert f"| `macro_f1` | {macro['value']:.3f} [{macro['interval']['low']:.3f}, " in card
    assert "`negative`, `positive`" in card
    assert "encoder" not in card


def test_without_its_packages_the_program_names_what_to_install(
    project: Project, tmp_path: Path
) -> None:
    made = project.run("export", "baseline", "recipe.yaml")
    folder = project.folder / "tiny-tfidf_svm"
    rows = tmp_path / "rows.txt"
    rows.write_text("a lovely film\n", encoding="utf-8")

    # -S: no site-packages
    command = [sys.executable, "-S", str(folder / "predict.py"), str(rows)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={})

    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    whole = f"{len(sizes)} files, {size(sum(sizes))}"
    assert (made.code, made.out.splitlines()[0]) == (0, f"tiny-tfidf_svm  {whole}")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"is not installed: pip install -r {folder / 'requirements.txt'}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_form_of_rows_gets_the_same_answers(project: Project, tmp_path: Path) -> None:
    assert project.run("export", "baseline", "tiny", "--baseline", "tfidf_svm").code == 0
    folder = project.folder / "tiny-tfidf_svm"
    texts = ["the film was good", "the plot was awful, and dull"]
    (tmp_path / "rows.csv").write_text(
        "id,text\n" + "".join(f'{place},"{text}"\n' for place, text in enumerate(texts))
    )
    (tmp_path / "rows.txt").write_text("".join(f"{text}\n" for text in texts))
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(text)}\n\n" for text in texts))
    # TSV knows no quotes
    (tmp_path / "rows.tsv").write_text(
        "text\tid\n" + "".join(f'{text} "\t{place}\n' for place, text in enumerate(texts))
    )
    (tmp_path / "rows.table").write_text((tmp_path / "rows.tsv").read_text())
    answers = {
        predict(folder, *map(str, given)).stdout
        for given in (
            [tmp_path / "rows.txt"],
            [tmp_path / "rows.jsonl"],
            [tmp_path / "rows.tsv"],
            [tmp_path / "rows.table", "--format", "tsv"],
        )
    }
    unknown = predict(folder, str(tmp_path / "rows.table"))
    as_json = predict(folder, str(tmp_path / "rows.csv"), "--json").stdout
    # Unreadable rows are refused before the model is loaded.
    (folder / "classifier.skops").unlink()
    (tmp_path / "rows.csv").write_text("id,body\n1,x\n")
    other = predict(folder, str(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").write_text("id,text\n1,x\n2,y,z\n")
    longer = predict(folder, str(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").write_text("id,text\n1,x\n2\n")
    shorter = predict(folder, str(tmp_path / "rows.csv"))

    assert answers == {"positive\nnegative\n"}
    assert [json.loads(line) for line in as_json.splitlines()] == ["positive", "negative"]

    assert (other.returncode, other.stderr) == (1, "the header has no column `text`: id, body\n")
    ragged = "row 2: the header names 2 columns, and it has {}\n"
    assert (longer.returncode, longer.stderr) == (1, ragged.format(3))
    assert (shorter.returncode, shorter.stderr) == (1, ragged.format(1))
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.endswith("rows.table hold? --format csv, tsv, jsonl, text\n")


def test_the_frozen_encoder_leaves_with_its_linear_model(project: Project, tmp_path: Path) -> None:
    made = project.run(
        "export", "baseline", "recipe.yaml", "--baseline", "encoder_linear", "-o", "out/linear"
    )
    folder = project.folder / "out" / "linear"
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f"{json.dumps(text)}\n" for text in holdout(project)))
    answered = predict(folder, str(rows))

    assert made.code == 0, made.err
    assert answered.stdout.splitlines() == [
        row["label"] for row in judged(project, "encoder_linear")
    ]
    assert (folder / "encoder" / "model.safetensors").is_file()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert re.search(
        r"`encoder/` was made from sha256 `[0-9a-f]{64}`\. Its weights are under the", card
    )
    texts = [path for path in folder.rglob("*") if path.suffix in (".json", ".md", ".txt", ".py")]
    assert not [path for path in texts if str(tmp_path) in path.read_text(encoding="utf-8")]


def test_nothing_is_overwritten_and_nothing_half_written_stays(project: Project) -> None:
    there = project.folder / "tiny-tfidf_svm"
    there.mkdir()
    (there / "mine").write_text("mine")
    refused = project.run("export", "baseline", "tiny", "--baseline", "tfidf_svm")
    before = {path.name for path in project.folder.iterdir()}

    assert refused.code == 2
    assert "X699" in refused.err
    assert [path.name for path in there.iterdir()] == ["mine"]
    assert not [name for name in before if name.startswith(".tiny")]


def test_a_run_that_ended_before_its_baselines_is_named(project: Project) -> None:
    project.edit(splits__seed=8)
    assert project.run("run", "recipe.yaml", "--until", "data").code == 0
    outcome = project.run("export", "baseline", "recipe.yaml")

    assert outcome.code == 2
    assert "the run ended before stage baseline was done" in outcome.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--baseline", "majority"), "X697"),
        (("--baseline", "encoder_tuned"), "X697"),
        (("--with-model",), "R315"),
    ],
)
def test_what_cannot_be_exported_is_named(
    words: tuple[str, ...], code: str, project: Project
) -> None:
    outcome = project.run("export", "baseline", "tiny", *words)

    assert outcome.code == 2
    assert code in outcome.err


def test_an_encoder_that_changed_since_is_refused(project: Project) -> None:
    config = project.folder / "encoder" / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    outcome = project.run("export", "baseline", "recipe.yaml", "--baseline", "encoder_linear")

    assert outcome.code == 2
    assert "`encoder` is not the encoder that was judged" in outcome.err


def test_another_answer_than_the_judged_one_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.runtime.text import tfidf

    # Other features make another model.
    monkeypatch.setattr(tfidf, "words_and_characters", one_letter)
    outcome = project.run("export", "baseline", "tiny", "--baseline", "tfidf_svm")

    assert outcome.code == 3
    assert "X698" in outcome.err
    assert not (project.folder / "tiny-tfidf_svm").exists()


def test_a_forced_stage_fits_anew_what_another_machine_has_answered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.runtime.text import tfidf

    project.edit(splits__seed=8)
    export = ("export", "baseline", "tiny", "--baseline", "tfidf_svm")
    with monkeypatch.context() as there:
        there.setattr(tfidf, "words_and_characters", one_letter)
        project.run("run", "recipe.yaml", "--until", "baseline")
    assert "X698" in project.run(*export).err
    project.run("run", "recipe.yaml", "--until", "baseline", "--force", "baseline")
    exported = project.run(*export)

    assert exported.code == 0, exported.err


def test_an_encoder_is_fitted_with_the_threads_of_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.runs import export_baseline
    from engine.runtime.encoders import encoder

    here, used = detect_device(), list[int]()

    def load(*given: Any, device: Device, **named: Any) -> encoder.Encoder:
        used.append(device.threads)
        return load_encoder(*given, device=here, **named)

    load_encoder = encoder.load_encoder
    monkeypatch.setattr(encoder, "load_encoder", load)
    other = replace(here, cores=here.cores + 5)
    monkeypatch.setattr(export_baseline, "detect_device", lambda: other)
    exported = project.run("export", "baseline", "tiny", "--baseline", "encoder_linear")

    assert exported.code == 0, exported.err
    assert used == [int(report(project.folder / ".recipe")["environment"]["threads"])]


def one_letter() -> object:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char", max_features=1)
