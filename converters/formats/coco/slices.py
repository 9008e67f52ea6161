"""COCO files that are large: where in them images and annotations stand, so that one at a time is in memory."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
import numpy.typing as npt
import orjson

from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["AnnotationsOf", "Part", "Slices", "open_sliced"]

_BLOCK = 1 << 20
_SPACE = re.compile(rb"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_SLICED = {"images": "file_name", "annotations": ""}
"""Lists, and the text that each of their members has."""


class Slices(Sequence[JsonObject]):
    """Objects of a JSON file. Each is read when it is asked for; the file must not change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts, self._lengths = array("Q"), array("I")

    def add(self, start: int, length: int) -> None:
        """Note where the next one stands."""
        self._starts.append(start)
        self._lengths.append(length)

    def part(self, places: Sequence[int]) -> Part:
        """Some of them."""
        return Part(self.path, tuple(value for at in places for value in (self._starts[at], self._lengths[at])))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[JsonObject]:
        with open(self.path, "rb", buffering=_BLOCK) as file:
            for start, length in zip(self._starts, self._lengths, strict=True):
                yield _read(self.path, file, start, length)

    @overload
    def __getitem__(self, index: int) -> JsonObject: ...
    @overload
    def __getitem__(self, index: slice) -> list[JsonObject]: ...
    def __getitem__(self, index: int | slice) -> JsonObject | list[JsonObject]:
        if isinstance(index, slice):
            return list(self.part(range(*index.indices(len(self)))))
        return self.part([index])[0]


def _read(path: Path, file: IO[bytes], start: int, length: int) -> JsonObject:
    file.seek(start)
    try:
        found: JsonObject = orjson.loads(file.read(length))
    except ValueError as error:
        raise ToolkitError(path, "was changed while it was read", "run the command again") from error
    return found


class Part(Sequence[JsonObject]):
    """Some objects of a JSON file, read together when one of them is asked for. It can be sent to another process."""

    __slots__ = ("_found", "path", "spans")

    def __init__(self, path: Path, spans: tuple[int, ...]) -> None:
        """The objects at some places.

        Args:
            path: the file.
            spans: for each object where it begins, and its length in bytes.
        """
        self.path, self.spans = path, spans
        self._found: list[JsonObject] | None = None

    def __reduce__(self) -> tuple[type[Part], tuple[Path, tuple[int, ...]]]:
        return Part, (self.path, self.spans)

    def __repr__(self) -> str:
        return repr(self._all())

    def __len__(self) -> int:
        return len(self.spans) // 2

    @overload
    def __getitem__(self, index: int) -> JsonObject: ...
    @overload
    def __getitem__(self, index: slice) -> list[JsonObject]: ...
    def __getitem__(self, index: int | slice) -> JsonObject | list[JsonObject]:
        return self._all()[index]

    def _all(self) -> list[JsonObject]:
        if self._found is None:
            spans = iter(self.spans)
            with open(self.path, "rb") as file:
                self._found = [
                    _read(self.path, file, start, length) for start, length in zip(spans, spans, strict=True)
                ]
        return self._found


class AnnotationsOf(Mapping[int | str, Part]):
    """The annotations of each image of a file."""

    def __init__(self, places: Mapping[int | str, int], annotations: Slices, owners: npt.NDArray[np.int64]) -> None:
        """As told.

        Args:
            places: id of an image -> its place among the images.
            annotations: all of them.
            owners: the place of the image of each.
        """
        self._places, self._annotations = places, annotations
        self._order = np.argsort(owners, kind="stable")
        self._ordered = owners[self._order]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._places)

    def __getitem__(self, number: int | str) -> Part:
        first, last = np.searchsorted(self._ordered, [self._places[number], self._places[number] + 1]).tolist()
        return self._annotations.part(self._order[first:last].tolist())


class _UnfitError(Exception):
    """The file is not as it should be; who reads it whole says why."""


def open_sliced(path: Path) -> JsonObject | None:
    """What a COCO file holds, its images and annotations as `Slices`.

    None where anything in it is not as it should be, for which the whole file is read and told of.
    """
    try:
        with open(path, "rb") as file:
            return _document(path, _Window(file))
    except (_UnfitError, OSError, ValueError, RecursionError, OverflowError):
        return None


def _document(path: Path, window: _Window) -> JsonObject:
    found: JsonObject = {}
    window.take(b"{")
    while True:
        name = window.value()[2]
        if not isinstance(name, str) or name in found:
            raise _UnfitError
        window.take(b":")
        sliced = name in _SLICED and window.next() == b"["
        found[name] = _slices(path, window, _SLICED[name]) if sliced else window.value()[2]
        if window.next() != b",":
            break
        window.take(b",")
    window.take(b"}")
    if window.next() or not all(isinstance(found.get(name), Slices) for name in _SLICED):
        raise _UnfitError
    return found


def _slices(path: Path, window: _Window, text: str) -> Slices:
    found = Slices(path)
    window.take(b"[")
    while window.next() != b"]":
        if len(found):
            window.take(b",")
        start, length, value = window.value()
        if not isinstance(value, dict) or (text and not isinstance(value.get(text), str)):
            raise _UnfitError
        found.add(start, length)
    window.take(b"]")
    return found


class _Window:
    """The part of a JSON file that is being looked at."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._data, self._text = b"", ""
        self._before = self._at = 0
        self._lines = True  # whether each value ends its line, as ours do

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        read = self._file.read(max(_BLOCK, len(self._data)))
        self._before += self._at
        self._data, self._at = self._data[self._at :] + read, 0
        self._text = "" if self._lines else self._data.decode("latin-1")  # a letter a byte
        return bool(read)

    def next(self) -> bytes:
        """The byte that comes next, white space apart; none at the end."""
        while True:
            space = _SPACE.match(self._data, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._data) or not self._more():
                return self._data[self._at : self._at + 1]

    def take(self, sign: bytes) -> None:
        """Pass over a byte that has to come next."""
        if self.next() != sign:
            raise _UnfitError
        self._at += 1

    def value(self) -> tuple[int, int, Any]:
        """The value that comes next: where it begins in the file, its length, and what it is."""
        self.next()
        value = self._line()
        if value is None:
            value = self._any()
        start, (end, found) = self._at, value
        self._at = end
        return self._before + start, end - start, found

    def _line(self) -> tuple[int, Any] | None:
        """The end of a value that is the rest of its line, and the value; None where it is not."""
        while self._lines and self._data[self._at : self._at + 1] == b"{":
            end = self._data.find(b"\n", self._at)
            if end >= 0:
                told = self._data[self._at : end].rstrip(b", \r")
                try:
                    return self._at + len(told), orjson.loads(told)
                except ValueError:
                    break
            if len(self._data) - self._at > _BLOCK or not self._more():
                break  # all of it may be one line
        if self._lines and self._data[self._at : self._at + 1] == b"{":
            self._lines = False
        return None

    def _any(self) -> tuple[int, Any]:
        while True:
            self._text = self._text or self._data.decode("latin-1")
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                end = -1
            if 0 <= end < len(self._data):  # a number may go on
                return end, orjson.loads(self._data[self._at : end])
            if not self._more():
                raise _UnfitError
