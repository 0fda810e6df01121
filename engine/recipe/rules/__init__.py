"""Rules that span several keys: one small function each, and the table of what each reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.rules import (
    acceptance,
    answers,
    baselines,
    columns,
    data,
    kinds,
    method,
    parents,
    places,
    probes,
    sources,
    splits,
    sweep,
    task,
    waivers,
)
from engine.recipe.text.compose import dotted
from engine.recipe.text.source import SourceText

Rule = Callable[[SourceText, Mapping[str, Any]], Iterator[Problem]]
"""(the file, its content with defaults filled in) to what is wrong."""

_KIND: Final = (
    "task.kind",
    *dict.fromkeys(dotted(path) for path in kinds.KEYS),
    "data.shape",
)
_PLACES: Final = (
    "base_model",
    "data.sources",
    "baselines",
    "task.kind",
    "acceptance.forgetting",
)
RULES: Final[tuple[tuple[Rule, tuple[str, ...]], ...]] = (
    (kinds.keys_are_there, _KIND),
    (kinds.keys_fit_the_kind, _KIND),
    (kinds.answer_comes_one_way, ("task.kind", "data.answer")),
    (kinds.shape_fits_the_kind, _KIND),
    (answers.labels_can_be_joined, ("task.kind", "task.labels")),
    (answers.schema_can_be_checked, ("task.kind", "task.schema")),
    (answers.fields_are_in_the_schema, ("task.schema", "data.answer")),
    (task.labels_stay_apart, ("task.labels",)),
    (task.labels_can_be_written, ("task.labels",)),
    (task.out_of_scope_is_a_label, ("task.labels", "task.out_of_scope")),
    (task.answer_pattern_can_be_read, ("task.answer_pattern",)),
    (task.input_is_a_template, ("task.input",)),
    (
        task.instruction_names_the_labels,
        ("task.kind", "task.instruction", "task.system", "task.labels"),
    ),
    (task.instruction_has_no_other_fields, ("task.instruction",)),
    (data.targets_are_labels, ("task.labels", "data.label")),
    (data.relabel_or_bins, ("data.label",)),
    (data.bins_are_intervals, ("data.label",)),
    (data.bins_reach_every_label, ("task.labels", "data.label")),
    (sources.formats_are_known, ("data.sources",)),
    (sources.keys_fit_the_format, ("data.sources",)),
    (sources.xml_says_which_element, ("data.sources",)),
    (sources.column_files_are_there, ("data.sources",)),
    (sources.patterns_match, ("data.sources",)),
    (sources.into_goes_with_files, ("data.sources", "splits.by")),
    (sources.weights_change_something, ("data.sources",)),
    (sources.encodings_exist, ("data.sources",)),
    (sources.hub_says_which_rows, ("data.sources",)),
    (sources.sources_differ, ("data.sources",)),
    (columns.label_column_is_in_the_header, ("data.sources", "data.label")),
    (columns.answer_columns_are_in_the_header, ("data.sources", "data.answer")),
    (columns.input_columns_are_in_the_header, ("data.sources", "task.input", "task.kind")),
    (columns.input_hides_the_answer, ("data.label", "data.answer", "task.input")),
    (splits.sizes_are_all_rows_or_all_fractions, ("splits",)),
    (splits.fractions_fit, ("splits",)),
    (splits.rows_fit_the_sample, ("splits", "data.sample")),
    (splits.sizes_are_given, ("splits",)),
    (splits.folds_stand_alone, ("splits",)),
    (splits.files_give_a_holdout, ("splits", "data.sources")),
    (splits.all_means_what_is_there, ("splits",)),
    (splits.something_is_left, ("splits",)),
    (splits.validation_steers, ("splits", "method")),
    (method.full_has_no_adapter, ("method",)),
    (method.batches_divide, ("method",)),
    (method.alpha_is_not_below_rank, ("method",)),
    (method.seeds_are_further_ones, ("method",)),
    (method.backend_is_known, ("backend",)),
    (method.curves_have_validation, ("learning_curve", "splits")),
    (method.folds_leave_validation, ("splits",)),
    (sweep.settings_are_sound, ("method", "splits", "sweep")),
    (sweep.settings_differ, ("method", "splits", "sweep")),
    (sweep.sweeps_have_validation, ("splits", "sweep")),
    (sweep.sweeps_have_no_folds, ("splits", "sweep")),
    (sweep.choice_is_known, ("task.kind", "task.labels", "sweep")),
    (sweep.documents_are_judged_alike, ("task.kind", "method", "sweep")),
    (sweep.choice_is_not_mere_luck, ("sweep",)),
    (acceptance.something_must_hold, ("task.kind", "acceptance.metrics")),
    (acceptance.kind_is_measured, ("task.kind", "acceptance", "export.after_quantization")),
    (acceptance.metrics_are_known, ("task.kind", "task.labels", "acceptance.metrics")),
    (acceptance.gains_are_known, ("task.kind", "task.labels", "acceptance")),
    (acceptance.drops_are_known, ("task.kind", "task.labels", "export.after_quantization")),
    (acceptance.directions_make_sense, ("task.kind", "acceptance", "export.after_quantization")),
    (acceptance.shares_are_shares, ("task.kind", "acceptance", "export.after_quantization")),
    (acceptance.bounds_can_be_reached, ("task.kind", "acceptance", "splits")),
    (acceptance.gains_have_a_baseline, ("task.kind", "acceptance.over_baselines", "baselines")),
    (baselines.baselines_fit_the_kind, ("task.kind", "baselines")),
    (baselines.models_tell_likelihoods, ("task.kind", "baselines")),
    (probes.names_differ, ("acceptance.forgetting",)),
    (probes.columns_fit_the_kind, ("acceptance.forgetting",)),
    (probes.rows_can_be_found, ("acceptance.forgetting",)),
    (acceptance.quantization_is_known, ("export",)),
    (acceptance.quantization_has_a_file, ("export",)),
    (parents.name_is_its_own, ("name",)),
    (
        places.references_stand_still,
        ("allow_moving", *_PLACES),
    ),
    (places.paths_exist, _PLACES),
    (places.outside_is_told, _PLACES),
    (places.endpoints_can_be_asked, ("task.kind", "baselines")),
    (places.paths_travel, _PLACES),
    (places.archive_members_stay_inside, _PLACES),
    (waivers.waivers_name_something, ("waivers",)),
    (waivers.waivers_differ, ("waivers",)),
)

_BLOCKING: Final = frozenset({"R105", "R106"})
"""After these a rule cannot read what it needs; after a wrong name or range it can."""


def check_rules(
    source: SourceText, filled: Mapping[str, Any], structure: Iterable[Problem]
) -> tuple[Problem, ...]:
    """Return every broken rule; a rule is left out where what it reads is missing or mistyped."""
    blocked = {problem.path for problem in structure if problem.code in _BLOCKING}
    blocked |= {dotted(path) for path in source.broken if path}
    return tuple(
        problem
        for rule, needs in RULES
        if not any(_touches(need, at) for need in needs for at in blocked)
        for problem in rule(source, filled)
    )


def _touches(need: str, at: str) -> bool:
    """Tell whether one of two key paths contains the other."""
    shorter, longer = sorted((need, at), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))
