"""A GGUF file run by llama.cpp, as the people who get it will run it: constrained and free answers.

The file is held by a process of `engine.runtime.llama.worker`, which is asked once or again and again; a crash of
llama.cpp is a StageError with its last words, not the end of the run.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from msgspec import convert

from engine.environment import version_of
from engine.errors import EnvironmentProblem, RecipeError, StageError, install_hint
from engine.files.reading import BYTES_A_PART, MOST_ANSWERS, parse_json
from engine.kinds import KINDS, Decoding
from engine.process import start as processes
from engine.process.child import GRACE_SECONDS, Child, HangsError
from engine.process.policies import rights_of
from engine.process.start import module
from engine.progress import Progress
from engine.recipe import prompt
from engine.recipe.answer_grammar import answer_grammar
from engine.recipe.model import Task
from engine.recipe.prompt import parse_answer
from engine.runtime.generation.sequence import GeneratedText
from engine.runtime.gguf.convert import read_gguf
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.rendering.task_file import TaskFile, read_task_file
from engine.runtime.rendering.windows import TooLong, too_long, too_long_words
from engine.runtime.scoring.label_search import LabelChoice, tempered
from engine.runtime.tool_process import failure, hanging
from engine.store.store import out_of_room
from engine.values import Value, field, replace, to_json

BOS, EOS = "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"
TEMPLATE, TOKENS = "tokenizer.chat_template", "tokenizer.ggml.tokens"
TOOL_TEMPLATE = f"{TEMPLATE}.tool_use"


class FileTokenizer(Value):
    """The parts of a tokenizer that a chat needs, from a file: the template and two special tokens."""

    chat_template: str
    bos_token: str
    eos_token: str
    tool_template: str = ""
    """The template used where tools are offered; empty for the same."""

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
    ) -> str:
        """Return the text of a conversation, in the sandbox of transformers."""
        from transformers.utils.chat_template_utils import (  # only where one is asked
            render_jinja_template,
        )

        if tokenize:
            raise NotImplementedError("llama.cpp makes the tokens")
        rendered, _ = render_jinja_template(
            conversations=[list(messages)],
            tools=list(tools) if tools else None,
            chat_template=(self.tool_template if tools else "") or self.chat_template,
            add_generation_prompt=add_generation_prompt,
            bos_token=self.bos_token,
            eos_token=self.eos_token,
        )
        text: str = rendered[0]
        return text


def file_tokenizer(path: Path) -> FileTokenizer:
    """Return the chat template of a GGUF file and its special tokens. StageError X634 for no whole file."""
    try:
        reader: Any = read_gguf(path)
        template, tools, *ids = (
            None if (found := reader.get_field(name)) is None else found.contents()
            for name in (TEMPLATE, TOOL_TEMPLATE, BOS, EOS)
        )
        tokens = reader.get_field(TOKENS)
        bos, eos = ("" if place is None else str(tokens.contents(int(place))) for place in ids)
    # The file may come from anybody, and a field of it hold another type than its name promises.
    except (ValueError, OSError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise StageError.one("X634", f"`{path.name}` cannot be read: {error}") from error
    return FileTokenizer(
        chat_template=template or "", bos_token=bos, eos_token=eos, tool_template=tools or ""
    )


WORKER: Final = "engine.runtime.llama.worker"
TOOL: Final = "llama.cpp"


class Request(Value):
    """A request to a GGUF file: everything about each prompt at once."""

    prompts: Sequence[str] = ()
    adds_special: bool = False
    """Prompts begin with the BOS that the file adds, once, as programs ask it; else with what stands in them."""
    within_window: bool = False
    """Prompts of more tokens than the model reads are not answered: the lists of answers have none of them."""
    answers: Sequence[str] = ()
    """Answers with the text that ends the turn; each prompt gets the most probable one."""
    distribution: bool = False
    """The share of every answer too, not of the best alone."""
    grammar: str = ""
    """Grammar that constrains the answers (`engine.recipe.answer_grammar`); empty for none."""
    grammar_tokens: int = 0
    max_new_tokens: int = 0
    terminator: str = ""
    """Text that ends the turn: of constrained answers, and of free ones where it is several tokens."""
    learned: Sequence[TokenRow] = ()
    read: Sequence[str] = ()
    sent: Sequence[str] = ()
    """Texts to tokenise as programs send them: with the special tokens that the file adds."""
    timed: int = 0
    """Tokens to say after each prompt, one prompt at a time, against the clock; 0 for no clock."""

    @classmethod
    def for_task(
        cls,
        task: Task,
        prompts: Sequence[str],
        *,
        terminator: str,
        max_new_tokens: int,
        free: bool = False,
        **others: Any,
    ) -> Self:
        """Return what asks for an answer in the task's form, if it has one; `free`: for one in no form besides."""
        is_label = task.spec.decoding is Decoding.LABEL_SCORING
        labels = task.labels if is_label else ()
        return cls(
            prompts=prompts,
            answers=[prompt.answer_text(task, label) + terminator for label in labels],
            grammar="" if is_label else answer_grammar(task) or "",
            grammar_tokens=max_new_tokens,
            max_new_tokens=max_new_tokens if free or not task.spec.is_constrained else 0,
            terminator=terminator,
            **others,
        )


