"""The number of rows that are trained, known before a run: as written, drawn, or counted by the tokenizer."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.artifacts.results import read_json, trained_data
from engine.backends.base import schedule
from engine.evidence import SplitLengths
from engine.recipe.methods import sizes_in_rows
from engine.recipe.model import Method, Recipe
from engine.runtime.rendering.key import (
    FACTS,
    HOLDOUT,
    HOLDOUT_FACTS,
    REPLAY_FILE,
    counts_after_rendering,
    holdout_payload,
    rendered_key,
)
from engine.runtime.rendering.windows import longer_than
from engine.store import Artifact, Store, product_key
from engine.values import Value


def row_lengths(
    recipe: Recipe, store: Store, artifacts: Mapping[str, Artifact], base_model: Mapping[str, Any]
) -> Iterator[SplitLengths]:
    """Yield what the store holds of the rows that this recipe trains and judges; nothing before they are rendered."""
    measured: Mapping[str, Any] = {}
    if (holdout := artifacts.get("holdout")) is not None:
        payload = holdout_payload(recipe.task, base_model=base_model, holdout=holdout.key)
        if found := store.get(product_key(HOLDOUT, payload).digest):
            measured = read_json(found, HOLDOUT_FACTS)
    window, data, most = measured.get("window"), trained_data(artifacts), recipe.method.max_length
    rendered = data and store.get(rendered_key(recipe, data.key, base_model).digest)
    for split, facts in read_json(rendered, FACTS).items() if rendered else ():
        # Earlier versions kept the places of these rows, and no counts.
        left_out, cut = len(facts["dropped"]), len(facts["truncated"])
        yield SplitLengths(
            split=split,
            given=facts.get("given", facts["rows"] + left_out),
            used=facts["rows"],
            left_out=facts.get("left_out", left_out),
            left_out_marked=facts.get("left_out_marked", 0),
            cut=facts.get("cut", cut),
            longest=facts["longest"],
            max_length=most,
            over_max_length=0,
            window=window,
            over_window=longer_than(facts.get("lengths", ()), window),
        )
    if lengths := measured.get("lengths"):
        rows = sum(count for _, count in lengths)
        yield SplitLengths(
            split="holdout",
            given=rows,
            used=rows,
            left_out=0,
            left_out_marked=0,
            cut=0,
            longest=max(tokens for tokens, _ in lengths),
            max_length=most,
            over_max_length=longer_than(lengths, most),
            window=window,
            over_window=longer_than(lengths, window),
        )


_WEIGHTED: Final = "sources are weighted"
_REPLAYED: Final = "text is replayed"


class TrainedRows(Value):
    train: int
    validation: int
    given: int
    """Rows of train in the data, before any is left out or cut into blocks."""
    estimated: bool = False
    """Not counted, but about as many as will be trained, by a sample of the rows."""
    changes: str = ""
    """Changes of the number that the run will still make; empty without any."""
    is_unweighted: bool = False
    """Sources have weights, which are in no number before the data stage has run."""
    left_out: int = 0
    """Rows of train that the tokenizer left out for their length."""
    left_out_marked: int = 0
    """Rows of train that it left out for tokens of the chat template."""
    replayed: int = 0
    """Texts of `train` that are no rows of the task, where each is a row; about so many before they are taken."""
    is_measured: bool = False
    """The tokenizer has read the rows of the data: nothing but replayed text can change their number."""

    @property
    def counted(self) -> bool:
        """Whether they are those that are trained; else a run will still change their number."""
        return not self.changes

    @property
    def before_weights(self) -> str:
        return f" before {_WEIGHTED}" if self.is_unweighted else ""

    def steps(self, method: Method) -> int:
        return schedule(method, train_rows=self.train, validation_rows=self.validation).steps


def split_rows(recipe: Recipe, data: Artifact | None) -> tuple[int, int] | None:
    """Rows of train and validation: counted in the data artifact, or as written; None while they are fractions."""
    if data is not None:
        summary = read_json(data, "summary.json")
        # Rows of weighted sources count as often as an epoch shows them.
        rows = {split["name"]: split["seen"] for split in summary["splits"]}
        return rows["train"], rows.get("validation", 0)
    if recipe.rows_added_by:
        return None  # how many rows are kept nobody knows
    train, validation = sizes_in_rows(recipe.splits.train, recipe.splits.validation)
    if isinstance(train, int) and isinstance(validation, int):
        return train, validation
    return None


def trained_rows(
    recipe: Recipe, store: Store, data: Artifact | None, base_model: Mapping[str, Any]
) -> TrainedRows | None:
    """Rows that are trained, by what is known of them; None while they are a fraction of uncounted rows."""
    rows = split_rows(recipe, data)
    if rows is None:
        return None
    facts = None if data is None else _rendered_facts(recipe, store, data, base_model)
    train, validation = rows if facts is None else _rows_of(facts)
    found = {} if facts is None else facts["train"]
    changes = what_changes_rows(recipe, data) if facts is None else ""
    replayed = found.get("replayed", 0)
    if recipe.data.replay is not None and lacks_replay(recipe, data):
        more = recipe.data.replay.share / (1 - recipe.data.replay.share)
        # Before the tokens of answers are counted, nothing better is known than that texts are like rows.
        replayed = round(train * more)
        if facts is not None:
            learned = "tokens" if recipe.method.loss_on == "everything" else "supervised_tokens"
            replayed = max(1, round(found[learned] * more / recipe.method.max_length))
        train, changes = train + replayed, changes or _REPLAYED
    return TrainedRows(
        train=train,
        validation=validation,
        given=rows[0],
        changes=changes,
        is_unweighted=data is None and _is_weighted(recipe),
        left_out=found.get("left_out", 0),
        left_out_marked=found.get("left_out_marked", 0),
        replayed=replayed,
        is_measured=facts is not None,
    )


def lacks_replay(recipe: Recipe, data: Artifact | None) -> bool:
    """Tell whether text is replayed beside rows and is not among them yet, as in the data stage's own."""
    return recipe.data.replay is not None and not (data and (data.path / REPLAY_FILE).is_file())


