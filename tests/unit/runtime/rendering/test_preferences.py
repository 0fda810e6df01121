"""Preferences reach trainers as text, and only where trainers read the tokens that inference sends."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.chat import Chat, load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.render_stats import RenderStats
from engine.runtime.rendering.rendered_files import write_rows
from engine.runtime.rendering.renderer import RenderedRow, Renderer
from support.tasks import task

PROMPT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def chat(pico: LoadedModel) -> Chat:
    return load_chat(pico.folder)


def assistant_turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": content} for content in contents]


def example(**payload: Any) -> Example:
    asked = [{"role": "user", "content": "hi"}]
    return Example(
        id="0" * 16, origin="a:1", input="hi", target="", payload={"messages": asked, **payload}
    )


def rendered(
    chat: Chat, *rows: Example, loss: str, template: str = ""
) -> tuple[list[RenderedRow], RenderStats]:
    if template:
        chat.tokenizer.chat_template = template
    limits = LengthLimits(max_length=200, truncation="fail", loss=loss)
    stats = RenderStats()
    return list(Renderer(chat, task("preference", input=""), limits).rendered(rows, stats)), stats


def codes(stats: RenderStats, loss: str) -> list[str]:
    limits = LengthLimits(max_length=200, truncation="fail", loss=loss)
    return [problem.code for problem in (*stats.problems(limits), *stats.one_thumb())]


def test_a_pair_is_written_as_text(chat: Chat, tmp_path: Path) -> None:
    rows, stats = rendered(
        chat, example(chosen=assistant_turns("yes"), rejected=assistant_turns("no")), loss="dpo"
    )
    write_rows(tmp_path / "train.jsonl", rows)

    written = json.loads((tmp_path / "train.jsonl").read_text(encoding="utf-8"))
    assert codes(stats, "dpo") == []
    assert {name: written[name] for name in ("prompt", "chosen", "rejected")} == {
        "prompt": PROMPT,
        "chosen": "yes<|im_end|>",
        "rejected": "no<|im_end|>",
    }


def test_a_single_answer_is_written_with_its_thumb(chat: Chat) -> None:
    down = example(answer=assistant_turns("no"), desirable=False)
    rows, stats = rendered(
        chat, example(answer=assistant_turns("yes"), desirable=True), down, loss="kto"
    )

    assert codes(stats, "kto") == []
    assert [row.columns["label"] for row in rows] == [True, False]
    assert rows[1].columns == {"prompt": PROMPT, "completion": "no<|im_end|>", "label": False}


@pytest.mark.parametrize(
    ("loss", "row"),
    [
        ("kto", example(chosen=assistant_turns("yes"), rejected=assistant_turns("no"))),
        ("dpo", example(answer=assistant_turns("yes"), desirable=True)),
    ],
)
def test_rows_that_the_loss_cannot_learn_from_are_refused(
    chat: Chat, loss: str, row: Example
) -> None:
    _, stats = rendered(chat, row, loss=loss)

    assert codes(stats, loss) == ["D427"]


def test_answers_of_one_thumb_are_refused(chat: Chat) -> None:
    rows = [example(answer=assistant_turns(text), desirable=True) for text in ("yes", "sure")]
    _, stats = rendered(chat, *rows, loss="kto")

    assert codes(stats, "kto") == ["D428"]


def test_an_answer_of_several_turns_is_refused(chat: Chat) -> None:
    turns = [*assistant_turns("yes"), {"role": "user", "content": "and?"}, *assistant_turns("no")]
    _, stats = rendered(chat, example(chosen=turns, rejected=assistant_turns("no")), loss="dpo")

    assert codes(stats, "dpo") == ["D426"]


def test_tokens_that_run_over_the_end_of_the_prompt_are_refused(chat: Chat) -> None:
    joined = (
        "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
    )
    _, stats = rendered(
        chat,
        example(chosen=assistant_turns("good"), rejected=assistant_turns("x")),
        loss="dpo",
        template=joined,
    )

    assert codes(stats, "dpo") == ["D426"]
    assert "other tokens" in stats.misread[0][1]


def test_a_loss_that_would_put_a_token_before_the_prompt_is_refused(chat: Chat) -> None:
    plain = (
        "{% for m in messages %}{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}assistant\n{% endif %}"
    )
    pair = example(chosen=assistant_turns("yes"), rejected=assistant_turns("no"))

    assert codes(rendered(chat, pair, loss="dpo", template=plain)[1], "dpo") == []
    assert codes(rendered(chat, pair, loss="orpo", template=plain)[1], "orpo") == ["D426"]
