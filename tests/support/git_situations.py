"""Situations of a git repository, and what the first line of `recipe ci` has to say in each.

`PYTHONPATH=tests python benchmarks/git_situations.py` prints them with what was got.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import git_lock_steps, git_ref_steps, git_row_steps, git_steps
from support import review_team as team_steps
from support.review_team import Step, nothing, rebase, team_in

GREEN: Final = "🟢 1 recipe changed: valid, and no gate got weaker"
WEAKER: Final = "🔴 1 recipe changed: the gate got weaker in 1"
UNKNOWN: Final = "🟡 1 recipe changed: not known in 1 whether the gate got weaker"
COMPARED: Final = "not everything could be compared"
UNSURE: Final = f"🟡 1 recipe changed: {COMPARED}"
INVALID: Final = "🔴 1 recipe changed: 1 not valid"
GONE: Final = "🔴 1 recipe changed: 1 gone, and with it what judges its model"
REDRAWN: Final = "🟡 1 recipe changed: the holdout is redrawn in 1"
WAIVED: Final = "🟡 1 recipe changed: the gate got weaker as waived in 1"
REFUSED: Final = "🔴 Nothing was compared"
NONE: Final = "⚪ No recipe changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What stands on main, what the work then does, and what has to come out."""

    name: str
    before: Step
    after: Step
    line: str
    code: int

    def played(self, folder: Path) -> tuple[str, int]:
        """Make it in an empty folder and run `recipe ci --fail-on weaker-gate`: the first line, and the exit code."""
        team = team_in(folder)
        self.before(team)
        rebase(team.git)
        self.after(team)
        return team.gate()


