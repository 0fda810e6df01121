"""A git repository as a review reads it: commits, the files of each, and what differs between them and the disk.

libgit2 reads it within this process: no program starts, whatever a setting names, nothing is fetched and nothing is
written. Objects are read by their ids, once their size is known.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

import pygit2
from pygit2.enums import ConfigLevel, DeltaStatus, DiffOption, FileMode, Option, RepositoryOpenFlag
from pygit2.ffi import C

from engine.errors import EnvironmentProblem, RecipeError
from engine.files.digests import sha256_of
from engine.files.reading import MAX_BYTES, open_regular, require_data
from engine.review.own_history import require_own_history, top_of
from engine.values import Value

MOST_LINKS: Final = 40
"""Links followed on the way to one file, as by Linux."""
MOST_LISTED: Final = 64 << 20
"""Characters of the paths of one commit: trees may hold one another, and list more files than there are anywhere."""
_ASSUMED, _SKIPPED, _ANNOUNCED = 0x8000, 0x4000, 0x2000
"""Flags of the index: taken as unchanged, not checked out, and to be added later; the last two are extended ones."""
_ALL_FILES: Final = (
    DiffOption.INCLUDE_TYPECHANGE | DiffOption.INCLUDE_UNTRACKED | DiffOption.RECURSE_UNTRACKED_DIRS
)
LONGEST_POINTER: Final = 1024
"""Bytes of a pointer, by the specification of git-lfs."""
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


class TreeEntry(Value):
    """A file, a link, a folder or the commit of a submodule, as git keeps it."""

    mode: int
    id: str
    is_watched: bool = True
    """False where git is configured to take its file as unchanged, or not to check it out."""

    @property
    def is_file(self) -> bool:
        return self.mode not in (FileMode.TREE, FileMode.COMMIT)

    @property
    def content(self) -> tuple[bool, str]:
        """The part that differs where the file does: not the right to execute it."""
        return self.mode == FileMode.LINK, self.id


Files = Mapping[str, TreeEntry]
"""The entries of a commit, the index or the disk, by the path from the root."""


class Target(Value):
    """The end of a path of a commit when links are followed."""

    steps: tuple[str, ...]
    """Every path on the way that git keeps a link, a submodule or the file itself for."""
    entry: TreeEntry | None = None
    """None where nothing is there, or not in this repository."""
    is_outside: bool = False
    """A link leads out of the repository, or into a submodule."""


class Pointer(Value):
    """The entry that git keeps instead of a large file (git-lfs), whose bytes are elsewhere."""

    sha256: str
    size: int

    def stands_for(self, path: Path) -> bool:
        try:
            # The size first: to hash gigabytes would take long.
            return path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False


def pointer_of(content: bytes) -> Pointer | None:
    """Return what a file of git-lfs points to; None for any other file."""
    found = _POINTER.fullmatch(content) if len(content) <= LONGEST_POINTER else None
    return Pointer(sha256=found[1].decode(), size=int(found[2])) if found else None


def is_pointer(path: Path) -> bool:
    """Return whether a file on the disk is a pointer, whose bytes were not fetched."""
    try:
        with open_regular(path) as stream:
            return pointer_of(stream.read(LONGEST_POINTER + 1)) is not None
    except OSError:
        return False


@dataclass(kw_only=True)
class Repository:
    root: Path
    """The folder with all of its files; links followed."""
    git: pygit2.Repository
    common: Path
    """Its `.git` folder; of a linked worktree that of the main one."""
    _trees: dict[str, Files] = field(default_factory=dict, repr=False)

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """Return the repository that `folder` is in.

        EnvironmentProblem: E731. RecipeError: R020 where it is in none, R023 where it belongs to another user, R024
        where its settings say that its files are elsewhere, or its history is that of another folder.
        """
        top = top_of(Path(os.path.realpath(folder)))
        common = require_own_history(top) if top is not None else None
        git = _opened(top) if top is not None else None
        if top is None or common is None or git is None or git.is_bare:
            raise RecipeError.one(
                "R020",
                f"`{folder}` is in no git repository",
                hint="without one, compare two files: recipe diff OLD NEW",
            )
        root = Path(os.path.realpath(git.workdir))
        # By `core.worktree`, an untrusted repository could make any folder its files.
        if root != top:
            raise RecipeError.one(
                "R024",
                f"the settings in `{top / '.git'}` say that its files are in `{root}`",
                hint="git config --unset core.worktree, or clone it anew",
            )
        return cls(root=root, git=git, common=common)

    def commit(self, revision: str) -> str:
        """Return the full commit of a revision.

        RecipeError R021 where this clone has none, R410 where branches or tags of that name are different commits.
        """
        found = self.resolved(revision)
        if found is None:
            where = "this clone is shallow and does not reach it"
            hint = f"git fetch --depth=1 origin {revision}; in GitHub Actions: `fetch-depth: 0` of checkout"
            if not self.git.is_shallow:
                where = "no such revision"
                hint = f"git fetch origin {revision}, or name another one with --from"
            raise RecipeError.one("R021", f"`{revision}`: {where}", hint=hint)
        # A tag of a branch's name: whoever adds one would choose what is compared.
        named: dict[str, str] = {}
        for kind in ("tags", "heads", "remotes"):
            with suppress(pygit2.GitError, KeyError, ValueError):
                place = f"refs/{kind}/{revision}"
                named[place] = str(self.git.lookup_reference(place).peel().id)
        if len(set(named.values())) > 1 and revision != "HEAD":
            raise RecipeError.one(
                "R410",
                f"`{revision}` is {' and '.join(f'`{name}`' for name in named)}, which are different commits",
                hint=f"say which one: --from {[*named][-1]}",
            )
        return found

    def resolved(self, revision: str) -> str | None:
        """Return the full commit of a revision; None where this clone has no such commit."""
        if "\0" in revision or not revision:
            return None
        try:
            return str(self.git.revparse_single(revision).peel(pygit2.Commit).id)
        except (pygit2.GitError, KeyError, ValueError):
            return None

    @property
    def has_one_branch(self) -> bool:
        """True for a clone of one branch: its `origin/HEAD` is that branch, and need not be the main one."""
        found = [str(line) for line in self.git.config.get_multivar("remote.origin.fetch")]
        return bool(found) and not any("*" in line for line in found)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """Return the last commits that both have; none where the clone does not reach one."""
        with _failures("compare histories"):
            first = self.git.merge_base(one, other)
            if first is None:
                return ()
            # Further ones are reached from both, and not from the first one.
            both = set(self._walked(one, str(first))) & set(self._walked(other, str(first)))
            commits = [self.git[name].peel(pygit2.Commit) for name in both]
            inner = {str(parent) for commit in commits for parent in commit.parent_ids}
            return (str(first), *sorted(both - inner))

    def _walked(self, tip: str, without: str) -> Iterator[str]:
        walker = self.git.walk(tip)
        walker.hide(without)
        return (str(commit.id) for commit in walker)

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents that a commit names, also those that a shallow clone was cut off from."""
        head = self._read(commit, commit).partition(b"\n\n")[0].decode(errors="replace")
        lines = head.splitlines()
        return tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent "))

    def is_cut_between(self, base: str, *tips: str) -> bool:
        """Return whether a shallow clone was cut off at a commit that `tips` have and `base` has not."""
        try:
            cut = set((self.common / "shallow").read_text("ascii").split())
        except OSError:
            return False
        with _failures("list the history"):
            return any(not cut.isdisjoint(self._walked(tip, base)) for tip in tips)

    def changed(self, old: str, new: str | None) -> frozenset[str]:
        """Return the files that differ between two commits, or between a commit and the disk."""
        return _differing(self.tree(old), self.disk if new is None else self.tree(new))

    def unseen(self, commit: str) -> frozenset[str]:
        """Return files that HEAD or the index has otherwise than a commit, and otherwise than the disk."""
        base, head = self.tree(commit), self.tree(self.commit("HEAD"))
        found = frozenset[str]()
        for kept in (head, self.staged):
            other = _differing(base, kept)
            found |= other & _differing(kept, self.disk)
            for path in other - found:
                place, is_kept = self.root / path, path in kept
                if self.is_left_out(place) if is_kept else place.is_file():
                    found |= {path}
        return found

    @cached_property
    def staged(self) -> Files:
        found: dict[str, TreeEntry] = {}
        index = self.git.index
        for number, entry in enumerate(index):
            # The one thing that libgit2 knows of an entry and pygit2 does not show.
            one = C.git_index_get_byindex(index._index, number)  # noqa: SLF001
            # by `git add --intent-to-add` nothing of a file is staged yet
            if not one.flags_extended & _ANNOUNCED:
                found[str(entry.path)] = TreeEntry(
                    mode=int(entry.mode),
                    id=str(entry.id),
                    is_watched=not (one.flags & _ASSUMED or one.flags_extended & _SKIPPED),
                )
        return found

    @cached_property
    def _edited(self) -> Mapping[str, pygit2.DiffDelta]:
        """The files that differ between the index and the disk, and those that are new on the disk."""
        with _failures("compare the index with the files"):
            deltas = self.git.index.diff_to_workdir(_ALL_FILES).deltas
            return {os.fsdecode(one.new_file.raw_path): one for one in deltas}

    @cached_property
    def disk(self) -> Files:
        """The files on the disk, as a commit of all of them would keep them."""
        found = dict(self.staged)
        # git does not compare these by itself
        unwatched = [path for path, entry in self.staged.items() if not entry.is_watched]
        for path in (*self._edited, *unwatched):
            if os.path.lexists(self.root / path):
                found[path] = self._entry_on_disk(path)
            elif path not in unwatched:
                found.pop(path, None)
        return found

    def _entry_on_disk(self, path: str) -> TreeEntry:
        """Return what git would keep; what it keeps already where a file has those bytes, or those of its pointer."""
        place, kept, delta = self.root / path, self.staged.get(path), self._edited.get(path)
        if kept is not None and kept.mode == FileMode.COMMIT and delta is not None:
            # Changes within a submodule are compared in its own repository.
            return TreeEntry(mode=kept.mode, id=str(delta.new_file.id))
        if delta is not None and delta.status == DeltaStatus.UNTRACKED:
            return TreeEntry(mode=FileMode.BLOB, id="")
        own = ""
        with suppress(OSError, ValueError, KeyError, pygit2.GitError, RecipeError):
            if place.is_symlink():
                target = os.fsencode(_read_link(place))
                return TreeEntry(mode=FileMode.LINK, id=str(pygit2.hash(target)))
            require_data(place)  # neither another kind of thing nor a terabyte of nothing
            own = str(self.git.hashfile(str(place), as_path=path))
            if kept is None or own == kept.id:
                return TreeEntry(mode=FileMode.BLOB, id=own)
            if self.git.odb.read_header(kept.id)[1] <= LONGEST_POINTER:
                pointer = pointer_of(self._read(kept.id, path))
                if pointer is not None and pointer.stands_for(place):
                    return kept
        return TreeEntry(mode=FileMode.BLOB, id=own)

    @cached_property
    def submodules(self) -> frozenset[str]:
        return frozenset(p for p, one in self.staged.items() if one.mode == FileMode.COMMIT)

    @property
    def links(self) -> frozenset[str]:
        """Links, and submodules, behind which other files may be now."""
        found = (path for path, one in self.staged.items() if one.mode == FileMode.LINK)
        return self.submodules.union(found)

    def files(self) -> tuple[str, ...]:
        return tuple(path for path in self.disk if (self.root / path).is_file())

    def leads_out(self, path: str | Path) -> bool:
        return not Path(os.path.realpath(self.root / path)).is_relative_to(self.root)

    def is_left_out(self, path: Path) -> bool:
        """Return whether git has a file that it does not check out (sparse checkout)."""
        steps = self.target(path).steps
        entry = self.staged.get(steps[-1]) if steps else None
        return entry is not None and not entry.is_watched and not path.exists()

    def ignores(self, path: Path) -> bool:
        named = self.named(path)
        return named not in (None, *self.staged) and self.git.path_is_ignored(str(named))

    def inside(self, path: Path) -> str | None:
        """Return a path from the root, its folder's links followed; None for one outside."""
        found = Path(os.path.realpath(path.parent)) / path.name
        return found.relative_to(self.root).as_posix() if found.is_relative_to(self.root) else None

    def named(self, path: Path) -> str | None:
        """Return a path from the root as it is written, no link followed; None for one outside."""
        # resolve() would follow links.
        absolute = Path(os.path.abspath(path))
        if absolute.is_relative_to(self.root):
            return absolute.relative_to(self.root).as_posix()
        return self.inside(path)

    def tree(self, commit: str) -> Files:
        """Return everything that a commit has, by path. RecipeError R025 where this clone lacks its folders."""
        if commit in self._trees:
            return self._trees[commit]
        found, listed = dict[str, TreeEntry](), 0
        with _failures("list a commit", lacks=commit):
            left = [("", self.git[commit].peel(pygit2.Tree))]
            while left:
                above, tree = left.pop()
                for one in tree:
                    path = f"{above}{os.fsdecode(one.raw_name or b'')}"
                    found[path] = TreeEntry(mode=int(one.filemode), id=str(one.id))
                    listed += len(path)
                    if listed > MOST_LISTED:
                        what = f"`{commit[:12]}` lists more than {MOST_LISTED >> 20} MiB of paths"
                        raise EnvironmentProblem.one("E731", what)
                    if one.filemode == FileMode.TREE:
                        left.append((f"{path}/", self.git[one.id].peel(pygit2.Tree)))
        return self._trees.setdefault(commit, found)

    def target(self, path: Path, commit: str = "") -> Target:
        """Return where a path leads, following links: as they were at a commit, or as they are on the disk."""
        named, steps = self.named(path), dict[str, None]()
        if named is None:
            return Target(steps=(), is_outside=True)
        tree = self.tree(commit) if commit else None

        def is_inner(name: str) -> bool:
            """Return whether a folder is a repository of its own."""
            if tree is None:
                return name in self.submodules or os.path.lexists(self.root / name / ".git")
            return name in tree and tree[name].mode == FileMode.COMMIT

        left, at = list(PurePosixPath(named).parts), PurePosixPath()
        while left:
            part = left.pop(0)
            if part == ".." and not at.parts:
                return Target(steps=tuple(steps), is_outside=True)
            at = at.parent if part == ".." else at / part
            name = at.as_posix()
            leads = self._link(name, tree)
            if leads is None:
                if at.parts and is_inner(name):
                    return Target(steps=(*steps, name), is_outside=True)
                continue
            if name in steps or len(steps) > MOST_LINKS:
                return Target(steps=tuple(steps))
            steps[name], at = None, at.parent
            if leads.is_absolute():
                real = Path(os.path.realpath(leads))
                if tree is not None or not real.is_relative_to(self.root):
                    return Target(steps=tuple(steps), is_outside=True)
                leads, at = PurePosixPath(real.relative_to(self.root)), PurePosixPath()
            left = [*leads.parts, *left]
        name = at.as_posix()
        return Target(steps=(*steps, name), entry=tree.get(name) if tree is not None else None)

    def _link(self, name: str, tree: Files | None) -> PurePosixPath | None:
        """Return what a link holds; None for anything else."""
        if tree is None:
            place = self.root / name
            return PurePosixPath(_read_link(place)) if place.is_symlink() else None
        entry = tree.get(name)
        if entry is None or entry.mode != FileMode.LINK:
            return None
        return PurePosixPath(os.fsdecode(self._read(entry.id, name)))

    def large_file(self, content: bytes) -> Path | None:
        """Return the file that a pointer of git-lfs stands for, where this clone has it."""
        pointer = pointer_of(content)
        if pointer is None:
            return None
        digest = pointer.sha256
        path = self.common / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
        return path if path.is_file() and pointer.stands_for(path) else None

    def content(self, commit: str, path: str) -> bytes:
        """Return the bytes of a file as it was, links followed.

        FileNotFoundError: it was not there, or not in this repository. OSError: EFBIG where it holds more than
        `MAX_BYTES`. RecipeError: R025 where this clone lacks its bytes.
        """
        entry = self.target(self.root / path, commit).entry
        if entry is None or not entry.is_file:
            raise FileNotFoundError(path)
        return self._read(entry.id, path)

    def _read(self, name: str | pygit2.Oid, what: str) -> bytes:
        """Return the bytes of an object; `what` is the file that it is. OSError EFBIG, RecipeError R025."""
        try:
            if self.git.odb.read_header(name)[1] > MAX_BYTES:
                raise OSError(errno.EFBIG, f"larger than {MAX_BYTES / 1e6:.0f} MB", what)
            return self.git.odb.read(name)[1]
        except (pygit2.GitError, KeyError) as error:
            raise _lacking(what) from error


