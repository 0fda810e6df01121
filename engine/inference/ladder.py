"""The parity ladder: every form of the model between training and the file, evaluated on the same holdout. Pure.

A form is compared with the one before it. Merging and converting to 16 bits lose next to nothing, so next to all of
their answers must stay; quantizing loses something, and the recipe's bounds say how much it may.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from engine.evidence import Check, Flip, FormResult, Metric, Scores, Status, Verdict
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import agreement
from engine.metrics.verdict import judge, judge_drops, point_check, verdict
from engine.recipe.metrics import primary
from engine.recipe.model import MaxDrop, Recipe
from engine.values import Value, replace

MEAN_SHIFT: Mapping[str, float] = {"fp32": 0.002, "bf16": 0.1, "fp16": 0.02}
LARGEST_SHIFT: Mapping[str, float] = {"fp32": 0.03, "bf16": 0.5, "fp16": 0.2}
"""How far log-probabilities may move, in nats, where nothing should be lost; by what models are run in.

Measured (docs/explanation/what-may-be-lost.md): several times what sound models show, and less than damaged ones.
"""
MOST_TIES = 0.1
"""Share of rows by which answers near a tie may lower the bound of parity.

Sound merges in bf16 changed 19 of 600 answers of a model of headlines, and 5 of 154 of one of 77 intents; of 60 rows
0.1 are six, which 3.2 % of changes exceed once in 300 times.
"""
SPARED = 100
"""One row in so many may move further.

A model that is far too sure of itself turns rounding into whole nats where it hesitates. One that was trained on 400
film reviews (temperature 5, run in bf16) moved by 0.006 in the mean over 1,000 rows, and by 1.0 on one of them; what
damages more than such a row shows in the mean and in the answers.
"""
QUANTIZED_SHIFT: Mapping[str, float] = {
    "F16": 0.002, "BF": 0.05, "Q8": 0.2, "Q6": 0.4, "Q5": 0.8, "Q4": 1.0, "Q3": 1.5, "Q2": 3.0,
}  # fmt: skip
"""The same in the mean where quantizing loses something, by the beginning of its name without `I`."""
LARGEST_QUANTIZED = 4.0
"""Limit for types below 2 bits."""
BYTES_A_TOKEN = 4
"""Bytes of an answer a token: the longer a text is, the more its probability moves."""
CORPUS = 0.99
"""Share of the texts of all kinds below which a file is refused: the rest are signs that no task of words has."""
SAMPLED = 128
"""Rows of a holdout from which the 16-bit file is asked a sample: first its longest row.

