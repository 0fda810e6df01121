"""Faults that ruin fine-tunes in practice, each seeded from outside in several ways, and where a run says so.

What pitfalls are known of other tools is numbered F1 to F44. `docs/generate.py` writes docs/reference/faults.md of
this table, `tests/functional/faults/test_seeded.py` runs it.
"""

from collections.abc import Mapping

from support.fault_seeds import in_first_step, in_merge, in_trainer, moved, noted, twice
from support.faults_of_base_models import OF_BASE_MODELS, trained
from support.faults_of_environments import OF_ENVIRONMENTS
from support.faults_of_interruptions import OF_INTERRUPTIONS
from support.faults_of_machines import OF_MACHINES
from support.faults_of_padding import OF_PADDING
from support.faults_of_rows import OF_ROWS
from support.faults_of_steps import OF_STEPS, same_draw
from support.faults_of_texts import OF_TEXTS, swapped_bytes, with_mark
from support.faults_of_training import OF_TRAINING
from support.pico import CHAT_TEMPLATE
from support.seeded_faults import (
    AFTER,
    DOWN,
    EMBEDDING,
    TRAINING,
    Fault,
    Seed,
    add_tokens,
    another_byte,
    base_of,
    both,
    cut,
    delta,
    fill,
    head_of_its_own,
    index_of,
    misread,
    more_layers,
    pairs_left_out,
    recipe,
    rolled_answers,
    rows,
    settings,
    template,
    to_four_bits,
    weights,
    without,
)
from support.seeded_trainer import (
    batched_rows,
    of_other_tokens,
    second_passes,
    trained_rows,
    unshuffled,
    validated_on_train,
    without_gradient,
)

TOKENS = "texts of all kinds"
GGUF = {"formats": ["gguf"], "quantization": "Q8_0"}
THINKS = (
    CHAT_TEMPLATE.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'")
    + "{# </think> #}"
)
BEGINS = CHAT_TEMPLATE.replace(
    "'\n' + message['content']",
    "'\n' + ('Answer: ' if message['role'] == 'assistant' else '') + message['content']",
)


