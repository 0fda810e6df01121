"""Further steps of a team: tags beside branches, merges, replaced objects, attributes, and names of files."""

from support.review_team import HARMLESS, LOWER, RECIPE, ROWS, Team

ODD = 'recipes/a b\n"c".yaml'
DESK = "recipes/desk.yaml"


def lowered_and_committed(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()


def tag_of_the_branch(team: Team) -> None:
    """A tag `main` at the work itself, which git takes before the branch."""
    lowered_and_committed(team)
    team.git.run("tag", "main")


def tag_named_by_its_branch(team: Team) -> None:
    tag_of_the_branch(team)
    team.since = "refs/heads/main"


def tag_at_the_branch(team: Team) -> None:
    """Two names of one commit leave nothing open."""
    team.git.run("tag", "--annotate", "main", "--message", "x", "main")
    lowered_and_committed(team)


def since_a_tag(team: Team) -> None:
    team.git.run("tag", "--annotate", "v1", "--message", "x", "main")
    lowered_and_committed(team)
    team.since = "v1"


def since_a_file(team: Team) -> None:
    lowered_and_committed(team)
    team.since = f"main:{RECIPE}"


def lowered_by_the_merge(team: Team) -> None:
    """Neither parent has the lower bound."""
    git = team.git
    git.run("checkout", "--quiet", "main")
    git.write({"main.txt": "x"})
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.write({"work.txt": "x"})
    git.commit()
    git.run("merge", "--quiet", "--no-commit", "--no-ff", "main")
    lowered_and_committed(team)


def picked_and_lowered(team: Team) -> None:
    """A change of main is taken by cherry-pick."""
    git = team.git
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, *HARMLESS)
    picked = git.commit()
    git.run("checkout", "--quiet", "work")
    git.write({"work.txt": "x"})
    git.commit()
    git.run("cherry-pick", picked)
    git.edit(RECIPE, *LOWER)


def old_recipe_replaced(team: Team) -> None:
    """The old file is shown as the new one by `git replace`."""
    git = team.git
    old = git.run("rev-parse", f"main:{RECIPE}")
    git.edit(RECIPE, *LOWER)
    git.run("replace", old, git.run("hash-object", "-w", RECIPE))


def old_rows_replaced(team: Team) -> None:
    git = team.git
    git.run("replace", git.run("rev-parse", f"main:{ROWS}"), git.run("hash-object", "-w", RECIPE))
    git.edit(RECIPE, *HARMLESS)


def hidden_by_attributes(team: Team) -> None:
    team.git.write({".gitattributes": "*.yaml -diff binary ident\nrecipes export-ignore\n"})
    lowered_and_committed(team)


def odd_name(team: Team) -> None:
    team.git.run("mv", RECIPE, ODD)
    team.git.edit(ODD, *LOWER)


def names_exchanged(team: Team) -> None:
    """Two recipes change places, one of them weaker."""
    one, other = ((team.folder / name).read_text("utf-8") for name in (RECIPE, DESK))
    team.git.write({RECIPE: other.replace(*LOWER), DESK: one})


def moved_from_its_lock(team: Team) -> None:
    (team.folder / "other").mkdir()
    team.git.run("mv", RECIPE, "other/tickets.yaml")
    team.git.edit("other/tickets.yaml", "path: tickets.csv", "path: ../recipes/tickets.csv")
