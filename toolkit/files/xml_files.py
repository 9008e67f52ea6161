"""XML files of strangers, read safely: no document types, no entities, no more than memory holds; and text for XML."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException, DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser

from toolkit.errors import ToolkitError

__all__ = ["check_class_name", "first_element", "parse_xml", "text_of", "xml_text"]

_MOST_BYTES = 1 << 28
_MOST_ELEMENTS = 5_000_000
_DEEPEST = 64
_HEAD = 4096  # bytes in which a file's first element is looked for
_TOLD = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z][\w.:-]*)["']""")
_PYTHONS = frozenset(
    codecs.lookup(name).name
    for name in ("gb2312", "gbk", "gb18030", "big5", "big5hkscs", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949")
)
"""Encodings of several bytes a letter, which expat does not know and annotation tools write."""
_FIRST = re.compile(r"^\ufeff?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*<([^\s<>/!?]+)(?=[\s/>])", re.DOTALL)

_UNSAYABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u2028\u2029]")
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # in XML
_BREAKS = {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


class _TooMuchError(ValueError):
    """More elements, or deeper ones, than any label file has."""


class _Bounded(TreeBuilder):
    """Builds the tree as far as its bounds allow."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left, self._depth = most, 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._left -= 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooMuchError(f"its elements lie more than {_DEEPEST} deep in one another")
        if self._left < 0:
            raise _TooMuchError("it has more elements than are read")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(
    path: Path, remedy: str, *, most_bytes: int = _MOST_BYTES, most_elements: int = _MOST_ELEMENTS
) -> Element:
    """What an XML file holds: its outermost element.

    Any encoding that it names is read, those of several bytes a letter too; a byte order mark is passed over.

    Args:
        path: the file.
        remedy: what to do where it cannot be read as XML.
        most_bytes: larger files are refused.
        most_elements: files of more elements are refused.

    Raises:
        ToolkitError: it cannot be read, is no XML, has a document type or entities, or exceeds a bound.
    """
    data = _bytes_of(path, remedy, most_bytes)
    try:
        parser = DefusedXMLParser(target=_Bounded(most_elements), forbid_dtd=True)
        parser.feed(_decoded(data))
        found: Element = parser.close()
    except DTDForbidden as error:
        raise ToolkitError(path, "declares a document type, which is not read", "remove its <!DOCTYPE ...>") from error
    except DefusedXmlException as error:
        raise ToolkitError(path, "declares entities, which are not read", "remove its <!ENTITY ...>") from error
    except UnicodeDecodeError as error:
        raise ToolkitError(path, f"is no text in {error.encoding} (byte {error.start})", remedy) from error
    except (ParseError, ValueError, LookupError) as error:
        raise ToolkitError(path, f"is no XML that can be read ({_fault(data, error)})", remedy) from error
    return found


def _bytes_of(path: Path, remedy: str, most: int) -> bytes:
    """The bytes of a file, of no more than `most`."""
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error
    if len(data) > most:
        raise ToolkitError(path, f"has more than {most} bytes, more than such a file may have", remedy)
    if not data.strip(b" \t\r\n\0"):
        raise ToolkitError(path, "is empty" if not data else "holds nothing but blanks or zero bytes", remedy)
    return data


def _decoded(data: bytes) -> bytes | str:
    """The text of a file whose encoding expat does not know; else its bytes."""
    told = _TOLD.match(data[:_HEAD])
    try:
        name = codecs.lookup(told[1].decode()).name if told else ""
    except LookupError:
        return data
    return data.decode(name) if name in _PYTHONS else data


def _fault(data: bytes, error: Exception) -> str:
    """What is wrong, in one line; bytes that are no text are said to be that."""
    told = " ".join(str(error).split()) or type(error).__name__
    if "invalid token" in told and not _TOLD.match(data[:_HEAD]) and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data.decode()
        except UnicodeDecodeError as wrong:
            return f"it names no encoding, and is no text in UTF-8: byte {wrong.start}"
    return told


def first_element(path: Path) -> str | None:
    """The name of a file's outermost element, of which no more than its beginning is read; None where it is no XML."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    found = _FIRST.match(head.decode("utf-16" if wide else "latin-1", errors="replace").removeprefix("\xef\xbb\xbf"))
    return found[1] if found else None


def text_of(element: Element | None, name: str = "") -> str:
    """The text of an element, or of its first child of this name, without blanks around it; "" where there is none."""
    found = element.find(name) if element is not None and name else element
    return (found.text or "").strip() if found is not None else ""


def xml_text(text: str, *, quoted: bool = False) -> str:
    """What XML can hold of a text, as it is written: between two tags, or between the quotes of an attribute."""
    return escape(_ILLEGAL.sub("\ufffd", text), {**_BREAKS, '"': "&quot;"} if quoted else _BREAKS)


def check_class_name(kind: str, name: str) -> None:
    """Refuse the name of a class that XML files of a format cannot hold, or would read otherwise.

    Raises:
        ToolkitError: it holds such a letter, or begins or ends with a blank.
    """
    found = _UNSAYABLE.search(name)
    if found is not None:
        problem = f"the class {name!r} holds {found[0]!a}, which no XML file can"
        raise ToolkitError(kind, problem, "rename the class")
    if name != name.strip():
        raise ToolkitError(kind, f"the class {name!r} begins or ends with a blank", "rename the class")
