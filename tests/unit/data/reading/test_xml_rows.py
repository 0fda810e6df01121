"""Rows of XML: what becomes a column, and what is refused."""

import gzip
from pathlib import Path

import pytest

from support.source_files import codes, origins, problems, read

ADDRESSES = """<?xml version="1.0" encoding="UTF-8"?>
<!-- <row>not this</row> -->
<all>
  <row id="1" xml:lang="en"><no>8128</no> <street>DR</street>\n  <street>KING &amp; Söhne</street></row>
  <part><row><no/><![CDATA[<row>]]></row></part>
</all>
"""


def test_children_attributes_and_the_whole_text_are_columns(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.xml", ADDRESSES.encode(), records="row")

    assert rows == [
        {
            "text": "8128 DR KING & Söhne",
            "@id": "1",
            "@xml:lang": "en",
            "no": "8128",
            "street": ["DR", "KING & Söhne"],
        },
        {"text": "<row>", "no": ""},
    ]
    assert origins(tmp_path, "r.xml", ADDRESSES.encode(), records="row") == [
        "r.xml#row:1",
        "r.xml#row:2",
    ]


def test_attributes_of_children_are_columns_too(tmp_path: Path) -> None:
    content = b'<a><r><t k="x">y</t><t k="z"/><u v="w"/></r></a>'

    assert read(tmp_path, "r.xml", content, records="r") == [
        {"text": "y", "t": ["y", ""], "t@k": ["x", "z"], "u": "", "u@v": "w"}
    ]


def test_packed_files_and_other_encodings_are_read(tmp_path: Path) -> None:
    latin = "<?xml version='1.0' encoding='iso-8859-1'?><a><r>é</r></a>".encode("latin-1")
    bare = "<a><r>é</r></a>".encode("cp1252")
    wide = "<?xml version='1.0' encoding='utf-16'?><a><r>é</r></a>".encode("utf-16")

    assert read(tmp_path, "r.xml.gz", gzip.compress(latin), records="r") == [{"text": "é"}]
    assert read(tmp_path, "r.xml", bare, records="r", encoding="cp1252") == [{"text": "é"}]
    assert read(tmp_path, "r.xml", wide, records="r") == [{"text": "é"}]


def test_a_child_called_text_is_the_column_text_and_children_keep_their_blanks(
    tmp_path: Path,
) -> None:
    rows = read(tmp_path, "r.xml", b"<a><r> x <text>\n y <b>z</b> </text></r></a>", records="r")

    assert rows == [{"text": "\n y z "}]


def test_an_element_inside_its_own_kind_is_part_of_it(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.xml", b"<r>1<r>2<s>3</s></r></r>", records="r")

    assert rows == [{"text": "123", "r": "23"}]


def test_names_keep_their_prefix(tmp_path: Path) -> None:
    content = b'<a xmlns:d="urn:x"><d:r><d:t>x</d:t></d:r></a>'

    assert read(tmp_path, "r.xml", content, records="d:r") == [{"text": "x", "d:t": "x"}]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"<a>\n<r>x</r>\n<b></a>", "D331", 3),
        (b"<a><r>x</r></a>\n<a/>", "D331", 2),
        (b"<a><r>x</r>", "D331", 1),
        (b"", "D331", 1),
        (b"no xml", "D331", 1),
        (b"<a><r>&nope;</r></a>", "D331", 1),
        (b"<a><r>\xff</r></a>", "D331", 1),
        (b"<?xml version='1.0' encoding='utf-9'?><a><r>x</r></a>", "D322", 1),
        (b"<a>" * 2000, "D331", 1),
    ],
)
def test_xml_that_is_broken_is_reported_with_its_line(
    tmp_path: Path, content: bytes, code: str, line: int
) -> None:
    assert codes(tmp_path, "r.xml", content, records="r")[-1] == (code, line)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">\n' for n in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!ENTITY l0 "ha">\n{LAUGHS}',
        f'<!ENTITY big "{"x" * 100_000}">',
        '<!ENTITY file SYSTEM "file:///etc/passwd">',
        '<!ENTITY % more SYSTEM "http://127.0.0.1:9/more.dtd"> %more;',
        '<!NOTATION n SYSTEM "n"> <!ENTITY picture SYSTEM "p.gif" NDATA n>',
    ],
)
def test_entities_are_refused_before_any_is_used(tmp_path: Path, declared: str) -> None:
    content = f"<!DOCTYPE a [\n{declared}\n]>\n<a><r>&l9;&file;&big;</r></a>".encode()
    (problem,) = problems(tmp_path, "r.xml", content, records="r")

    assert problem.code == "D335"
    assert problem.place is not None
    assert problem.place.line is not None


def test_a_document_type_of_another_file_is_not_looked_up(tmp_path: Path) -> None:
    content = b'<!DOCTYPE a SYSTEM "absent.dtd"><a><r>x</r></a>'

    assert read(tmp_path, "r.xml", content, records="r") == [{"text": "x"}]


def test_an_element_that_is_not_there_is_reported_with_those_that_are(tmp_path: Path) -> None:
    (near,) = problems(tmp_path, "r.xml", b"<all><address/><other/></all>", records="adress")
    (none,) = problems(tmp_path, "r.xml", b"<all><one/><one/></all>", records="quite_different")

    assert (near.code, near.hint) == ("D334", "did you mean `address`?")
    assert none.hint == "elements: `one`, `all`"


def test_an_element_too_long_to_be_one_row_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.data.reading.xml_rows.MAX_LINE", 100)

    assert codes(tmp_path, "r.xml", b"<a><r>" + b"x" * 200 + b"</r></a>", records="r") == [
        ("D336", 1)
    ]


@pytest.mark.parametrize(
    "row", ["<r>a&nbsp;b</r>", "<r><t>a&nbsp;b</t></r>", "<r t='a&nbsp;b'>x</r>"]
)
def test_entities_of_a_document_type_elsewhere_are_not_lost_in_silence(
    tmp_path: Path, row: str
) -> None:
    content = f'<!DOCTYPE a SYSTEM "a.dtd">\n<a><r t="&amp;&#233;">ok &lt;</r>\n{row}</a>'.encode()
    (problem,) = problems(tmp_path, "r.xml", content, records="r")

    assert problem.code == "D335"
    assert problem.place is not None
    assert problem.place.line == 3
    assert problem.message == "refers to the entity `nbsp`, which the file does not declare"


def test_a_document_type_elsewhere_is_no_trouble_by_itself(tmp_path: Path) -> None:
    content = b'<!DOCTYPE a SYSTEM "a.dtd"><a><r t="&amp;&#233;">b &lt;</r></a>'

    assert read(tmp_path, "r.xml", content, records="r") == [{"text": "b <", "@t": "&é"}]