FAULTS: Mapping[str, Fault] = {
    **OF_TRAINING,
    **OF_STEPS,
    **OF_ROWS,
    **OF_PADDING,
    **OF_MACHINES,
    **OF_TEXTS,
    **OF_BASE_MODELS,
    **OF_INTERRUPTIONS,
    **OF_ENVIRONMENTS,
    "F15": Fault(
        name="the merged model is not base plus adapter",
        seeds={
            "nine tenths": in_merge(delta(lambda found: found * 0.9), "X673"),
            "rounded to 4 bits": in_merge(delta(to_four_bits), "X673"),
        },
    ),
    "F16": Fault(
        name="the merge takes another base model",
        seeds={
            "one bit of it": in_merge(another_byte, "X674"),
            "an adapter of another scale": in_merge(delta(lambda found: found * 2), "X673"),
        },
    ),
    "F18": Fault(
        name="the merge leaves the adapter out",
        seeds={
            "all of it": in_merge(delta(lambda found: found * 0), "X624"),
            "one layer": in_merge(pairs_left_out(".layers.1."), "X624"),
            "one module": in_merge(pairs_left_out("down_proj"), "X624"),
        },
    ),
    "F19": Fault(
        name="input and output share a matrix",
        seeds={
            "an adapter on the head": Seed(
                prepare=recipe(method__target_modules=["lm_head", "q_proj"]), code="R352"
            ),
            "an adapter on the embedding": Seed(
                prepare=recipe(method__target_modules=["embed_tokens"]), code="R352"
            ),
            "a head of its own in the file": Seed(prepare=weights(head_of_its_own), code="X774"),
        },
    ),
    "F20": Fault(
        name="tokens and rows of the embedding do not match",
        seeds={
            "one token more": Seed(prepare=add_tokens(1), code="X693"),
            "ten tokens more": Seed(prepare=add_tokens(10), code="X693"),
            "an embedding cut short": Seed(
                prepare=weights(
                    lambda found: found.__setitem__(EMBEDDING, found[EMBEDDING][:300].clone())
                ),
                code="X692",
            ),
            "two bytes in each other's place": noted(
                trained(settings("tokenizer.json", swapped_bytes)), "X846"
            ),
            "merges are missing": Seed(
                prepare=trained(
                    settings(
                        "tokenizer.json",
                        lambda found: found["model"].update(merges=found["model"]["merges"][:20]),
                    )
                ),
                code="X846",
            ),
        },
        missed="another tokenizer of the same size with which the model reads English nearly as well",
    ),
    "F22": Fault(
        name="weights and configuration are of different models",
        seeds={
            "a missing tensor": Seed(prepare=without(DOWN), code="X692"),
            "a missing head": Seed(
                prepare=settings(
                    "config.json", lambda found: found.update(tie_word_embeddings=False)
                ),
                code="X692",
            ),
            "a layer too many": Seed(prepare=weights(more_layers), code="X773"),
            "a wider configuration": Seed(
                prepare=settings("config.json", lambda found: found.update(intermediate_size=256)),
                code="X692",
            ),
        },
    ),
    "F23": Fault(
        name="users ask otherwise than training does",
        seeds={
            "a prompt that begins to think": Seed(prepare=template(THINKS), code="X671"),
            "words before an answer that a prompt leaves out": Seed(
                prepare=template(BEGINS), code="X671"
            ),
        },
    ),
    "F27": Fault(
        name="the converter does not know the tokenizer",
        seeds={
            "text split at white space": Seed(
                prepare=both(
                    recipe(export=GGUF),
                    settings(
                        "tokenizer.json",
                        lambda found: found.update(pre_tokenizer={"type": "Whitespace"}),
                    ),
                ),
                code="X772",
            ),
            "text brought to another form first": Seed(
                prepare=both(
                    recipe(export=GGUF),
                    settings(
                        "tokenizer.json", lambda found: found.update(normalizer={"type": "NFKC"})
                    ),
                ),
                code="X772",
            ),
            "a mark that swallows white space": Seed(
                prepare=both(recipe(export=GGUF), settings("tokenizer.json", with_mark("lstrip"))),
                code="X844",
            ),
            "a class that reads texts otherwise": Seed(
                prepare=both(
                    recipe(export=GGUF),
                    settings(
                        "tokenizer_config.json",
                        lambda found: found.update(tokenizer_class="LlamaTokenizer"),
                    ),
                ),
                code="X844",
            ),
        },
    ),
    "F28": Fault(
        name="the file reads text as other tokens",
        seeds={
            "one text of fifty": Seed(
                prepare=misread(50), code=TOKENS, where=AFTER, until="verify", again="verify"
            ),
            "every text": Seed(
                prepare=misread(1), code=TOKENS, where=AFTER, until="verify", again="verify"
            ),
        },
        missed="fewer than one text of a hundred is a warning",
    ),
    "F31": Fault(
        name="optimizer and trainer count other steps",
        seeds={
            "two steps for one": in_first_step(second_passes("twice"), "B427"),
            "an optimizer that begins again": in_first_step(second_passes("zeroed"), "B427"),
        },
        missed="rows that a training goes on with in another order",
    ),
    "F35": Fault(
        name="rows that were prepared before",
        seeds={
            "of another tokenizer": in_trainer(trained_rows(of_other_tokens), "B424"),
            "of an earlier recipe": in_trainer(
                trained_rows(
                    lambda found: [{**row, "labels": list(row["input_ids"])} for row in found]
                ),
                "B424",
            ),
            "of fewer rows": in_trainer(
                trained_rows(lambda found: found[: len(found) // 2]), "B421"
            ),
        },
    ),
    "F54": Fault(
        name="the trainer learns other rows than were rendered",
        seeds={
            "one left out": in_trainer(trained_rows(lambda found: found[:-1]), "B452"),
            "one in the place of another": in_trainer(
                trained_rows(lambda found: [*found[:-1], found[0]]), "B452"
            ),
            "training rows in the place of validation rows": in_trainer(validated_on_train, "B452"),
            "in the order of the file": Seed(
                prepare=unshuffled, code="B452", where=TRAINING, until="train"
            ),
            "in the same order in every epoch": Seed(
                prepare=both(recipe(method__epochs=2), same_draw),
                code="B452",
                where=TRAINING,
                until="train",
            ),
            "the first batch in every step": Seed(
                prepare=batched_rows(lambda first: first),
                code="B452",
                where=TRAINING,
                until="train",
            ),
        },
    ),
    "F33": Fault(
        name="a weight file is cut short",
        seeds={
            "half of it": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", 0.5),
                code="X607",
            ),
            "a file that the index names is missing": Seed(
                prepare=index_of("model-00002-of-00002.safetensors"), code="X606"
            ),
            "its last byte": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", -1),
                code="X607",
            ),
        },
    ),
    "F37": Fault(
        name="rows of the holdout are in training",
        seeds={
            "with another number": Seed(
                prepare=both(
                    recipe(data__checks__leakage="fail", data__checks__near_duplicates="off"),
                    rows(
                        lambda found: [
                            one.__setitem__(0, found[0][0] + f" {n}")
                            or one.__setitem__(1, found[0][1])
                            for n, one in enumerate(found)
                        ]
                    ),
                ),
                code="D310",
            ),
        },
    ),
    "F38": Fault(
        name="the same text has two labels",
        seeds={
            "in some rows": Seed(prepare=rows(twice(40)), code="D307", until="data"),
            "in two rows": Seed(prepare=rows(twice(2)), code="D307", until="data"),
        },
        missed="labels that were shuffled: only a score next to the majority's shows it",
    ),
    "F61": Fault(
        name="labels stand in another row than their texts",
        seeds={
            "one row too late": noted(rows(moved(1)), "seem to stand one row off", "data"),
            "one row too early": noted(rows(moved(-1)), "seem to stand one row off", "data"),
        },
        missed="labels of rows that are sampled or stand further away; fewer than a hundred rows",
    ),
    "F73": Fault(
        name="the answers of a baseline are one row off",
        seeds={
            "of the row before": Seed(
                prepare=both(recipe(baselines=["tfidf_svm"]), rolled_answers(1)), code="G523"
            ),
            "of the row after": Seed(
                prepare=both(recipe(baselines=["tfidf_svm"]), rolled_answers(-1)), code="G523"
            ),
        },
        missed="fewer than some fifty rows; rows that stand in the order of their labels",
    ),
    "F41": Fault(
        name="YAML takes a word for something else",
        seeds={
            "labels that are no and yes": Seed(
                prepare=recipe(task__labels=[False, True]), code="R"
            ),
            "a rate that is a word": Seed(prepare=recipe(method__learning_rate="fast"), code="R"),
        },
    ),
    "F42": Fault(
        name="an adapter on what is dead",
        seeds={
            "a matrix of zeros": Seed(prepare=fill(DOWN, 0.0), code="X771"),
            "a quarter of its rows": Seed(prepare=fill(DOWN, 0.0, slice(0, 16)), code="X771"),
            "half of its columns": Seed(
                prepare=fill(DOWN, 0.0, (slice(None), slice(0, 64))), code="X771"
            ),
            "gradients of one module are lost": in_first_step(without_gradient("q_proj"), "B426"),
        },
    ),
    "F45": Fault(
        name="the prompt holds what changes from day to day",
        seeds={
            "a random word": Seed(
                prepare=template("{{ ['a', 'b'] | random }}" + CHAT_TEMPLATE), code="X670"
            ),
            "a date in a form that cannot be fixed": Seed(
                prepare=template("{% set now = strftime_now %}{{ now('%d') }}" + CHAT_TEMPLATE),
                code="X670",
            ),
        },
    ),
    "F46": Fault(
        name="a base model that cannot predict text",
        seeds={
            "an embedding that is much too large": in_first_step(
                weights(lambda found: found[EMBEDDING].mul_(50)), "B428"
            ),
            "a last norm that is much too large": in_first_step(
                weights(lambda found: found["model.norm.weight"].mul_(50)), "B428"
            ),
        },
        missed="a model that only guesses: a blank one does, too",
    ),
}
