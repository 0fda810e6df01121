"""Pages of what `recipe diff` finds: W1xx to W7xx, the ways in which evidence gets weaker."""

from __future__ import annotations

from engine.codes import Code

WEAKER = "W"
"""The first letter of every code that says that evidence got weaker; a waiver may name one."""

_WAIVE = "If it is meant, say so in the recipe: `waivers: [{what: %s, why: …}]`."


def _code(title: str, why: str, fix: str, *, what: str) -> Code:
    return Code(title=title, why=why, fix=f"{fix} {_WAIVE % what}")


_ACCEPTANCE = {
    "W101": _code(
        "a bound on a metric was loosened",
        "A model that was refused before may pass now, and nothing about the model got better.",
        "Put the old bound back.",
        what="acceptance.metrics.macro_f1.min",
    ),
    "W102": _code(
        "a bound on a metric was dropped",
        "What a metric or a class must hold is no longer asked, so a loss there ships unseen.",
        "Put the bound back; of a metric that was renamed, bound the new name.",
        what="acceptance.metrics.f1.bug.min",
    ),
    "W103": _code(
        "nothing must hold any more",
        "Without a bound every model passes.",
        "Put at least one bound on a metric back.",
        what="acceptance",
    ),
    "W104": _code(
        "the confidence of intervals was lowered",
        "Narrower intervals pass a bound more easily, and are wrong more often.",
        "Put the old confidence back.",
        what="acceptance.confidence",
    ),
    "W105": _code(
        "the measured value decides in the place of the interval's worse end",
        "A model that is exactly at the bound then passes every second time, by luck.",
        "Write `decide_on: lower_bound`.",
        what="acceptance.decide_on",
    ),
    "W106": _code(
        "less gain over the baselines is required",
        "The training must pay for itself by less than before.",
        "Put the old gain back.",
        what="acceptance.over_baselines.macro_f1.min_gain",
    ),
    "W107": _code(
        "a gain over the baselines is no longer required",
        "The tuned model may now be no better than what needs no training.",
        "Put the gain back.",
        what="acceptance.over_baselines.macro_f1.min_gain",
    ),
    "W108": _code(
        "the new model may be further below the last accepted one",
        "Each acceptance may then lose a little more, and the losses add up.",
        "Put the old drop back.",
        what="acceptance.over_previous.macro_f1.max_drop",
    ),
    "W109": _code(
        "the last accepted model is no longer compared with",
        "A model that is worse than the one in use can be accepted.",
        "Put the bound back, or the recipe's old name: runs are found by it.",
        what="acceptance.over_previous.macro_f1.max_drop",
    ),
    "W110": _code(
        "a larger gap between train and validation is allowed",
        "A model that learned its rows by heart is refused later.",
        "Put the old gap back.",
        what="acceptance.overfitting.max_gap",
    ),
    "W111": _code(
        "overfitting is no longer gated",
        "A model that learned its rows by heart can be accepted.",
        "Put `acceptance.overfitting` back.",
        what="acceptance.overfitting.max_gap",
    ),
    "W112": _code(
        "more may be forgotten",
        "The model may lose more of what the base model knew.",
        "Put the old drop back.",
        what="acceptance.forgetting.max_drop",
    ),
    "W113": _code(
        "forgetting is no longer measured",
        "Nobody will know what the training took away.",
        "Put `acceptance.forgetting` back.",
        what="acceptance.forgetting",
    ),
    "W114": _code(
        "probes of forgetting were removed, changed or made fewer",
        "What is not asked cannot be seen to be forgotten.",
        "Put the probes back, and add new ones beside them.",
        what="acceptance.forgetting.probes",
    ),
    "W115": _code(
        "a bound on the quantized file was loosened",
        "The file that leaves may be further from the model that was judged.",
        "Put the old bound back.",
        what="export.after_quantization.agreement.min",
    ),
    "W116": _code(
        "a bound on the quantized file was dropped",
        "The file that leaves may differ from the model that was judged, and nothing refuses it.",
        "Put the bound back.",
        what="export.after_quantization.agreement.min",
    ),
    "W117": _code(
        "merged and converted models may differ more",
        "A step that should lose nothing may change answers.",
        "Put the old `export.parity.agreement.min` back.",
        what="export.parity.agreement.min",
    ),
    "W118": _code(
        "the exported file was changed, and no bound covers it",
        "The gate judges the model before it is quantized; without `export.after_quantization` nothing"
        " says how good the file is that leaves.",
        "Bound what quantization may lose: `after_quantization: {macro_f1: {max_drop: 0.02}}`.",
        what="export.quantization",
    ),
}