class GgufAnswers(Value):
    """The answers of a GGUF file; lists are by prompt, and empty for what was not requested."""

    choices: list[LabelChoice] = field(default_factory=list)
    constrained: list[GeneratedText] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)
    """Whether each free text was not cut off; of each likelihood, whether the answer would end there."""
    likelihoods: list[float] = field(default_factory=list)
    token_ids: list[list[int]]
    read: list[list[int]]
    sent: list[list[int]]
    is_ended: bool
    """The file itself stops at what ends a turn, so that every program does."""
    speed: Mapping[str, Any] | None = None
    peak_memory_bytes: int
    version: str
    window: int | None = None
    """Tokens that the model reads at most, where longer prompts were not answered; None where all were."""
    is_finite: bool = True
    """False where the model's numbers were none: nothing was answered then, but all prompts were read."""

    def too_long(self, place: int) -> TooLong | None:
        """Return the length of a prompt that was not answered, as it is longer than the window."""
        return too_long(len(self.token_ids[place]), self.window)


@dataclass(slots=True)
class HeldModel:
    """A process that has read a GGUF file."""

    child: Child
    _lines: Iterator[str]
    _errors: IO[bytes]
    _folder: Path

    def ask(self, request: Request, progress: Progress) -> GgufAnswers:
        """Return its answers. StageError X641 when it has ended, X800 when it hangs, OSError for a full disk."""
        asked = json.dumps(to_json(request))
        total = max(len(request.prompts), len(request.learned))
        try:
            self.child.send(f"{asked}\n")
        except OSError as error:
            raise self._failure() from error
        while (line := self.line()).isdigit():
            progress.update(int(line), total, "rows")
        answers = convert(parse_json(line, parts=MOST_ANSWERS // BYTES_A_PART), GgufAnswers)
        wanted = sum(answers.too_long(place) is None for place in range(len(request.prompts)))
        if answers.is_finite and request.answers and len(answers.choices) != wanted:
            what = f"llama.cpp answered {len(answers.choices)} of {wanted} rows"
            raise StageError.one("X641", what)
        return answers

    def line(self) -> str:
        """Return its next line. Raises as `ask`."""
        try:
            line = next(self._lines, "")
        except HangsError as error:
            raise hanging(TOOL, error) from error
        if not line:
            raise self._failure()
        return line

    def _failure(self) -> StageError | OSError:
        # Its exit code says how it failed.
        self.child.has_ended(within=GRACE_SECONDS)
        found = failure("X641", TOOL, status=self.child.kill(), errors=self._errors)
        return out_of_room(found, self._folder) or found


@contextmanager
def held_model(gguf: Path, *, threads: int) -> Iterator[HeldModel]:
    """Yield a process that has read the file, and end it. EnvironmentProblem X640, StageError X641."""
    if version_of("inferna") is None:
        hint = install_hint("gguf")
        raise EnvironmentProblem.one("X640", "llama.cpp is not installed", hint=hint)
    command = module(WORKER)(str(gguf.absolute()), str(threads))
    with tempfile.TemporaryFile() as errors, processes.working_folder() as folder:
        child = processes.start(
            command,
            folder=folder,
            variables=processes.environment(),
            out=processes.PIPE,
            errors=errors,
            given=processes.PIPE,
            rights=rights_of(command, reads=(gguf,), uses_gpu=True),
        )
        with child:
            held = HeldModel(child, child.lines(), errors, folder)
            held.line()  # it says that the file is read
            yield held


def ask_gguf(gguf: Path, request: Request, *, threads: int, progress: Progress) -> GgufAnswers:
    """Ask the file everything in the request, by a process of its own. Raises as `held_model` and `HeldModel.ask`."""
    with held_model(gguf, threads=threads) as held:
        return held.ask(request, progress)


class Answer(Value):
    """One answer of an exported model."""

    kind: str
    label: str | None
    """The answer held to the task's form: a label, labels or an object; None where it was cut off, and
    for kinds that answer in free text.
    """
    probability: float | None
    """Its share among what was allowed, 0 to 1; None where nothing was held to a form."""
    text: str
    is_valid: bool
    abstain_below: float | None = None
    ended: bool = True
    """It was not cut off, as what counts of it is."""
    too_long: TooLong | None = None
    """There is no answer, since the model cannot read the whole text."""

    @property
    def abstained(self) -> bool:
        """Whether the model was less sure than the threshold, so that there is no answer."""
        bound, sure = self.abstain_below, self.probability
        return bound is not None and sure is not None and sure < bound

    @property
    def stated(self) -> str | None:
        """The counted answer: in the task's form, or the text of kinds that have none; None for none."""
        if self.too_long is not None:
            return None
        return self.label if KINDS[self.kind].is_constrained else self.text

    @classmethod
    def none(cls, kind: str, length: TooLong) -> Self:
        """Return what there is for a text that was not asked, being too long."""
        return cls(
            kind=kind, label=None, probability=None, text="", is_valid=False, too_long=length
        )


def answer_text(
    gguf: Path,
    text: str,
    *,
    abstain_below: float | None = None,
    threads: int,
    progress: Progress,
) -> Answer:
    """Return the answer of an exported model to one text, asked as in training; a `text` model goes on.

    There is none where the model is less sure than `abstain_below`; None for its own threshold, if it has one. How
    to ask stands in `task.json` beside the file, written by the export. RecipeError R437 for a blank text, R449 for one
    that is longer than the model's window; StageError X642 without that file, X643 for a damaged one, X640 and X641 as
    `ask_gguf`.
    """
    task = read_task_file(gguf.parent)
    refuse_blank(text, task)
    request = request_for(task, [text], free=True)
    answers = ask_gguf(gguf, request, threads=threads, progress=progress)
    (answer,) = read_answers(task, answers, 1)
    return held_answer(answer, task.threshold(abstain_below))


def refuse_blank(text: str, task: TaskFile) -> None:
    """RecipeError R437 for a blank text, of which only a model of kind `text` makes something."""
    if not text.strip() and not task.task.spec.by_likelihood:
        raise RecipeError.one(
            "R437", "the text is blank, so there is nothing to answer", hint="recipe try MODEL TEXT"
        )


def held_answer(answer: Answer, abstain_below: float | None) -> Answer:
    """Return an answer held to a threshold. RecipeError R449 for that to a text that is too long."""
    if answer.too_long is not None:
        what = f"the text {too_long_words(answer.too_long)}"
        hint = "shorten it, or ask its parts"
        raise RecipeError.one("R449", what, hint=hint)
    held = replace(answer, abstain_below=abstain_below)
    return replace(held, label=None) if held.abstained else held


def request_for(task: TaskFile, texts: Sequence[str], *, free: bool = False) -> Request:
    """Return what asks for the answers to texts, as in training; `free`: also what it says when nothing holds it."""
    request = Request.for_task(
        task.task,
        [task.prompt(text) for text in texts],
        terminator=task.terminator,
        max_new_tokens=task.max_new_tokens,
        free=free,
        distribution=True,
        adds_special=not task.task.spec.has_turns,
        within_window=True,
    )
    # the file's own: those of version 1 end the turn, and it does not say how
    return replace(request, answers=task.answers)


def read_answers(task: TaskFile, answers: GgufAnswers, count: int) -> list[Answer]:
    """Return what a file answered to so many texts. StageError X643 where its numbers are none."""
    if not answers.is_finite:
        raise StageError.one("X643", "the numbers of the model are none: its file is damaged")
    found = []
    answered = iter(range(count))
    for prompt_number in range(count):
        if length := answers.too_long(prompt_number):
            found.append(Answer.none(task.task.kind, length))
            continue
        place = next(answered)
        label, probability, ended = None, None, True
        # Of the answer that counts: the one held to a form, else the free one.
        if answers.choices:
            choice, kept = answers.choices[place], task.calibration
            label, probability = task.task.labels[choice.index], choice.probability
            if kept is not None and choice.probabilities:
                probability = max(tempered(choice.probabilities, kept.temperature))
        elif answers.constrained:
            bound = answers.constrained[place]
            ended, probability = bound.finished, bound.probability
            label = parse_answer(task.task, bound.text) if ended else None
        elif answers.ended and not task.task.spec.is_constrained:
            ended = answers.ended[place]
        # nothing comes back of what was not asked for
        text = answers.texts[place] if answers.texts else ""
        found.append(
            Answer(
                kind=task.task.kind,
                label=label,
                probability=probability,
                text=text,
                is_valid=parse_answer(task.task, text) is not None,
                ended=ended,
            )
        )
    return found
