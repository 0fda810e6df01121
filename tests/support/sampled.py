"""A pytest plugin that runs a part of long tables of cases: another one with each commit, so that in time all run.

`@pytest.mark.sampled(4)` on a parametrized test has one in four of its cases run, evenly spread over the table. Which
ones is chosen by a number that is made of the commit and shown at the head of the run: `--cases NUMBER` repeats it,
`--cases all` runs every case. So does naming a file, and `just exhaustive`.
"""

import subprocess
import time
from collections import defaultdict

import pytest

from support.paths import ROOT

ALL = "all"
SECONDS_A_DAY = 86_400


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        metavar="NUMBER|all",
        help="which cases of sampled tables run; by default a number that is made of the commit",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose once, before the workers of pytest-xdist are given the options: all collect the same tests."""
    if config.option.cases is not None:
        return
    is_named = config.args_source is config.ArgsSource.ARGS and all(
        word.partition("::")[0].endswith(".py") for word in config.args
    )
    config.option.cases = ALL if is_named else str(_number())


def pytest_report_header(config: pytest.Config) -> str:
    cases = config.option.cases
    if cases == ALL:
        return "sampled tables: every case"
    return f"sampled tables: a part of the cases; --cases {cases} repeats it, --cases all runs every one"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that this run does not choose, whatever order the items are in."""
    if config.option.cases == ALL:
        return
    tables: defaultdict[tuple[str, str], list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            parent = item.parent.nodeid if item.parent else ""
            tables[parent, item.originalname].append(item)
    left_out: set[pytest.Item] = set()
    for table in tables.values():
        marker = table[0].get_closest_marker("sampled")
        if marker is not None:
            table.sort(key=lambda item: tuple(item.callspec.indices.values()))
            run = chosen(len(table), share=marker.args[0], number=int(config.option.cases))
            left_out |= {item for place, item in enumerate(table) if place not in run}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def chosen(count: int, *, share: int, number: int) -> range:
    """Return the places of the cases that run: one in `share`, and never none of a table."""
    step = max(1, min(share, count))
    return range(number % step, count, step)


def _number() -> int:
    """Return a number of the commit; where there is no git, of the day."""
    asked = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return int(time.time()) // SECONDS_A_DAY
    return int(found.stdout[:7], 16)
