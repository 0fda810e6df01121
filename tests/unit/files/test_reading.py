import errno
import json
import os
from pathlib import Path

import pytest

from engine.files.digests import FILE, changed_files, read_digests, sha256_of, write_digests
from engine.files.reading import (
    json_lines,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="named pipe") as caught:
        open_regular(tmp_path / "pipe")

    assert caught.value.strerror == "is a named pipe, not a file"


def test_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        open_regular(tmp_path)
    with pytest.raises(OSError, match="is a device"):
        open_regular("/dev/zero")


def test_a_link_is_followed_unless_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to("real")

    assert read_bytes(tmp_path / "link") == b"x"
    with pytest.raises(OSError, match="symbolic links") as caught:
        open_regular(tmp_path / "link", follow=False)
    assert caught.value.errno == errno.ELOOP


def test_a_sparse_file_of_a_terabyte_is_refused_by_its_limit(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(2**40)

    with pytest.raises(OSError, match="larger than 1 MB") as caught:
        read_bytes(tmp_path / "huge", limit=1_000_000)

    assert caught.value.errno == errno.EFBIG


def test_line_ends_are_those_of_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\r\nb\rc\n")

    assert read_text(tmp_path / "a") == "a\nb\nc\n"


@pytest.mark.parametrize("part", ["[]", '{"a":1}'])
def test_json_is_bounded_in_parts(tmp_path: Path, part: str) -> None:
    """200 MB of empty lists took 5 GB."""
    text = f"[{','.join([part] * 100)}]"
    (tmp_path / "a.json").write_text(text, encoding="utf-8")

    assert len(read_json(tmp_path / "a.json", limit=2000)) == 100
    with pytest.raises(ValueError, match="more than 62 lists and objects"):
        read_json(tmp_path / "a.json", limit=1000)
    with pytest.raises(ValueError, match="more than 100 lists and objects"):
        parse_json(text.encode(), parts=100)


def test_json_is_bounded_in_depth(tmp_path: Path) -> None:
    deepest = "[" * 100 + "]" * 100
    (tmp_path / "a.json").write_text(f"[{deepest}]", encoding="utf-8")

    assert parse_json(deepest) == json.loads(deepest)
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        parse_json('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(ValueError, match="Expecting value"):
        parse_json("")


def test_what_took_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """A look at the name comes before; by then it may be another thing's."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="is a named pipe"):
        sha256_of(tmp_path / "pipe")


def test_a_text_with_other_line_ends_stays_in_its_json_line() -> None:
    """A document with U+2028 ended `recipe predict`, `--probe` and quantizing with an importance matrix."""
    rows = [{"text": f"one{end}two"} for end in "\n\r\x0b\x1c\x85\u2028\u2029"]
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)

    assert [json.loads(line) for line in json_lines(text)] == rows
    assert json_lines(text.replace("\n", "\n\n")) == json_lines(text)


def test_a_half_of_the_digests_themselves_has_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("w", encoding="utf-8")
    (tmp_path / f".{FILE}.0123456789abcdef01234567.part").write_text("{", encoding="utf-8")
    (tmp_path / ".other.0123456789abcdef01234567.part").write_text("a file", encoding="utf-8")

    write_digests(tmp_path)

    digests = read_digests(tmp_path / FILE)
    assert digests is not None
    assert {*digests} == {"weights", ".other.0123456789abcdef01234567.part"}
    assert changed_files(tmp_path, digests) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other.0123456789abcdef01234567.part",
        FILE,
        "weights",
    ]


@pytest.mark.parametrize("linked", ["inner", "inner/weights"])
def test_the_same_bytes_behind_a_link_are_no_longer_what_was_written(
    tmp_path: Path, linked: str
) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "weights").write_text("w", encoding="utf-8")
    write_digests(folder)
    digests = read_digests(folder / FILE)
    assert digests is not None
    # A folder that is reached through a link itself is as it was.
    (tmp_path / "way").symlink_to(folder)
    assert changed_files(tmp_path / "way", digests) == []

    (folder / linked).rename(elsewhere)
    (folder / linked).symlink_to(elsewhere)

    assert changed_files(folder, digests) == ["inner/weights"]


def test_digests_behind_a_link_are_not_read(tmp_path: Path) -> None:
    write_digests(tmp_path, place=tmp_path / "real")
    (tmp_path / FILE).symlink_to("real")

    with pytest.raises(ValueError, match="link"):
        read_digests(tmp_path / FILE)