def _all() -> tuple[Situation, ...]:
    s, r, k, t, f = git_steps, git_row_steps, git_lock_steps, team_steps, git_ref_steps
    listed: list[tuple[str, Step, Step, str, int]] = [
        # The recipe itself.
        ("a harmless edit", nothing, t.harmless, GREEN, 0),
        ("a lower bound", nothing, s.lowered, WEAKER, 1),
        ("a lower bound, run below the root", nothing, s.below_the_root, WEAKER, 1),
        ("a lower bound, waived", nothing, s.waived, WAIVED, 0),
        ("a lower bound, waived long before", s.waived_long_ago, s.lowered, WEAKER, 1),
        ("the old version is not valid", t.invalid_before, t.invalid_after, UNKNOWN, 1),
        ("the new version is not valid", nothing, t.invalid_before, INVALID, 2),
        ("deleted", nothing, t.deleted, GONE, 1),
        ("deleted, and written anew under another name with a lower bound", nothing, t.rewritten,
         "🔴 2 recipes changed, none compared: 1 gone, and with it what judges its model", 1),
        ("no longer says that it is a recipe", nothing, t.no_recipe, GONE, 1),
        ("another suffix", nothing, t.other_suffix, GONE, 1),
        ("a lower bound in flow style", nothing, t.flow_style, WEAKER, 1),
        ("a lower bound, indented", nothing, t.indented, WEAKER, 1),
        ("a lower bound behind a byte order mark", nothing, t.marked, WEAKER, 1),
        ("its mode alone", nothing, s.only_its_mode, NONE, 0),
        ("other files alone", nothing, s.only_another_file, NONE, 0),
        ("a new recipe", nothing, s.intended, "⚪ 1 recipe changed, none compared: valid", 0),
        ("a new recipe beside a harmless edit", nothing, s.new_beside,
         "🟢 2 recipes changed, 1 compared: valid, and no gate got weaker", 0),
        ("a pipe in its place", nothing, t.recipe_is_a_pipe, GONE, 1),
        # What is committed, staged and on the disk.
        ("committed lower, taken back on the disk", nothing, t.taken_back, UNKNOWN, 1),
        ("staged lower, taken back on the disk", nothing, t.staged, UNKNOWN, 1),
        ("committed lower, higher on the disk", nothing, t.hardened_on_the_disk, UNKNOWN, 1),
        ("assumed unchanged, and lower", nothing, t.not_watched, WEAKER, 1),
        ("not checked out (sparse)", nothing, t.sparse, UNKNOWN, 1),
        ("its rows not checked out (sparse)", s.move_rows, s.sparse_without_rows, GREEN, 0),
        ("rows skipped by git, and fewer", nothing, s.rows_not_watched, WEAKER, 1),
        ("no longer tracked, and ignored", nothing, s.no_longer_tracked(t.RECIPE), GONE, 1),
        ("its lock no longer tracked, and left on the disk", t.sound_lock, s.no_longer_tracked(k.LOCK), UNKNOWN, 1),
        ("its rows no longer tracked, and left on the disk", nothing, s.no_longer_tracked(t.ROWS), UNKNOWN, 1),
        ("its parent no longer tracked, and left on the disk", k.by_a_parent,
         s.no_longer_tracked("shared/parent.yaml"), UNKNOWN, 1),
        # Clones, branches and merges.
        ("a clone of one branch, without --from", nothing, s.single_branch, REFUSED, 2),
        ("a shallow clone, without --from", nothing, s.shallow_single_branch, REFUSED, 2),
        ("a clone, without --from", nothing, s.cloned, WEAKER, 1),
        ("a revision that is not there", nothing, s.no_such_revision, REFUSED, 2),
        ("a shallow clone that may hide where the work began", nothing, s.shallow_without_the_beginning,
         UNSURE, 1),
        ("a shallow merge commit that names main as its parent", nothing, s.as_a_pull_request, WEAKER, 1),
        ("a clone without the old files (partial)", nothing, s.partial, UNKNOWN, 1),
        ("a detached HEAD", nothing, s.detached, WEAKER, 1),
        ("main was rewritten since", nothing, s.base_was_rewritten, GREEN, 0),
        ("main was pushed back behind a higher bound", nothing, s.base_was_pushed_back, GREEN, 0),
        ("no common ancestor", nothing, s.orphan, UNSURE, 1),
        ("two common ancestors", nothing, s.two_beginnings, UNSURE, 1),
        ("a merge that loses a higher bound of main", nothing, s.raised_on_main, WEAKER, 1),
        ("a merge that keeps it", nothing, s.merged_with_main, GREEN, 0),
        ("in the middle of a merge", nothing, s.in_the_middle_of_a_merge, INVALID, 2),
        ("a worktree", nothing, s.in_a_worktree, WEAKER, 1),
        ("a bare repository", nothing, s.bare, REFUSED, 2),
        ("no repository", nothing, s.no_repository, REFUSED, 2),
        # Rows.
        ("fewer rows", nothing, r.fewer_rows, WEAKER, 1),
        ("more rows", nothing, r.more_rows, REDRAWN, 0),
        ("more rows around a recorded holdout", t.sound_lock, r.more_rows, GREEN, 0),
        ("more rows, and another answer of an old one", nothing, r.more_rows_and_an_answer, WEAKER, 1),
        ("another seed", nothing, r.other_seed, REDRAWN, 0),
        ("another seed, and the recorded holdout given up", t.sound_lock, r.other_seed, REDRAWN, 0),
        ("another seed and a lower bound", nothing, r.other_seed_and_lower, WEAKER, 1),
        ("answers in a file beside the texts", r.answers_beside, t.harmless, GREEN, 0),
        ("other answers in a file beside the texts", r.answers_beside, r.other_answers_beside, WEAKER, 1),
        ("fewer rows of two recipes", r.second_recipe, r.fewer_rows,
         "🔴 2 recipes changed: the gate got weaker in 2", 1),
        ("rows deleted on the disk", nothing, t.rows_gone, INVALID, 2),
        ("rows deleted and committed", nothing, r.rows_deleted, INVALID, 2),
        ("a pipe in the place of rows", nothing, t.rows_are_a_pipe, INVALID, 2),
        ("sizes that can no longer be met", t.sound_lock, r.too_few_rows, WEAKER, 1),
        ("one file of a pattern deleted", t.patterned, t.fewer_parts, WEAKER, 1),
        ("rows that are ignored and not pinned", t.ignored, t.harmless, UNSURE, 0),
        ("rows that are ignored and pinned", r.pinned_and_ignored, t.harmless, GREEN, 0),
        ("rows of the hub, not pinned", t.unpinned, t.harmless, UNSURE, 0),
        ("rows outside of the repository", r.outside, t.harmless, UNSURE, 0),
        ("a pin that no longer fits its file", r.pinned, r.rows_behind_the_pin, UNKNOWN, 1),
        ("a pin that its file never had", r.pinned, r.pin_without_rows, UNKNOWN, 1),
        ("rows of a submodule, as before", t.in_a_submodule, t.harmless, UNSURE, 0),
        ("rows of a submodule that moved", t.in_a_submodule, t.other_submodule,
         f"{WEAKER} · {COMPARED}", 1),
        ("rows of a submodule that is not here", t.in_a_submodule, r.not_fetched, UNSURE, 0),
        ("rows of a submodule that moved and is not here", t.in_a_submodule, r.moved_and_not_fetched,
         f"{WEAKER} · {COMPARED}", 1),
        ("other rows in a repository within", r.nested_repository, r.other_rows_in_a_nested_repository,
         UNSURE, 0),
        ("a pointer of git-lfs to other bytes", t.pointed_to, t.pointed_elsewhere, WEAKER, 1),
        ("a pointer of git-lfs, as before", t.pointed_to, t.harmless, GREEN, 0),
        ("a pointer to fewer rows, which git-lfs has", r.kept_by_lfs, r.fewer_rows_by_lfs, WEAKER, 1),
        # Links.
        ("other rows behind a link", t.linked, t.other_rows_behind_the_link, WEAKER, 1),
        ("other rows behind the link of a folder", t.linked_folder, t.other_rows_behind_the_link, WEAKER, 1),
        ("other rows behind the link in a pattern", t.linked_pattern, t.other_rows_behind_the_link, WEAKER, 1),
        ("a link that leads to other rows", t.linked, r.led_elsewhere, WEAKER, 1),
        ("a link to rows outside", t.linked_outside, t.harmless, UNSURE, 0),
        ("a link to nothing", nothing, r.dangling, INVALID, 2),
        ("a link to itself", nothing, r.circle, INVALID, 2),
        ("a recipe by a link, and a lower bound behind it", r.recipe_by_link, r.lowered_behind_the_link, WEAKER, 1),
        ("a recipe by a link that git does not hold", t.recipe_outside, t.more_looks, UNKNOWN, 1),
        # Names and line ends.
        ("names in Unicode, a lower bound", r.unicode_names, r.lowered_under_a_unicode_name, WEAKER, 1),
        ("names in Unicode, fewer rows", r.unicode_names, r.fewer_rows_under_a_unicode_name, WEAKER, 1),
        ("rows by a decomposed name", r.unicode_names, r.decomposed, INVALID, 2),
        ("carriage returns", nothing, r.carriage_returns, GREEN, 0),
        ("carriage returns by autocrlf", nothing, r.converted, NONE, 0),
        ("a lower bound and autocrlf", nothing, r.converted_and_lowered, WEAKER, 1),
        ("the folder renamed", t.sound_lock, r.folder_renamed, GREEN, 0),
        ("the folder renamed, a lower bound", t.sound_lock, r.folder_renamed_and_lowered, WEAKER, 1),
        ("the folder renamed, fewer rows", nothing, r.folder_renamed_with_other_rows, WEAKER, 1),
        ("other capitals", nothing, r.capitals, GREEN, 0),
        # Parents and locks.
        ("a lower bound in the parent", k.by_a_parent, k.lowered_in_the_parent, WEAKER, 1),
        ("the parent deleted", k.by_a_parent, k.parent_deleted, INVALID, 2),
        ("the old lock cannot be read", t.broken_lock, t.sound_lock, UNKNOWN, 1),
        ("the new lock cannot be read", t.sound_lock, t.broken_lock, INVALID, 2),
        ("marks of a conflict in the lock", t.sound_lock, k.marks_in_the_lock, INVALID, 2),
        ("a pipe in the place of the lock", t.sound_lock, t.lock_is_a_pipe, INVALID, 2),
        ("a lock nested too deep", t.sound_lock, t.lock_is_deep, INVALID, 2),
        ("the lock deleted", t.sound_lock, t.lock_gone, WEAKER, 1),
        ("the lock under another name", t.sound_lock, t.lock_renamed, WEAKER, 1),
        ("one use more", t.sound_lock, t.more_looks, GREEN, 0),
        ("uses turned back", t.sound_lock, k.looks_turned_back, WEAKER, 1),
        ("other numbers in the accepted run", k.accepted, k.edited_record, WEAKER, 1),
        ("an acceptance taken back by git revert", nothing, k.acceptance_reverted, WEAKER, 1),
        ("an acceptance taken back, its use counted", nothing, k.reverted_and_counted, WEAKER, 1),
        ("an earlier accepted run that main never had", k.accepted, k.earlier_run, WEAKER, 1),
        # Tags, merges, replaced objects, attributes, names.
        ("a tag of the name of main, at the work", nothing, f.tag_of_the_branch, REFUSED, 2),
        ("the same, and the branch is named whole", nothing, f.tag_named_by_its_branch, WEAKER, 1),
        ("a tag of the name of main, at main", nothing, f.tag_at_the_branch, WEAKER, 1),
        ("compared with a tag", nothing, f.since_a_tag, WEAKER, 1),
        ("compared with a file", nothing, f.since_a_file, REFUSED, 2),
        ("a lower bound that only the merge has", nothing, f.lowered_by_the_merge, WEAKER, 1),
        ("a change of main by cherry-pick, and a lower bound", nothing, f.picked_and_lowered, WEAKER, 1),
        ("the old recipe replaced by the new one", nothing, f.old_recipe_replaced, WEAKER, 1),
        ("the old rows replaced by something else", nothing, f.old_rows_replaced, GREEN, 0),
        ("attributes that hide a lower bound", nothing, f.hidden_by_attributes, WEAKER, 1),
        ("a name with a line break and quotes", nothing, f.odd_name, WEAKER, 1),
        ("two recipes that change places, one weaker", r.second_recipe, f.names_exchanged,
         "🔴 2 recipes changed: the gate got weaker in 2", 1),
        ("moved to another folder, its lock left behind", t.sound_lock, f.moved_from_its_lock, WEAKER, 1),
        # Locks edited by hand.
        ("half of the recorded holdout left out", t.sound_lock, k.edited(k.half_left_out), WEAKER, 1),
        ("half of the recorded holdout unused", t.sound_lock, k.edited(k.half_unused), WEAKER, 1),
        ("recorded validation and holdout exchanged", t.sound_lock, k.edited(k.places_exchanged), WEAKER, 1),
        ("a lock that lets the next run draw afresh", t.sound_lock, k.edited(k.drawn_afresh), WEAKER, 1),
        ("the same without other inputs", k.after_a_lock(k.held_to_a_record), k.edited(k.held_to_nothing), WEAKER, 1),
        ("another digest of the recorded holdout", t.sound_lock, k.edited(k.other_digest), WEAKER, 1),
        ("more rows of the recorded holdout", t.sound_lock, k.edited(k.more_rows), WEAKER, 1),
        ("fewer redraws", k.after_a_lock(k.redrawn), k.edited(k.fewer_redraws), WEAKER, 1),
        ("another name in the lock", t.sound_lock, k.edited(k.other_name), GREEN, 0),
        ("another digest of the accepted recipe", k.accepted, k.of_the_run("recipe", "digest", value="ab" * 32),
         WEAKER, 1),
        ("other bytes of an accepted source", k.accepted, k.of_the_run("sources", 0, "sha256", value="ab" * 32),
         WEAKER, 1),
        ("a revision of a stage that the run did not have", k.accepted, k.of_the_run("stages", value={"train": 99}),
         WEAKER, 1),
        ("another version of torch in the accepted run", k.accepted, k.of_the_run("versions", "torch", value="9"),
         WEAKER, 1),
    ]  # fmt: skip
    return tuple(
        Situation(name=name, before=before, after=after, line=line, code=code)
        for name, before, after, line, code in listed
    )


SITUATIONS: Final = _all()
