"""The folder of the model that training starts from: a base model as it is, some of its layers, or a blank one."""

import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError
from engine.progress import Progress, mention
from engine.recipe.model import BaseModel, FewerLayers, NewTokenizer, Scratch
from engine.recipe.references import kept_layers
from engine.runtime.models.base_model import (
    FOLDER,
    locate_base_model,
    locate_tokenizer,
    validated_folder,
)
from engine.runtime.models.weights import weight_files
from engine.store import Cached, sha256_of
from engine.values import Value

ENDING: Final = "<|endoftext|>"
"""Stands before and behind every document: nothing else says where one begins."""
PADDING: Final = "<|padding|>"
LEAST_PAIRS: Final = 2
"""A pair that the text has once only is no evidence for a token."""


def write_byte_pairs(texts: Iterable[str], folder: Path, *, size: int) -> None:
    """Train a tokenizer of so many tokens: same texts, same bytes. StageError X740 where they have too few pairs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=LEAST_PAIRS,
        special_tokens=[ENDING, PADDING],
        # Every byte is a token, also one that the training text does not have: otherwise it would be dropped.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = tokenizer.get_vocab_size()
    if made < size:
        what = (
            f"the training split is too short for a tokenizer of {size:,} tokens: it gives {made:,}"
        )
        hint = f"write `size: {made}` or less, or train on more text"
        raise StageError.one("X740", what, path="base_model.scratch.tokenizer.size", hint=hint)
    ending = tokenizer.token_to_id(ENDING)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{ENDING} $A", special_tokens=[(ENDING, ending)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=ENDING,
        eos_token=ENDING,
        pad_token=PADDING,
        add_bos_token=True,
        add_eos_token=False,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


SPREAD: Final = 0.02
"""Standard deviation of the first weights, as in GPT-2."""
_INTO_SUM: Final = re.compile(r"\.(o_proj|down_proj)\.weight$")
"""Matrices whose results are added up over the layers."""
_ONES: Final = re.compile(r"norm\.weight$")
TOKENIZER_PARTS: Final = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "*.jinja")
MORE_PARTS: Final = ("vocab.json", "vocab.txt", "merges.txt")


def blank_config(blank: Scratch, vocabulary: int, special: Mapping[str, int | None]) -> Any:
    """Return the transformers configuration of a blank model; `special` are ids such as `bos_token_id`."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=blank.width,
        intermediate_size=blank.feed_forward,
        num_hidden_layers=blank.layers,
        num_attention_heads=blank.heads,
        num_key_value_heads=blank.kv_heads,
        max_position_embeddings=blank.context,
        initializer_range=SPREAD,
        # One matrix for both ends: of a small model the embeddings are a large part.
        tie_word_embeddings=True,
        # In 16 bits the small steps of training would round to nothing.
        dtype="float32",
        architectures=["LlamaForCausalLM"],
        **special,
    )


def write_blank_model(blank: Scratch, folder: Path) -> dict[str, Any]:
    """Write config.json and weights beside a folder's tokenizer: same seed, same bytes. StageError X743."""
    import torch
    from safetensors.torch import save_file

    from engine.runtime.rendering.chat import load_chat

    tokenizer = load_chat(folder, asks=False).tokenizer
    if tokenizer.eos_token_id is None:
        what = (
            "the tokenizer has no token that ends a text, so a model could not learn where one ends"
        )
        hint = "name one that has an `eos_token`, or train one: `{train: byte_pairs, size: 512}`"
        raise StageError.one("X743", what, path="base_model.scratch.tokenizer", hint=hint)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    special = {name: getattr(tokenizer, name) for name in names}
    config = blank_config(blank, len(tokenizer), special)
    config.save_pretrained(folder)
    weights = dict[str, Any]()
    generator = torch.Generator().manual_seed(blank.seed)
    # Drawn here, so that no version of transformers changes the first weights.
    for name, sizes in parameters_of(config):
        if _ONES.search(name):
            weights[name] = torch.ones(sizes)
            continue
        # What all layers add to their sum would else grow with their number (GPT-2, section 2.3).
        spread = SPREAD / math.sqrt(2 * blank.layers) if _INTO_SUM.search(name) else SPREAD
        weights[name] = torch.empty(sizes).normal_(0.0, spread, generator=generator)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return {
        "vocabulary": len(tokenizer),
        "parameters": sum(one.numel() for one in weights.values()),
    }


