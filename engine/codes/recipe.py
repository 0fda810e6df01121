"""R1xx: how a recipe is written. R2xx: what it means. R3xx: what it refers to."""

from __future__ import annotations

from engine.codes import Code

_STRUCTURE = {
    "R101": Code(
        title="duplicate key",
        why="Most YAML readers silently keep the last one, so a reviewer may read the other.",
        fix="Delete one of the two lines.",
    ),
    "R102": Code(
        title="the file is not YAML",
        why="Nothing can be said about the rest of the file before it can be read.",
        fix="Usual causes: a tab for indentation, an open quote or bracket, text with `: ` or "
        "starting with `@`, `%` or a backtick without quotes.",
    ),
    "R103": Code(
        title="the recipe cannot be read",
        why="The file is missing, a folder, a device, or not readable by you.",
        fix="Check the path and the file's permissions.",
    ),
    "R104": Code(
        title="unknown key",
        why="The vocabulary is closed: a misspelt key that was ignored would train something else "
        "than what is written.",
        fix="Use the key the message suggests; `recipe schema` lists all keys.",
    ),
    "R105": Code(
        title="a required key is missing",
        why="It has no default that would be right for everyone.",
        fix="Add the key; `recipe schema KEY` shows an example.",
    ),
    "R106": Code(
        title="wrong type of value",
        why="Values are never converted: `1` is a number, `no` is text, only `true` and `false` "
        "are booleans, `2e-4` is a number, `012` and `1_000` are text.",
        fix='Quote text that looks like a number or a brace: "1", "{text}".',
    ),
    "R107": Code(
        title="value not among the allowed ones",
        why="The key knows a fixed list of words.",
        fix="Use one of the words the message lists.",
    ),
    "R108": Code(
        title="number out of range",
        why="Outside this range the number has no meaning; shares go from 0 to 1, not to 100.",
        fix="Use a number inside the range.",
    ),
    "R109": Code(
        title="text of the wrong form",
        why="Names, commits and digests have an exact form, so that they mean one thing only.",
        fix="Write it in the form the message names.",
    ),
    "R110": Code(
        title="too few, too many or repeated entries",
        why="An empty or repeated entry would change nothing, or count twice.",
        fix="Add, remove or merge entries.",
    ),
    "R111": Code(
        title="needs exactly one of several keys",
        why="A model or a source comes from one place: hub, path or package.",
        fix="Keep one of the keys.",
    ),
    "R112": Code(
        title="a key without the one it goes with, or beside one it does not go with",
        why="`revision` means something for the hub only, `file` for archives and hub data sets.",
        fix="Add the other key or delete this one.",
    ),
    "R113": Code(
        title="the recipe is not UTF-8 text",
        why="Read in another encoding, a label could become another label.",
        fix="Save the file as UTF-8: iconv -f OLD -t UTF-8 FILE",
    ),
    "R114": Code(
        title="the recipe is empty",
        why="There is nothing to do.",
        fix="Start from a shipped recipe: recipe init quickstart",
    ),
    "R115": Code(
        title="the recipe is larger than 1 MiB",
        why="A recipe is a page; a file of this size is something else, often the data.",
        fix="Put the data into its own file and name it under data.sources.",
    ),
    "R116": Code(
        title="nested more than 32 levels deep",
        why="No recipe needs it, and deep nesting is how files attack their readers.",
        fix="Flatten the value.",
    ),
    "R117": Code(
        title="anchors, aliases and merge keys are not part of recipes",
        why="With them a line changes places far from it, which a review of the diff cannot see; "
        "and a few bytes can grow to gigabytes.",
        fix="Write the value out where it is used.",
    ),
    "R118": Code(
        title="tags are not part of recipes",
        why="A tag can make a reader build objects; a recipe is data, safe to read from anyone.",
        fix="Delete the tag; quote the value if it shall be text.",
    ),
    "R119": Code(
        title="a recipe is one document without directives",
        why="Other tools would read only the first document, or another YAML version.",
        fix="Keep one document per file and delete lines that start with `%`.",
    ),
    "R120": Code(
        title="a key that is not text",
        why="An unquoted `0` or `true` is a number or a boolean, not the text in your data.",
        fix='Quote it: "0": ham',
    ),
    "R121": Code(
        title="not a finite number of usual size",
        why="Infinity, NaN and numbers beyond 2^63 compare and compute in surprising ways.",
        fix="Write an ordinary number.",
    ),
    "R122": Code(
        title="invisible control character",
        why="Control and text-direction characters make a file read differently than it looks.",
        fix="Delete the character at the place named.",
    ),
    "R123": Code(
        title="the parent of a recipe is not there",
        why="`extends` is read from the folder of the recipe, and nothing is known without it.",
        fix="Correct the path, or take the line out and say everything in one file.",
    ),
    "R124": Code(
        title="a parent with a parent",
        why="What a recipe says must be found in two files at most, or nobody can review it.",
        fix="Move what is shared into one parent, and let that extend nothing.",
    ),
    "R125": Code(
        title="a parent that is not beside the recipe",
        why="An absolute path or a URL means something on one machine, or today, only; a recipe never "
        "depends on what another place serves.",
        fix="Copy the parent into the repository and name it relative to the recipe's folder.",
    ),
    "R127": Code(
        title="a line that cannot be edited in place",
        why="`recipe pin` adds one line or replaces one word; a value over several lines leaves no place "
        "for that.",
        fix="recipe fmt FILE, and try again.",
    ),
    "R126": Code(
        title="the name comes from the parent",
        why="Runs, reports and exported files of all recipes that extend the same parent would go "
        "under one name, and each would be compared with the last accepted model of the others.",
        fix="Give the recipe a `name:` of its own.",
    ),
}

