"""Faults of files, machines and what surrounds a training; a part of `support.fault_table`."""

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from support.fault_seeds import few_of, in_first_step, in_merge, labelled
from support.project import Project, rows
from support.runs import forget
from support.seeded_faults import (
    AFTER,
    Fault,
    Patch,
    Prepare,
    Seed,
    base_of,
    both,
    delta,
    recipe,
    settings,
)
from support.seeded_faults import rows as changed_rows
from support.seeded_trainer import loss


def raising(error: BaseException) -> Callable[[Any], NoReturn]:
    """Return what raises an error in the place of what it is given."""

    def change(_: Any) -> NoReturn:
        raise error

    return change


def in_the_file(prepare: Prepare, code: str) -> Seed:
    """Return a seed that shows when the exported file is asked."""
    return Seed(prepare=prepare, code=code, where=AFTER, until="verify", again="verify")


def asker(name: str, change: Callable[[Any], Any]) -> Prepare:
    """Have what asks a file take something else for a reading."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.inference.predict_gguf import GgufAsker

        real = getattr(GgufAsker, name)
        patch.setattr(GgufAsker, name, lambda self, *given: change(real(self, *given)))

    return prepare


def converted(change: Callable[[Any], object]) -> Seed:
    """Return a seed of the 16-bit file as it is converted, and so of those that are made of it."""

    def prepare(project: Project, patch: Patch) -> None:
        from engine.runtime.gguf import convert

        forget(project.folder / ".recipe", "quantize")
        real = convert.write_gguf

        def write_gguf(model: Any, target: Any, quantization: str, **given: Any) -> None:
            real(model, target, quantization, **given)
            if quantization == "F16":
                change_file(target, change)

        patch.setattr(convert, "write_gguf", write_gguf)

    return in_the_file(prepare, "settings as its model")


def quantized_as(kind: str, *, named: bool) -> Seed:
    """Return a seed of the file in 8 bits: it is made in another type, `named` under its name."""

    def prepare(project: Project, patch: Patch) -> None:
        from engine.runtime.gguf.convert import write_gguf as real

        def write_gguf(model: Any, target: Any, _: str, **given: Any) -> None:
            real(model, target, kind, **{**given, "sixteen": None})
            if named:
                change_file(target, number("general.file_type", 7))

        patch.setattr("engine.runtime.gguf.convert.write_gguf", write_gguf)
        project.edit(export={"formats": ["gguf"], "quantization": "Q8_0"})

    return in_the_file(prepare, "X819")


def number(name: str, value: float) -> Callable[[Any], object]:
    """Have a GGUF file name another number."""

    def change(reader: Any) -> None:
        field = reader.get_field(name)
        field.parts[field.data[0]][0] = value

    return change


def kinds(value: int, place: int) -> Callable[[Any], object]:
    """Have a GGUF file take tokens for others of a kind."""

    def change(reader: Any) -> None:
        field = reader.get_field("tokenizer.ggml.token_type")
        field.parts[field.data[place]][0] = value

    return change


def tensor(name: str, other: Callable[[Any, Mapping[str, Any]], Any]) -> Callable[[Any], object]:
    """Have a GGUF file hold another tensor; all of its own are at hand."""

    def change(reader: Any) -> None:
        tensors = {one.name: one.data for one in reader.tensors}
        tensors[name][...] = other(tensors[name], tensors)

    return change


def change_file(path: Any, change: Callable[[Any], object]) -> None:
    """Change a GGUF file where it lies."""
    from gguf import GGUFReader

    reader = GGUFReader(path, "r+")
    change(reader)
    reader.data.flush()


def sent(change: Callable[[list[int]], object]) -> Prepare:
    """Have llama.cpp add tokens to prompts by itself, or lose them."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.llama import client

        ask = client.ask_gguf

        def ask_gguf(*given: Any, **named: Any) -> Any:
            found = ask(*given, **named)
            for ids in found.sent:
                change(ids)
            return found

        patch.setattr(client, "ask_gguf", ask_gguf)

    return prepare


