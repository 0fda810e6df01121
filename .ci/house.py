"""Measure the code: sizes, import circles, comments, repeated names, private words.

    uv run python .ci/house.py                the table
    uv run python .ci/house.py --list         and the items behind each number
    uv run python .ci/house.py --json         the same for programs
    uv run python .ci/house.py --rev REV      of a commit instead of the working tree
    uv run python .ci/house.py --since REV    the numbers of that commit in a column of their own
    uv run python .ci/house.py --check        exit code 1 where a number is beyond its bound, or a bound was raised
    uv run python .ci/house.py --lower        write today's numbers as bounds where they are lower

Needs nothing but Python 3.12 or newer, and git for `--rev`, `--since` and raised bounds. `.ci/bounds.json` is the
one table of bounds. They only fall: a commit that raises one fails, unless it adds a line with the number's name to
a page of docs/decisions.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

BOUNDS_FILE = ".ci/bounds.json"
DECISIONS = "docs/decisions"
AT_LEAST = "own-line comments, % of lines"
"""The one number that has to be large; all others have to be small."""

LONG_PROSE = 160
"""Characters of a string; a longer sentence is rarely read to its end."""
LONG_TEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Names of section 3 of the design (`today` in its table), as tests that leave ordinary English alone."""

    parts: frozenset[str]
    """Counted wherever they are a word of an identifier, a comment, a docstring or a message: no engineer
    would guess them, and in prose they are the private language as well."""
    identifiers: frozenset[str]
    """Counted as a whole identifier only: their words mean something else in prose, or inside other names."""
    modules: tuple[str, ...]
    """Counted as a module at this place only: `samples` or `lengths` are fine names elsewhere."""


WORDS = Words(
    parts=frozenset({
        "told", "said", "hearing", "reckoning", "foretell", "foretold", "lockstand", "flights",
        "speech", "spoken", "weighed", "defender", "adoption", "complaint", "prospect",
        "foresight", "foresee", "foresees", "foreseen", "foreseeing", "reckoned", "kin",
        "giveaway", "giveaways", "checklines",
    }),
    identifiers=frozenset({
        "LockStand", "Wish", "stand_to_lock", "merged_says", "once_said", "_Flight", "_hear", "FreeSpeech",
        "BoundSpeech", "say", "WEIGHED", "BOUND", "Walk", "Orders", "World", "survey",
        "Order", "_Gatherer", "_Climb", "Rung", "proving", "keeping", "repeating",
    }),
    modules=(
        "stages.held", "stages.answered", "stages.basis", "stages.repeated", "stages.flow",
        "runtime.choosing", "runtime.continuing", "runtime.chat_rows", "runtime.ledger", "runtime.spread",
        "runtime.watch", "runtime.trained", "recipe.newcomer", "execute", "forecast", "probing", "viewing", "samples",
        "metrics.outlook", "recipe.decisions", "recipe.written", "recipe.rewriting", "data.guesses", "data.units",
        "data.shapes", "data.pool", "data.held", "data.recorded", "data.written", "data.placed", "data.marked",
        "data.marks", "data.named", "review.sides", "review.leaves", "review.trees", "review.listed",
        "review.content", "review.reading", "review.judge", "render.wording", "render.measures",
        "render.quantities", "render.spans", "render.proof", "render.closing", "render.html.making",
        "render.html.tracks", "render.html.parts", "bundle.telling", "bundle.making", "bundle.checking",
        "drafting.told", "drafting.room", "drafting.asking",
    ),
)  # fmt: skip
"""Left out, since the field says them too: `walk` (of a tree), `trained` and `held` as adjectives, `watch` and
`judge` as verbs, `nats` (the unit, and the key under which likelihoods are stored), rows `in flight`, `once` and
`set aside` in prose, `newcomer` (a key of stored challenges), `decisions`, `Step`, `outlook` inside `data_outlook`."""

STARTS = frozenset({tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})
"""What comes before a docstring."""
KEPT = frozenset({"said", "told", "cannot be told", "reckoned"})
"""Texts that are one such word alone: keys of files, column names and classes of a style sheet, not prose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number and what it counts."""

    name: str
    value: float
    items: tuple[str, ...] = ()

    def is_beyond(self, bound: float) -> bool:
        """Return whether the number breaks this bound."""
        return self.value < bound if self.name == AT_LEAST else self.value > bound