def parameters_of(config: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and sizes of the weights of a configuration, in a fixed order; none is made."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    yield from sorted((name, tuple(one.shape)) for name, one in model.named_parameters())


def copy_tokenizer(found: Path, folder: Path) -> None:
    for pattern in (*TOKENIZER_PARTS, *MORE_PARTS):
        for path in sorted(found.glob(pattern)):
            shutil.copyfile(path, folder / path.name)
    # Some tokenizers are found by the type of their model alone.
    if not (folder / "tokenizer_config.json").exists():
        (folder / "tokenizer_config.json").write_text(json.dumps({}) + "\n", encoding="utf-8")


_LAYER: Final = re.compile(r"^(?P<before>.*?(?:layers|blocks|h)\.)(?P<number>\d+)(?P<rest>\..+)$")
_BETWEEN_LAYERS: Final = ("num_kv_shared_layers", "mlp_only_layers")
"""Settings by which a layer leans on the number of another one."""
_WEIGHTS: Final = (".safetensors", ".safetensors.index.json")


def write_fewer_layers(
    folder: Path, target: Path, keep: str | int | Sequence[int]
) -> dict[str, Any]:
    """Write the model of `folder` with the layers that are kept; return what was made. StageError X741, X742."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    decoder = config.get_text_config()
    count = int(decoder.num_hidden_layers)
    numbers = kept_layers(keep, count)
    leaning = [name for name in _BETWEEN_LAYERS if getattr(decoder, name, None)]
    if leaning:
        raise _uncut(f"`{leaning[0]}` of config.json ties its layers to each other")
    target.mkdir(exist_ok=True)
    before, after = _write_weights(folder, target, numbers, count)
    # Of such a list, such as `layer_types`, each item speaks of one layer.
    for name, value in list(vars(decoder).items()):
        if isinstance(value, list) and len(value) == count:
            setattr(decoder, name, [value[number] for number in numbers])
    decoder.num_hidden_layers = len(numbers)
    config.save_pretrained(target)
    for path in sorted(folder.iterdir()):
        is_own = path.name == "config.json" or path.name.endswith(_WEIGHTS)
        if path.is_file() and not is_own:
            shutil.copyfile(path, target / path.name)
    return {"kept": numbers, "of": count, "parameters": after, "parameters_before": before}


def _write_weights(
    folder: Path, target: Path, numbers: Sequence[int], count: int
) -> tuple[int, int]:
    """Write the tensors of the kept layers and those of none; return how many weights there were and are."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    files = weight_files(folder)
    names = [one.name for file in files for one in file.tensors]
    found: dict[str, set[int]] = {}
    for match in filter(None, map(_LAYER.match, names)):
        found.setdefault(match["before"], set()).add(int(match["number"]))
    stems = [stem for stem, numbers in found.items() if numbers == set(range(count))]
    # Models that also read images number the layers of two parts.
    stems = [one for one in stems if "vision" not in one and "visual" not in one]
    if len(stems) != 1:
        raise _uncut(f"its tensors do not name {count} layers in one row")
    stem = stems[0]
    places = {number: place for place, number in enumerate(numbers)}
    kept: dict[str, Any] = {}
    before = 0
    for file in files:
        with safe_open(file.path, framework="pt") as opened:
            for tensor in file.tensors:
                value = opened.get_tensor(tensor.name)
                before += value.numel()
                layer = _LAYER.match(tensor.name)
                if layer is None or layer["before"] != stem:
                    kept[tensor.name] = value
                elif (place := places.get(int(layer["number"]))) is not None:
                    kept[f"{stem}{place}{layer['rest']}"] = value
    save_file(dict(sorted(kept.items())), target / "model.safetensors", metadata={"format": "pt"})
    return before, sum(one.numel() for one in kept.values())


def _uncut(why: str) -> StageError:
    what = f"layers of this base model cannot be left out: {why}"
    hint = "take the key out, or name a model of the usual blocks: Llama, Mistral, Qwen, Gemma"
    return StageError.one("X742", what, path="base_model.keep_layers", hint=hint)


FACTS: Final = "start.json"
"""A file beside a folder that was made of another model, or of none: how, as JSON."""
REVISION: Final = 1
_SAMPLE: Final = 1 << 20


class TrainingText(Value):
    """The texts of the training split, for a tokenizer that is made of them."""

    texts: Callable[[], Iterable[str]]
    digest: str


class Start(Value):
    """The model that training starts from."""

    base: BaseModel
    identity: Mapping[str, Any]
    """Identity as it is in keys (`engine.sources.base_model_identity`)."""
    text: TrainingText | None
    """None where nothing is to be made of it."""


def locate_start(start: Start, cached: Cached, progress: Progress) -> Path:
    """Return the folder of the model, made at most once. Raises as `locate_base_model`, and X740 to X743."""
    base = start.base
    if not isinstance(base, Scratch | FewerLayers):
        return locate_base_model(base, cached, progress)
    payload: dict[str, Any] = {**start.identity, "start": REVISION}
    if isinstance(base, Scratch):
        source = locate_start_tokenizer(start, cached, progress)
        # Of the tokenizer its files, whatever made them: text that gives the same one gives the same model.
        payload["files"] = _digests(source, "tokenizer")
    else:
        source = locate_base_model(base.of, cached, progress)
        # What moves has no pin that says what came: then the bytes do.
        if None in start.identity.values():
            payload["files"] = _digests(source, "")

    def build(folder: Path) -> None:
        target = folder / FOLDER
        if isinstance(base, Scratch):
            target.mkdir()
            mention(progress, "writing a blank model")
            copy_tokenizer(source, target)
            facts = {"kind": "scratch", **write_blank_model(base, target)}
            facts["bytes_per_token"] = _bytes_a_token(target, start)
        else:
            mention(progress, "leaving layers of the base model out")
            facts = {"kind": "fewer_layers", **write_fewer_layers(source, target, base.keep_layers)}
        (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        validated_folder(target)

    return cached("base-model", payload, build).file(FOLDER)


def locate_start_tokenizer(start: Start, cached: Cached, progress: Progress) -> Path:
    """Return a folder with the model's tokenizer; no weights are read. Raises as `locate_start`."""
    base = start.base
    new = base.tokenizer if isinstance(base, Scratch) else base
    if not isinstance(new, NewTokenizer):
        found = new.of if isinstance(new, FewerLayers) else new
        return locate_tokenizer(found, cached, progress)
    text = _text(start)
    payload = {"byte_pairs": new.size, "text": text.digest, "made": REVISION}

    def build(folder: Path) -> None:
        mention(progress, f"training a tokenizer of {new.size:,} tokens on the training split")
        write_byte_pairs(text.texts(), folder / FOLDER, size=new.size)

    return cached("tokenizer", payload, build).file(FOLDER)


def facts_beside(folder: Path) -> Path | None:
    """Return the file that says how a folder was made; None for a base model as it came."""
    facts = folder.parent / FACTS
    return facts if folder.name == FOLDER and facts.is_file() else None


def _text(start: Start) -> TrainingText:
    if start.text is None:
        raise AssertionError(start.base)  # every stage that needs such a model reads the rows
    return start.text


def _digests(folder: Path, prefix: str) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: sha256_of(path) for path in paths if path.name.startswith(prefix)}


def _bytes_a_token(folder: Path, start: Start) -> float:
    from engine.runtime.rendering.chat import load_chat

    texts, length = list[str](), 0
    for text in _text(start).texts():
        texts.append(text)
        length += len(text)
        if length > _SAMPLE:
            break
    ids = load_chat(folder, asks=False).all_token_ids(texts)
    return round(sum(len(text.encode()) for text in texts) / max(1, sum(map(len, ids))), 3)
