"""A store in front of a shared one: what another machine takes from it, and what neither believes."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EnvironmentProblem
from engine.store import Artifact, make_key
from engine.store.manifest import manifest_record
from engine.store.remote import transfer
from engine.store.remote.objects import MARK, MARK_TEXT, require_conditions
from engine.store.remote.transfer import artifact_name, blob_name
from support.shared_objects import Held, machine

KEY = make_key({"stage": "train"})
WEIGHTS = b"".join(b"%05d" % number for number in range(500))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 1,000 bytes, so that small files have several."""
    monkeypatch.setattr("engine.store.remote.transfer.PART", 1000)
    monkeypatch.setattr(transfer, "LITTLE", 100)


@pytest.fixture
def there() -> Held:
    return Held()


def train(folder: Path, weights: bytes = WEIGHTS) -> None:
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_bytes(weights)
    (folder / "empty").touch()
    (folder / "config.json").write_text("{}", encoding="utf-8")


def never(_: Path) -> None:
    raise AssertionError("it was built")


def codes(store: Any) -> list[str]:
    return [problem.code for problem in store.problems()]


def nothing_of(root: Path) -> bool:
    return not list((root / "store").glob("*/*"))


@pytest.fixture
def given(tmp_path: Path, there: Held) -> Artifact:
    """A result that one machine has built and given."""
    return machine(tmp_path / "one", there).put("train", KEY, train)


def test_another_machine_takes_what_was_given_and_builds_nothing(
    tmp_path: Path, there: Held, given: Artifact
) -> None:
    store = machine(tmp_path / "two", there)

    taken = store.put("train", KEY, never)

    assert taken.digest() == given.digest()
    assert (taken.path / "adapter" / "weights").read_bytes() == WEIGHTS
    assert taken.taken_from == (tmp_path / "shared").as_uri()
    assert store.problems() == ()
    # it is this machine's own from now on, without the shared store too
    there.is_down = True
    assert machine(tmp_path / "two", there).whole(KEY.digest) == taken


def test_what_is_there_is_not_sent_again(tmp_path: Path, there: Held, given: Artifact) -> None:
    sent = there.sent
    again, other = machine(tmp_path / "one", there), machine(tmp_path / "two", there)

    again.put("train", KEY, never)
    other.put("gate", make_key({"stage": "gate"}), train)
    again.settle()

    assert [name for name in there.held if name.startswith("blobs/")] == [
        blob_name(digest) for digest in dict.fromkeys(_digests_of(there))
    ]
    assert there.sent - sent < 2000  # the second manifest


def _digests_of(there: Held) -> list[str]:
    return [
        hashlib.sha256(content).hexdigest()
        for name, content in there.held.items()
        if name.startswith("blobs/")
    ]


def test_fetched_files_of_others_are_not_given(tmp_path: Path, there: Held) -> None:
    store = machine(tmp_path / "one", there)

    store.put("base-model", KEY, train)
    store.settle()

    assert there.held == {}


def test_a_store_that_is_only_read_is_given_nothing(
    tmp_path: Path, there: Held, given: Artifact
) -> None:
    store, before = machine(tmp_path / "two", there, gives=False), dict(there.held)

    store.put("train", KEY, never)
    store.put("gate", make_key({"stage": "gate"}), train)
    store.settle()

    assert there.held == before
    assert store.problems() == ()


def test_a_signature_of_others_is_not_believed(
    tmp_path: Path, there: Held, given: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    store = machine(tmp_path / "two", there)

    assert given.key == KEY.digest
    assert store.get(KEY.digest) is None
    assert codes(store) == ["X863"]


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Held, Artifact], None]:
    """Change the manifest and sign it anew, as who has the key could."""

    def edit(there: Held, given: Artifact) -> None:
        name = artifact_name(given.key)
        fields = json.loads(there.held[name])
        change(fields)
        there.held[name] = json.dumps(fields).encode()

    return edit


def _signed(change: Callable[[dict[str, Any]], object]) -> Callable[[Held, Artifact], None]:
    def edit(fields: dict[str, Any]) -> None:
        from engine.store.manifest import sign

        record = fields["manifest"]
        change(record)
        fields["manifest"] = sign("artifact", record)

    return _edited(edit)


def _blob(change: Callable[[bytes], bytes | None]) -> Callable[[Held, Artifact], None]:
    def edit(there: Held, given: Artifact) -> None:
        name = blob_name(hashlib.sha256(WEIGHTS[:1000]).hexdigest())
        content = change(there.held.pop(name))
        if content is not None:
            there.held[name] = content

    return edit


def _first_file(**fields: Any) -> Callable[[Held, Artifact], None]:
    return _signed(lambda record: record["files"][0].update(fields))


