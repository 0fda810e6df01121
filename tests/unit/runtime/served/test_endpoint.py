import json
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.recipe.model import Endpoint
from engine.runtime.served.endpoint import Form, Served, ask_endpoint
from support.chat_service import Body, Service, Trouble, serving
from support.stage_bench import Quiet

SECRET = "sk-not-a-real-key"
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["negative", "positive"]}}}
FORM = Form(schema=SCHEMA, choices=("negative", "positive"))


def ask(
    service: Service,
    folder: Path,
    *,
    rows: int = 6,
    form: Form = FORM,
    pauses: list[float] | None = None,
    seeds: tuple[int, ...] = (),
    **changes: Any,
) -> Served:
    fields = {
        "url": service.url,
        "model": "served",
        "api_key_env": "",
        "input_price": 0.0,
        "output_price": 0.0,
    }
    waited = [] if pauses is None else pauses
    return ask_endpoint(
        Endpoint(**{**fields, **changes}),
        [[{"role": "user", "content": f"row {row}"}] for row in range(rows)],
        form=form,
        max_tokens=20,
        kept=folder / "answers.jsonl",
        progress=Quiet(),
        temperature=0.9 if seeds else 0.0,
        seeds=seeds,
        pause=waited.append,
    )


def echo(body: Body) -> str:
    return f"answer to {body['messages'][-1]['content']}"


def code_of(service: Service, folder: Path, **changes: Any) -> tuple[str, str]:
    with serving(service), pytest.raises(EngineError) as raised:
        ask(service, folder, **changes)
    (problem,) = raised.value.problems
    return problem.code, f"{problem.message} {problem.hint}"


def test_every_row_is_answered_in_its_place(tmp_path: Path) -> None:
    with serving(Service(answer=echo)) as service:
        served = ask(service, tmp_path, rows=9)

    assert [f"answer to row {row}" for row in range(9)] == [r.text for r in served.replies]
    assert {10} == {reply.input_tokens for reply in served.replies}
    assert {4} == {reply.output_tokens for reply in served.replies}
    assert served.owner == "somebody"
    assert served.remarks == ()


def test_it_asks_greedily_and_within_the_limit(tmp_path: Path) -> None:
    with serving(Service()) as service:
        ask(service, tmp_path, rows=1)

    (asked,) = service.asked
    assert (asked["temperature"], asked["max_tokens"], asked["model"]) == (0, 20, "served")


def test_drawn_answers_have_a_temperature_and_a_seed_each(tmp_path: Path) -> None:
    with serving(Service(answer=echo)) as service:
        ask(service, tmp_path, rows=3, seeds=(7, 8, 9))
        ask(service, tmp_path, rows=3, seeds=(7, 8, 10))

    found = sorted((body["messages"][-1]["content"], body["seed"]) for body in service.asked)
    assert found == [("row 0", 7), ("row 1", 8), ("row 2", 9), ("row 2", 10)]
    assert {body["temperature"] for body in service.asked} == {0.9}


def test_a_server_that_takes_no_seed_is_asked_without_one(tmp_path: Path) -> None:
    def trouble(body: Body, _asked: int) -> Trouble | None:
        refused = {"error": {"message": "Unsupported parameter: 'seed'"}}
        return Trouble(status=400, body=refused) if "seed" in body else None

    with serving(Service(answer=echo, trouble=trouble)) as service:
        found = ask(service, tmp_path, rows=2, seeds=(7, 8))

    assert "the server refuses `seed`, so answers may vary" in found.remarks
    assert len(found.replies) == 2


def test_at_most_four_rows_are_under_way_at_a_time(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=10)

    def meet(body: Body) -> str:
        if body["messages"][0]["content"] in ("row 1", "row 2", "row 3", "row 4"):
            together.wait()
        return "positive"

    with serving(Service(answer=meet)) as service:
        ask(service, tmp_path, rows=12)

    assert service.most_at_once == 4


