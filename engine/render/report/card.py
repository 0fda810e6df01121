"""The model card: README.md beside the model, with the front matter model hubs read."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.evidence import BaselineResult, Report, Scores, find_metric
from engine.kinds import AnswerForm
from engine.render import number_format as write
from engine.render.blocks import bullets
from engine.render.label_tables import judged_by, main_metric
from engine.render.markdown import code, fenced, joined, markdown, plain, prose, table
from engine.render.report.sections import report_sections
from engine.render.report.sections.acceptance import check_table
from engine.render.styled_text import revealed
from engine.values import Value

_CHECKED = (
    "Before this folder was written, `predict.py` was evaluated on the holdout rows of the run: each answer is the one "
    "that the scores count. `sha256sum -c SHA256SUMS` tells whether a file has changed since."
)
_MASKED = (
    "In the rows of the run, placeholders replace personal data (`personal_data: mask`). `predict.py` puts none "
    "there: it was not judged on texts that hold such data."
)
_LICENCE = (
    "Its weights are under the licence of whoever published it, which no file of this folder states: look it up before "
    "you pass the folder on."
)
_WORDS = "`tfidf.skops` lists the words and parts of words of the training rows: whoever has the folder can read them."


class BaselineCard(Value):
    report: Report
    baseline: BaselineResult
    recipe_digest: str
    """sha256 of what the resolved recipe asks for, as in its lock."""
    python: str
    """The version in which the folder was checked."""
    columns: Sequence[str]
    """Of a row, which make its text."""
    has_words: bool
    """Words of the training rows stand in a file."""
    is_masked: bool
    """Personal data in the rows of the run are behind placeholders."""
    encoder: Mapping[str, str]
    """What its encoder was made from, by name: `package`, `version`, `sha256`; empty where there is none."""


def baseline_card(card: BaselineCard) -> str:
    """What it answers, how to run it, how good it is and on what, and where it comes from."""
    report, baseline = card.report, card.baseline
    several = (
        "any number of these labels" if write.kind_of(report).name == "multilabel" else "one label"
    )
    labels = ", ".join(map(code, report.labels))
    columns = ", ".join(map(code, card.columns))
    splits = {split.name: split.rows for split in report.data.splits} if report.data else {}
    rows = "".join(f" {name} rows: {write.count(rows)}." for name, rows in splits.items())
    recipe = f"Recipe {code(report.recipe_name)}, digest sha256 {code(card.recipe_digest)}."
    run = f"Run {code(report.run_directory.rpartition('/')[2])} of {plain(report.started)}."
    source = ", ".join(f"{name} {code(value)}" for name, value in card.encoder.items())
    return (
        joined(
            [
                f"# {plain(report.recipe_name)}: {plain(baseline.name)}",
                plain(report.description),
                f"A text gets {several}: {labels}. The model: {prose(baseline.note)}.",
                "## Use",
                "```console\n$ pip install -r requirements.txt\n$ python predict.py rows.csv > labels.txt\n```",
                f"Rows are a CSV or TSV file or JSON Lines with {columns}, or a `.txt` file with one text a line.",
                f"The versions of `requirements.txt` were checked in Python {plain(card.python)}.",
                "## Evidence",
                _scores(report, baseline),
                _CHECKED,
                "## Making",
                f"{recipe} {run}{rows}",
                *([_MASKED] if card.is_masked else []),
                *([f"`encoder/` was made from {source}. {_LICENCE}"] if source else []),
                *([_WORDS] if card.has_words else []),
            ]
        )
        + "\n"
    )


def _scores(report: Report, baseline: BaselineResult) -> str:
    names = write.short_list(write.kind_of(report), main_metric(report), [baseline.scores])
    each = [metric for metric in baseline.scores.metrics if "." in metric.name]
    rows = []
    for one in (*map(baseline.scores.metric, names), *each):
        which = "" if one in each else write.direction(one.name)
        rows.append([code(one.name), write.metric_text(one), write.count(one.n), which])
    head = f"On the {write.count(baseline.scores.rows)} holdout rows, which it never saw:"
    return f"{head}\n\n{table(('metric', 'value', 'rows', ''), rows, numeric='lrrl')}"


_PROMISE = (
    "Every number above was measured by the run that made these files; the whole evidence is in "
    "`report.html` and `report.json` beside them."
)
_UNMEASURED = (
    "Nothing else was measured: it was judged on this one task, and what it forgot of other tasks "
    "is not known."
)
_HUB_MODEL = re.compile(r"([\w.-]+/[\w.-]+)(?:@[0-9a-f]+| \(may move\))$")
"""As `engine.pipeline.report.describe` writes models of the hub; hubs accept no other `base_model`."""


def render_card(report: Report, *, form: str = "") -> str:
    """What the model is for, how good it is and on what, how to run it, and what it cannot.

    `form` is the one that the card lies beside, whose numbers the hub reads; empty for the exported file.
    """
    scores = scores_of(report, form)
    head = [
        _front_matter(report, scores),
        f"# {plain(report.recipe_name)}",
        plain(report.description),
    ]
    parts = [part for write in (_use, _evidence, _limits, _making) for part in write(report)]
    return joined([*head, *parts]) + "\n"


def scores_of(report: Report, form: str) -> Scores | None:
    """Return the scores of a form of the model on the holdout: `merged`, `adapter`, else the quantized file's."""
    if form not in ("merged", "adapter"):
        return report.quantized or report.holdout
    return next((one.scores for one in report.ladder if one.name == form), report.holdout)


