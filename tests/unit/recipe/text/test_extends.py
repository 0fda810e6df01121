"""`extends`: what a child takes from its parent, whose place a problem has, and what is refused."""

import textwrap
from pathlib import Path

import pytest
import yaml

from engine.backends import check_backend
from engine.cli.main import main
from engine.errors import Problem, RecipeError
from engine.recipe import check_recipe, dump_resolved, load_recipe
from engine.recipe.model import HubRef, PathRef
from engine.recipe.resolve import check_parent, parents_among
from engine.recipe.text.extends import placed, with_parent_text
from support.paths import EXAMPLES

PARENT = """\
recipe: v1
task:
  kind: classification
  instruction: bug or praise?
  labels: [bug, praise]
base_model:
  hub: HuggingFaceTB/SmolLM2-360M-Instruct
  revision: 0123456789abcdef0123456789abcdef01234567
data:
  sources:
    - path: data/rows.csv
  label: {column: topic}
method:
  kind: lora
  rank: 8
  epochs: 2
acceptance:
  metrics:
    macro_f1: {min: 0.80}
"""
CHILD = """\
recipe: v1
extends: ../shared/base.yaml
name: tickets
splits: {train: 400, validation: 100, holdout: 300}
method:
  rank: 16
acceptance:
  metrics:
    f1.bug: {min: 0.70}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "shared" / "data" / "rows.csv").write_text("text,topic\nx,bug\n", encoding="utf-8")
    (tmp_path / "shared" / "base.yaml").write_text(PARENT, encoding="utf-8")
    (tmp_path / "recipes" / "child.yaml").write_text(CHILD, encoding="utf-8")
    return tmp_path


def child(folder: Path, old: str = "", new: str = "") -> Path:
    path = folder / "recipes" / "child.yaml"
    assert old in CHILD
    path.write_text(CHILD.replace(old, new) if old else CHILD, encoding="utf-8")
    return path


def parent(folder: Path, old: str, new: str) -> Path:
    path = folder / "shared" / "base.yaml"
    assert old in PARENT
    path.write_text(PARENT.replace(old, new), encoding="utf-8")
    return path


def problems_of(path: Path) -> list[tuple[str, str, int | None]]:
    return [
        (problem.code, Path(problem.place.file).name, problem.place.line)
        for problem in check_recipe(path)[1]
        if problem.place is not None
    ]


def test_the_child_wins_key_by_key_and_the_parent_gives_the_rest(folder: Path) -> None:
    recipe, warnings = load_recipe(child(folder))

    assert (recipe.name, recipe.method.rank, recipe.method.epochs) == ("tickets", 16, 2.0)
    assert [bound.metric for bound in recipe.acceptance.metrics] == ["macro_f1", "f1.bug"]
    assert warnings == ()


def test_lists_are_replaced_whole(folder: Path) -> None:
    more = "task: {labels: [bug, praise, other], instruction: 'bug, praise or other?'}\nsplits"

    recipe, _ = load_recipe(child(folder, "splits", more))

    assert recipe.task.labels == ("bug", "praise", "other")
    assert recipe.task.kind == "classification"


def test_it_resolves_to_what_one_file_would_say(folder: Path) -> None:
    merged = yaml.safe_load(PARENT) | {"name": "tickets", "splits": yaml.safe_load(CHILD)["splits"]}
    merged["method"]["rank"] = 16
    merged["acceptance"]["metrics"]["f1.bug"] = {"min": 0.70}
    merged["data"]["sources"][0]["path"] = "../shared/data/rows.csv"
    flat = folder / "recipes" / "flat.yaml"
    flat.write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")

    assert dump_resolved(load_recipe(flat)[0]) == dump_resolved(load_recipe(child(folder))[0])


def test_paths_of_a_parent_are_read_from_the_parents_folder(folder: Path) -> None:
    parent(
        folder,
        "acceptance:",
        "baselines: [{model: {name: big, gguf: data/m.gguf}}, majority]\nacceptance:\n"
        "  forgetting: {probes: [{name: own, kind: cloze, path: data/rows.csv}], max_drop: 0.1}",
    )
    (folder / "shared" / "data" / "m.gguf").write_bytes(b"GGUF")

    recipe, _ = load_recipe(child(folder))

    source, model = recipe.data.sources[0].ref, recipe.baselines[0].gguf
    assert isinstance(source, PathRef)
    assert model is not None
    assert source.path == folder / "shared" / "data" / "rows.csv"
    assert source.written == "../shared/data/rows.csv"
    assert model.path == folder / "shared" / "data" / "m.gguf"
    assert recipe.acceptance.forgetting is not None
    probe = recipe.acceptance.forgetting.probes[0].source
    assert probe is not None
    assert isinstance(probe.ref, PathRef)
    assert probe.ref.path == source.path


def test_a_model_named_anew_does_not_keep_the_pin_of_the_parents(folder: Path) -> None:
    other = "base_model: {hub: someone/another-model}\nallow_moving: true\nsplits"

    recipe, _ = load_recipe(child(folder, "splits", other))

    assert recipe.base_model == HubRef(repo="someone/another-model", revision=None)


def test_a_way_to_split_takes_the_place_of_the_parents(folder: Path) -> None:
    parent(folder, "method:", "splits: {by: {group: author}}\nmethod:")

    recipe, _ = load_recipe(child(folder, "splits: {", "splits: {by: {time: day}, "))

    assert (recipe.splits.by, recipe.splits.column) == ("time", "day")


def test_a_mistake_in_the_parent_has_the_parents_file_and_line(folder: Path) -> None:
    parent(folder, "  epochs: 2", "  epoch: 2")

    assert problems_of(child(folder)) == [("R104", "base.yaml", 16)]


def test_a_mistake_in_the_child_has_the_childs_file_and_line(folder: Path) -> None:
    assert problems_of(child(folder, "rank: 16", "rank: none")) == [("R106", "child.yaml", 6)]


def test_a_rule_across_both_points_to_where_the_key_stands(folder: Path) -> None:
    assert problems_of(child(folder, "f1.bug", "f1.bugs")) == [("R212", "child.yaml", 9)]


def test_problems_of_the_child_come_before_those_of_the_parent(folder: Path) -> None:
    parent(folder, "rank: 8", "rnk: 8")

    assert problems_of(child(folder, "rank: 16", "rnak: 16")) == [
        ("R104", "child.yaml", 6),
        ("R104", "base.yaml", 15),
    ]


def test_a_parent_that_is_not_there_is_a_mistake_of_the_child(folder: Path) -> None:
    path = child(folder, "base.yaml", "bse.yaml")

    problem = check_recipe(path)[1][0]

    assert (problem.code, problem.hint) == ("R123", "did you mean `../shared/base.yaml`?")
    assert problems_of(path) == [("R123", "child.yaml", 2)]


def test_without_its_parent_the_childs_own_mistakes_are_reported_too(folder: Path) -> None:
    path = child(folder, "base.yaml", "bse.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("rank", "rnk"), encoding="utf-8")

    assert problems_of(path) == [("R123", "child.yaml", 2), ("R104", "child.yaml", 6)]


@pytest.mark.parametrize("named", ["/etc/base.yaml", "~/base.yaml", "C:/base.yaml", "https://x/y"])
def test_a_parent_is_a_relative_path(folder: Path, named: str) -> None:
    assert problems_of(child(folder, "../shared/base.yaml", named)) == [("R125", "child.yaml", 2)]


def test_a_parent_cannot_extend_further(folder: Path) -> None:
    parent(folder, "recipe: v1", "recipe: v1\nextends: other.yaml")

    assert problems_of(child(folder)) == [("R124", "base.yaml", 2)]


def test_a_cycle_is_called_one(folder: Path) -> None:
    parent(folder, "recipe: v1", "recipe: v1\nextends: ../recipes/child.yaml")

    problem = check_recipe(child(folder))[1][0]

    assert (problem.code, "a cycle" in problem.message) == ("R124", True)


def test_a_recipe_is_not_its_own_parent(folder: Path) -> None:
    path = child(folder, "../shared/base.yaml", "child.yaml")

    assert problems_of(path) == [("R124", "child.yaml", 2)]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"name: caf\xe9\n", "R113"),
        (b"task: [\n", "R102"),
        (b"", "R114"),
        (b"- a\n", "R106"),
        (b"task: &a {}\n", "R117"),
    ],
)
def test_a_parent_that_is_no_recipe_is_reported_at_its_own_place(
    folder: Path, content: bytes, code: str
) -> None:
    (folder / "shared" / "base.yaml").write_bytes(content)

    assert (code, "base.yaml") in [(code, file) for code, file, _ in problems_of(child(folder))]


def test_an_inherited_name_is_a_warning(folder: Path) -> None:
    parent(folder, "recipe: v1", "recipe: v1\nname: shared")

    recipe, warnings = load_recipe(child(folder, "name: tickets\n", ""))

    assert (recipe.name, [warning.code for warning in warnings]) == ("shared", ["R126"])


def test_a_file_is_read_with_the_callers_reader_and_nothing_else() -> None:
    files = {"recipes/child.yaml": CHILD, "shared/base.yaml": PARENT}

    def read(path: Path) -> bytes:
        try:
            return files[path.as_posix()].encode()
        except KeyError:
            raise FileNotFoundError(path) from None

    recipe, problems = check_recipe(Path("recipes/child.yaml"), read=read)

    assert (problems, recipe is not None and recipe.method.rank) == ((), 16)
    del files["shared/base.yaml"]
    assert [p.code for p in check_recipe(Path("recipes/child.yaml"), read=read)[1]] == ["R123"]
    assert [p.code for p in check_recipe(Path("absent.yaml"), read=read)[1]] == ["R103"]


def test_a_pattern_of_another_revision_stays_one_source(folder: Path) -> None:
    text = PARENT.replace("data/rows.csv", "data/gone/*.csv").replace(
        "recipe: v1", "recipe: v1\nname: x"
    )
    text += textwrap.dedent("splits: {train: 4, validation: 1, holdout: 300}\n")

    recipe, _ = load_recipe(folder / "x.yaml", read=lambda _: text.encode())

    assert [
        source.ref.written for source in recipe.data.sources if isinstance(source.ref, PathRef)
    ] == ["data/gone/*.csv"]


def test_both_texts_are_kept_and_still_one_recipe() -> None:
    text = with_parent_text(CHILD, PARENT, named="../shared/base.yaml")

    assert yaml.safe_load(text) == yaml.safe_load(CHILD)
    assert "# The parent, ../shared/base.yaml:\n#\n# recipe: v1\n# task:\n" in text


def test_a_parent_alone_is_incomplete_and_sound(folder: Path) -> None:
    found = check_parent(folder / "shared" / "base.yaml")

    assert (found.is_sound, found.left_open) == (True, ("name", "splits"))
    with pytest.raises(RecipeError):
        load_recipe(folder / "shared" / "base.yaml")


def test_a_parent_with_a_mistake_is_not_sound(folder: Path) -> None:
    assert not check_parent(parent(folder, "epochs: 2", "epochs: -2")).is_sound


def test_the_files_that_others_extend_are_known(folder: Path) -> None:
    base, own = folder / "shared" / "base.yaml", child(folder)

    assert parents_among([base, own]) == {base}
    assert parents_among([base]) == frozenset()


OVERRIDES = """
backend:
  name: axolotl
  overrides:
    learning_rte: 3
    learning_rate: 3
    max_grad_norm: -1
