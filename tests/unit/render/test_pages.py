"""The report in every format: golden texts, and properties of the page no golden file would tell."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
import yaml

from engine.evidence import Flip, Mistake, Report, Status, Waived
from engine.render.report.card import render_card
from engine.render.report.page import (
    closing_block,
    read_json,
    render_html,
    render_json,
    render_markdown,
)
from engine.render.stage_lines import (
    baseline_lines,
    check_lines,
    data_line,
    file_line,
    ladder_lines,
    stage_result,
    training_line,
)
from engine.render.terminal import PlanRow, plan_table
from engine.values import replace
from support import reports
from support.golden import Golden

REPORTS: dict[str, Callable[[], Report]] = {
    "accepted": reports.accepted,
    "refused": reports.refused,
    "baseline_passes": reports.baseline_passes,
    "failed": reports.failed,
    "many_labels": reports.many_labels,
    "rich": reports.rich,
    "extraction": reports.extraction,
    "multilabel": reports.multilabel,
    "generation": reports.generation,
    "chat": reports.chat,
    "refused_by_the_ladder": reports.refused_by_the_ladder,
    "refused_by_forgetting": reports.refused_by_forgetting,
    "repeated": reports.repeated,
    "taught": reports.taught,
}
each_report = pytest.mark.parametrize("name", REPORTS)

HOSTILE = "<script>alert(1)</script>\"'&`|\x00\x1b[2J\u202eevil </style></code></pre>\n---\n# x"


def test_names_of_another_direction_turn_nothing_beside_them_in_the_page() -> None:
    """Two labels in Hebrew between commas would stand in the other order, and a number on the wrong side of one."""
    style = re.search(r"<style>(.*?)</style>", render_html(reports.rich()), re.DOTALL)

    assert style
    isolated = re.findall(r"([^{}]*)\{[^{}]*unicode-bidi: ?isolate", style[1])
    assert {one.strip() for rule in isolated for one in rule.split(",")} >= {".label", "code"}


def hostile() -> Report:
    report = reports.rich()
    assert report.forgetting
    assert report.data
    assert report.holdout
    flip = Flip(id=HOSTILE, target=HOSTILE, before=HOSTILE, after=None)
    probe = replace(report.forgetting.probes[0], name=HOSTILE, kind=HOSTILE)
    labels = (HOSTILE, "positive")
    names = ("id", "origin", "text", "expected", "answer")
    wrong = Mistake(**dict.fromkeys(names, HOSTILE), confidence=0.9, differs=(HOSTILE,))
    findings = tuple(
        replace(item, message=HOSTILE, examples=(HOSTILE,)) for item in report.data.findings
    )
    return replace(
        report,
        recipe_name=HOSTILE,
        description=HOSTILE,
        summary=HOSTILE,
        power=(HOSTILE, f"`{HOSTILE}` and `{HOSTILE}"),
        comparisons=tuple(
            replace(item, name=HOSTILE, note=HOSTILE, test=HOSTILE) for item in report.comparisons
        ),
        ladder=tuple(
            replace(
                rung, flips=(flip,), note=HOSTILE, class_deltas=((HOSTILE, -0.1), ("positive", 0.1))
            )
            for rung in report.ladder
        ),
        forgetting=replace(report.forgetting, probes=(probe, probe)),
        next_steps=(HOSTILE, "recipe try " + HOSTILE),
        base_model=HOSTILE,
        method=HOSTILE,
        warnings=(HOSTILE,),
        notes=(HOSTILE,),
        recipe_text=HOSTILE,
        resolved_recipe=HOSTILE,
        backend_config=HOSTILE,
        labels=labels,
        holdout=reports.with_labels(report.holdout, labels),
        versions={HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        data=replace(report.data, findings=findings, dropped={HOSTILE: 3}),
        mistakes=(wrong,),
        command=HOSTILE,
    )


@each_report
def test_the_closing_block_is_the_golden_one(golden: Golden, name: str) -> None:
    golden(f"render/{name}.closing.txt", closing_block(REPORTS[name](), colour=False))


def test_the_lines_of_a_run_are_the_golden_ones(golden: Golden) -> None:
    report = reports.rich()
    assert report.data
    assert report.training
    assert report.gate
    assert report.verify
    baselines = baseline_lines(report.baselines, metric="macro_f1")
    verified = ladder_lines(report.ladder, metric="macro_f1")
    shown = (
        stage_result("data", data_line(report.data), took="0.4 s", colour=False)
        + stage_result("baseline", baselines, took="31.2 s", colour=False)
        + stage_result("train", training_line(report.training), took="2 min 51 s", colour=False)
        + check_lines(report.gate, colour=False)
        + stage_result("quantize", file_line(report.files), took="5.2 s", colour=False)
        + stage_result("verify", verified, took="19.4 s", colour=False)
        + check_lines(report.verify, colour=False)
    )

    assert max(map(len, shown.splitlines())) <= 100
    golden("render/run.txt", shown)


def test_a_check_that_warns_is_not_counted_as_one_that_passes() -> None:
    report = reports.accepted()
    assert report.gate is not None
    first, *others = report.gate.checks
    warned = replace(first, status=Status.WARN)
    gate = replace(report.gate, checks=(warned, *others))

    text = render_markdown(replace(report, gate=gate))

    assert "8 of 8 checks pass, 1 warning." in text


def test_blocks_of_documents_are_not_called_documents() -> None:
    """Of 60 documents, the long ones among them, 145 blocks were packed."""
    trained = reports.accepted().training
    assert trained is not None

    line = training_line(replace(trained, rows=112, packed_documents=145, padding=0.008))

    assert "112 rows, packed from 145 blocks of documents, 0.8 % padding" in line


def test_the_plan_is_the_golden_one(golden: Golden) -> None:
    rows = [
        PlanRow(stage="data", state="reuse", why="built 2 h ago"),
        PlanRow(stage="train", state="run", why="compile changed", cost="~6 min · 50 steps"),
        PlanRow(stage="merge", state="wait", why="if the gate passes", cost="0.7 GB disk"),
    ]
    shown = plan_table(rows, title="tickets · lora r16", closing="A sentence.", colour=False)

    golden("render/plan.txt", shown)


@pytest.mark.parametrize("name", ["repeated", "rich", "failed", "multilabel"])
def test_the_markdown_is_the_golden_one(golden: Golden, name: str) -> None:
    golden(f"render/{name}.md", render_markdown(REPORTS[name]()))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("card", reports.accepted),
        ("rich.card", reports.rich),
        ("chat.card", reports.chat),
        ("taught.card", reports.taught),
    ],
)
def test_the_model_card_is_the_golden_one(
    golden: Golden, name: str, make: Callable[[], Report]
) -> None:
    golden(f"render/{name}.md", render_card(make()))


@each_report
def test_json_follows_its_schema_and_reads_back_equal(root: Path, name: str) -> None:
    report = REPORTS[name]()
    schema = json.loads((root / "schemas/report.v1.schema.json").read_text(encoding="utf-8"))

    text = render_json(report)

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator)
    assert read_json(text) == report


def test_json_refuses_what_is_no_number() -> None:
    report = replace(reports.accepted(), agreement=float("nan"))

    with pytest.raises(ValueError, match="not JSON compliant"):
        render_json(report)


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@each_report
def test_the_page_is_well_formed_and_needs_nothing_from_outside(name: str) -> None:
    text = render_html(REPORTS[name]())

    page = Page(text)

    assert page.open == []
    assert page.all("script") == page.all("img") == page.all("iframe") == []
    links = [str(item.get("href")) for item in page.all("a") + page.all("link")]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "url(" not in text
    assert "@import" not in text


@each_report
def test_the_page_allows_its_own_style_and_nothing_else(name: str) -> None:
    text = render_html(REPORTS[name]())

    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = Page(text).all("meta")[1]["content"]
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert not any("style" in attributes for _, attributes in Page(text).tags)


@each_report
def test_every_heading_is_linked_every_drawing_and_table_described(name: str) -> None:
    page = Page(render_html(REPORTS[name]()))

    anchors = {str(item["href"])[1:] for item in page.all("a")}
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert anchors <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(page.all("h1")) == 1
    drawings = page.all("svg")
    assert all(item.get("aria-label") or item.get("aria-hidden") == "true" for item in drawings)
    # what is hidden is the plot inside of a chart, whose label describes it
    assert all(item.get("class") == "plot" for item in drawings if "aria-hidden" in item)
    assert len(page.all("table")) == len(page.all("caption"))


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    text = render_html(hostile())

    page = Page(text)

    assert page.open == []
    assert page.all("script") == []
    assert "<script>alert(1)</script>" in page.text
    assert not set("\x00\x1b\u202e") & set(text)


def test_hostile_text_cannot_break_out_of_markdown() -> None:
    shown = render_markdown(hostile())

    assert not set("\x00\x1b\u202e") & set(shown)
    outside = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", shown)
    assert not re.search(r"(?<![\\`])<script", re.sub(r"(`+).*?\1", "", outside))
    assert "\n# x" not in outside


def test_hostile_text_reaches_no_terminal() -> None:
    shown = closing_block(replace(hostile(), outcome="inconclusive"), colour=False)
    shown += stage_result(
        "verify", ladder_lines(hostile().ladder, metric="macro_f1"), took="1.0 s", colour=False
    )

    assert not set("\x00\x1b\u202e") & set(shown)


def test_naughty_strings_leave_the_page_well_formed(shared_data: Path) -> None:
    path = shared_data / "naughty_strings" / "blns.json"
    strings = tuple(json.loads(path.read_text(encoding="utf-8")))
    report = replace(reports.accepted(), notes=strings, description=strings[-1])

    page = Page(render_html(report))

    assert page.open == []
    assert page.all("script") == page.all("img") == page.all("iframe") == []
    assert len(strings) <= len(page.all("li"))


def test_the_card_front_matter_is_yaml_with_measured_numbers() -> None:
    front = yaml.safe_load(render_card(reports.accepted()).split("---\n")[1])

    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert front["labels"] == ["negative", "positive"]
    assert [item["type"] for item in metrics] == ["accuracy", "macro_f1"]
    assert metrics[0]["value"] == pytest.approx(0.8933)


def test_the_card_names_a_base_model_of_the_hub_as_hubs_do() -> None:
    report = replace(reports.accepted(), base_model="owner/model@0123456789ab")

    assert yaml.safe_load(render_card(report).split("---\n")[1])["base_model"] == "owner/model"


def test_a_metric_of_an_odd_label_stays_inside_the_front_matter() -> None:
    """Where the main metric was not measured, the first gated one stands there: it may be that of a label."""
    name = "f1.a: {b # c"
    report = reports.accepted()
    assert report.holdout is not None
    assert report.gate is not None
    metrics = (replace(report.holdout.metrics[0], name=name),)
    checks = (replace(report.gate.checks[0], name=name),)
    odd = replace(
        report,
        quantized=None,
        holdout=replace(report.holdout, metrics=metrics),
        gate=replace(report.gate, checks=checks),
    )

    front = yaml.safe_load(render_card(odd).split("---\n")[1])

    assert front["model-index"][0]["results"][0]["metrics"][0]["type"] == name


def test_hostile_text_stays_inside_the_front_matter() -> None:
    card = render_card(hostile())

    assert yaml.safe_load(card.split("\n---\n")[0][4:])["labels"][1] == "positive"


def test_a_metric_without_a_value_shows_its_reason() -> None:
    page = Page(render_html(reports.refused()))

    assert "not computed: no rows of this class" in page.text
    assert "free decoding gave no rows" in page.text


def test_every_label_of_many_stands_in_the_matrix() -> None:
    report = reports.more_labels(151)

    page = Page(render_html(report))

    scopes = [item.get("scope") for item in page.all("th")]
    assert scopes.count("col") >= 152
    assert all(label in page.text for label in report.labels)


def test_waivers_stand_in_every_form_of_the_report() -> None:
    waivers = (Waived(what="splits.seed", why="Rows stood in it twice."),)
    report = replace(reports.accepted(), waivers=waivers)

    forms = {
        "html": render_html(report),
        "markdown": render_markdown(report),
        "card": render_card(report),
        "closing": closing_block(report, colour=False),
        "json": render_json(report),
    }

    assert [name for name, text in forms.items() if "splits.seed" not in text] == []
    assert [name for name, text in forms.items() if "Rows stood in it twice" not in text] == []
    assert read_json(forms["json"]) == report
