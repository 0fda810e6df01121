"""What a review asks git: commits, what differs between two of them, and files as they were.

Nothing is fetched, nothing in the repository is changed, and no program is started but git's own (see
`engine.review.git`). Files of a commit are found by its tree and read by their ids through one
`git cat-file --batch` that stays open, so no name needs quoting and a file that is absent is distinguished from one
whose bytes this clone lacks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, Self

from engine.errors import RecipeError
from engine.files.reading import require_data
from engine.review.git import Completed, failed, no_repository, programs, run_git, top_of
from engine.review.large_files import pointer_of
from engine.review.listing import (
    Moved,
    Target,
    TreeEntry,
    moves,
    names_in,
    staged_entry,
    tree_entry,
)
from engine.review.objects import Objects, lacking
from engine.review.own_history import require_own_history

MOST_LINKS: Final = 40
"""Links followed on the way to one file, as by Linux."""
# `-O/dev/null` takes back `diff.orderFile`; the time that git needs to find renames grows with the
# square of the files, hence `-l1000`.
_DIFF: Final = (
    *("diff", "--name-status", "-z", "--find-renames", "-l1000", "--no-ext-diff", "--no-textconv"),
    *("--ignore-submodules=dirty", "--no-relative", "-O/dev/null"),
)
_LINK: Final = "120000"
_SUBMODULE: Final = "160000"


@dataclass()
class Repository:
    """A git repository with files checked out."""

    root: Path
    """The folder with all of its files; links followed."""
    drivers: tuple[str, ...] = ()
    """What its settings name that may start programs."""
    _folders: dict[Path, Path] = field(default_factory=dict, repr=False)
    _commits: dict[str, str | None] = field(default_factory=dict, repr=False)
    _hashes: dict[str, str] = field(default_factory=dict, repr=False)
    _trees: dict[str, Mapping[str, TreeEntry]] = field(default_factory=dict, repr=False)

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """Return the repository that `folder` is in.

        Raises:
            EnvironmentProblem: E730, E731.
            RecipeError: R020 where it is in none, R023 where it belongs to another user, R024 where its
                settings say that its files are elsewhere, or its history is that of another folder.

        """
        top = top_of(Path(os.path.realpath(folder)))
        if top is None:
            raise no_repository(folder)
        require_own_history(top)
        found = run_git(("rev-parse", "--show-toplevel"), top)
        if found.returncode:
            if b"not a git repository" in found.stderr:
                raise no_repository(folder)
            raise failed("rev-parse", found.stderr)
        root = Path(os.path.realpath(os.fsdecode(found.stdout.removesuffix(b"\n"))))
        # By `core.worktree`, a stranger's repository could make any folder its files.
        if root != top:
            raise RecipeError.one(
                "R024",
                f"the settings in `{top / '.git'}` say that its files are in `{root}`",
                hint="git config --unset core.worktree, or clone it anew",
            )
        return cls(root=root, drivers=programs(root))

    @cached_property
    def _objects(self) -> Objects:
        """Its objects, read by the same settings."""
        return Objects(root=self.root, drivers=self.drivers)

    def __enter__(self) -> Self:
        """Return the repository; leaving ends the process that reads files."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process that reads files."""
        self._objects.close()

    def commit(self, revision: str) -> str:
        """Return the full commit of a revision.

        RecipeError R021 where this clone has none, R410 where branches or tags of that name are different commits.
        """
        found = self._resolved(revision)
        if found is not None:
            self._refuse_ambiguous(revision)
            return found
        shallow = self.is_shallow
        where = "this clone is shallow and does not reach it" if shallow else "no such revision"
        hint = (
            f"git fetch --depth=1 origin {revision}; in GitHub Actions: `fetch-depth: 0` of checkout"
            if shallow
            else f"git fetch origin {revision}, or name another one with --from"
        )
        raise RecipeError.one("R021", f"`{revision}`: {where}", hint=hint)

    def _refuse_ambiguous(self, revision: str) -> None:
        """Refuse a name of a branch that is a tag too: whoever adds one would choose what is compared."""
        if revision == "HEAD" or revision.startswith(("refs/", "-")):
            return
        places = [f"refs/{kind}/{revision}" for kind in ("tags", "heads", "remotes")]
        form = (
            "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)"
        )
        listed = self._run("for-each-ref", form, *places).stdout.decode().splitlines()
        parts = (line.partition(" ") for line in listed)
        found = {name: commit for commit, _, name in parts}
        named = {name: found[name] for name in places if name in found}
        if len(set(named.values())) > 1:
            raise RecipeError.one(
                "R410",
                f"`{revision}` is {' and '.join(f'`{name}`' for name in named)}, which are different commits",
                hint=f"say which one: --from {[*named][-1]}",
            )

    def knows(self, revision: str) -> bool:
        """Return whether this clone has a revision."""
        return self._resolved(revision) is not None

    def _resolved(self, revision: str) -> str | None:
        if revision not in self._commits:
            self._commits[revision] = self._resolve(revision)
        return self._commits[revision]

    def _resolve(self, revision: str) -> str | None:
        if "\0" in revision or not revision:
            return None
        # A revision that begins with a dash is no option.
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = self._run(*words)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    @property
    def is_shallow(self) -> bool:
        """Whether the clone was cut off somewhere."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    @property
    def has_one_branch(self) -> bool:
        """Whether the clone was made of one branch: its `origin/HEAD` then is that one, whichever it is."""
        found = self._run("config", "--get-all", "remote.origin.fetch").stdout.split()
        return bool(found) and not any(b"*" in line for line in found)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """Return the last commits that both have; none where the clone does not reach one."""
        if one == other:
            return (one,)
        return tuple(self._run("merge-base", "--all", one, other).stdout.decode().split())

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents that a commit names, also those that a shallow clone was cut off from."""
        # From the commit itself: git's own listings end at the edge of a shallow clone.
        head = self._objects.read(commit, commit)[1].partition(b"\n\n")[0]
        lines = head.decode(errors="replace").splitlines()
        return tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent "))

    def is_cut_between(self, base: str, *tips: str) -> bool:
        """Return whether a shallow clone was cut off at a commit that `tips` have and `base` has not."""
        place = os.fsdecode(self.output("rev-parse", "--git-path", "shallow").removesuffix(b"\n"))
        try:
            cut = set((self.root / place).read_text("ascii").split())
        except OSError:
            return False
        listed = self.output("rev-list", *tips, f"^{base}").decode().split()
        return not cut.isdisjoint(listed)

    def moved(self, old: str, new: str | None) -> tuple[Moved, ...]:
        """Return what differs between two commits, or a commit and the files as they are now."""
        if new is not None:
            return tuple(self._diff(old, new))
        files = self._changed(self._diff(old), self.tree(old))
        there = {one.path for one in files}
        files += [Moved(status="A", path=path) for path in self.untracked if path not in there]
        return tuple(files)

    def _changed(self, found: list[Moved], kept: Mapping[str, TreeEntry]) -> list[Moved]:
        """Leave out files that only look changed: their time is another one, or no filter makes their pointer."""
        # `hash-object` is given one name on each line.
        asked = [one.path for one in found if one.status == "M" and "\n" not in one.path]
        asked = [path for path in asked if path in kept and _is_data(self.root / path)]
        hashed = self._hashed(asked)
        same = {path for path in asked if hashed.get(path) == kept[path].id}
        if "filter.lfs" in self.drivers:
            same |= {path for path in asked if path not in same and self._is_here(kept[path], path)}
        return [one for one in found if one.status != "M" or one.path not in same]

    def _hashed(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the id that each file would have in git, line ends made as git is configured, filters left out."""
        # git reads a name that begins with a quote as a quoted one.
        asked = [path for path in paths if path not in self._hashes and not path.startswith('"')]
        if asked:
            names = b"".join(os.fsencode(path) + b"\n" for path in asked)
            found = run_git(("hash-object", "--stdin-paths"), self.root, self.drivers, given=names)
            # git stops at a file that vanished meanwhile: the rest counts as changed.
            self._hashes |= zip(asked, found.stdout.decode().split(), strict=False)
        return self._hashes

    def _is_here(self, entry: TreeEntry, path: str) -> bool:
        """Return whether git has a pointer of git-lfs for a file, and the file is what it points to."""
        try:
            pointer = pointer_of(self._objects.read(entry.id, path)[1])
        except (OSError, RecipeError):
            return False
        return pointer is not None and pointer.stands_for(self.root / path)

    def staged(self, old: str) -> tuple[Moved, ...]:
        """Return what differs between a commit and what would be committed now."""
        return tuple(self._diff("--cached", old))

    def unstaged(self) -> tuple[Moved, ...]:
        """Return what differs between what would be committed now and the files as they are."""
        return tuple(self._changed(self._diff(), self._staged))

    def links(self) -> tuple[str, ...]:
        """Return the links and submodules that git keeps, as they would be committed now."""
        found = self._staged.items()
        return tuple(path for path, entry in found if entry.mode in (_LINK, _SUBMODULE))

    @cached_property
    def _staged(self) -> Mapping[str, TreeEntry]:
        """What would be committed now, by path."""
        return dict(map(staged_entry, names_in(self.output("ls-files", "--stage", "-v", "-z"))))

    @cached_property
    def submodules(self) -> frozenset[str]:
        """The submodules, as they would be committed now."""
        return frozenset(path for path, one in self._staged.items() if one.mode == _SUBMODULE)

    def _diff(self, *words: str) -> list[Moved]:
        return list(moves(names_in(self.output(*_DIFF, *words, "--"))))

    @cached_property
    def untracked(self) -> tuple[str, ...]:
        """The files that git neither knows nor ignores."""
        return tuple(names_in(self.output("ls-files", "--others", "--exclude-standard", "-z")))

    def files(self) -> tuple[str, ...]:
        """Return the files of the working tree: tracked ones and new ones."""
        listed = dict.fromkeys((*self._staged, *self.untracked))
        return tuple(path for path in listed if (self.root / path).is_file())

    def leads_out(self, path: str | Path) -> bool:
        """Return whether links lead a path of the working tree out of it."""
        return not Path(os.path.realpath(self.root / path)).is_relative_to(self.root)

    def unwatched(self) -> tuple[str, ...]:
        """Return tracked files that git is configured not to compare: not checked out, or taken as unchanged."""
        return tuple(path for path, entry in self._staged.items() if not entry.is_watched)

    def is_left(self, path: str) -> bool:
        """Return whether git does not keep a file that is on the disk."""
        return path not in self._staged and (self.root / path).is_file()

    def is_left_out(self, path: Path) -> bool:
        """Return whether git has a file that it does not check out (sparse checkout)."""
        steps = self.target_now(path).steps
        entry = self._staged.get(steps[-1]) if steps else None
        return entry is not None and not entry.is_watched and not path.exists()

    def ignores(self, path: Path) -> bool:
        """Return whether git is configured to leave a path out."""
        return self._run("check-ignore", "--quiet", "--", str(path)).returncode == 0

    def inside(self, path: Path) -> str | None:
        """Return a path from the root, its folder's links followed; None for one outside."""
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = Path(os.path.realpath(folder))
        found = self._folders[folder]
        if not found.is_relative_to(self.root):
            return None
        return (found / path.name).relative_to(self.root).as_posix()

    def named(self, path: Path) -> str | None:
        """Return a path from the root as it is written, no link followed; None for one outside."""
        # resolve() would follow links.
        absolute = Path(os.path.abspath(path))
        if absolute.is_relative_to(self.root):
            return absolute.relative_to(self.root).as_posix()
        return self.inside(path)

    def tree(self, commit: str) -> Mapping[str, TreeEntry]:
        """Return everything that a commit has, by path. RecipeError R025 where this clone lacks its folders."""
        if commit not in self._trees:
            found = self._run("ls-tree", "-r", "-t", "-z", "--full-tree", commit)
            if found.returncode:
                raise lacking(commit[:12])
            self._trees[commit] = dict(map(tree_entry, names_in(found.stdout)))
        return self._trees[commit]

    def target(self, commit: str, path: str) -> Target:
        """Return where a path of a commit leads, following links as they were then."""
        tree, steps = self.tree(commit), dict[str, None]()
        left, at = list(PurePosixPath(path).parts), PurePosixPath()
        # Bounded: links may lead in a circle.
        for _ in range(MOST_LINKS * 50):
            if not left:
                break
            part = left.pop(0)
            if part == "..":
                if at == PurePosixPath():
                    return Target(steps=tuple(steps), is_outside=True)
                at = at.parent
                continue
            at /= part
            entry = tree.get(at.as_posix())
            if entry is None:
                return Target(steps=(*steps, at.as_posix()))
            if entry.mode == _SUBMODULE:
                return Target(steps=(*steps, at.as_posix()), is_outside=True)
            if entry.mode == _LINK:
                steps[at.as_posix()] = None
                if len(steps) > MOST_LINKS:
                    return Target(steps=tuple(steps))
                leads = PurePosixPath(os.fsdecode(self._objects.read(entry.id, at.as_posix())[1]))
                if leads.is_absolute():
                    return Target(steps=tuple(steps), is_outside=True)
                left, at = [*leads.parts, *left], at.parent
        name = at.as_posix()
        return Target(steps=(*steps, name), entry=tree.get(name))

    def target_now(self, path: Path) -> Target:
        """Return where a path of the working tree leads; its entry is not known."""
        named = self.named(path)
        if named is None:
            return Target(steps=(), is_outside=True)
        steps: dict[str, None] = {}
        left, at = list(PurePosixPath(named).parts), self.root
        while left:
            part = left.pop(0)
            at = at.parent if part == ".." else at / part
            if not at.is_relative_to(self.root):
                return Target(steps=tuple(steps), is_outside=True)
            name = at.relative_to(self.root).as_posix()
            if at.is_symlink():
                if name in steps or len(steps) > MOST_LINKS:
                    return Target(steps=tuple(steps))
                steps[name] = None
                leads = Path(os.readlink(at))  # noqa: PTH115 - a relative one stays relative
                if leads.is_absolute():
                    leads = Path(os.path.relpath(os.path.realpath(leads), self.root))
                    at = self.root / "_"
                left, at = [*leads.parts, *left], at.parent
            elif at != self.root and (os.path.lexists(at / ".git") or name in self.submodules):
                return Target(steps=(*steps, name), is_outside=True)
        return Target(steps=(*steps, at.relative_to(self.root).as_posix()))

    def large_file(self, content: bytes) -> Path | None:
        """Return the file that a pointer of git-lfs stands for, where this clone has it."""
        pointer = pointer_of(content)
        if pointer is None:
            return None
        folder = os.fsdecode(self.output("rev-parse", "--git-common-dir").removesuffix(b"\n"))
        digest = pointer.sha256
        path = self.root / folder / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
        return path if path.is_file() and pointer.stands_for(path) else None

    def recorded(self, commit: str, path: str) -> bytes:
        """Return the bytes that a commit has at a path, no link followed. RecipeError R025 where it has none."""
        if "\n" in path:
            raise lacking(path)
        return self._objects.read(f"{commit}:{path}", path)[1]

    def content(self, commit: str, path: str) -> bytes:
        """Return the bytes of a file as it was, links followed.

        Raises:
            FileNotFoundError: it was not there, or not in this repository.
            RecipeError: R025 where this clone lacks its bytes.

        """
        entry = self.target(commit, path).entry
        if entry is None or entry.kind != "blob":
            raise FileNotFoundError(path)
        return self._objects.read(entry.id, path)[1]

    def _run(self, *words: str) -> Completed:
        return run_git(words, self.root, self.drivers)

    def output(self, *words: str, given: bytes = b"") -> bytes:
        """Return what a git command that only reads prints; `given` is what it reads. Raises as `run_git`, and E731."""
        found = run_git(words, self.root, self.drivers, given=given)
        if found.returncode:
            raise failed(words[0], found.stderr)
        return found.stdout


def _is_data(path: Path) -> bool:
    """Return whether git may read a file: neither another kind of thing nor a terabyte of nothing."""
    try:
        require_data(path)
    except (OSError, ValueError):
        return False
    return True