@dataclass(slots=True)
class Source:
    """A Python file, read once."""

    name: str
    """`engine.artifacts.stage`, a package by its own name."""
    text: str
    package: bool
    tree: ast.Module = field(init=False)
    nodes: list[ast.AST] = field(init=False)
    tokens: list[tokenize.TokenInfo] = field(init=False)
    """Comments among them."""

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        self.nodes = list(ast.walk(self.tree))
        self.tokens = tokens_of(self.text)


def main(words: list[str] | None = None) -> int:
    """Print the numbers; 1 where `--check` finds one beyond its bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rev", help="measure this commit")
    parser.add_argument("--list", action="store_true", help="name what is counted")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--check", action="store_true", help="fail where a bound is not kept")
    parser.add_argument("--since", metavar="REV", help="show the numbers of this commit too")
    parser.add_argument("--lower", action="store_true", help="lower bounds to today's numbers")
    options = parser.parse_args(words)
    counts = measure_commit(options.rev) if options.rev else measure(ROOT)
    bounds = read_bounds()
    if options.lower:
        bounds = lowered(counts, bounds)
        text = json.dumps(bounds, indent=2, ensure_ascii=False) + "\n"
        (ROOT / BOUNDS_FILE).write_text(text, encoding="utf-8")
    if options.json:
        print(as_json(counts, bounds))
    else:
        before = measure_commit(options.since) if options.since else []
        print(as_table(counts, bounds, before=before, listed=options.list))
    if not options.check:
        return 0
    raised = raised_bounds(bounds)
    for line in raised:
        print(line)
    return int(bool(raised) or any(is_beyond(count, bounds) for count in counts))


def read_bounds() -> dict[str, float]:
    """Return the bound of each number that has one."""
    bounds: dict[str, float] = json.loads((ROOT / BOUNDS_FILE).read_text(encoding="utf-8"))
    return bounds


def is_beyond(count: Count, bounds: Mapping[str, float]) -> bool:
    """Return whether a number has a bound and breaks it."""
    return count.name in bounds and count.is_beyond(bounds[count.name])


def lowered(counts: list[Count], bounds: Mapping[str, float]) -> dict[str, float]:
    """Return the bounds with today's numbers where these are lower; the share of comments keeps its bound."""
    values = {count.name: count.value for count in counts if count.name != AT_LEAST}
    return {name: min(bound, values.get(name, bound)) for name, bound in bounds.items()}


def raised_bounds(bounds: Mapping[str, float]) -> list[str]:
    """Return a line for each bound that is looser than in the commit before and that no new decision names."""
    is_changed = git("status", "--porcelain", "--", BOUNDS_FILE, DECISIONS)
    base = "HEAD" if is_changed else "HEAD~1"
    text = git("show", f"{base}:{BOUNDS_FILE}")
    if not text:  # no git, a clone of one commit, or the commit that adds the file
        return []
    before: dict[str, float] = json.loads(text)
    added = [line for line in git("diff", base, "--", DECISIONS).splitlines() if line[:1] == "+"]
    unknown = git("ls-files", "--others", "--exclude-standard", "--", DECISIONS).splitlines()
    reasons = "\n".join([*added, *((ROOT / page).read_text(encoding="utf-8") for page in unknown)])
    return [
        f"{name}: the bound was {bound:,g} in {base}; a line in {DECISIONS} has to say why it rises"
        for name, bound in before.items()
        if (name not in bounds or Count(name=name, value=bounds[name]).is_beyond(bound))
        and name not in reasons
    ]


def git(*words: str) -> str:
    """Return what git prints; nothing where it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def measure_commit(rev: str) -> list[Count]:
    """Return every number of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        check_out(rev, Path(folder))
        return measure(Path(folder))


