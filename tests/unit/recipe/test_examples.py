"""Recipes in files: valid ones load and round-trip, broken ones give exactly the codes they name.

Every rule has an example of its own (see test_rules). Here stand mistakes of the text and of the schema, further cases
of rules, and several mistakes at once.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from engine.codes import all_codes
from engine.errors import RecipeError
from engine.recipe import check_recipe, dump_resolved, load_recipe
from engine.recipe.outside import CODES
from engine.recipe.validation.schema_errors import show
from engine.values import replace
from support.paths import EXAMPLES

INVALID = sorted((EXAMPLES / "invalid").glob("*.yaml"))
VALID = sorted((EXAMPLES / "valid").glob("*.yaml"))
EXPECTED = re.compile(r"# expect: (?P<codes>[R\d ]+); at: (?P<places>[\d: ]+)\n")
UNWRITABLE = {
    *("R103", "R113", "R114", "R115", "R116", "R122", "R127", "R272"),
    *("R312", "R313", "R314", "R315", "R316", "R317", "R318", "R319"),
    *("R351", "R358", "R405", "R410"),
    *("R420", "R421", "R422", "R423", "R424", "R425", "R426"),
    *("R430", "R431", "R432", "R433", "R434", "R435", "R436", "R437"),
    *("R445", "R446", "R448", "R449", "R450", "R451", "R452"),
}
"""Codes whose files cannot hold the comment, that need a link, or that only a run or the command line tells.

See test_allowed and test_source; R351 is a backend's, in tests/contract; R410 is git's; R42x are of
publishing, other forms and imports, R43x and R45x of machines and shared stores, R44x of trackers, agents and texts
that a model is asked.
"""


def test_the_examples_are_found() -> None:
    assert len(INVALID) > 75
    assert len(VALID) > 3


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_broken_recipe_gives_exactly_its_codes_at_their_places(path: Path) -> None:
    expected = EXPECTED.match(path.read_text(encoding="utf-8"))
    assert expected is not None

    _, problems = check_recipe(path)

    assert expected["codes"].split() == [problem.code for problem in problems]
    assert expected["places"].split() == [
        f"{problem.place.line}:{problem.place.column}" for problem in problems if problem.place
    ]


def test_every_code_has_an_example() -> None:
    found = {problem.code for path in INVALID for problem in check_recipe(path)[1]} | UNWRITABLE
    found |= {code for code, page in all_codes().items() if page.wrong} | {"R256"}

    assert {code for code in all_codes() if code[:2] in ("R1", "R2", "R3", "R4")} == found


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_problems_follow_the_rules_of_wording(path: Path) -> None:
    for problem in check_recipe(path)[1]:
        assert problem.message[0] in "`{" or problem.message[0] == problem.message[0].lower()
        assert not problem.message.endswith((".", "!"))
        assert not re.search(r"please|invalid|exclusiveMinimum|(?<!task\.)schema", problem.message)
        assert problem.place is not None


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_resolved_recipe_loads_to_the_same_recipe(path: Path, tmp_path: Path) -> None:
    recipe, warnings = load_recipe(path)
    folder = tmp_path / "valid"
    folder.mkdir()
    (tmp_path / "data").symlink_to(EXAMPLES / "data")
    written = folder / path.name
    written.write_text(dump_resolved(recipe), encoding="utf-8")

    again, _ = load_recipe(written)

    assert [problem for problem in warnings if problem.code not in CODES] == []
    assert dump_resolved(recipe) == dump_resolved(again)
    elsewhere = {
        "base_model",
        "teacher",
        "data",
        "baselines",
        "acceptance",
    }  # they hold absolute paths
    same = {name: getattr(again, name) for name in elsewhere}
    assert replace(recipe, file=written, extends="", **same) == again


def test_load_tells_every_problem_and_check_never_raises() -> None:
    path = EXAMPLES / "invalid" / "many_mistakes_at_once.yaml"

    with pytest.raises(RecipeError) as caught:
        load_recipe(path)

    assert Counter(("R301", "R105", "R104", "R212", "R203")) == Counter(
        problem.code for problem in caught.value.problems
    )
    assert (check_recipe(Path("absent"))[0], len(check_recipe(Path("absent"))[1])) == (None, 1)


def test_values_in_messages_are_short_and_visible() -> None:
    assert show("a\x1bb") == "`a\\u001bb`"
    assert len(show("x" * 500)) == len("``…") + 60