_HOLDOUT = {
    "W201": _code(
        "the holdout is redrawn",
        "Other rows judge, so numbers before and after cannot be compared; drawn often enough, some"
        " holdout passes any model.",
        "Put back what decides the draw.",
        what="splits.seed",
    ),
    "W202": _code(
        "the holdout is smaller",
        "Fewer rows show less: intervals widen, and rare mistakes are no longer seen.",
        "Put the old size back.",
        what="splits.holdout",
    ),
    "W203": _code(
        "the holdout holds rows that were training rows before",
        "People have looked at those rows, and the recipe was tuned while they were known.",
        "Put back what decides the draw, so that the recorded holdout keeps its rows.",
        what="splits.seed",
    ),
    "W204": _code(
        "fewer validation rows",
        "They choose the checkpoint and show overfitting; with fewer of them both are left to chance.",
        "Put the old size back.",
        what="splits.validation",
    ),
    "W205": _code(
        "fewer folds",
        "Each fold's model learns from fewer rows and the estimate rests on fewer trainings.",
        "Put the old number of folds back.",
        what="splits.folds",
    ),
    "W206": _code(
        "the rows that judge come from elsewhere",
        "Another file or data set judges, so numbers before and after cannot be compared.",
        "Put the source of the holdout back.",
        what="data.sources[1].path",
    ),
    "W207": _code(
        "the record of the holdout was removed or changed",
        "The lock holds the holdout to its rows. Without it, or with another record, other rows judge.",
        "Take `<recipe>.lock.json` back from version control.",
        what="lock.splits.holdout",
    ),
    "W208": _code(
        "the lock counts fewer looks or redraws than before",
        "A holdout wears out with every verdict formed on it; the count was turned back.",
        "Take `<recipe>.lock.json` back from version control.",
        what="lock.holdout.looks",
    ),
    "W209": _code(
        "the validation rows choose the model whose gap to them is gated",
        "With early stopping, `keep: best` or a sweep, the model is chosen on the validation rows, so it looks"
        " better on them than it is and `acceptance.overfitting` refuses less.",
        "Judge the gap on a model that was not chosen by it, or lower `max_gap`.",
        what="method.early_stopping.patience",
    ),
    "W210": _code(
        "fewer further seeds",
        "The same training with other seeds shows how much of a number is luck; with fewer of them a"
        " lucky run looks like a good recipe.",
        "Put the seeds back.",
        what="method.seeds",
    ),
}