It never leaves, files made of it are asked every row, and what conversion breaks (positions, heads, norms) it breaks in
every row, or in those that reach far back; where the longest one does not show it sound, all are asked.
"""
SHOWN = 3
SMALLEST = 1e-9
"""Probabilities below are taken for this: their logarithm says nothing."""
PLACES = {
    "training": "prompts that training and transformers read as the same tokens",
    "llama_cpp": "prompts that llama.cpp and transformers read as the same tokens",
    "onnx": "prompts that the tokenizer beside the ONNX file and transformers read as the same tokens",
    "ollama": "prompts that the Modelfile's template and transformers read as the same tokens",
    "template": "prompts that the chat template in the file writes as the model's own does",
    "corpus": "texts of all kinds that llama.cpp and transformers read as the same tokens",
    "users": "prompts as the file's own template and special tokens make them that training read, too",
}


class ModelForm(Value):
    """One form of the model, such as `merged` or `Q4_K_M`: its predictions and their scores."""

    name: str
    predictions: Sequence[Prediction]
    scores: Scores
    sampled_of: int | None = None
    """Rows of the holdout, where it was asked only some of them."""


def looser(*precisions: str) -> str:
    """Return the precision in which numbers move most: of two forms, that which bounds their difference."""
    return max(precisions, key=MEAN_SHIFT.__getitem__)


def sample(sizes: Sequence[int]) -> list[int]:
    """Return the places of the rows that the 16-bit file is asked first: the longest; all of a small holdout."""
    if len(sizes) < SAMPLED:
        return [*range(len(sizes))]
    return [sizes.index(max(sizes))]


def form_result(
    form: ModelForm,
    before: ModelForm | None,
    *,
    confidence: float,
    checks: Sequence[Check],
    precision: str | None = None,
) -> FormResult:
    """Compare a form with the one before it, on the same rows; `before` is None for the first.

    `precision` is what a form that should lose nothing is run in, for its ties.
    """
    judged: Verdict | None = verdict(checks) if checks else None
    if before is None:
        return FormResult(name=form.name, scores=form.scores, agreement=None, verdict=judged)
    shifts = [*_shifts(before.predictions, form.predictions)]
    same = agreement(before.predictions, form.predictions, confidence=confidence)
    earlier = {one.label: one.f1 for one in before.scores.classes}
    pairs = [(one.label, one.f1, earlier.get(one.label)) for one in form.scores.classes]
    deltas = tuple(
        (label, None if now is None or first is None else now - first)
        for label, now, first in pairs
    )
    return FormResult(
        name=form.name,
        scores=form.scores,
        agreement=None if same.value is None else same,
        # of a sample they say little, and the form before shows its scores of all rows
        class_deltas=() if form.sampled_of else deltas,
        flips=tuple(flips(before.predictions, form.predictions)),
        ties=len(_ties(before, form, precision)) if precision else None,
        mean_shift=fmean(shifts) if shifts else None,
        largest_shift=largest(shifts) if shifts else None,
        verdict=judged,
        note=f"compared with {before.name}",
        sampled_of=form.sampled_of,
    )


def parity(
    form: ModelForm, before: ModelForm, recipe: Recipe, judging: Judging, *, precision: str
) -> Check:
    """Check a rung that should lose nothing: agreement with the one before, its bits per byte, or its score.

    The score where answers are written token by token: one tie that rounding decides otherwise changes the rest of an
    answer, so that sound models of 16 bits agree on 85 to 98 % of them. Labels must agree, and so must the answers of a
    sample: the score of an answer that was wrong before stays as it is whatever becomes of it, and F1 over all labels
    is undefined of one row. Rounding decides labels near a tie, so the bound is lower by those that changed, up to
    `MOST_TIES`.
    """
    bound, confidence = recipe.export.min_parity, recipe.acceptance.confidence
    same = agreement(before.predictions, form.predictions, confidence=confidence)
    note = f"{before.name} → {form.name}, where nothing should be lost{_of_sample(form)}"
    if same.value is not None:
        changed = sum(1 for _ in flips(before.predictions, form.predictions))
        note = f"{note}: {changed} of {same.n} answers changed"
        most = max(_shifts(before.predictions, form.predictions), default=None)
        note += "" if most is None else f", log-probabilities by at most {most:.2g}"
        if recipe.task.spec.is_decoded and form.sampled_of is None:
            main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
            drops = [MaxDrop(metric=main, max_drop=1 - bound)]
            earlier = {before.name: before.predictions}
            (check,) = judge_drops(drops, earlier, form.predictions, judging)
            return replace(check, name=f"parity.{form.name}", note=f"{note}; what `{main}` lost")
        ties = len(_ties(before, form, precision))
        if ties:
            near = f"within {LARGEST_SHIFT[precision]:g} nats of a tie"
            note = f"{note}; {ties} of them {near}, which lower the bound from {bound:g}"
        check = judge(same, "min", lowered(bound, ties, same.n), decide_on="point", note=note)
        return replace(check, name=f"parity.{form.name}")
    bits = [_bits_per_byte(one) for one in (before, form)]
    change = None if None in bits or not bits[0] else abs(bits[1] / bits[0] - 1)  # type: ignore[operator]
    metric = Metric(
        name="bits_per_byte", value=change, n=len(form.predictions), undefined=same.undefined
    )
    note = f"{note}: relative change of bits per byte"
    check = judge(metric, "max", 1 - bound, decide_on="point", note=note)
    return replace(check, name=f"parity.{form.name}")


def lowered(bound: float, ties: int, rows: int) -> float:
    """Return the bound of the share of answers that stay, where so many others were near a tie before."""
    return bound - min(ties / max(rows, 1), MOST_TIES)


def _bits_per_byte(form: ModelForm) -> float | None:
    for metric in form.scores.metrics:
        if metric.name == "bits_per_byte":
            return metric.value
    size = sum(row.bytes for row in form.predictions)
    if not size or any(row.nats is None for row in form.predictions):
        return None
    return sum(row.nats or 0.0 for row in form.predictions) / size / math.log(2)


def shift_checks(form: ModelForm, before: ModelForm, *, precision: str) -> Iterator[Check]:
    """Check how far probabilities moved on a rung that should lose nothing: in the mean, and at most."""
    shifts = [*_shifts(before.predictions, form.predictions)]
    if not shifts:
        return
    lossless = f"where nothing should be lost{_of_sample(form)}"
    note = f"{before.name} → {form.name}, {lossless}: nats that log-probabilities moved"
    bounds = MEAN_SHIFT[precision], LARGEST_SHIFT[precision]
    yield _shift(f"shift.{form.name}", fmean(shifts), bounds[0], shifts, f"{note}, in the mean")
    note = f"{note}, at most" + (
        f" in all but one row of {SPARED}" if len(shifts) >= SPARED else ""
    )
    yield _shift(f"largest_shift.{form.name}", largest(shifts), bounds[1], shifts, note)


def largest(shifts: Sequence[float]) -> float:
    """Return the largest shift, that of one row in `SPARED` left out."""
    return sorted(shifts)[-1 - len(shifts) // SPARED]


def quantized_shift(form: ModelForm, before: ModelForm) -> Iterator[Check]:
    """Check how far probabilities moved in the mean on quantizing."""
    shifts = [*_shifts(before.predictions, form.predictions)]
    if not shifts:
        return
    short = form.name if form.name.startswith(("BF", "F")) else form.name.removeprefix("I")
    limits = (limit for start, limit in QUANTIZED_SHIFT.items() if short.startswith(start))
    note = f"{before.name} → {form.name}: nats that log-probabilities moved, in the mean"
    bound = next(limits, LARGEST_QUANTIZED)
    yield _shift(f"shift.{form.name}", fmean(shifts), bound, shifts, note)


def _shift(name: str, got: float, bound: float, shifts: Sequence[float], note: str) -> Check:
    status = Status.PASS if got <= bound else Status.FAIL
    check = point_check(name, status, got, n=len(shifts), note=note, bound=bound)
    return replace(check, direction="max")


def settings_check(other: Sequence[str]) -> Check:
    """Check what a quantized file says of itself against the model that it was made of."""
    note = "; ".join(other[:SHOWN]) or "numbers and marks that are those of the model"
    status = Status.FAIL if other else Status.PASS
    return point_check("weights", status, 0.0 if other else 1.0, n=1, note=note)


def token_checks(facts: Mapping[str, Any], *, ollama_leaves: bool) -> Iterator[Check]:
    """Yield a check for each place where prompts are read; Ollama's only warns where it was not asked for."""
    rows = (facts["parity"].get("llama_cpp") or {}).get("of", 0)
    if not facts.get("is_finite", True):
        note = "the file computes what is not a number, so it answers nothing: a weight is damaged"
        yield point_check("finite", Status.FAIL, 0.0, n=rows, note=note)
    if not facts.get("is_ended", True):
        note = "the file does not name what ends a turn, so programs that run it go on past every answer"
        yield point_check("ends_turn", Status.FAIL, 0.0, n=rows, note=note)
    for place, found in facts["parity"].items():
        if found is None:
            continue
        same, of, first = found["same"], found["of"], found["first_different"]
        is_rare = place == "corpus" and of > 0 and same / of >= CORPUS
        is_warning = (place == "ollama" and not ollama_leaves) or is_rare
        bad = Status.WARN if is_warning else Status.FAIL
        what = "text" if place == "corpus" else "row"
        differs = "" if first is None else f"; the first that differs is {what} {first}"
        yield point_check(
            "token_parity" if place == "llama_cpp" else f"token_parity.{place}",
            Status.PASS if same == of and of > 0 else bad,
            same / of if of else None,
            n=of,
            note=f"{PLACES[place]}{differs}",
        )


