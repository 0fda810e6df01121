"""Further steps of a team: waivers, clones, branches, merges, and what git is configured not to see."""

import subprocess

from support.git_repository import Git
from support.recipe_pairs import CASES
from support.review_team import HARMLESS, LOWER, RECIPE, ROWS, Step, Team, fewer


def lowered(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)


def lowered_and_committed(team: Team) -> None:
    lowered(team)
    team.git.commit()


def harmless_and_committed(team: Team) -> None:
    team.git.edit(RECIPE, *HARMLESS)
    team.git.commit()


def waived(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    why = "waivers:\n  - what: W101\n    why: The old bound was a guess.\n"
    team.git.write({RECIPE: text + why})


def waived_long_ago(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    team.git.write(
        {RECIPE: f"{text}waivers:\n  - what: W101\n    why: The old bound was a guess.\n"}
    )


# Clones, and where they begin.


def make_clone(team: Team, *words: str, name: str = "clone") -> Git:
    place = team.folder.parent / name
    source = f"file://{team.folder}"
    subprocess.run(["git", "clone", "--quiet", *words, source, place], check=True)
    team.at = place
    return Git(folder=place)


def single_branch(team: Team) -> None:
    lowered_and_committed(team)
    make_clone(team, "--single-branch", "--branch=work")
    team.since = None


def shallow_single_branch(team: Team) -> None:
    lowered_and_committed(team)
    make_clone(team, "--depth=1", "--branch=work")
    team.since = None


def cloned(team: Team) -> None:
    lowered_and_committed(team)
    team.git.run("checkout", "--quiet", "main")
    make_clone(team).run("checkout", "--quiet", "work")
    team.since = None


def shallow_without_the_beginning(team: Team) -> None:
    harmless_and_committed(team)
    team.git.commit()
    make_clone(team, "--depth=1", "--no-single-branch", "--branch=work")
    team.since = "origin/main"


def as_a_pull_request(team: Team) -> None:
    lowered_and_committed(team)
    git = team.git
    git.run("checkout", "--quiet", "main")
    git.write({"later.txt": "x\n"})
    git.commit()
    git.run("checkout", "--quiet", "-b", "merged")
    git.run("merge", "--quiet", "--no-edit", "work")
    clone = make_clone(team, "--depth=1", "--branch=merged")
    clone.run("fetch", "--quiet", "--depth=1", "origin", "main")
    team.since = "FETCH_HEAD"


def detached(team: Team) -> None:
    lowered_and_committed(team)
    team.git.run("checkout", "--quiet", "--detach")


def no_such_revision(team: Team) -> None:
    lowered(team)
    team.since = "no-such"


def base_was_rewritten(team: Team) -> None:
    harmless_and_committed(team)
    git = team.git
    git.run("checkout", "--quiet", "main")
    words = ("--quiet", "--amend", "--allow-empty", "--date=2020-01-01", "--message", "rewritten")
    git.run("commit", *words)
    git.run("checkout", "--quiet", "work")


def base_was_pushed_back(team: Team) -> None:
    """Main had a higher bound, from which the work began, and was forced back behind it."""
    git = team.git
    git.run("checkout", "--quiet", "-B", "work", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.edit(RECIPE, "macro_f1: {min: 0.70}", LOWER[0])
    git.edit(RECIPE, *HARMLESS)
    git.commit()


def orphan(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    team.git.run("checkout", "--quiet", "--orphan", "alone")
    team.git.write({RECIPE: text.replace(*HARMLESS)})
    team.git.commit()


def two_beginnings(team: Team) -> None:
    git = team.git
    git.write({"a.txt": "a"})
    git.commit()
    git.run("checkout", "--quiet", "main")
    git.write({"b.txt": "b"})
    main = git.commit()
    git.run("merge", "--quiet", "--no-edit", "work")
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", main)
    git.edit(RECIPE, *HARMLESS)


def raised_on_main(team: Team) -> None:
    """A merge that takes the work's file where main had raised the bound."""
    git = team.git
    harmless_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", "--strategy=ours", "main")


def merged_with_main(team: Team) -> None:
    git = team.git
    harmless_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", "main")


def in_the_middle_of_a_merge(team: Team) -> None:
    git = team.git
    lowered_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    subprocess.run(
        ["git", "merge", "--quiet", "main"], cwd=git.folder, capture_output=True, check=False
    )


def in_a_worktree(team: Team) -> None:
    place = team.folder.parent / "other"
    team.git.run("worktree", "add", "--quiet", "-b", "there", str(place))
    Git(folder=place).edit(RECIPE, *LOWER)
    team.at = place


def bare(team: Team) -> None:
    lowered_and_committed(team)
    make_clone(team, "--bare", "--branch=work", name="bare.git")


def no_repository(team: Team) -> None:
    team.at = team.folder.parent


def below_the_root(team: Team) -> None:
    lowered(team)
    team.at = team.folder / "recipes"


def partial(team: Team) -> None:
    """A clone that has no old files, only their names."""
    team.git.run("config", "uploadpack.allowFilter", "true")
    harmless_and_committed(team)
    make_clone(team, "--filter=blob:none", "--branch=work")
    team.since = "origin/main"


# What git is configured not to see.


def rows_not_watched(team: Team) -> None:
    team.git.run("update-index", "--skip-worktree", ROWS)
    fewer(team.folder / ROWS)


def sparse_without_rows(team: Team) -> None:
    harmless_and_committed(team)
    team.git.run("sparse-checkout", "set", "recipes")


def move_rows(team: Team) -> None:
    (team.folder / "data").mkdir()
    (team.folder / ROWS).rename(team.folder / "data" / "rows.csv")
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../data/rows.csv")


def no_longer_tracked(path: str) -> Step:
    def done(team: Team) -> None:
        team.git.write({".gitignore": f"{path}\n"})
        team.git.run("rm", "--quiet", "--cached", path)

    return done


def intended(team: Team) -> None:
    text = (CASES / "base" / "talk.yaml").read_text("utf-8")
    team.git.write({"recipes/talk.yaml": text})
    team.git.run("add", "--intent-to-add", "recipes/talk.yaml")


def new_beside(team: Team) -> None:
    intended(team)
    team.git.edit(RECIPE, *HARMLESS)


def only_its_mode(team: Team) -> None:
    (team.folder / RECIPE).chmod(0o755)


def only_another_file(team: Team) -> None:
    team.git.write({"readme.md": "x\n", "compose.yaml": "services: {}\n"})