def check_out(rev: str, folder: Path) -> None:
    """Write the files of a commit into a folder."""
    packed = subprocess.run(["git", "archive", rev], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def measure(root: Path) -> list[Count]:
    """Return every number of the tree at `root`."""
    sources = [read(path, root) for path in sorted((root / "engine").rglob("*.py"))]
    imports = import_graph(sources)
    lines = sum(len(source.text.splitlines()) for source in sources)
    code = {source.name: code_lines(source) for source in sources}
    return [
        circles("import circles among modules", imports),
        circles("import circles among packages", by_package(imports)),
        circles("circles by imports of every kind", import_graph(sources, every=True)),
        root_files(root),
        noqa(sources),
        own_line_comments(sources, lines),
        repeated_classes(sources),
        private_words(sources),
        private_words_of_tests(root),
        private_words_of_pages(root),
        long_tests(root),
        single_callers(sources),
        repeated_files(sources),
        constants(sources),
        *prose(sources),
        Count(name="Python files in engine/", value=len(sources)),
        Count(name="lines in engine/", value=lines),
        Count(name="code lines in engine/", value=sum(code.values()), items=lines_by_package(code)),
        lines_of_tests(root, "lines of tests", is_python=True),
        lines_of_tests(root, "lines of fixtures", is_python=False),
    ]


def read(path: Path, root: Path) -> Source:
    """Return a file with the name that it is imported by."""
    parts = path.relative_to(root).with_suffix("").parts
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    return Source(name=name, text=path.read_text(encoding="utf-8"), package=package)


def tokens_of(text: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of a file."""
    return list(tokenize.generate_tokens(io.StringIO(text).readline))


def import_graph(sources: list[Source], *, every: bool = False) -> dict[str, set[str]]:
    """Return which modules each one imports while it is itself imported; with `every` also later, and for types.

    A package is not counted as imported by importing one of its modules.
    """
    names = {source.name for source in sources}
    graph: dict[str, set[str]] = {}
    for source in sources:
        found: set[str] = set()
        for node in source.nodes if every else run_at_import(source.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = absolute(node, source)
                inner = {f"{base}.{alias.name}" for alias in node.names}
                found |= (inner & names) or {base}
        graph[source.name] = (found & names) - {source.name}
    return graph


def absolute(node: ast.ImportFrom, source: Source) -> str:
    """Return the module that `from … import` names, `from . import` too."""
    if not node.level:
        return node.module or ""
    parts = source.name.split(".")
    above = parts[: len(parts) - node.level + source.package]
    return ".".join([*above, *([node.module] if node.module else [])])


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node below one that runs when the module is imported: no bodies of functions, no `TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from run_at_import(child)


def by_package(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports among the packages right below engine/; a module there stands for itself."""

    def top(name: str) -> str:
        return ".".join(name.split(".")[:2])

    packages: dict[str, set[str]] = {}
    for name, imported in graph.items():
        if name == "engine":
            continue
        packages.setdefault(top(name), set()).update(
            top(one) for one in imported if one != "engine" and top(one) != top(name)
        )
    return packages


def circles(name: str, graph: Mapping[str, set[str]]) -> Count:
    """Return the strongly connected components of more than one node (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return Count(name=name, value=len(found), items=tuple(" ".join(one) for one in sorted(found)))


def root_files(root: Path) -> Count:
    """Return the modules that lie beside the packages."""
    files = {path.name for path in (root / "engine").glob("*.py")} - {"__init__.py", "__main__.py"}
    return Count(name="files at the root of engine/", value=len(files), items=tuple(sorted(files)))


def comments(source: Source) -> Iterator[tuple[str, bool]]:
    """Yield each comment, and whether it has its line to itself."""
    for token in source.tokens:
        if token.type == tokenize.COMMENT:
            yield token.string, token.line[: token.start[1]].strip() == ""


def noqa(sources: list[Source]) -> Count:
    """Return the suppressed warnings, by rule."""
    rules: Counter[str] = Counter()
    total = 0
    for source in sources:
        for text, _ in comments(source):
            if re.search(r"\bnoqa\b", text):
                total += 1
                rules.update(re.findall(r"\b[A-Z]{1,4}\d{3,4}\b", text))
    items = tuple(f"{rule} {count}" for rule, count in rules.most_common())
    return Count(name="noqa in engine/", value=total, items=items)


def own_line_comments(sources: list[Source], lines: int) -> Count:
    """Return the share of lines that are a comment alone, in percent."""
    alone = sum(own for source in sources for _, own in comments(source))
    share = round(100 * alone / lines, 2) if lines else 0.0
    items = (f"{alone} of {lines} lines",)
    return Count(name="own-line comments, % of lines", value=share, items=items)


def repeated_classes(sources: list[Source]) -> Count:
    """Return the names that more than one class has."""
    places: dict[str, list[str]] = {}
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(source.name)
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    items = tuple(f"{name}: {' '.join(found)}" for name, found in sorted(repeated.items()))
    return Count(name="class names used twice or more", value=len(repeated), items=items)


def private_words(sources: list[Source]) -> Count:
    """Return how often the words of `WORDS` stand in the code."""
    found: Counter[str] = Counter()
    names = {source.name for source in sources}
    found.update(name for name in WORDS.modules if f"engine.{name}" in names)
    for source in sources:
        for token in source.tokens:
            if token.type == tokenize.NAME:
                found.update(private_of_name(token.string))
            elif token.type in {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}:
                if token.string.lstrip("rbf").strip("\"'") in KEPT:
                    continue
                found.update(private_of_text(token.string))
    items = tuple(f"{word} {count}" for word, count in found.most_common())
    return Count(name="private words in engine/", value=sum(found.values()), items=items)


def private_words_of_tests(root: Path) -> Count:
    """Return how often they stand in names, comments and docstrings of tests and benchmarks; other texts are data."""
    found: Counter[str] = Counter()
    for path in sorted([*(root / "tests").rglob("*.py"), *(root / "benchmarks").rglob("*.py")]):
        text = path.read_text(encoding="utf-8")
        # Most files hold none of the words, and splitting a file into tokens takes long.
        if not private_of_text(text) and WORDS.identifiers.isdisjoint(re.findall(r"\w+", text)):
            continue
        before = tokenize.NEWLINE
        place = path.relative_to(root).as_posix()
        for token in tokens_of(text):
            words: list[str] = []
            is_docstring = token.type == tokenize.STRING and before in STARTS
            if token.type == tokenize.NAME:
                words = private_of_name(token.string)
            elif is_docstring or token.type == tokenize.COMMENT:
                words = private_of_text(token.string)
            found.update(f"{place}: {word}" for word in words)
            if token.type not in {tokenize.COMMENT, tokenize.NL}:
                before = token.type
    items = tuple(f"{word} {count}" for word, count in sorted(found.items()))
    return Count(
        name="private words in tests/, benchmarks/", value=sum(found.values()), items=items
    )


def private_words_of_pages(root: Path) -> Count:
    """Return how often they stand in the pages for readers, but for the glossary, which says what replaces them."""
    found: Counter[str] = Counter()
    pages = [*(root / "docs").rglob("*.md"), *(root / "news").glob("*.md"), *root.glob("[CR]*.md")]
    for path in sorted(pages):
        if path.name not in {"glossary.md", "CHANGELOG.md"}:
            place = path.relative_to(root).as_posix()
            words = private_of_text(path.read_text(encoding="utf-8"))
            found.update(f"{place}: {word}" for word in words)
    items = tuple(f"{word} {count}" for word, count in sorted(found.items()))
    return Count(name="private words in docs/, news/", value=sum(found.values()), items=items)


@cache
def private_of_name(name: str) -> list[str]:
    """Return the words of `WORDS` in an identifier."""
    whole = [name] if name in WORDS.identifiers else []
    return [*private_of_text(name), *whole]


def private_of_text(text: str) -> list[str]:
    """Return the words of `WORDS` in a sentence."""
    return [part for part in split(text) if part in WORDS.parts]


def split(text: str) -> list[str]:
    """Return the words of a text or an identifier, in small letters: `LockStand` and `lock_stand` are two."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)]


def long_tests(root: Path) -> Count:
    """Return the files below tests/ that are too long to be read at once."""
    sizes = {
        path.relative_to(root).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((root / "tests").rglob("*.py"))
    }
    items = tuple(f"{name} {size}" for name, size in sizes.items() if size > LONG_TEST)
    return Count(name="test files over 400 lines", value=len(items), items=items)


def single_callers(sources: list[Source]) -> Count:
    """Return the private functions and methods that their module names once besides their definition."""
    uses: Counter[str] = Counter()
    defined: list[str] = []
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.name.startswith("_") and not node.name.endswith("__"):
                    defined.append(f"{source.name}.{node.name}")
            elif isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                uses[f"{source.name}.{name}"] += 1
    items = tuple(name for name in defined if uses[name] == 1)
    return Count(name="private functions with one caller", value=len(items), items=items)


def repeated_files(sources: list[Source]) -> Count:
    """Return the file names that several modules have, but for `__init__`."""
    places: dict[str, list[str]] = {}
    for source in sources:
        if not source.package:
            places.setdefault(source.name.rsplit(".", 1)[-1], []).append(source.name)
    items = tuple(
        f"{name}: {' '.join(found)}" for name, found in sorted(places.items()) if len(found) > 1
    )
    return Count(name="file names used twice or more", value=len(items), items=items)


def constants(sources: list[Source]) -> Count:
    """Return the names in capitals that are set at module level."""
    items: list[str] = []
    for source in sources:
        for node in source.tree.body:
            if isinstance(node, ast.Assign):
                targets = node.targets
            else:
                targets = [node.target] if isinstance(node, ast.AnnAssign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            items += [f"{source.name}.{name}" for name in names if name.isupper()]
    return Count(name="module constants", value=len(items), items=tuple(items))


def prose(sources: list[Source]) -> tuple[Count, Count]:
    """Return the lines with strings of four words or more, docstrings left out, and the long ones of these strings."""
    lines = 0
    long: list[str] = []
    for source in sources:
        documented = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}
        spanned: set[int] = set()
        for node in source.nodes:
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if id(node) in documented or len(node.value.split()) < 4:
                continue
            spanned.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if len(node.value) > LONG_PROSE:
                long.append(f"{source.name}:{node.lineno} {len(node.value)}")
        lines += len(spanned)
    name = f"strings of over {LONG_PROSE} characters"
    return (
        Count(name="lines of prose in strings", value=lines),
        Count(name=name, value=len(long), items=tuple(long)),
    )


def lines_of_tests(root: Path, name: str, *, is_python: bool) -> Count:
    """Return the lines of the Python files of tests/, or of all its other files."""
    sizes: Counter[str] = Counter()
    for path in (root / "tests").rglob("*"):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and (path.suffix == ".py") is is_python
        ):
            sizes[path.relative_to(root).parts[1]] += path.read_bytes().count(b"\n")
    items = tuple(f"{folder} {lines}" for folder, lines in sizes.most_common())
    return Count(name=name, value=sum(sizes.values()), items=items)


def code_lines(source: Source) -> int:
    """Return the lines that hold code: neither blank nor a comment nor part of a docstring."""
    texts: set[int] = set()
    for node in source.nodes:
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    layout = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENDMARKER,
    }  # fmt: skip
    lines: set[int] = set()
    for token in source.tokens:
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - texts)


