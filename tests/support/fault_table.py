"""Faults that ruin fine-tunes in practice, each seeded from outside in several ways, and where a run says so.

What pitfalls are known of other tools is numbered F1 to F44. `docs/generate.py` writes docs/reference/faults.md of
this table, `tests/functional/faults/test_seeded.py` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping

from support.pico import CHAT_TEMPLATE
from support.seeded_faults import (
    AFTER,
    DOWN,
    EMBEDDING,
    FIRST,
    NORM,
    Fault,
    Prepare,
    Seed,
    add_tokens,
    base_of,
    batches,
    both,
    cut,
    delta,
    fill,
    head_of_its_own,
    labels,
    loss,
    masked,
    more_layers,
    off_by_one,
    pairs_left_out,
    recipe,
    rows,
    second_passes,
    settings,
    shifted,
    template,
    to_four_bits,
    weights,
    without,
)

GGUF = {"formats": ["gguf"], "quantization": "Q8_0"}
ENDLESS = both(
    template(CHAT_TEMPLATE.replace("'<|im_end|>' + ", "")),
    settings("tokenizer_config.json", lambda found: found.update(eos_token=None)),
)
THINKS = (
    CHAT_TEMPLATE.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'")
    + "{# </think> #}"
)
BEGINS = CHAT_TEMPLATE.replace(
    "'\n' + message['content']",
    "'\n' + ('Answer: ' if message['role'] == 'assistant' else '') + message['content']",
)


def in_first_step(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the trainer that is seen before a second step."""
    return Seed(prepare=prepare, code=code, where=FIRST, until="train")


def in_merge(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the merge of an accepted run."""
    return Seed(prepare=prepare, code=code, where=AFTER, until="merge", again="merge")


def noted(prepare: Prepare, code: str, until: str = "compile") -> Seed:
    """Return a seed that is counted and shown."""
    return Seed(prepare=prepare, code=code, until=until, is_note=True)


LONG = " and on and on it went" * 12

FAULTS: Mapping[str, Fault] = {
    "F1": Fault(
        name="the end of a turn is never learned",
        seeds={
            "template and tokenizer without an end": Seed(prepare=ENDLESS, code="D391"),
            "last learned token masked": in_first_step(labels(masked(-1)), "B424"),
        },
    ),
    "F2": Fault(
        name="the mask is on other tokens than the answers",
        seeds={
            "labels on the end of the prompt": in_first_step(labels(shifted), "B424"),
            "all tokens learned": in_first_step(labels(lambda ids, _: ids), "B424"),
        },
    ),
    "F4": Fault(
        name="the first token of an answer is masked, or labels are off by one",
        seeds={
            "first learned token masked": in_first_step(labels(masked(0)), "B424"),
            "labels one place too late": in_first_step(labels(off_by_one), "B424"),
        },
    ),
    "F5": Fault(
        name="nothing is learned: all labels are ignored",
        seeds={
            "in every row": in_first_step(labels(lambda ids, _: [-100] * len(ids)), "B424"),
            "in rows of an even length": in_first_step(
                labels(lambda ids, found: found if len(ids) % 2 else [-100] * len(ids)), "B424"
            ),
        },
        missed="rows of which no one is in the first batch",
    ),
    "F7": Fault(
        name="rows are cut or left out for their length",
        seeds={
            "refused": Seed(
                prepare=rows(lambda found: found[0].__setitem__(0, LONG * 3)), code="D390"
            ),
            "left out": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="drop"),
                ),
                "D410",
            ),
            "cut": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="warn"),
                ),
                "D411",
            ),
        },
    ),
    "F8": Fault(
        name="the loss of accumulated batches is scaled wrongly",
        seeds={
            "twice as large": in_first_step(loss(lambda found: found * 2), "B425"),
            "by the number of small batches": in_first_step(
                both(recipe(method__micro_batch_size=2), loss(lambda found: found / 4)), "B425"
            ),
        },
        missed="gradients that are scaled behind the loss",
    ),
    "F9": Fault(
        name="rows of one batch see each other",
        seeds={
            "positions of a shared start": noted(
                batches(lambda batch: batch["position_ids"].zero_()), "batches are plain", "train"
            ),
            "logits of other places": noted(
                batches(lambda batch: batch["logits_to_keep"].sub_(1)), "batches are plain", "train"
            ),
        },
    ),
    "F10": Fault(
        name="the loss is next to nothing from the start",
        seeds={
            "zero": in_first_step(loss(lambda found: found * 0), "B425"),
            "a thousandth": in_first_step(loss(lambda found: found / 1000), "B425"),
        },
    ),
    "F11": Fault(
        name="numbers that are none",
        seeds={
            "NaN in the base model": Seed(prepare=fill(DOWN, float("nan"), (0, 0)), code="X770"),
            "infinity in a row of the embedding": Seed(
                prepare=fill(EMBEDDING, float("inf"), (319, 0)), code="X770"
            ),
            "NaN as a loss": in_first_step(loss(lambda found: found * float("nan")), "B4"),
        },
    ),
    "F15": Fault(
        name="the merged model is not base plus adapter",
        seeds={
            "nine tenths": in_merge(delta(lambda found: found * 0.9), "X673"),
            "rounded to 4 bits": in_merge(delta(to_four_bits), "X673"),
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
        },
        missed="another tokenizer of the same size",
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
        missed="layers in another order",
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
        },
    ),
    "F31": Fault(
        name="optimizer and trainer count other steps",
        seeds={
            "two steps for one": in_first_step(second_passes("twice"), "B427"),
            "an optimizer that begins again": in_first_step(second_passes("zeroed"), "B427"),
        },
        missed="rows that a training goes on with in another order",
    ),
    "F33": Fault(
        name="a weight file is cut short",
        seeds={
            "half of it": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", 0.5),
                code="X607",
            ),
            "its last byte": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", -1),
                code="X607",
            ),
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
            "a norm that lets nothing through": in_first_step(fill(NORM, 0.0), "B426"),
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
        name="a base model that cannot foresee text",
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