_MEANING = {
    "R201": Code(
        title="no such metric",
        why="A bound on a metric that does not exist would gate nothing.",
        fix="Each kind of task has its own metrics; the message lists them, and so does "
        "docs/how-to/choose-metrics.md.",
    ),
    "R202": Code(
        title="a bound that no model can reach on so few rows",
        why="With decide_on: lower_bound the interval's lower end decides. Even without a single "
        "error it stays below 1: with n rows it is n / (n + z²), z = 1.96 at 95 percent.",
        fix="Lower the bound or enlarge the holdout.",
    ),
    "R203": Code(
        title="a bound that points the wrong way",
        why="A metric that is better when higher is bound from below, one that is better when "
        "lower from above; the other direction would refuse the better model.",
        fix="Write `min` for what shall be high, `max` for what shall be low.",
    ),
    "R204": Code(
        title="adapter keys with full fine-tuning",
        why="rank, alpha, dropout and target_modules describe an adapter; full has none.",
        fix="Delete the keys, or choose kind: lora.",
    ),
    "R205": Code(
        title="micro_batch_size does not divide batch_size",
        why="A step is a whole number of forward passes.",
        fix="Use a divisor of batch_size.",
    ),
    "R206": Code(
        title="alpha below rank",
        why="The adapter's effect is scaled by alpha / rank; below 1 it is damped, which is rarely "
        "meant.",
        fix="Usual is alpha = 2 * rank.",
    ),
    "R207": Code(
        title="a metric that cannot be judged here",
        why="agreement compares the quantized file with the merged model; valid_output does not "
        "exist for baselines, which can only answer in labels.",
        fix="Move the bound to the section the message names, or delete it.",
    ),
    "R208": Code(
        title="split sizes of two kinds",
        why="Rows and fractions together leave open what is shared out first.",
        fix="Write all three as whole numbers of rows or all three as fractions below 1.",
    ),
    "R209": Code(
        title="fractions above 1 in sum",
        why="The splits share the rows; none is in two of them.",
        fix="Make train, validation and holdout add up to 1 or less.",
    ),
    "R210": Code(
        title="labels that look the same",
        why="Labels that differ in case, width or encoding only are told apart by no reader.",
        fix="Rename one of them; use data.label.relabel when the data has both spellings.",
    ),
    "R211": Code(
        title="a label that cannot be an answer",
        why="Answers are compared on one line, after blanks around them are taken off.",
        fix="Write the label on one line without blanks around it; relabel the data's value.",
    ),
    "R212": Code(
        title="no such label",
        why="A bound, bin or new name for a label that the task does not have would do nothing.",
        fix="Use one of task.labels.",
    ),
    "R213": Code(
        title="bins overlap or are empty",
        why="Both ends belong to a bin, so a number could have two labels, or a bin no rows.",
        fix="Move the ends apart.",
    ),
    "R214": Code(
        title="relabel and bins together",
        why="A value is looked up or measured, not both.",
        fix="Keep one of them.",
    ),
    "R215": Code(
        title="the input template cannot be read",
        why="`{column}` is filled from the row; a brace without partner or a template without "
        "column would give every row the same text.",
        fix='Write input: "{text}", and {{ or }} for literal braces.',
    ),
    "R216": Code(
        title="the instruction does not name the labels",
        why="The untuned model cannot guess labels it was never told, so zero-shot and few-shot "
        "look worse than they are, and the tuned model better.",
        fix="Name them in the instruction, or write {labels} where they shall stand.",
    ),
    "R217": Code(
        title="early stopping or the best checkpoint without validation rows",
        why="Both are decided by the validation loss.",
        fix="Set splits.validation above 0, or delete early_stopping and write keep: last.",
    ),
    "R218": Code(
        title="no baseline to compare with",
        why="A gain over nothing cannot be judged.",
        fix="List at least one baseline, such as tfidf_svm.",
    ),
    "R219": Code(
        title="no such quantization",
        why="The name is llama.cpp's.",
        fix="Usual: Q8_0 (near lossless), Q5_K_M, Q4_K_M (small).",
    ),
    "R288": Code(
        title="a quantization that needs an importance matrix",
        why="With three bits a weight and fewer, llama.cpp has to know which weights matter, and refuses otherwise.",
        fix="Write `importance_matrix: true` under export: it is made from the training split.",
    ),
    "R290": Code(
        title="a waiver of nothing that the recipe language knows",
        why="It would accept nothing, and the reviewer would believe that it does.",
        fix="Name the key as `recipe diff` writes it, such as `acceptance.metrics.macro_f1.min`, or the code"
        " of the finding, such as `W201`.",
    ),
    "R291": Code(
        title="the same waiver twice",
        why="Two reasons for one change leave open which one holds.",
        fix="Keep one of them.",
    ),
    "R220": Code(
        title="no such backend",
        why="Backends are axolotl and trl.",
        fix="Write backend: {name: axolotl}.",
    ),
    "R221": Code(
        title="quantization without a quantized format",
        why="Only gguf and ollama are quantized; the key would do nothing.",
        fix="Add gguf to export.formats, or delete the key.",
    ),
    "R222": Code(
        title="the splits ask for more rows than the sample has",
        why="They share the sampled rows.",
        fix="Enlarge data.sample.rows or shrink the splits.",
    ),
    "R223": Code(
        title="a label that no bin leads to",
        why="With bins, a label without one has no rows: it can be neither learned nor judged.",
        fix="Add a bin, or delete the label.",
    ),
    "R225": Code(
        title="a field in the instruction that is not filled in",
        why="Only {labels} is replaced there; columns belong to task.input.",
        fix="Move the column to task.input.",
    ),
    "R226": Code(
        title="header or quoting for a format that has none",
        why="They speak of csv and tsv; elsewhere they would be ignored.",
        fix="Delete the key, or correct format.",
    ),
    "R227": Code(
        title="a column that the header does not list",
        why="The file has no header line, so its columns are exactly those listed.",
        fix="Correct the column's name or the header.",
    ),
    "R228": Code(
        title="the input shows the label",
        why="A model that is shown the answer learns to copy it and passes every gate.",
        fix="Take the label's column out of task.input.",
    ),
    "R230": Code(
        title="no such encoding",
        why="The file cannot be decoded.",
        fix="Usual: utf-8, latin-1, cp1252, utf-16.",
    ),
    "R231": Code(
        title="the file's name does not tell its format",
        why="auto looks at the ending: .jsonl, .json, .csv, .tsv, .parquet, also before .gz, .zst.",
        fix="Add format: to the source.",
    ),
}

_REFERENCES = {
    "R301": Code(
        title="a reference that can move",
        why="A hub repository or a package that is not pinned can change under the same recipe, "
        "and the result with it. A warning when validating, an error when running.",
        fix="`recipe pin FILE` adds revision: (hub, the full commit) and sha256: (package, file); or say "
        "allow_moving: true, which every report then repeats.",
    ),
    "R302": Code(
        title="no such file or folder",
        why="Paths are read from the recipe's folder, and lead to files with content: no named pipe, no device, no"
        " file of holes, and of rows no folder.",
        fix="Correct the path.",
    ),
    "R303": Code(
        title="a path of one machine only",
        why="Absolute paths and ~ mean nothing to the next reader of the recipe.",
        fix="Write the path relative to the recipe's folder.",
    ),
    "R304": Code(
        title="a path that leaves its archive",
        why="Paths inside archives and repositories are relative and never climb with `..`.",
        fix="Write the path as the archive lists it; `//` steps into an archive inside it.",
    ),
    "R305": Code(
        title="the same source twice",
        why="Every row would come twice and be dropped as a duplicate, or leak between splits.",
        fix="Delete one of the two.",
    ),
}

CODES: dict[str, Code] = _STRUCTURE | _MEANING | _REFERENCES