def _front_matter(report: Report, scores: Scores | None) -> str:
    """YAML in which every value is written as JSON, which YAML reads as it is."""
    hub = _HUB_MODEL.match(report.base_model)
    base = {"base_model": hub[1]} if hub else {"base_model_source": report.base_model}
    entries: dict[str, Any] = {
        **base,
        "pipeline_tag": write.kind_of(report).hub_tag,
        "tags": ["slm-recipe", report.method.split(" ")[0]],
        **({"labels": list(report.labels)} if report.labels else {}),
    }
    lines = [f"{name}: {_json(value)}" for name, value in entries.items()]
    return "\n".join(["---", *lines, *_model_index(report, scores), "---"])


def _model_index(report: Report, scores: Scores | None) -> list[str]:
    main = main_metric(report)
    names = dict.fromkeys((write.kind_of(report).card_metric or main, main))
    metrics = [find_metric(scores, name) for name in names]
    measured = [item for item in metrics if item is not None and item.value is not None]
    if not measured:
        return []
    lines = ["model-index:", f"- name: {_json(report.recipe_name)}", "  results:"]
    lines += [f"  - task: {{type: {write.kind_of(report).hub_tag}}}"]
    lines += ['    dataset: {name: "holdout of the recipe", type: holdout}', "    metrics:"]
    for item in measured:
        lines += [f"    - type: {_json(item.name)}", f"      value: {round(item.value or 0.0, 4)}"]
        if item.interval:
            bounds = {"low": round(item.interval.low, 4), "high": round(item.interval.high, 4)}
            lines.append(f"      args: {_json({'confidence': item.interval.confidence, **bounds})}")
    return lines


def _json(value: object) -> str:
    return revealed(json.dumps(value, ensure_ascii=False))


def _use(report: Report) -> list[str]:
    names = ", ".join(report.labels)
    instruction = str(report.task.get("instruction", "")).replace("{labels}", names)
    file = next((item for item in report.files if item.name.endswith(".gguf")), None)
    parts = ["## Use", _answers_with(report)]
    if instruction:
        asked = "It was trained and judged with this instruction, followed by a blank line and the text:"
        parts += [asked, fenced(instruction, "text")]
    commands = []
    if file:
        commands += [f'recipe try {report.recipe_name} "…"', f"llama-cli -m {file.name} --temp 0"]
    if any(item.format == "ollama" for item in report.files):
        commands += [f"ollama create {report.recipe_name} -f Modelfile"]
    return [*parts, *([fenced("\n".join(commands), "console")] if commands else [])]


def _answers_with(report: Report) -> str:
    labels, kind = ", ".join(code(label) for label in report.labels), write.kind_of(report)
    is_json = report.task.get("output") == "json"
    if kind.answer is AnswerForm.LABELS and labels:
        form = ' as JSON, such as `{"labels": […]}`' if is_json else ""
        return f"It answers with any of {labels}, or with none{form}."
    if kind.answer is AnswerForm.OBJECT:
        return "It answers with one JSON object in the recipe's schema."
    form = ' as JSON, such as `{"label": …}`' if is_json else ""
    return f"It answers with one of {labels}{form}." if labels else ""


def _evidence(report: Report) -> list[str]:
    parts = ["## Evidence"]
    if report.verify:
        caption = "The exported file, on holdout rows it never saw"
        parts.append(markdown(check_table(report.verify, caption)))
    if report.gate:
        folds = "rows, each by the model that never saw it"
        rows = folds if report.folds else "holdout rows it never saw"
        caption = f"The tuned model on {rows}, {judged_by(report)}"
        parts.append(markdown(check_table(report.gate, caption)))
    sections = report_sections(report).values()
    lines = [line for part in sections for line in part.card]
    return [*parts, *map(markdown, bullets(lines))]


def _limits(report: Report) -> list[str]:
    rows, measured = write.count(report.holdout.rows) if report.holdout else "the", _UNMEASURED
    if report.forgetting is not None:
        asked = f"{write.count(report.forgetting.overall.n)} probe questions"
        measured = f"Beside its task it was asked {asked}; nothing else was measured."
    limits = [f"The numbers hold for rows like the {rows} holdout rows. {measured}"]
    limits += filter(None, [write.kind_of(report).card_limit])
    limits += [
        f"{file.name}: {file.fallback_tensors} of {file.tensors} tensors could not be stored in "
        f"the type asked for; it takes {file.bits_per_weight:.2f} bits a weight."
        for file in report.files
        if file.bits_per_weight is not None and file.fallback_tensors
    ]
    if report.agreement is not None and report.agreement < 1:
        changed = write.percent(1 - report.agreement)
        limits.append(f"Quantization changed the answer to {changed} of the holdout rows.")
    limits += list(report.warnings)
    items = [f"- {plain(text)}" for text in limits]
    meant = "- Its evidence was weakened, and that is meant:"
    items += [f"{meant} {code(item.what)}. {plain(item.why)}" for item in report.waivers]
    return ["## Limits", "\n".join(items)]


def _making(report: Report) -> list[str]:
    files = (
        f"- {code(f.name)}, {write.size(f.bytes)}, sha256 {code(f.sha256)}" for f in report.files
    )
    how = report.method.partition(" on ")[0]
    made = plain(f"{how}, base model {report.base_model}, {report.started}.")
    return [
        "## Making",
        made,
        "\n".join(files),
        "The recipe, whole; running it again makes this model:",
        fenced(report.recipe_text, "yaml"),
        _PROMISE,
    ]
