"""A sequence of a million small values: each is kept as some bytes, and made anew whenever it is asked for.

An object of a few fields takes Python half a kilobyte, its texts and paths included; the same as bytes is as long as
what it says.
"""

from __future__ import annotations

import marshal
import os
import pickle
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

__all__ = ["Folders", "Mapped", "Packed", "Plain", "Seen"]

T = TypeVar("T")
R = TypeVar("R")


class Packed(Sequence[T], Generic[T]):
    """Values in the order in which they were added, or sorted. What is taken out of it is a new object each time.

    Args:
        pack: a value as a tuple of plain ones.
        unpack: the value again.
        items: the first values.
        key: what values are sorted by, out of such a tuple.
    """

    def __init__(
        self,
        pack: Callable[[T], Any],
        unpack: Callable[[Any], T],
        items: Iterable[T] = (),
        key: Callable[[Any], str] = itemgetter(0),
    ) -> None:
        self._pack, self._unpack, self._key = pack, unpack, key
        self._data = bytearray()
        self._starts = array("Q")
        self.extend(items)

    def append(self, item: T) -> None:
        """Add a value at the end."""
        told = self._pack(item)
        self._starts.append(len(self._data))
        self._data += marshal.dumps(told if _is_plain(told) else pickle.dumps(told))

    def extend(self, items: Iterable[T]) -> None:
        """Add values at the end."""
        for item in items:
            self.append(item)

    def cut(self, length: int) -> None:
        """Take away all values but the first ones."""
        del self._starts[length:]  # what they were stays among the bytes

    def keys(self) -> Iterator[str]:
        """What each value is sorted by, without making the values."""
        return (self._key(self._told(start)) for start in self._starts)

    def sort(self) -> None:
        """Sort by key; values of equal ones stay in order."""
        keys = list(self.keys())
        if any(keys[place] < keys[place - 1] for place in range(1, len(keys))):
            order = sorted(range(len(keys)), key=keys.__getitem__)
            self._starts = array("Q", map(self._starts.__getitem__, order))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[T]:
        return map(self._at, self._starts)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._at(start) for start in self._starts[index]]
        return self._at(self._starts[index])

    def _told(self, start: int) -> Any:
        told = marshal.loads(memoryview(self._data)[start:])
        return pickle.loads(told) if isinstance(told, bytes) else told  # noqa: S301 - bytes of this process

    def _at(self, start: int) -> T:
        return self._unpack(self._told(start))


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _is_plain(value: object) -> bool:
    """Whether marshal gives a value back as it is: of a number of numpy's it would make bytes."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if isinstance(value, dict) and kind is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return isinstance(value, tuple | list) and kind in (tuple, list) and all(map(_is_plain, value))


class Mapped(Sequence[R], Generic[T, R]):
    """The values of a sequence, each made into another one when it is asked for."""

    def __init__(self, items: Sequence[T], function: Callable[[T], R]) -> None:
        self._items, self._function = items, function

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[R]:
        return map(self._function, self._items)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> list[R]: ...
    def __getitem__(self, index: int | slice) -> R | list[R]:
        if isinstance(index, slice):
            return list(map(self._function, self._items[index]))
        return self._function(self._items[index])


_MOST_FOLDERS = 10_000


class Folders:
    """Paths as plain values: the folder of each by its number, as long as there are not too many."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._folders: list[Path] = []
        self._texts: list[str] = []

    def told(self, path: Path | str) -> tuple[int, str]:
        """A path as plain values."""
        text = str(path)
        folder = text[: text.rfind(os.sep) + 1]
        number = self._numbers.get(folder)
        if number is None:
            if len(self._folders) == _MOST_FOLDERS:
                return -1, text
            number = self._numbers[folder] = len(self._folders)
            self._folders.append(Path(folder))
            self._texts.append(folder)
        return number, text[len(folder) :]

    def path(self, told: tuple[int, str]) -> Path:
        """The path again."""
        number, name = told
        return self._folders[number] / name if number >= 0 else Path(name)

    def text(self, told: tuple[int, str]) -> str:
        """The path again, as text."""
        number, name = told
        return self._texts[number] + name if number >= 0 else name


class Plain:
    """Values of any kind as plain ones. Those that are none are kept as they are, and told by their number.

    Args:
        pack, unpack: what makes plain ones of some, where that is known; for others `pack` returns None.
    """

    def __init__(
        self, pack: Callable[[Any], Any] = lambda value: None, unpack: Callable[[Any], Any] = lambda told: told
    ) -> None:
        self._pack, self._unpack = pack, unpack
        self._kept: list[Any] = []

    def told(self, value: object) -> tuple[int, Any]:
        """A value as plain ones."""
        packed = self._pack(value)
        if packed is not None:
            return 1, packed
        if _is_plain(value):
            return 0, value
        self._kept.append(value)
        return 2, len(self._kept) - 1

    def of(self, told: tuple[int, Any]) -> Any:
        """The value again."""
        how, value = told
        return self._unpack(value) if how == 1 else self._kept[value] if how == 2 else value


class Seen:
    """Which texts were there before, by their hashes alone: eight to sixteen bytes each, and wrong once in an age."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 10))
        self._count = 0

    def add(self, text: str) -> bool:
        """Note a text; whether it, or one of the same hash, was there before."""
        number = hash(text) & 0xFFFFFFFFFFFFFFFF or 1
        place = self._place(number)
        if self._slots[place] == number:
            return True
        self._slots[place] = number
        self._count += 1
        if self._count * 3 > len(self._slots) * 2:
            older, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for number in older:
                if number:
                    self._slots[self._place(number)] = number
        return False

    def _place(self, number: int) -> int:
        """Where a hash stands, or would."""
        slots, last = self._slots, len(self._slots) - 1
        place = number & last
        while slots[place] not in (0, number):
            place = (place + 1) & last
        return place
