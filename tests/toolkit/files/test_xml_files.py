"""XML of strangers: what is read, and what is refused in one line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.files.xml_files import first_element, parse_xml, text_of

LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>'
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'


@pytest.mark.parametrize(
    "data",
    [
        "<a><b>Riß 划痕</b></a>".encode(),
        b"\xef\xbb\xbf" + "<a>\r\n<b> Riß 划痕 </b>\r\n</a>".encode(),
        "<?xml version='1.0' encoding='GB18030'?><a><b>Riß 划痕</b></a>".encode("gb18030"),
        '<?xml version="1.0" encoding="utf-16"?><a><b>Riß 划痕</b></a>'.encode("utf-16"),
        '<?xml version="1.0"?>\n<!-- made by <hand> -->\n<a x="1"><b>Riß 划痕</b></a>'.encode(),
    ],
    ids=["UTF-8", "byte order mark", "GB 18030", "UTF-16", "comment"],
)
def test_encodings(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(data)
    assert text_of(parse_xml(file, "replace it"), "b") == "Riß 划痕"
    assert first_element(file) == "a"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty; replace it"),
        (b"\0" * 50, "holds nothing but blanks or zero bytes; replace it"),
        (b"<a><b></a>", "is no XML that can be read (mismatched tag: line 1, column 8); replace it"),
        (b"<a>", "is no XML that can be read (no element found: line 1, column 3); replace it"),
        (b"\xff\xd8\xff\xe0JFIF", "is no XML that can be read (it names no encoding, and is no text in UTF-8: byte 0)"),
        (b"<a>\xe9</a>", "is no XML that can be read (it names no encoding, and is no text in UTF-8: byte 3); replace"),
        (b'<?xml version="1.0" encoding="gbk"?><a>\xff</a>', "is no text in gbk (byte 39); replace it"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "is no XML that can be read (unknown encoding"),
        (b'<?xml version="1.0" encoding="zlib"?><a/>', "is no XML that can be read ("),
        (LAUGHS.encode(), "declares a document type, which is not read; remove its <!DOCTYPE ...>"),
        (OUTSIDE.encode(), "declares a document type, which is not read; remove its <!DOCTYPE ...>"),
        (b"<a>&x;</a>", "is no XML that can be read (undefined entity: line 1, column 3); replace it"),
        (b"<a>" * 10**4, "is no XML that can be read (its elements lie more than 64 deep in one another); replace it"),
        (b"<a>" + b"<b/>" * 99 + b"</a>", "is no XML that can be read (it has more elements than are read); replace"),
        (b"<a>" + b" " * 1000 + b"</a>", "has more than 900 bytes, more than such a file may have; replace it"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(data)
    bounds = {"most_elements": 50} if b"<b/>" in data else {"most_bytes": 900} if b" " * 9 in data else {}
    with pytest.raises(ToolkitError) as caught:
        parse_xml(file, "replace it", **bounds)
    assert str(caught.value).startswith(f"{file}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"cannot be read \(No such file or directory\); check the path"):
        parse_xml(tmp_path / "a.xml", "replace it")
    assert first_element(tmp_path / "a.xml") is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<annotation>", "annotation"),
        (b"<annotations\nversion='1'/>", "annotations"),
        (b"<annotation-x/>", "annotation-x"),
        (b"annotation", None),
        (b"<!-- <annotation> --><x/>", "x"),
        (b"<", None),
        (b"", None),
    ],
)
def test_the_first_element_is_told_by_the_beginning(tmp_path: Path, data: bytes, name: str | None) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(data)
    assert first_element(file) == name


@given(st.binary(max_size=40), st.sampled_from([b"", b"<a>", b'<?xml version="1.0" encoding="big5"?><a>']))
@settings(max_examples=40, deadline=None)
def test_whatever_the_bytes_are(tmp_path_factory: pytest.TempPathFactory, data: bytes, begin: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.xml"
    file.write_bytes(begin + data)
    first_element(file)
    with suppress(ToolkitError):
        parse_xml(file, "replace it")