def lines_by_package(code: Mapping[str, int]) -> tuple[str, ...]:
    """Return the code lines of each package right below engine/, and of the modules beside them."""
    packages = {name.split(".")[1] for name in code if name.count(".") > 1}
    found: Counter[str] = Counter()
    for name, lines in code.items():
        parts = name.split(".")
        found[parts[1] if len(parts) > 1 and parts[1] in packages else "(root)"] += lines
    return tuple(f"{package} {lines}" for package, lines in sorted(found.items()))


def as_table(
    counts: list[Count], bounds: Mapping[str, float], *, before: Iterable[Count], listed: bool
) -> str:
    """Return a line a number: today's, that of the commit before, its bound; with `listed` the items below it."""
    earlier = {count.name: f"{count.value:,g}" for count in before}
    lines = []
    for count in counts:
        bound = verdict = ""
        if count.name in bounds:
            bound = f"{'>=' if count.name == AT_LEAST else '<='} {bounds[count.name]:,g}"
            verdict = "beyond" if is_beyond(count, bounds) else "ok"
        was = f"{earlier.get(count.name, '-'):>12}" if earlier else ""
        lines.append(f"{count.name:<36}{count.value:>10,g}{was}   {bound:<12}{verdict}".rstrip())
        if listed:
            lines += [f"    {item}" for item in count.items]
    return "\n".join(lines)


def as_json(counts: list[Count], bounds: Mapping[str, float]) -> str:
    """Return the numbers with their bounds and what they count."""
    data = {
        count.name: {
            "value": count.value,
            "bound": bounds.get(count.name),
            "items": list(count.items),
        }
        for count in counts
    }
    return json.dumps(data, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
