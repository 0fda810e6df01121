"""Files that a recipe names by the same path and that hold something else now."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import Git, recipe, repository
from support.recipe_pairs import CASES, write_rows

PROBE = """\
  forgetting:
    max_drop: 0.05
    probes:
      - {name: own, kind: minimal_pairs, path: pairs.jsonl}
    text: {path: general.txt, bits_per_byte: {max_rise: 0.02}}
"""
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000,
    "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    text = (CASES / "base" / "talk.yaml").read_text("utf-8")
    pinned = "  hub: HuggingFaceTB/SmolLM2-360M-Instruct\n  revision: 0123456789abcdef0123456789abcdef01234567\n"
    text = text.replace(f"base_model:\n{pinned}", "base_model:\n  path: base\n") + PROBE
    text += "baselines:\n  - model: {name: larger, path: larger}\n"
    config = json.dumps(LLAMA)
    files = {"talk.yaml": text, "base/config.json": config, "larger/config.json": config}
    files |= {"pairs.jsonl": '{"good": "a", "bad": "b"}\n', "general.txt": "Snow fell.\n"}
    git = repository(tmp_path / "team", files)
    monkeypatch.chdir(git.folder)
    return git


def found(capsys: Any, *words: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(recipe(capsys, "diff", *words, "--format", "json").out)
    return result


@pytest.mark.parametrize(
    ("file", "code", "path"),
    [
        ("pairs.jsonl", "W114", "acceptance.forgetting.probes.own"),
        ("general.txt", "W114", "acceptance.forgetting.text"),
        ("larger/config.json", "W402", "baselines.larger"),
    ],
)
def test_other_bytes_behind_an_opponent_weaken_the_gate(
    team: Git, capsys: Any, file: str, code: str, path: str
) -> None:
    team.write({file: '{"good": "c", "bad": "d"}\n'})

    findings = found(capsys, "talk.yaml", "--from", "HEAD")["gate"]["findings"]

    assert [(one["code"], one["path"]) for one in findings] == [(code, path)]


def test_another_base_model_at_the_same_path_is_reported(team: Git, capsys: Any) -> None:
    team.write({"base/config.json": json.dumps({**LLAMA, "vocab_size": 1001})})

    result = found(capsys, "talk.yaml", "--from", "HEAD")

    assert [one["path"] for one in result["changes"]] == ["base_model"]
    assert result["gate"]["verdict"] == "stays"
    assert "train" in result["reruns"]


def test_a_copy_in_another_folder_means_the_same(team: Git, capsys: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in (
        "talk.yaml",
        "base/config.json",
        "larger/config.json",
        "pairs.jsonl",
        "general.txt",
    ):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((team.folder / name).read_bytes())

    assert found(capsys, "talk.yaml", str(copy / "talk.yaml"))["same"] is True


def test_an_invalid_old_version_is_named(team: Git, capsys: Any) -> None:
    team.edit("talk.yaml", "  kind: lora", "  kind: lorra")
    team.commit()
    team.edit("talk.yaml", "  kind: lorra", "  kind: lora")

    outcome = recipe(capsys, "diff", "talk.yaml", "--from", "HEAD")

    assert outcome.code == 2
    assert outcome.err.startswith("talk.yaml at HEAD:")


def test_a_file_under_another_name_is_the_same_opponent(team: Git, capsys: Any) -> None:
    text = (team.folder / "talk.yaml").read_text("utf-8")
    (team.folder / "pairs.jsonl").rename(team.folder / "asked.jsonl")
    team.write({"talk.yaml": text.replace("pairs.jsonl", "asked.jsonl")})

    assert found(capsys, "talk.yaml", "--from", "HEAD")["gate"]["findings"] == []


# Many recipes in one `recipe ci`: each is answered for itself.
NAMES = [f"tickets-{number}" for number in range(8)]
REDRAWN = NAMES[5]


def test_a_redrawn_holdout_among_many_recipes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    text = text.replace("      sha256: TICKETS\n", "")
    files = {f"{name}.yaml": text.replace("name: tickets", f"name: {name}") for name in NAMES}
    (tmp_path / "team").mkdir()
    write_rows(tmp_path / "team")
    git = repository(tmp_path / "team", files)
    git.run("checkout", "--quiet", "-b", "work")
    monkeypatch.chdir(git.folder)
    for name in NAMES:
        git.edit(f"{name}.yaml", "path: tickets.csv", "path: tickets.csv\n      format: csv")
    git.edit(f"{REDRAWN}.yaml", "  seed: 7", "  seed: 8")

    outcome = recipe(capsys, "ci", "--from", "main", "--fail-on", "weaker-gate", "--format", "json")

    found = {one["path"]: one["gate"]["verdict"] for one in json.loads(outcome.out)["recipes"]}
    expected = dict.fromkeys((f"{name}.yaml" for name in NAMES), "stays")
    assert found == {**expected, f"{REDRAWN}.yaml": "redrawn"}
    assert outcome.code == 0
