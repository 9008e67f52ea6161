"""Whose each path of a tree is, so that no image takes the file of another one, here or where the tree is copied to."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files.portable import windows_fault
from toolkit.packed import Seen

__all__ = ["PathOwners"]


class PathOwners:
    """The paths that a tree has, and the images that they belong to.

    As long as no path is like another one, only their hashes are kept.

    Attributes:
        faults: key of an image -> why one of its paths cannot exist on Windows, or not beside another one.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        windows: bool = sys.platform == "win32",
        claimed: Callable[[], Iterable[tuple[str, str]]] | None = None,
    ) -> None:
        """No paths yet.

        Args:
            folder: where the tree is being written.
            name: its format.
            claimed: where all claims are written down, in their order, those to come not among the first; without it
                they are all kept here.
            windows: whether that is on Windows, which takes such a name for another one, and says nothing.
        """
        self.faults: dict[str, str] = {}
        self._folder, self._name, self._windows = folder, name, windows
        self._claimed, self._claims, self._seen = claimed, 0, Seen()
        self._owners: dict[str, str] = {}
        self._capitals: dict[str, str] = {}  # path in plain small letters -> as it is, where it has others

    def claim(self, path: str, key: str) -> None:
        """Note that a path, with "/" between its parts, is that of an image.

        Raises:
            ToolkitError: it is another one's, or this system cannot keep the two apart.
        """
        self._claims += 1
        if self._claimed is not None:
            if not self._seen.add(_small(path)):
                self._check_portable(path, key)
                return
            earlier, self._claimed, self._seen = islice(self._claimed(), self._claims - 1), None, Seen()
            for one in earlier:
                self.claim(*one)
        other = self._owners.setdefault(path, key)
        if other != key:
            problem = f"and {other} would both be {path} in {self._name}"
            raise ToolkitError(key, problem, "rename one of the two images")
        twin = self._twin(path)
        if twin is not None and self._owners[twin] != key:
            if self._is_one_file(path, twin):
                problem = f"and {self._owners[twin]} would be one file in {self._name}: the disk folds their names"
                raise ToolkitError(key, problem, "rename one of the two images")
            self.faults.setdefault(key, f"is taken for {self._owners[twin]}")
        self._check_portable(path, key)

    def _check_portable(self, path: str, key: str) -> None:
        fault = windows_fault(path)
        if fault and self._windows:
            raise ToolkitError(key, f"would be {path} in {self._name}: {fault}", "rename the image or its class")
        if fault:
            self.faults.setdefault(key, fault)

    def _twin(self, path: str) -> str | None:
        """A path that differs by its case alone, or by how its accents are written; None if there is none."""
        small = _small(path)
        if small == path:
            return self._capitals.get(path)
        twin = self._capitals.setdefault(small, path)
        if twin != path:
            return twin
        return small if small in self._owners else None

    def _is_one_file(self, path: str, twin: str) -> bool:
        try:
            return (self._folder / path).samefile(self._folder / twin)
        except OSError:  # one of them has yet to be written
            return False


def _small(path: str) -> str:
    """A path in small letters, its accents written in one way."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).lower()
