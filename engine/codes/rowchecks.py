"""Pages of the checks of single rows, and of labels given away: D370 to D379."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D370": Code(
        title="rows hold no personal data",
        why="A fine-tuned model can repeat what it was trained on, to anyone who asks.",
        fix="Write `data.checks.personal_data: mask` to put `[EMAIL]`, `[PHONE]`, … in its place,"
        " `drop` to leave such rows out, or `off` where the data is public.",
    ),
    "D371": Code(
        title="text holds no invisible characters",
        why="Control codes, zero-width marks and bidirectional overrides split words for the"
        " tokenizer, hide text from whoever reviews it and make equal rows differ.",
        fix="Remove them from the rows. Joiners that a script or an emoji needs are not reported.",
    ),
    "D372": Code(
        title="text was decoded with the right encoding",
        why="`cafÃ©` is another word than `café` to the model, and no user will write it.",
        fix="Read the file again with its own `encoding`, or repair it where it was exported. The"
        " message shows what the text likely was.",
    ),
    "D373": Code(
        title="rows are in one language, or in several on purpose",
        why="A handful of rows in another language is more often a slip of the collection than"
        " meant: too few to learn from, enough to disturb.",
        fix="Remove the rows, add more of that language, or write `data.checks.languages: off`.",
    ),
    "D374": Code(
        title="text holds no tokens of a chat template",
        why="`<|im_end|>` in a user's text ends the turn when it is tokenised: the text can then"
        " speak as the system, and the row teaches that.",
        fix="Remove or escape the markers. A log of prompts needs its turns split into messages"
        " (`task.kind: chat`).",
    ),
    "D375": Code(
        title="texts do not give their own label away",
        why="Where `[spam]` stands in the text of spam, the model learns to read the mark; in use"
        " the mark is missing, and the score was worth nothing.",
        fix="Take the mark out of the text, or the column out of `task.input`. Where users do"
        " write the word, write `data.checks.label_in_input: off`.",
    ),
    "D376": Code(
        title="answers are written in one way",
        why="A model learns the mixture: some answers will end with a full stop, some not, and"
        " what reads them must expect both.",
        fix="Bring the answers into one form, or write `data.checks.output_format: off`.",
    ),
}