"""
WHERE = {"B404": (27, 5), "B405": (28, 5), "B407": (29, 20)}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = (EXAMPLES / "valid" / "minimal.yaml").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,topic\na,bug\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = Path("r.yaml")
    recipe.write_text(text.replace("../data/", "") + OVERRIDES[1:], encoding="utf-8")
    return recipe


@pytest.mark.parametrize("verb", ["validate", "plan", "compile"])
def test_every_verb_shows_the_lines_of_overrides(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, str(file)]) == 2

    shown = "".join(capsys.readouterr())
    for code, (line, column) in WHERE.items():
        assert f"r.yaml:{line}:{column}  {code}" in shown
    assert "27 |     learning_rte: 3" in shown


def test_an_option_of_another_backend_stands_at_its_key(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("kind: lora", "kind: lora\n  dora: true")
    text, _, _ = text.partition("backend:")
    file.write_text(f"{text}backend: {{name: nanotron}}\n", encoding="utf-8")
    recipe, _ = load_recipe(file)
    found = {problem.path: problem for problem in placed(check_backend(recipe), file)}
    problem = found["method.dora"]

    assert problem.code == "R351"
    assert problem.place is not None
    assert problem.place.spot == "r.yaml:21:3"


@pytest.mark.parametrize(
    "problem",
    [
        Problem(code="B405", message="decided", path="backend.overrides.lr"),
        Problem(code="B433", message="with one process"),
        Problem(code="D301", message="missing", path="data.label.column"),
    ],
)
def test_what_the_file_does_not_say_has_no_place(problem: Problem, file: Path) -> None:
    assert placed([problem], file) == (problem,)
    assert placed([problem], Path("absent.yaml")) == (problem,)
