"""Further steps of a team: rows, links, names of files and their line ends."""

import csv
import hashlib
import unicodedata

from support.git_repository import Git
from support.git_steps import harmless_and_committed, make_clone
from support.review_team import HARMLESS, LOWER, RECIPE, ROWS, Team, fewer, other_submodule, pointer

ANSWERS = "answers.txt"


def pinned(team: Team) -> None:
    digest = hashlib.sha256((team.folder / ROWS).read_bytes()).hexdigest()
    team.git.edit(RECIPE, "path: tickets.csv", f"path: tickets.csv\n      sha256: {digest}")


def pinned_and_ignored(team: Team) -> None:
    pinned(team)
    team.git.write({".gitignore": "*.csv\n"})
    team.git.run("rm", "--quiet", "--cached", ROWS)


def rows_behind_the_pin(team: Team) -> None:
    """Other training rows, by a space, and the old pin."""
    path = team.folder / ROWS
    path.write_text(path.read_text("utf-8").replace(",mail\n", ", mail\n"), encoding="utf-8")


def pin_without_rows(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    digest = text.partition("sha256: ")[2][:64]
    team.git.edit(RECIPE, digest, "ab" * 32)


def answers_beside(team: Team) -> None:
    """Texts line by line, and their labels in a file beside."""
    with (team.folder / ROWS).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name, column in (("texts.txt", "text"), (ANSWERS, "topic")):
        text = "".join(f"{row[column]}\n" for row in rows)
        (team.folder / RECIPE).with_name(name).write_text(text, encoding="utf-8")
    source = f"path: texts.txt\n      format: lines\n      columns: {{topic: {ANSWERS}}}"
    team.git.edit(RECIPE, "path: tickets.csv", source)


def other_answers_beside(team: Team) -> None:
    path = (team.folder / RECIPE).with_name(ANSWERS)
    lines = path.read_text("utf-8").splitlines()
    lines = ["bug" if at % 5 == 0 else line for at, line in enumerate(lines)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_deleted(team: Team) -> None:
    team.git.run("rm", "--quiet", ROWS)
    team.git.commit()


def too_few_rows(team: Team) -> None:
    path = team.folder / ROWS
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:50]), encoding="utf-8")


def more_rows(team: Team) -> None:
    """Thirty rows behind the others; where no lock holds the holdout, it is drawn anew."""
    path = team.folder / ROWS
    head, *lines = path.read_text("utf-8").splitlines(keepends=True)
    added = [line.replace(",", " again,", 1) for line in lines[:30]]
    path.write_text("".join([head, *lines, *added]), encoding="utf-8")


def more_rows_and_an_answer(team: Team) -> None:
    """The same, and one of the old rows has another answer."""
    more_rows(team)
    path = team.folder / ROWS
    head, first, *lines = path.read_text("utf-8").splitlines(keepends=True)
    text, topic, channel = first.split(",")
    other = "how_to" if topic == "bug" else "bug"
    path.write_text("".join([head, f"{text},{other},{channel}", *lines]), encoding="utf-8")


def other_seed(team: Team) -> None:
    team.git.edit(RECIPE, "seed: 7", "seed: 8")


def other_seed_and_lower(team: Team) -> None:
    other_seed(team)
    team.git.edit(RECIPE, *LOWER)


def fewer_rows(team: Team) -> None:
    fewer(team.folder / ROWS)


def second_recipe(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace("name: tickets", "name: desk")
    team.git.write({"recipes/desk.yaml": text})


def outside(team: Team) -> None:
    (team.folder / ROWS).rename(team.folder.parent / "rows.csv")
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../../rows.csv")


def not_fetched(team: Team) -> None:
    """A submodule whose files are not here, as after a plain clone."""
    harmless_and_committed(team)
    make_clone(team, "--branch=work")
    team.since = "origin/main"


def moved_and_not_fetched(team: Team) -> None:
    other_submodule(team)
    not_fetched(team)


def nested_repository(team: Team) -> None:
    inner = team.folder / "inner"
    inner.mkdir()
    (team.folder / ROWS).rename(inner / "rows.csv")
    Git(folder=inner).run("init", "--quiet")
    Git(folder=inner).commit()
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../inner/rows.csv")


def other_rows_in_a_nested_repository(team: Team) -> None:
    fewer(team.folder / "inner" / "rows.csv")
    team.git.edit(RECIPE, *HARMLESS)


def kept_by_lfs(team: Team) -> None:
    """The pointer is committed, and the bytes stand where git-lfs has them."""
    content = (team.folder / ROWS).read_bytes()
    _keep(team, content)
    team.git.write({ROWS: pointer(content)})


def _keep(team: Team, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    place = team.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(content)


def fewer_rows_by_lfs(team: Team) -> None:
    pointed = (team.folder / ROWS).read_text("utf-8")
    digest = pointed.partition("sha256:")[2][:64]
    kept = team.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    lines = kept.read_text("utf-8").splitlines(keepends=True)
    content = "".join([lines[0], *lines[60:]]).encode()
    _keep(team, content)
    team.git.write({ROWS: pointer(content)})


# Links.


def dangling(team: Team) -> None:
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("nowhere.csv")


def circle(team: Team) -> None:
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("tickets.csv")


def led_elsewhere(team: Team) -> None:
    """The link leads to another file, and no file is another one."""
    data = team.folder / "data"
    lines = (data / "rows.csv").read_text("utf-8").splitlines(keepends=True)
    (data / "other.csv").write_text("".join([lines[0], *lines[60:]]), encoding="utf-8")
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("../data/other.csv")


def recipe_by_link(team: Team) -> None:
    (team.folder / "real").mkdir()
    (team.folder / RECIPE).rename(team.folder / "real" / "tickets.txt")
    (team.folder / RECIPE).symlink_to("../real/tickets.txt")


def lowered_behind_the_link(team: Team) -> None:
    team.git.edit("real/tickets.txt", *LOWER)


# Names and line ends.


def unicode_names(team: Team) -> None:
    git = team.git
    git.run("mv", RECIPE, "recipes/zürich 票.yaml")
    git.run("mv", ROWS, "recipes/Größe.csv")
    git.edit("recipes/zürich 票.yaml", "path: tickets.csv", "path: Größe.csv")


def lowered_under_a_unicode_name(team: Team) -> None:
    team.git.edit("recipes/zürich 票.yaml", *LOWER)


def fewer_rows_under_a_unicode_name(team: Team) -> None:
    fewer(team.folder / "recipes" / "Größe.csv")


def decomposed(team: Team) -> None:
    """The file's name as macOS may write it; the recipe's text is composed."""
    team.git.run("mv", "recipes/Größe.csv", f"recipes/{unicodedata.normalize('NFD', 'Größe')}.csv")


def carriage_returns(team: Team) -> None:
    for name in (RECIPE, ROWS):
        path = team.folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def converted(team: Team) -> None:
    """As git on Windows checks files out; what it has is what it had."""
    team.git.run("config", "core.autocrlf", "true")
    carriage_returns(team)


def converted_and_lowered(team: Team) -> None:
    converted(team)
    team.git.edit(RECIPE, *LOWER)


def folder_renamed(team: Team) -> None:
    team.git.run("mv", "recipes", "desk")


def folder_renamed_and_lowered(team: Team) -> None:
    folder_renamed(team)
    team.git.edit("desk/tickets.yaml", *LOWER)


def folder_renamed_with_other_rows(team: Team) -> None:
    folder_renamed(team)
    fewer(team.folder / "desk" / "tickets.csv")


def capitals(team: Team) -> None:
    team.git.run("mv", RECIPE, "recipes/Tickets.yaml")
