"""The page around the sections: head, contents, sources, versions, notes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from engine.evidence import Report
from engine.render.html.baselines import baselines
from engine.render.html.calibration import calibration
from engine.render.html.checks import acceptance
from engine.render.html.classes import confusion, every_metric, per_class
from engine.render.html.data import data
from engine.render.html.export import export
from engine.render.html.forgetting import forgetting
from engine.render.html.learning import learning
from engine.render.html.making import stages, training
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, facts, listing, prose, section
from engine.render.html.repeating import reproduction, seeds
from engine.render.html.sweep import sweep
from engine.render.html.verdict import banner
from engine.render.wording import OUTCOMES, class_words, why_absent

_SECTIONS: tuple[tuple[str, str, Callable[[Report], Markup]], ...] = (
    ("acceptance", "Acceptance", acceptance),
    ("reproduction", "Reproduction", reproduction),
    ("baselines", "Baselines", baselines),
    ("metrics", "Every metric", every_metric),
    ("classes", "", per_class),
    ("confusion", "Confusion", confusion),
    ("calibration", "Calibration", calibration),
    ("sweep", "Sweep", sweep),
    ("training", "Training", training),
    ("forgetting", "Forgetting", forgetting),
    ("seeds", "Seeds", seeds),
    ("learning", "How much data", learning),
    ("data", "Data", data),
    ("export", "Exported file", export),
    ("stages", "Stages", stages),
)
"""Anchor, title, and what makes it; what a run has nothing to say of is left out."""
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='6' fill='%232757c4'/%3E%3C/svg%3E"
)


def render_html(report: Report) -> str:
    """One self-contained page: no script, no request; for desktops, phones, the dark and paper."""
    made = [(anchor, title, make(report)) for anchor, title, make in _SECTIONS]
    shown = [
        (anchor, title or class_words(report).title, part) for anchor, title, part in made if part
    ]
    contents = _contents(report, [(anchor, title) for anchor, title, _ in shown])
    body = join(
        [
            tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
            _header(report),
            tag("div", contents, _main(report, [part for *_, part in shown]), class_="page"),
            _footer(report),
        ],
        "\n",
    )
    return f'<!doctype html>\n<html lang="en">\n{_head(report)}\n{tag("body", body)}\n</html>\n'


def _head(report: Report) -> Markup:
    style = files("engine.render.html").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'"
    title = f"{report.recipe_name} · {OUTCOMES.get(report.outcome, report.outcome).lower()}"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"{policy}; form-action 'none'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="icon", href=_ICON),
        tag("style", Markup(style)),
    )


def _header(report: Report) -> Markup:
    return tag(
        "header",
        tag("p", "Evidence report", class_="overline"),
        tag("h1", report.recipe_name),
        tag("p", report.description, class_="description") if report.description else "",
        tag("p", _spec(report), class_="spec"),
    )


def _spec(report: Report) -> Markup:
    when = f"{datetime.fromisoformat(report.started).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return join([report.method, report.base_model, when], Markup(' <span class="dot">·</span> '))


def _contents(report: Report, shown: Sequence[tuple[str, str]]) -> Markup:
    notes = [("notes", "Notes")] if _has_notes(report) else []
    last = [("sources", "Recipe and config"), ("environment", "Environment")]
    entries = [*notes, *shown, *last]
    items = (tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title in entries)
    return tag("nav", tag("ol", *items), aria_label="Contents")


def _main(report: Report, parts: Sequence[Markup]) -> Markup:
    return tag(
        "main",
        banner(report),
        _notes(report),
        *parts,
        _sources(report),
        _environment(report),
        id="verdict",
    )


def _has_notes(report: Report) -> bool:
    return bool(report.notes or report.warnings or report.waivers)


def _notes(report: Report) -> Markup:
    if not _has_notes(report):
        return Markup("")
    items = [tag("li", tag("strong", "Warning"), " ", prose(text)) for text in report.warnings]
    items += [
        tag("li", tag("strong", "Waived"), " ", code(one.what), ". ", one.why)
        for one in report.waivers
    ]
    items += [tag("li", prose(text)) for text in report.notes]
    return tag("section", tag("h2", "Notes"), tag("ul", *items), id="notes", class_="notes")


def _sources(report: Report) -> Markup:
    parts = [listing("Recipe, as written", report.recipe_text, is_open=True)]
    parts.append(listing("Recipe, every default written out", report.resolved_recipe))
    if report.backend_config:
        parts.append(listing("Backend config, compiled", report.backend_config))
    else:
        parts.append(absent("Backend config " + why_absent(report, "compile")))
    return section("sources", "Recipe and config", *parts)


def _environment(report: Report) -> Markup:
    return section(
        "environment",
        "Environment",
        tag("h3", "Machine"),
        facts(report.environment.items()),
        tag("h3", "Versions"),
        facts(report.versions.items()),
        tag("h3", "Run"),
        facts([("folder", code(report.run_directory)), ("report schema", code(report.schema))]),
    )


def _footer(report: Report) -> Markup:
    creed = (
        "Every number on this page was measured in the run it describes, or in the run it names. "
        "What could not be measured is not shown as a number."
    )
    return tag("footer", tag("p", creed), tag("p", f"{report.recipe_name} · {report.started}"))
