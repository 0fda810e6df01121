"""One line for the report on how each baseline came to its answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.subsets import Fold
from engine.inference.baselines.floors import most_frequent
from engine.inference.baselines.served import note_of
from engine.kinds import AnswerForm
from engine.recipe.baselines import DEFAULT_ENCODER, ENCODERS
from engine.recipe.model import Baseline, HubRef, PackageRef, PathRef, Recipe, Task

PREFERS: Final[Mapping[str, str]] = {
    "longer_answer": "prefers the longer answer, in bytes",
    "untouched": "untouched base model: prefers the answer that it finds likelier, a token",
}
SHOWN = 60
MOST_SPLIT = 1 / 3
"""Share of the words of English texts; measured: 2 to 11 % (4 sets), Nigerian Pidgin 17 %, Indonesian tweets 82 %."""
ALWAYS_ALIKE = {
    "byte_frequencies": "each byte by itself, as often as it is in the train rows",
    "compressor": "xz that has read the train rows, and each holdout row before the next",
    **PREFERS,
}
"""Notes on baselines that work alike in every run."""


def note(
    baseline: Baseline,
    recipe: Recipe,
    fold: Fold,
    facts: Mapping[str, Any],
    *,
    others: Sequence[Fold] = (),
) -> str:
    """Return who answered, and how; `facts` are those of the first fold, `others` the further ones."""
    sizes = {len(one.train) for one in (fold, *others)}
    span = f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else f"{min(sizes)}"
    task, rows = recipe.task, f"{span} train rows"
    if baseline.kind == "majority":
        answer = most_frequent(fold.train, task)
        shown = answer if len(answer) <= SHOWN else f"{answer[: SHOWN - 1]}…"
        return f"always `{shown}`, most frequent in training"
    if baseline.kind in ALWAYS_ALIKE:
        return ALWAYS_ALIKE[baseline.kind]
    if baseline.kind == "tfidf_svm":
        each = ", one for each label" if task.spec.answer is AnswerForm.LABELS else ""
        return f"TF-IDF of words and characters, linear SVM{each} on {rows}"
    if baseline.kind in ENCODERS:
        first = " in the first fold" if others else ""
        return _of_encoder(baseline, task, facts, rows=rows, first=first)
    if baseline.endpoint is not None:
        return note_of(baseline.endpoint, facts, shots=facts["shots"])
    remarks = "".join(f"; {remark}" for remark in facts.get("remarks", ()))
    who = "another model" if baseline.ref is not None else "untouched base model"
    if baseline.gguf is not None:
        who = f"`{baseline.gguf.written}` in llama.cpp"
    return f"{who}, {_how(baseline, task, facts)}{remarks}"


def _of_encoder(
    baseline: Baseline, task: Task, facts: Mapping[str, Any], *, rows: str, first: str
) -> str:
    each = ", one for each label" if task.spec.answer is AnswerForm.LABELS else ""
    how = f"tuned for {facts.get('epochs', 0)} epochs with a head{each}"
    if baseline.kind == "encoder_linear":
        scores = ", ".join(f"{name} {one:.3f}" for name, one in facts["macro_f1"].items())
        how = f"frozen, {facts['variant']}: {facts['model']}{each}, C {facts['c']:g}"
        how += f" (macro-F1 by {facts['chosen_by']}{first}: {scores})"
    foreign = ""
    split = facts.get("split_words", 0.0)
    if baseline.ref == DEFAULT_ENCODER and split > MOST_SPLIT:
        foreign = (
            "; the encoder was trained on English; these texts seem to be in another language: "
        )
        foreign += f"{100 * split:.0f} % of their words are no words to it"
    match baseline.ref:
        case HubRef(repo=name) | PathRef(written=name):
            pass
        case PackageRef(name=package, version=version):
            name = f"{package} {version}"
        case _:
            raise AssertionError(baseline)  # one is filled in where the recipe names none
    return f"encoder `{name}` {how}, on {rows}{foreign}"


def _how(baseline: Baseline, task: Task, facts: Mapping[str, Any]) -> str:
    if task.spec.by_likelihood:
        return "the likelihood it gives"
    count = facts["shots"]
    shots = f"{count} shots from the training split" if count else "no shots"
    if baseline.kind == "retrieved_few_shot":
        shots = f"the {count} nearest training examples as shots"
    if not task.spec.is_constrained:
        return f"{shots}, decoded greedily"
    held = "constrained to the labels" if task.labels else "constrained to the schema"
    return f"{shots}, {held if facts.get('constrained', True) else 'not constrained'}"
