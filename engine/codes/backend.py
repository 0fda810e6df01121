"""Pages of B4xx (backends, training) and of D39x (rows as they are trained)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "B401": Code(
        title="the backend does not exist",
        why="Two backends train: axolotl in a process of its own, trl in this one.",
        fix="backend: {name: axolotl}",
    ),
    "B402": Code(
        title="the backend is not installed",
        why="Training stacks are extras, so that validating and reviewing recipes need none of them.",
        fix="pip install 'slm-recipe[axolotl]' or pip install 'slm-recipe[train]'",
    ),
    "B403": Code(
        title="another version of the backend than the pinned one",
        why="A config is compiled from the closed key list of one version; others drop or reinterpret keys silently.",
        fix="install the version that the message names",
    ),
    "B404": Code(
        title="an override names a key the backend does not have",
        why="Trainers drop unknown keys silently, so a typing mistake would change nothing and look like a setting.",
        fix="use a key of the list in the message, or remove the line from backend.overrides",
    ),
    "B405": Code(
        title="an override names a key that the recipe already decides",
        why="Each thing is stated in one place, so that a review of the recipe sees it.",
        fix="set the recipe's own key, such as method.rank, and remove the override",
    ),
    "B406": Code(
        title="an override names a key that recipes may not set",
        why="The key could run code, reach the network, write elsewhere, or change what the gate judges.",
        fix="remove the line from backend.overrides",
    ),
    "B407": Code(
        title="an override has a value of the wrong kind",
        why="Trainers coerce or ignore such values.",
        fix="write a value of the kind that the message names",
    ),
    "B408": Code(
        title="the method does not run on this device",
        why="4-bit training needs bitsandbytes kernels, which exist for NVIDIA GPUs and CPUs.",
        fix="method: {kind: lora}",
    ),
    "B409": Code(
        title="fp16 training on a device that cannot",
        why="float16 gradients overflow without a loss scaler, which only GPUs have.",
        fix="backend: {precision: auto}",
    ),
    "B410": Code(
        title="bf16 asked for on a device without it",
        why="bfloat16 is then emulated, several times slower than fp32, or refused.",
        fix="backend: {precision: auto}",
    ),
    "B411": Code(
        title="the trainer failed",
        why="The trainer ended with an error; the last lines of its log are shown.",
        fix="mend what the log says and run the same command again: training continues from its last checkpoint",
    ),
    "B412": Code(
        title="training left no whole checkpoint",
        why="A trainer can end without an error and without a result; only whole weight files and its own state count."
        " A checkpoint whose bytes are not those of its digests.json is set aside, and an older one is taken.",
        fix="run the same command again; the log is train.log in the scratch folder",
    ),
    "B413": Code(
        title="training stopped before its last step",
        why="Fewer steps than planned were done, and early stopping was not the reason: the process was interrupted.",
        fix="run the same command again: training continues from its last checkpoint",
    ),
    "B414": Code(
        title="a loss or gradient became infinite or not a number",
        why="Nothing after it can be trusted, and the weights may be damaged without anything else failing. Up to the"
        " first step it comes from the base model or the precision, later mostly from the learning rate.",
        fix="method: {learning_rate: 1e-4}   # lower than before; at step 0 or 1 another base model",
    ),
    "B415": Code(
        title="trained weights are not finite",
        why="Such an adapter loads without complaint and answers nonsense.",
        fix="lower method.learning_rate, or set backend.precision: fp32",
    ),
    "B416": Code(
        title="training changed nothing",
        why="All deltas are zero, so the model is the base model with another name.",
        fix="raise method.learning_rate or method.epochs; where every gradient was zero, use another base model",
    ),
    "B417": Code(
        title="the trained weights do not fit together",
        why="Tensors without a partner would be ignored when the adapter is loaded or merged.",
        fix="train again: recipe run RECIPE --force train",
    ),
    "B418": Code(
        title="training ran in another precision than planned",
        why="Trainers fall back silently; a report that says bf16 must mean it.",
        fix="set backend.precision to what the message says was used",
    ),
    "B419": Code(
        title="no setting of the sweep could be judged",
        why="Every setting's training ran away, or the metric that chooses is undefined on the validation rows.",
        fix="lower the learning rates of the sweep, or choose by another metric: sweep: {choose_by: accuracy}",
    ),
    "B420": Code(
        title="training on other devices than planned",
        why="With several GPUs or processes trainers multiply the batch and cut the steps, or wait for processes that"
        " nobody started; the recipe's batch, steps and epochs hold for one process with one device.",
        fix="start `recipe` by itself, not under torchrun, srun or accelerate launch; choose the GPU by"
        " CUDA_VISIBLE_DEVICES",
    ),
    "B421": Code(
        title="the trainer is about to take other steps, or other rows a step, than planned",
        why="Rows per device times accumulation times processes is the recipe's batch, and steps are its epochs times"
        " the rows that are trained on; else another training than the recipe's would stand in the report.",
        fix="run the same command again; remove what changes the batch in the environment",
    ),
    "B422": Code(
        title="training ended after other epochs than planned",
        why="A trainer can take every step and yet go through half of the rows, or several times through all of them.",
        fix="run the same command again: these checkpoints are set aside, and it trains from the start",
    ),
    "B423": Code(
        title="an evaluation changes the gradients",
        why="bitsandbytes can repack 4-bit weights when a model is evaluated on a CPU; the gradients of every later"
        " step are wrong then, while losses look healthy. One row is tried before the first step.",
        fix="method: {kind: lora}   # or train on a GPU, or install the bitsandbytes that `uv sync` names",
    ),
    "D390": Code(
        title="rows are longer than method.max_length",
        why="A trainer would cut them, answer included, or drop them without a word.",
        fix="raise method.max_length, or say data.checks.truncation: drop",
    ),
    "D391": Code(
        title="rows without a token to learn from",
        why="Their loss is zero over zero; trainers skip them or break on them.",
        fix="give every label a text",
    ),
    "D392": Code(
        title="a text holds markers of the model's chat template",
        why="A text such as <|im_end|> would end its own turn and could speak as the assistant.",
        fix="remove these rows, or write the marker differently in the data",
    ),
}