def _read_link(place: Path) -> str:
    """Return what a link holds, as it is written."""
    return os.readlink(place)  # noqa: PTH115


def _opened(top: Path) -> pygit2.Repository:
    variables, settings = os.environ, pygit2.settings
    if (own := variables.get("GIT_CONFIG_GLOBAL")) is not None:
        for level in (ConfigLevel.GLOBAL, ConfigLevel.XDG):
            settings.search_path[level] = ""
    count = variables.get("GIT_CONFIG_COUNT", "")
    named = range(min(int(count), 1000) if count.isdecimal() else 0)
    allowed = [
        variables.get(f"GIT_CONFIG_VALUE_{number}")
        for number in named
        if variables.get(f"GIT_CONFIG_KEY_{number}") == "safe.directory"
    ]
    # A partial clone lacks files, each of which is reported where it is read.
    pygit2.option(Option.SET_EXTENSIONS, ["partialclone"], 1)
    settings.owner_validation = "*" not in allowed and str(top) not in allowed
    try:
        found = pygit2.Repository(str(top), RepositoryOpenFlag.NO_SEARCH)
        if own and Path(own).is_file():
            found.config.add_file(own, ConfigLevel.GLOBAL)
    except (pygit2.GitError, KeyError, ValueError) as error:
        if "not owned by" in str(error):
            raise RecipeError.one(
                "R023",
                f"the repository `{top}` belongs to another user, and is not read",
                hint=f"where you trust it: git config --global --add safe.directory {shlex.quote(str(top))}",
            ) from error
        raise _failed("open the repository", error) from error
    return found


def _differing(old: Files, new: Files) -> frozenset[str]:
    before, after = (
        {(path, one.content) for path, one in files.items() if one.mode != FileMode.TREE}
        for files in (old, new)
    )
    return frozenset(path for path, _ in before ^ after)


@contextmanager
def _failures(what: str, *, lacks: str = "") -> Iterator[None]:
    """Raise what libgit2 refuses as E731; of objects that are not here, where `lacks` names a commit, as R025."""
    try:
        yield
    except (pygit2.GitError, KeyError, ValueError) as error:
        if lacks and isinstance(error, KeyError | pygit2.GitError):
            raise _lacking(lacks[:12]) from error
        raise _failed(what, error) from error


def _failed(what: str, error: Exception) -> EnvironmentProblem:
    return EnvironmentProblem.one("E731", f"git cannot {what}: {str(error).strip() or 'no reason'}")


def _lacking(what: str) -> RecipeError:
    return RecipeError.one(
        "R025",
        f"this clone lacks the bytes of `{what}`, and nothing is fetched here",
        hint="fetch them: git fetch --refetch --no-filter origin",
    )