_REST = {
    "W301": _code(
        "a check of the data was relaxed",
        "Rows that were refused or left out before now train or judge unseen.",
        "Put the stricter action back.",
        what="data.checks.leakage",
    ),
    "W401": _code(
        "a baseline was removed",
        "The gain is measured against the best of them; without it the training is compared with less.",
        "Put the baseline back.",
        what="baselines.few_shot",
    ),
    "W402": _code(
        "a baseline was weakened or exchanged",
        "A weaker opponent is easier to beat.",
        "Put the old baseline back, and add the new one beside it.",
        what="baselines.few_shot.shots",
    ),
    "W403": _code(
        "a baseline that suffices no longer ends the run",
        "Training goes on although something simpler already holds every bound.",
        "Write `stop_if_baseline_passes: true`.",
        what="stop_if_baseline_passes",
    ),
    "W501": _code(
        "a pin was removed",
        "What the recipe refers to can change unseen, and no result can be repeated for sure.",
        "Put the `revision` or `sha256` back.",
        what="base_model.revision",
    ),
    "W502": _code(
        "a pin was moved",
        "Other bytes stand behind the same name; results before and after are of different inputs.",
        "Put the old pin back, or say why the new one is meant.",
        what="base_model.revision",
    ),
    "W503": _code(
        "references may move",
        "With `allow_moving: true` a run no longer stops at what is not pinned.",
        "Pin what is not pinned, and delete `allow_moving`.",
        what="allow_moving",
    ),
    "W504": _code(
        "a new reference without a pin",
        "It can change unseen, and no result can be repeated for sure.",
        "Add its `revision` or `sha256`.",
        what="data.sources[1]",
    ),
    "W601": _code(
        "a backend override was added or changed",
        "It changes the training past the recipe language, where no rule looks.",
        "Use the recipe's own key where there is one.",
        what="backend.overrides.optimizer",
    ),
    "W701": _code(
        "a label was removed",
        "Rows of that label can no longer be told apart from the others: the task got easier.",
        "Put the label back.",
        what="task.labels",
    ),
    "W702": _code(
        "what counts as a right answer changed",
        "The same answers give other numbers, so bounds no longer mean what they did.",
        "Put the old way of reading answers back.",
        what="task.answer_pattern",
    ),
    "W703": _code(
        "rows get their labels or answers in another way",
        "Rows change sides or are left out: the task is another one, and may be an easier one.",
        "Put the old way back.",
        what="data.label.bins",
    ),
}

OF_REPOSITORIES = {
    "W119": _code(
        "the old version cannot be compared with",
        "Without it nobody knows whether the gate got weaker. It is not valid, or not in this clone.",
        "Compare with a revision whose version is valid: `recipe ci --from REV`.",
        what="W119",
    ),
    "W120": Code(
        title="a recipe is gone",
        why="Nothing judges its model any more. A recipe that is deleted, and written anew under another name with"
        " lower bounds, would look like a new one.",
        fix="Put it back, or rename it in a change of its own. If it is meant, say so in a recipe that stays, and"
        " name the one that is gone: `waivers: [{what: W120, why: tickets is replaced by desk}]`.",
    ),
    "W121": _code(
        "what was compared is not what counts",
        "The file on the disk is another version than the one that is committed or staged, or it is not checked out.",
        "Commit the file as it is, or take the change back; in a sparse checkout add its folder.",
        what="W121",
    ),
}
"""Found by `recipe ci` without a comparison."""

_RECORD = {
    "W122": _code(
        "the record of an accepted run was changed",
        "Only an accepted run writes it. The same run, or the same answers, cannot have other numbers.",
        "Take `<recipe>.lock.json` back from version control.",
        what="lock.accepted",
    ),
    "W123": _code(
        "the record of an accepted run contradicts itself",
        "Its parts were written by one run, so they fit each other unless somebody changed one of them.",
        "Take `<recipe>.lock.json` back from version control, or run the recipe again.",
        what="lock.accepted",
    ),
    "W124": _code(
        "an earlier run took the place of the accepted one",
        "Its numbers are those of another model than the one that was accepted last.",
        "Take `<recipe>.lock.json` back from version control.",
        what="lock.accepted",
    ),
    "W125": _code(
        "a check takes rows out of the holdout, or rewrites them",
        "The rows that a check leaves out are often the hard ones. Without them the same model gets better numbers,"
        " and numbers before and after cannot be compared.",
        "Let the check `fail` or `warn`, and mend the rows.",
        what="data.checks.near_duplicates",
    ),
}

CODES: dict[str, Code] = {**_ACCEPTANCE, **_HOLDOUT, **_REST, **OF_REPOSITORIES, **_RECORD}