def _of_sample(form: ModelForm) -> str:
    if form.sampled_of is None:
        return ""
    return f" (a sample, {len(form.predictions)} of {form.sampled_of} rows)"


def flips(before: Sequence[Prediction], after: Sequence[Prediction]) -> Iterator[Flip]:
    for one, two in zip(before, after, strict=True):
        if one.label != two.label:
            yield Flip(id=one.id, target=one.target, before=one.label, after=two.label)


def _ties(before: ModelForm, after: ModelForm, precision: str) -> frozenset[int]:
    """Return the places of changed labels that were so near a tie before that rounding explains the change."""
    bound = LARGEST_SHIFT[precision]
    return frozenset(
        at
        for at, (one, two) in enumerate(zip(before.predictions, after.predictions, strict=True))
        if one.label != two.label and _preference(one, two) <= bound
    )


def _preference(one: Prediction, two: Prediction) -> float:
    """Return by how many nats the first form preferred its label to the second's; infinite where not known."""
    if not one.probabilities or not two.probabilities:
        return math.inf
    shares = [max(share, SMALLEST) for share in one.probabilities]
    later = max(range(len(two.probabilities)), key=two.probabilities.__getitem__)
    return math.log(max(shares)) - math.log(shares[later])


def _shifts(before: Sequence[Prediction], after: Sequence[Prediction]) -> Iterator[float]:
    """Yield how far the log-probability of the earlier answer moved, by row, where it is known.

    For likelihoods and answers in text: nats a token.
    """
    for one, two in zip(before, after, strict=True):
        if one.nats is not None and two.nats is not None:
            yield abs(one.nats - two.nats) / max(one.tokens, 1)
            continue
        # the probability of another answer says nothing of this one
        first, second = one.probability, two.probability if one.label == two.label else None
        tokens = max(1.0, len(one.text.encode()) / BYTES_A_TOKEN)
        # with all labels known, it is the earlier answer's in both, also where the later one is
        # another
        if one.probabilities and two.probabilities:
            place = max(range(len(one.probabilities)), key=one.probabilities.__getitem__)
            first, second, tokens = one.probabilities[place], two.probabilities[place], 1.0
        if first is not None and second is not None:
            shift = abs(math.log(max(first, SMALLEST)) - math.log(max(second, SMALLEST)))
            yield shift / tokens