def renamed_pairs(change: Callable[[str], str]) -> Prepare:
    """Have an adapter name its tensors otherwise."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.models import merge

        real = merge._read_pairs

        def read(adapter: Any) -> Any:
            return {change(name): pair for name, pair in real(adapter).items()}

        patch.setattr(merge, "_read_pairs", read)

    return prepare


def full_disk(number: int) -> Prepare:
    """Have the merge find no room."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.models import merge

        patch.setattr(merge, "copy_beside", raising_all(OSError(number, "no room")))

    return prepare


def raising_all(error: BaseException) -> Callable[..., NoReturn]:
    """Return a function that raises an error whatever it is given."""

    def function(*_: Any, **__: Any) -> NoReturn:
        raise error

    return function


def taught_by(change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Have a teacher that reads text by another tokenizer."""

    def prepare(project: Project, _: Patch) -> None:
        other = project.folder / "other"
        shutil.copytree(base_of(project), other)
        file = other / "tokenizer.json"
        found = json.loads(file.read_text(encoding="utf-8"))
        change(found)
        file.write_text(json.dumps(found), encoding="utf-8")
        known = {text for text, _ in rows(140)}
        texts = [text for text, _ in rows(200, seed=5) if text not in known][:12]
        (project.folder / "unlabelled.csv").write_text("\n".join(["text", *texts]), "utf-8")
        project.edit(
            teacher={
                "model": {"path": "other"},
                "targets": "soft",
                "inputs": {"sources": [{"path": "unlabelled.csv"}]},
            },
            splits__train=30,
        )

    return prepare


def swapped(found: dict[str, Any]) -> None:
    """Give two words each other's numbers."""
    words = found["model"]["vocab"]
    first, second = sorted(words, key=lambda word: int(words[word]))[300:302]
    words[first], words[second] = words[second], words[first]


def another_word(found: dict[str, Any]) -> None:
    """Write one word of the vocabulary otherwise."""
    words = found["model"]["vocab"]
    last = max(words, key=lambda word: int(words[word]))
    words[f"{last}x"] = words.pop(last)


OF_MACHINES: Mapping[str, Fault] = {
    "F14": Fault(
        name="prompts are written otherwise in evaluation",
        seeds={
            "a token more at the end": in_the_file(
                asker("_trained_ids", lambda ids: [[*one, 1] for one in ids]),
                "training and transformers read",
            ),
            "without the first token": in_the_file(
                asker("_trained_ids", lambda ids: [one[1:] for one in ids]),
                "training and transformers read",
            ),
        },
    ),
    "F17": Fault(
        name="a merge in 16 bits loses small changes",
        seeds={
            "bfloat16": in_merge(delta(lambda found: found.bfloat16().float()), "X673"),
            "float16": in_merge(delta(lambda found: found.half().float()), "X673"),
        },
    ),
    "F21": Fault(
        name="the name of an adapter hides its tensors",
        seeds={
            "of another layer": in_merge(
                renamed_pairs(lambda name: name.replace(".layers.1.", ".layers.7.")), "X62"
            ),
            "of another module": in_merge(
                renamed_pairs(lambda name: name.replace("q_proj", "query")), "X62"
            ),
        },
    ),
    "F24": Fault(
        name="a template that is guessed by its name",
        seeds={
            "Llama 2's": in_the_file(
                asker("_by_the_file", lambda texts: [f"[INST] {one} [/INST]" for one in texts]),
                "chat template in the file writes",
            ),
            "Alpaca's": in_the_file(
                asker("_by_the_file", lambda texts: [f"### Instruction:\n{one}" for one in texts]),
                "chat template in the file writes",
            ),
        },
    ),
    "F25": Fault(
        name="the file holds a stale template",
        seeds={
            "that writes a sentence more": in_the_file(
                asker("_by_the_file", lambda texts: [f"Be brief. {one}" for one in texts]),
                "chat template in the file writes",
            ),
            "that does not open the answer": in_the_file(
                asker("_by_the_file", lambda texts: [one.rstrip("\n") for one in texts]),
                "chat template in the file writes",
            ),
        },
    ),
    "F26": Fault(
        name="a first token is added twice or lost",
        seeds={
            "one more": in_the_file(sent(lambda ids: ids.insert(0, 1)), "special tokens make them"),
            "one less": in_the_file(sent(lambda ids: ids.pop(0)), "special tokens make them"),
        },
    ),
    "F58": Fault(
        name="the file is not of its model",
        seeds={
            "another base of positions": converted(number("llama.rope.freq_base", 1e6)),
            "another term of its norms": converted(
                number("llama.attention.layer_norm_rms_epsilon", 1e-3)
            ),
            "a window of 64 tokens": converted(number("llama.context_length", 64)),
            "an end that is an ordinary word": converted(
                number("tokenizer.ggml.eos_token_id", 100)
            ),
            "a start that is another token": converted(number("tokenizer.ggml.bos_token_id", 5)),
            "a word that is a mark": converted(kinds(3, 310)),
            "a letter that is a mark": converted(kinds(3, 95)),
            "a tensor of zeros": converted(tensor("blk.1.ffn_down.weight", lambda own, _: own * 0)),
            "a tensor of another layer": converted(
                tensor("blk.1.attn_q.weight", lambda _, every: every["blk.0.attn_q.weight"])
            ),
        },
        missed="numbers of architectures that the converter computes; token ids that nothing reads, as that of padding",
    ),
    "F29": Fault(
        name="tensors fall back to other types",
        seeds={
            "all to one of fewer bits": quantized_as("Q4_0", named=False),
            "all to one of fewer bits, under the name of the other": quantized_as(
                "Q4_0", named=True
            ),
            "all to 16 bits, under the name of the other": quantized_as("F16", named=True),
        },
        missed="those whose rows do not fit the type's blocks: they are counted in the report",
    ),
    "F34": Fault(
        name="the disk fills up",
        seeds={
            "while a merge is written": in_merge(full_disk(errno.ENOSPC), "E710"),
            "for this user alone": in_merge(full_disk(errno.EDQUOT), "E710"),
        },
    ),
    "F36": Fault(
        name="memory runs out",
        seeds={
            "in the first step": in_first_step(loss(raising(MemoryError())), "E740"),
            "of the GPU, in the first step": in_first_step(
                loss(raising(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))), "E740"
            ),
            "in the merge": in_merge(delta(raising(MemoryError())), "E740"),
        },
    ),
    "F39": Fault(
        name="a holdout without a class",
        seeds={
            "of one class": Seed(
                prepare=changed_rows(few_of("positive", 0)), code="D361", until="data"
            ),
            "of next to no rows of a class": Seed(
                prepare=both(
                    recipe(data__checks__missing_classes="fail"),
                    changed_rows(few_of("positive", 3)),
                ),
                code="D312",
                until="data",
            ),
        },
    ),
    "F43": Fault(
        name="two answers of the same tokens",
        seeds={
            "labels that differ in case": Seed(prepare=labelled("good", "Good"), code="R210"),
            "labels whose letters look alike": Seed(
                prepare=labelled("positive", "p\u043esitive"), code="R21"
            ),
            "labels that a tokenizer reads as one": Seed(
                prepare=both(
                    labelled("group 1", "group 2"),
                    settings(
                        "tokenizer.json",
                        lambda found: found.update(
                            normalizer={
                                "type": "Replace",
                                "pattern": {"Regex": "[0-9]"},
                                "content": "",
                            }
                        ),
                    ),
                    recipe(baselines=["majority", "zero_shot"]),
                ),
                code="X841",
            ),
        },
    ),
    "F44": Fault(
        name="a teacher of another tokenizer",
        seeds={
            "two words in each other's place": Seed(prepare=taught_by(swapped), code="X744"),
            "one word written otherwise": Seed(prepare=taught_by(another_word), code="X744"),
        },
    ),
}
