"""An example of each kind as turns, and which of them are learned from."""

from typing import Any

from engine.recipe.model import Task
from engine.recipe.prompt import Conversation, conversation
from support.tasks import task


def turns(task_: Task, **fields: Any) -> Conversation:
    return conversation(task_, **({"input": "", "target": "", "payload": {}} | fields))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_a_label_is_asked_for_and_answered_in_the_form_of_the_task() -> None:
    asked = task("classification", instruction="Which?", labels=("a", "b"), output="json")

    found = turns(asked, input="hello", target="a")

    assert found.messages == (user("Which?\n\nhello"), assistant('{"label": "a"}'))
    assert found.trained == (1,)
    assert found.asked == (user("Which?\n\nhello"),)


def test_several_labels_are_a_list_in_json_and_none_is_an_empty_one() -> None:
    asked = task("multilabel", labels=("a", "b"), output="json")

    answers = [turns(asked, target=target).messages[-1] for target in ("a, b", "none")]

    assert answers == [assistant('{"labels": ["a", "b"]}'), assistant('{"labels": []}')]


def test_an_object_stands_as_it_is() -> None:
    found = turns(task("extraction", system="Be exact."), input="x", target='{"a":1}')

    assert [turn["role"] for turn in found.messages] == ["system", "user", "assistant"]
    assert found.messages[2] == assistant('{"a":1}')
    assert found.trained == (2,)


def test_a_row_with_turns_of_its_own_is_asked_with_them() -> None:
    own = [{"role": "system", "content": "own"}, user("first"), assistant("yes"), user("second")]
    asked = task("generation", instruction="Do:", system="not this")

    found = turns(asked, input="ignored", target="answer", payload={"messages": own})

    assert found.messages == (*own[:3], user("Do:\n\nsecond"), assistant("answer"))
    assert found.trained == (4,)


def test_a_chat_learns_from_the_assistant_except_where_a_turn_says_no() -> None:
    payload = {
        "messages": [
            user("a {{name}}"),
            {**assistant("b"), "trained": False},
            user("c"),
            assistant("d"),
        ],
        "tools": [{"type": "function"}],
    }

    found = turns(task("chat", system="S"), payload=payload)

    assert found.messages[1:] == (user("a {{name}}"), assistant("b"), user("c"), assistant("d"))
    assert found.messages[0] == {"role": "system", "content": "S"}
    assert found.trained == (4,)
    assert found.tools == ({"type": "function"},)


def test_a_document_has_no_turns() -> None:
    assert turns(task("text"), input="once") == Conversation(messages=(), trained=())


def test_a_pair_learns_the_chosen_answer_and_keeps_the_other() -> None:
    payload = {"messages": [user("q")], "chosen": [assistant("y")], "rejected": [assistant("n")]}

    found = turns(task("preference"), payload=payload)

    assert (found.messages, found.trained) == ((user("q"), assistant("y")), (1,))
    assert found.rejected == (assistant("n"),)


def test_a_thumb_down_is_no_wish() -> None:
    payload = {"messages": [user("q")], "answer": [assistant("n")], "desirable": False}

    found = turns(task("preference"), payload=payload)

    assert (found.desirable, found.trained, found.rejected) == (False, (1,), ())