WRONG: dict[str, Callable[[Held, Artifact], None]] = {
    "a byte of a blob": _blob(lambda content: b"x" + content[1:]),
    "a blob that is gone": _blob(lambda _: None),
    "a blob that is longer": _blob(lambda content: content + b"x"),
    "a blob that is shorter": _blob(lambda content: content[:-1]),
    "no JSON": lambda there, given: there.held.update({artifact_name(given.key): b"{"}),
    "a list": lambda there, given: there.held.update({artifact_name(given.key): b"[]"}),
    "a manifest without bounds": lambda there, given: there.held.update(
        {artifact_name(given.key): b" " * 20_000_000}
    ),
    "another form": _edited(lambda fields: fields.update(schema="shared.v2")),
    "an unsigned change": _edited(lambda fields: fields["manifest"].update(seconds=9.0)),
    "another question": _signed(lambda record: record.update(payload={"stage": "gate"})),
    "another key": _signed(lambda record: record.update(key=make_key({}).digest)),
    "a name that leads out": _first_file(name="../weights"),
    "an absolute name": _first_file(name="/etc/weights"),
    "a name twice": _signed(lambda record: record["files"].append(record["files"][0])),
    "a file below a file": _signed(
        lambda record: record["files"].append({**record["files"][1], "name": "empty/x"})
    ),
    "a negative size": _first_file(bytes=-1),
    "another size": _first_file(bytes=1500),
    "another digest": _first_file(sha256="0" * 64),
    "no time": _first_file(mtime_ns="now"),
    "too few parts": _edited(lambda fields: fields.update(parts={})),
    "a part without a digest": _edited(
        lambda fields: fields.update(parts={name: ["x"] for name in fields["parts"]})
    ),
    "parts that are none": _edited(lambda fields: fields.update(parts=[])),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_what_it_says_is_refused_and_nothing_of_it_is_visible(
    case: str, tmp_path: Path, there: Held, given: Artifact
) -> None:
    WRONG[case](there, given)
    store = machine(tmp_path / "two", there)

    assert store.get(KEY.digest) is None

    assert codes(store) == ["X862"]
    assert nothing_of(tmp_path / "two")
    assert {path.name for path in tmp_path.iterdir()} <= {"one", "two", "state"}
    # and it is built here, whatever the shared store says
    assert store.put("train", KEY, train).taken_from == ""


def test_a_link_in_the_place_of_a_part_is_not_written_through(
    tmp_path: Path, there: Held, given: Artifact
) -> None:
    target = tmp_path / "mine"
    target.write_text("mine", encoding="utf-8")
    files = tmp_path / "two" / "incoming" / KEY.digest / "files"
    files.mkdir(parents=True)
    (files / "empty").symlink_to(target)

    taken = machine(tmp_path / "two", there).get(KEY.digest)

    assert taken is not None
    assert target.read_text(encoding="utf-8") == "mine"


def test_of_writers_at_once_one_wins_and_all_have_its_bytes(tmp_path: Path, there: Held) -> None:
    starts = threading.Barrier(8)
    found: list[tuple[str, list[str]]] = []

    def work(number: int) -> None:
        store = machine(tmp_path / str(number), there)

        def build(folder: Path) -> None:
            starts.wait()
            train(folder, b"%d" % number * 1500)

        made = store.put("train", KEY, build)
        found.append((made.digest(), codes(store)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len({digest for digest, _ in found}) == 1
    assert sorted(warned for _, warned in found) == [[], *[["X864"]] * 7]


def test_a_result_that_was_forced_stays_here_and_the_shared_one_there(
    tmp_path: Path, there: Held, given: Artifact
) -> None:
    store = machine(tmp_path / "one", there)
    before = dict(there.held)

    made = store.put("train", KEY, lambda folder: train(folder, b"other"), anew=True)

    assert made.file("adapter/weights").read_bytes() == b"other"
    assert codes(store) == ["X865"]
    assert there.held[artifact_name(KEY.digest)] == before[artifact_name(KEY.digest)]


def test_a_run_goes_on_alone_and_gives_at_the_end(tmp_path: Path, there: Held) -> None:
    there.is_down = True
    store = machine(tmp_path / "one", there)

    store.put("train", KEY, train)
    store.settle()
    assert there.held == {}
    there.is_down = False
    store.settle()

    (warning,) = store.problems()
    assert (warning.code, warning.severity) == ("X860", "warning")
    assert artifact_name(KEY.digest) in there.held


def test_a_run_that_needs_it_is_refused_where_it_does_not_answer(
    tmp_path: Path, there: Held
) -> None:
    there.is_down = True
    store = machine(tmp_path / "one", there, required=True)

    with pytest.raises(EnvironmentProblem, match="X860"):
        store.get(KEY.digest)


def test_a_server_that_writes_over_what_is_there_is_refused(there: Held) -> None:
    require_conditions(there)
    require_conditions(there)
    there.overwrites = True

    with pytest.raises(EnvironmentProblem, match="X861"):
        require_conditions(there)
    assert there.held == {MARK: MARK_TEXT}


def test_a_killed_transfer_shows_nothing_and_goes_on(
    tmp_path: Path, there: Held, given: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(transfer, "AT_ONCE", 1)
    plain = there.get

    def dying(name: str, *, limit: int) -> bytes | None:
        asked.append(name)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return plain(name, limit=limit)

    monkeypatch.setattr(there, "get", dying)
    with pytest.raises(KeyboardInterrupt):
        machine(tmp_path / "two", there).get(KEY.digest)
    assert nothing_of(tmp_path / "two")

    assert machine(tmp_path / "two", there).get(KEY.digest) is not None

    # the manifest is read again, of the blobs only those that had not arrived
    assert len(asked) - len(set(asked)) == 2


def test_a_record_keeps_where_it_was_taken_from_out_of_what_is_given(
    tmp_path: Path, there: Held, given: Artifact
) -> None:
    taken = machine(tmp_path / "two", there).get(KEY.digest)
    assert taken is not None
    elsewhere = Held()

    machine(tmp_path / "two", elsewhere).put("train", KEY, never)

    assert "from" in manifest_record(taken)
    assert b'"from"' not in elsewhere.held[artifact_name(KEY.digest)]
