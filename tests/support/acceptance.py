"""Which tests show what is promised: of a stranger's folder, and of a run that fails or is ended."""

from collections.abc import Mapping
from typing import Final

STRANGERS: Final[Mapping[str, tuple[str, ...]]] = {
    "no module of the folder runs": (
        "functional/strangers/test_strangers_folder.py::test_asking_an_exported_model_runs_nothing_of_the_folder",
        "functional/strangers/test_strangers_folder.py::test_exporting_and_verifying_run_nothing_of_the_folder",
        "test_boundaries.py::test_an_unsafe_form_is_found",
    ),
    "no setting of its git repository starts a program": (
        "functional/review/test_hostile_git.py::test_no_setting_of_a_repository_starts_a_program",
        "functional/review/test_hostile_git.py::test_a_missing_object_is_not_fetched",
        "functional/review/test_hostile_git.py::test_a_bare_repository_in_a_folder_is_none",
        "functional/review/test_hostile_git.py::test_only_git_is_started",
        "functional/review/test_hostile_git.py::test_an_honest_repository_gives_the_same_comment",
    ),
    "no code beside a GGUF file runs, and nobody is asked": (
        "unit/runtime/test_broken_models.py::test_what_stands_beside_a_gguf_file_is_not_read",
        "unit/runtime/llama/test_client.py::test_the_converter_runs_no_code_that_a_model_names",
        "test_boundaries.py::test_the_engine_calls_nothing_in_an_unsafe_form",
    ),
    "settings of libraries in the folder change nothing": (
        "unit/runtime/text/test_svm.py::test_a_projects_settings_of_numba_are_not_read",
        "unit/process/test_start.py::test_caches_are_the_users_own_whatever_the_environment_says",
        "functional/hostile/test_table.py::test_a_hostile_case_ends_as_expected",
    ),
    "no link leads a verb to write outside": (
        "functional/store/test_links.py::test_a_link_where_a_run_writes_leads_nowhere",
        "functional/store/test_links.py::test_a_lock_that_is_a_link_is_replaced",
        "functional/store/test_links.py::test_an_output_is_not_written_through_a_link",
        "functional/store/test_links.py::test_a_recipe_behind_a_link_is_not_rewritten",
    ),
    "paths outside ask for consent, and a new one asks again": (
        "unit/recipe/test_outside.py::test_a_path_outside_is_reported_and_nothing_of_it_is_read",
        "unit/recipe/test_outside.py::test_a_learning_rate_does_not_ask_again_and_a_new_path_does",
        "unit/recipe/test_outside.py::test_a_parent_outside_is_not_read",
        "unit/recipe/test_reach.py::test_a_key_that_reaches_beyond_the_recipe_asks_for_consent",
    ),
    "no row and no key is sent before consent": (
        "functional/trust/test_trust.py::test_nothing_is_sent_before_the_users_word_and_no_key_is_kept_after",
        "unit/recipe/test_outside.py::test_the_recipes_own_word_counts_for_nothing",
        "unit/trust/test_hosts.py::test_what_opens_something_else_is_no_key",
        "unit/runtime/served/test_connection.py::test_a_name_is_judged_by_where_it_leads",
        "unit/runtime/served/test_connection.py::test_a_key_does_not_cross_the_network_in_the_open",
    ),
    "a key that is sent back is kept nowhere": (
        "unit/runtime/served/test_connection.py::test_a_key_that_is_echoed_is_kept_and_shown_nowhere",
        "functional/trust/test_trust.py::test_nothing_is_sent_before_the_users_word_and_no_key_is_kept_after",
    ),
    "what loads a model opens no socket, and no kernel is fetched": (
        "unit/sources/test_apart.py::test_a_verb_reaches_what_its_recipe_names_and_nothing_else",
        "unit/process/test_own_rights.py::test_a_run_keeps_what_its_recipe_needs_and_nothing_else",
        "unit/runtime/models/test_files.py::test_a_setting_that_makes_libraries_run_code_is_refused_in_every_file",
        "slow/test_traced_run.py::test_no_host_is_asked_but_those_that_the_recipe_names",
    ),
    "results that came along are not believed": (
        "functional/store/test_foreign.py::test_a_run_says_how_much_it_does_not_use_and_builds_it_again",
        "functional/store/test_links.py::test_a_store_that_everybody_can_write_is_refused",
        "unit/store/test_root.py::test_a_folder_of_another_user_is_refused",
    ),
    "a bundle that contradicts itself is not verified": (
        "functional/bundle/test_contradictions.py::test_a_contradiction_is_named_whoever_signed",
        "functional/bundle/test_contradictions.py::test_a_bundle_signed_anew_without_a_change_is_consistent_and_its_signer_unknown",
        "functional/bundle/test_tampered_bundles.py::test_a_tampered_bundle_is_not_accepted",
    ),
    "pipes, devices, folders and endless files end typed": (
        "functional/hostile/test_matrix.py::test_verbs_that_read_a_hostile_thing_end_typed",
        "functional/hostile/test_matrix.py::test_every_verb_ends_typed_beside_a_hostile_thing",
    ),
    "broken JSON ends typed, and so does what a fuzzer makes": (
        "unit/runtime/test_broken_models.py::test_a_broken_model_folder_is_one_typed_error",
        "functional/hostile/test_fuzzing.py::test_a_file_changed_at_random_is_read_or_refused_with_a_code",
        "functional/bundle/test_contradictions.py::test_mutations_of_report_and_lock_are_reported_and_never_a_bug",
    ),
    "templates, cells, answers and patterns have limits": (
        "unit/runtime/rendering/test_chat.py::test_a_template_that_does_so_is_refused",
        "unit/data/test_limits.py::test_a_parquet_cell_that_becomes_far_more_is_refused_before_it_is_unpacked",
        "unit/runtime/served/test_connection.py::test_an_answer_is_read_to_its_limit",
        "unit/recipe/test_patterns.py::test_a_pattern_that_takes_for_ever_is_stopped",
        "unit/runtime/rendering/test_files.py::test_anything_else_is_refused",
        "unit/runtime/test_text_growth.py::test_rules_that_multiply_are_refused",
        "unit/runtime/models/test_files.py::test_a_number_that_no_model_has_is_refused",
        "unit/runtime/models/test_base_check.py::test_a_model_that_takes_long_to_build_is_refused",
        "unit/runtime/test_broken_models.py::test_a_gguf_file_of_garbage_is_one_typed_error",
        "unit/data/test_limits.py::test_of_a_file_of_broken_rows_the_rest_is_not_read",
        "unit/data/test_limits.py::test_a_draft_of_a_long_field_reads_it",
        "unit/sources/test_archive.py::test_headers_of_a_tar_are_bounded",
        "unit/files/test_reading.py::test_json_is_bounded_in_parts",
        "unit/runs/test_drift.py::test_counts_that_no_rows_give_are_refused",
        "unit/serving/test_app.py::test_who_sends_no_head_is_not_waited_for",
        "functional/hostile/test_others.py::test_what_other_tools_wrote_ends_as_expected",
    ),
    "no verb prints a control character, and no comment notifies": (
        "functional/hostile/test_table.py::test_every_verb_shows_hostile_texts_and_is_known_to_ask_for_consent_or_not",
        "functional/hostile/test_table.py::test_a_hostile_case_ends_as_expected",
    ),
    "every system call of a whole run is accounted for": (
        "slow/test_traced_run.py::test_no_file_outside_is_read",
        "slow/test_traced_run.py::test_nothing_outside_is_written",
        "slow/test_traced_run.py::test_no_program_is_started_but_ours_and_gits",
    ),
}
"""The acceptance of a stranger's folder."""

RUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "what users send is what was judged": (
        "functional/ladder/test_users_prompts.py::test_a_model_whose_template_differs_from_its_past_answers_leaves_in_every_form",
        "functional/ladder/test_refused_files.py::test_another_chat_template_in_the_file_is_refused",
        "unit/runtime/rendering/test_chat.py::test_the_prompt_is_what_users_send",
    ),
    "known families run to the end or are refused before training, on any day": (
        "unit/runtime/rendering/test_chat.py::test_the_templates_of_known_families_are_kept_but_for_the_date",
        "unit/runtime/rendering/test_chat.py::test_the_date_is_the_same_on_every_day",
        "functional/ladder/test_users_prompts.py::test_a_template_that_starts_to_think_is_refused_before_training",
    ),
    "a merge that is wrong by a tenth is refused": (
        "functional/ladder/test_users_prompts.py::test_a_merge_that_is_wrong_by_a_tenth_ends_the_run",
        "functional/faults/test_seeded.py::test_a_seeded_fault_is_named",
        "functional/faults/test_seeded.py::test_a_sound_model_is_not_taken_for_a_faulty_one",
    ),
    "no checkpoint ends a run twice": (
        "functional/resume/test_killed.py::test_a_damaged_checkpoint_is_set_aside_and_training_ends_with_the_same_weights",
    ),
    "a flipped bit is never shipped": (
        "functional/store/test_rot.py::test_a_flipped_bit_is_never_shipped_and_no_bug",
    ),
    "endless models are seen": (
        "functional/ladder/test_users_prompts.py::test_a_model_that_could_never_end_its_turn_is_refused_before_training",
        "functional/ladder/test_users_prompts.py::test_free_output_is_shown_beside_constrained_output",
    ),
    "every row is accounted for": (
        "functional/lengths/test_rows_left_out.py::test_rows_trained_and_rows_left_out_are_those_of_the_data",
        "functional/lengths/test_rows_left_out.py::test_page_markdown_and_terminal_say_how_many",
        "functional/lengths/test_rows_left_out.py::test_rows_beyond_the_window_of_the_base_model_are_reported_before_training",
    ),
    "the cheap is seen first": (
        "functional/faults/test_seeded.py::test_a_seeded_fault_is_named",
        "functional/faults/test_seeded.py::test_so_is_every_other",
    ),
    "the trainer is looked at": (
        "functional/faults/test_seeded.py::test_a_seeded_fault_is_named",
        "functional/faults/test_seeded.py::test_so_is_every_other",
    ),
    "ends are followed, and what was killed goes on": (
        "functional/resume/test_killed.py::test_a_run_terminated_in_a_stage_says_so_and_is_continued",
        "functional/resume/test_killed.py::test_every_signal_that_ends_has_its_own_exit_code",
        "functional/resume/test_killed.py::test_a_run_killed_in_a_stage_is_continued_by_the_next",
        "unit/process/test_start.py::test_whatever_ends_us_ends_children_and_grandchildren",
        "slow/test_survival.py::test_whole_runs_survive",
    ),
}
"""The acceptance of runs that fail or are ended."""