def what_changes_rows(recipe: Recipe, data: Artifact | None = None) -> str:
    """What a run will still do to the number of rows that are trained; empty for nothing.

    `engine.data.splitting` draws whole units, and leaves out what checks drop after the draw.
    """
    splits, checks, found = recipe.splits, recipe.data.checks, ""
    if _is_weighted(recipe):
        found = _WEIGHTED
    elif splits.by == "group":
        found = "whole groups are drawn"
    elif splits.by == "time":
        found = "rows of equal times are kept together"
    elif "drop" in (checks.leakage, checks.label_errors):
        found = "checks drop rows of the splits"
    elif not {"warn", "off"}.isdisjoint((checks.duplicates, checks.conflicting_labels)):
        found = "equal texts are kept together"
    if (data is None and found) or not counts_after_rendering(recipe):
        return found if data is None else ""
    if recipe.method.packing:
        return "documents are packed into rows"
    if not recipe.task.spec.has_turns:
        return "documents are cut into blocks"
    leaves_out = "drop" in (checks.truncation, checks.template_tokens)
    return "rows are left out" if leaves_out else _REPLAYED


def _is_weighted(recipe: Recipe) -> bool:
    return any(source.weight != 1.0 for source in recipe.data.sources)


def rows_note(recipe: Recipe, rows: TrainedRows) -> str:
    """The number of trained rows, where these are not simply those of the split; otherwise empty."""
    has_turns, own = recipe.task.spec.has_turns, rows.train - rows.replayed
    given, most = f"{rows.given} training rows", recipe.method.max_length
    made = f"{'packed' if recipe.method.packing else 'cut'} from {rows.given} documents"
    if rows.estimated:
        exact = "an estimate, which `recipe data` or compile counts"
        before = rows.before_weights
        if not has_turns:
            return f"about {rows.train} rows are trained, {made}{before}: {exact}"
        beside = f", and about {rows.replayed} replayed texts" if rows.replayed else ""
        kept = f"about {own} of {given} are trained{before}{beside}"
        return f"{kept}; about {rows.given - own} left out, longer than {most} tokens: {exact}"
    if not rows.counted:
        known = "compile" if counts_after_rendering(recipe) else "data"
        if rows.is_measured and has_turns and own < rows.given:
            given = f"{own} of {given}"
        return f"{given} before {rows.changes}: how many are trained is known after {known}"
    if not has_turns:
        beside = ", with replayed text" if recipe.data.replay is not None else ""
        changed = rows.train != rows.given
        return f"{rows.train} rows are trained, {made}{beside}" if changed else ""
    reasons = {
        f"longer than {most} tokens": rows.left_out,
        "with tokens of the chat template": rows.left_out_marked,
    }
    left = [f"{count} left out, {why}" for why, count in reasons.items() if count]
    kept = f"{own} of {given}" if left else f"{own} training rows"
    if rows.replayed:
        text = f"{rows.train} rows are trained: {kept}, and {rows.replayed} replayed texts"
        return "; ".join((text, *left))
    return "; ".join((f"{kept} are trained", *left)) if left else ""


def counted_rows(
    recipe: Recipe, store: Store, data: Artifact, base_model: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Return the rows of train and validation that are trained; None before the tokenizer has counted them."""
    facts = _rendered_facts(recipe, store, data, base_model)
    return _rows_of(facts) if facts else None


def _rendered_facts(
    recipe: Recipe, store: Store, data: Artifact, base_model: Mapping[str, Any]
) -> dict[str, Any] | None:
    rendered = store.get(rendered_key(recipe, data.key, base_model).digest)
    return None if rendered is None else read_json(rendered, FACTS)


def _rows_of(facts: Mapping[str, Any]) -> tuple[int, int]:
    return facts["train"]["rows"], facts["validation"]["rows"]