def test_answers_that_came_are_not_paid_for_twice(tmp_path: Path) -> None:
    def dies_at_last(body: Body, _before: int) -> Trouble | None:
        is_last = body["messages"][0]["content"] == "row 5"
        return Trouble(status=403, body="") if is_last else None

    with serving(Service(answer=echo, trouble=dies_at_last)) as service, pytest.raises(EngineError):
        ask(service, tmp_path)
    answered = len((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    with serving(Service(answer=echo)) as again:
        served = ask(again, tmp_path)

    assert 6 - answered == len(again.asked)
    assert [f"answer to row {row}" for row in range(6)] == [r.text for r in served.replies]


def test_an_answer_that_was_cut_off_in_the_file_is_asked_again(tmp_path: Path) -> None:
    with serving(Service(answer=lambda _body: "two\u2028lines")) as service:
        ask(service, tmp_path, rows=3)
        kept = tmp_path / "answers.jsonl"
        kept.write_text(kept.read_text(encoding="utf-8")[:-30], encoding="utf-8")
        ask(service, tmp_path, rows=3)
        ask(service, tmp_path, rows=3)

    assert len(service.asked) == 4


def test_a_busy_server_is_asked_again_later_and_later(tmp_path: Path) -> None:
    def busy(_body: Body, before: int) -> Trouble | None:
        statuses = [429, 503, 500, 429]
        return Trouble(status=statuses[before], body={}) if before < 4 else None

    pauses: list[float] = []
    with serving(Service(trouble=busy)) as service:
        ask(service, tmp_path, rows=1, pauses=pauses)

    assert pauses == [1, 2, 4, 8]


def test_it_waits_as_long_as_the_server_says_but_a_minute_at_most(tmp_path: Path) -> None:
    def busy(_body: Body, before: int) -> Trouble | None:
        asks = ["7", "3600", "Wed, 21 Oct 2026 07:28:00 GMT"]
        headers = {"Retry-After": asks[before]} if before < 3 else {}
        return Trouble(status=429, body={}, headers=headers) if before < 3 else None

    pauses: list[float] = []
    with serving(Service(trouble=busy)) as service:
        ask(service, tmp_path, rows=1, pauses=pauses)

    assert pauses == [7, 60, 60]


def test_a_server_that_stays_busy_is_reported(tmp_path: Path) -> None:
    trouble = Trouble(status=429, body={"error": {"message": "quota exceeded"}})

    code, message = code_of(Service(trouble=lambda _body, _before: trouble), tmp_path)

    assert code == "E725"
    assert "6 attempts: HTTP 429: quota exceeded" in message


def test_a_server_that_is_not_there_is_reported_at_once(tmp_path: Path) -> None:
    with serving(Service()) as service:
        pass
    pauses: list[float] = []
    with pytest.raises(EngineError, match=r"E721.*cannot be reached"):
        ask(service, tmp_path, pauses=pauses)

    assert pauses == []


def test_a_key_that_is_not_accepted_is_reported_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    service = Service(key="another one")

    code, message = code_of(service, tmp_path, api_key_env="MY_KEY")

    assert code == "E722"
    assert "Incorrect API key provided" in message
    assert SECRET not in message


def test_the_key_is_sent_and_stands_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", f" {SECRET}\n")
    with serving(Service(key=SECRET)) as service:
        ask(service, tmp_path, api_key_env="MY_KEY")

    assert {f"Bearer {SECRET}"} == {headers["Authorization"] for headers in service.headers}
    assert SECRET not in (tmp_path / "answers.jsonl").read_text(encoding="utf-8")


def test_a_missing_key_is_reported_with_the_command_that_sets_it(tmp_path: Path) -> None:
    code, message = code_of(Service(), tmp_path, api_key_env="MY_KEY")

    assert code == "E727"
    assert "export MY_KEY=" in message


def test_a_model_that_is_not_served_is_reported_with_the_nearest(tmp_path: Path) -> None:
    service = Service(models={"served-large": "", "other": ""})

    code, message = code_of(service, tmp_path, model="serve-large")

    assert code == "E723"
    assert "did you mean `served-large`?" in message
    assert service.asked == []


def test_a_name_without_its_tag_is_found(tmp_path: Path) -> None:
    with serving(Service(models={"served:latest": "library"})) as service:
        assert ask(service, tmp_path, rows=1).owner == "library"


def test_a_server_without_a_list_says_that_the_model_is_not_there(tmp_path: Path) -> None:
    trouble = Trouble(status=404, body={"error": {"message": "The model `served` does not exist"}})

    code, _ = code_of(Service(models=None, trouble=lambda _body, _before: trouble), tmp_path)

    assert code == "E723"


@pytest.mark.parametrize("body", ["<html>", {"text": "hello"}, {"choices": []}, [1]])
def test_an_answer_that_is_none_is_reported(tmp_path: Path, body: Any) -> None:
    trouble = Trouble(status=200, body=body)

    code, message = code_of(Service(trouble=lambda _asked, _before: trouble), tmp_path, form=Form())

    assert code in ("E724", "E726")
    assert "/v1" in message


@pytest.mark.parametrize(
    ("owner", "fields", "way"),
    [
        ("vllm", {"guided_choice", "structured_outputs"}, "guided choice"),
        ("llamacpp", {"grammar"}, "grammar"),
        ("library", {"response_format"}, "json schema"),
    ],
)
def test_answers_are_held_to_their_form_as_the_server_knows_it(
    tmp_path: Path, owner: str, fields: set[str], way: str
) -> None:
    with serving(Service(models={"served": owner})) as service:
        served = ask(service, tmp_path)

    assert way == served.constrained
    assert all(fields <= set(asked) for asked in service.asked)


def test_a_grammar_names_every_answer(tmp_path: Path) -> None:
    with serving(Service(models={"served": "llamacpp"})) as service:
        ask(service, tmp_path, rows=1, form=Form(choices=('a "quote"', "ü")))

    assert service.asked[0]["grammar"] == 'root ::= "a \\"quote\\"" | "ü"'


def test_a_server_that_knows_no_form_answers_freely_and_all_rows_alike(tmp_path: Path) -> None:
    def refuses(body: Body, _before: int) -> Trouble | None:
        known = "response_format" not in body
        return None if known else Trouble(status=400, body={"error": "unknown field"})

    with serving(Service(trouble=refuses)) as service:
        served = ask(service, tmp_path, rows=5)

    assert served.constrained == ""
    assert served.remarks == ("answers are not constrained, which the server refuses",)
    assert len(service.asked) == 6


def test_names_of_the_request_that_a_server_refuses_are_changed(tmp_path: Path) -> None:
    def refuses(body: Body, _before: int) -> Trouble | None:
        for name in ("max_tokens", "temperature"):
            if name in body:
                return Trouble(status=400, body={"error": {"message": f"unsupported: {name}"}})
        return None

    with serving(Service(trouble=refuses)) as service:
        served = ask(service, tmp_path, rows=3)

    assert service.asked[-1]["max_completion_tokens"] == 20
    assert len(served.remarks) == 2
    assert served.constrained == "json schema"


def test_a_row_that_is_refused_alone_stays_without_an_answer(tmp_path: Path) -> None:
    def refuses(body: Body, _before: int) -> Trouble | None:
        is_it = body["messages"][0]["content"] == "row 3"
        return Trouble(status=400, body={"error": {"message": "too long"}}) if is_it else None

    with serving(Service(answer=echo, trouble=refuses)) as service:
        served = ask(service, tmp_path)

    assert ["" if row == 3 else f"answer to row {row}" for row in range(6)] == [
        reply.text for reply in served.replies
    ]
    assert served.remarks == ("1 row was refused and count as wrong: HTTP 400: too long",)


def test_many_rows_that_are_refused_end_it(tmp_path: Path) -> None:
    def refuses(body: Body, _before: int) -> Trouble | None:
        is_first = body["messages"][0]["content"] == "row 0"
        return None if is_first else Trouble(status=400, body="too long")

    code, message = code_of(Service(trouble=refuses), tmp_path)

    assert code == "E724"
    assert "5 of 6 rows" in message


def test_what_is_not_counted_and_what_was_cut_off_is_reported(tmp_path: Path) -> None:
    with serving(Service(usage=False, finish="length")) as service:
        served = ask(service, tmp_path, rows=2)

    assert {(None, None)} == {(r.input_tokens, r.output_tokens) for r in served.replies}
    assert served.remarks == ("2 answers ran into the limit of tokens",)


def test_thoughts_before_an_answer_are_no_part_of_it(tmp_path: Path) -> None:
    with serving(
        Service(answer=lambda _body: "<think>\nlet me see</think>\n\npositive")
    ) as service:
        served = ask(service, tmp_path, rows=1)

    assert served.replies[0].text.strip() == "positive"


def test_answers_in_the_file_are_one_object_a_line(tmp_path: Path) -> None:
    with serving(Service(answer=echo)) as service:
        ask(service, tmp_path, rows=4)
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()

    assert len({json.loads(line)["asked"] for line in lines}) == 4


def test_a_success_that_says_it_is_an_error_is_one(tmp_path: Path) -> None:
    def busy(_body: Body, before: int) -> Trouble | None:
        body = {"error": {"message": "upstream is busy", "code": 429}}
        return Trouble(status=200, body=body) if before == 0 else None

    pauses: list[float] = []
    with serving(Service(trouble=busy)) as service:
        ask(service, tmp_path, rows=1, pauses=pauses)

    assert pauses == [1]


def test_an_address_that_is_none_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="E721"):
        ask(Service(url="http://[::1"), tmp_path)
