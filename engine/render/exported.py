"""How large and how fast the exported file is, in words that every format shares."""

from __future__ import annotations

from engine.evidence import Metric, Report
from engine.recipe.metrics import OF_FILES
from engine.render.measures import told
from engine.render.wording import find_metric

_TITLES = {
    "file_megabytes": "size of the file",
    "tokens_per_second": "speed",
    "first_token_milliseconds": "first token after",
    "peak_memory_megabytes": "peak memory",
}
MEASURED = "measured on this machine"


def speed_facts(report: Report) -> list[tuple[str, str]]:
    """Name and value of all that was measured of the file beside its answers; empty where nothing was."""
    found = [
        (title, _measured(report, spec.name))
        for spec in OF_FILES
        if (title := _TITLES.get(spec.name))
    ]
    return [(title, told(metric)) for title, metric in found if metric is not None]


def _measured(report: Report, name: str) -> Metric | None:
    """From the scores of the file, else from the check that bounds it."""
    scores = [report.quantized, *(rung.scores for rung in reversed(report.ladder))]
    for item in scores:
        if (found := find_metric(item, name)) is not None:
            return found
    checks = report.verify.checks if report.verify else ()
    check = next((check for check in checks if check.name == name), None)
    if check is None or check.got is None:
        return None
    return Metric(name=name, value=check.got, n=check.n, interval=check.interval)


def machine(report: Report) -> str:
    """`measured on this machine: cpu, 2 cores`."""
    about = [report.environment.get("device", ""), report.environment.get("cores", "")]
    cores = f"{about[1]} cores" if about[1] else ""
    where = ", ".join(part for part in (about[0], cores) if part)
    return f"{MEASURED}: {where}" if where else MEASURED
