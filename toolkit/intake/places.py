"""Where the members of an archive belong in a dataset root: one folder per product, without what stood above it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.dataset.layouts.mvtec import PARTS
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.reach import JUNK
from toolkit.imaging.images import is_image
from toolkit.intake.guards import Limits, Member

__all__ = ["Place", "Placing"]

_SHOWN = 5  # names in a message
_MASKS = "ground_truth"
_DOCUMENT = re.compile(r"(licen[cs]e|read[-_ ]?me|copying|citation|notice)", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|xz|gz|bz2|7z|rar|zst)$", re.IGNORECASE)
_JUNK = JUNK | {"Thumbs.db", "desktop.ini"}
_DOCUMENTS, _DOCUMENT_SIZE = 200, 1 << 20  # how many, and bytes of each: they are kept in memory
_BY_HAND = "unpack it, and prepare the folder that holds the dataset"


@dataclass(frozen=True)
class Place:
    """A file of the dataset: its product, and where it lies in the product's folder."""

    product: str
    inside: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Where it lies in the dataset root."""
        return (self.product, *self.inside)


@dataclass(eq=False)
class Placing:
    """Takes the members of an archive one by one, and knows in the end what was in it.

    A file of a dataset is PRODUCT/PART/CLASS/..., at any depth, PART being train, test, ground_truth and the like.
    Where the parts stand at the very top, the product has the name of the archive.

    Attributes:
        archive: its path.
        wanted: products to keep; all of them if it is empty.
        limits: of the unpacked bytes; None for a folder, which has been unpacked already.
        documents: licences and readme files seen, by their place in the archive.
        size: bytes of the files that are kept.
    """

    archive: Path
    wanted: Collection[str]
    limits: Limits | None
    documents: list[tuple[str, ...]] = field(default_factory=list)
    size: int = 0
    _prefix: tuple[str, ...] | None = None
    _nameless: bool = False
    _classes: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    _junk: list[str] = field(default_factory=list)
    _junk_count: int = 0
    _others: list[str] = field(default_factory=list)
    _other_count: int = 0

    def take(self, member: Member) -> Place | None:
        """Where a member belongs; None if it is no part of the dataset, or of a product that is not wanted.

        Raises:
            ToolkitError: with it the archive is too large, or holds several datasets.
        """
        if any(part.startswith(".") or part in _JUNK for part in member.parts):
            self._junk_count += 1
            self._junk = sorted([*self._junk, "/".join(member.parts)])[:_SHOWN]
            return None
        place = self._place(member.parts)
        if place is not None and self.wanted and place.product not in self.wanted:
            return None
        self.size += member.size
        if self.limits is not None and self.size > self.limits.max_bytes:
            problem = f"unpacks to more than {self.limits.max_bytes:,} bytes"
            raise ToolkitError(self.archive, problem, "if you trust it, raise --max-size; or name a --category")
        if place is None:
            self._set_aside(member)
        return place

    def find(self, parts: tuple[str, ...]) -> Place | None:
        """Where the member of this name belongs."""
        at = next((index for index in range(len(parts) - 2) if parts[index] in PARTS), None)
        if at is None:
            return None
        return Place(parts[at - 1] if at else _name_of(self.archive), parts[at:])

    def _place(self, parts: tuple[str, ...]) -> Place | None:
        place = self.find(parts)
        if place is None:
            return None
        above = parts[: len(parts) - len(place.inside)]
        prefix, nameless = above[:-1], not above
        if self._prefix is None:
            self._prefix, self._nameless = prefix, nameless
        if (prefix, nameless) != (self._prefix, self._nameless):
            here, there = ("/".join(one) or "its root" for one in (self._prefix, prefix))
            raise ToolkitError(self.archive, f"holds datasets in several places: {here}, {there}", _BY_HAND)
        classes = self._classes.setdefault(place.product, set())
        if is_image(parts[-1]):
            classes.add((place.inside[0], place.inside[1]))
        return place

    def _set_aside(self, member: Member) -> None:
        small = member.target is None and member.size <= _DOCUMENT_SIZE and len(self.documents) < _DOCUMENTS
        if small and _DOCUMENT.match(member.parts[-1]):
            self.documents.append(member.parts)
            return
        self._other_count += 1
        self._others.append("/".join(member.parts))
        self._others = sorted(self._others)[:_SHOWN]

    @property
    def products(self) -> list[str]:
        """Products that were kept, sorted."""
        return sorted(name for name in self._all_products() if not self.wanted or name in self.wanted)

    @property
    def strangers(self) -> list[str]:
        """Folders that looked like products at first: they have no good images and no masks."""
        return sorted(set(self._classes) - set(self._all_products()))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and why."""
        notes = [f"left out {name}: it has no {GOOD} images and no {_MASKS}" for name in self.strangers]
        if self._junk_count:
            more = ", ..." if self._junk_count > len(self._junk) else ""
            files = "1 hidden file" if self._junk_count == 1 else f"{self._junk_count} hidden files"
            notes.append(f"passed over {files}, or what an operating system left: {', '.join(self._junk)}{more}")
        if self._other_count:
            more = ", ..." if self._other_count > len(self._others) else ""
            files = "1 file that is" if self._other_count == 1 else f"{self._other_count} files that are"
            notes.append(f"left out {files} no part of it: {', '.join(self._others)}{more}")
        return tuple(notes)

    def document_place(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Where a licence or a readme belongs in the dataset root: beside the products, or in one; else None."""
        prefix, above = self._prefix or (), parts[:-1]
        if self._nameless:
            return (_name_of(self.archive), parts[-1]) if not above else None
        if above == prefix:
            return parts[-1:]
        product = above[-1] if above else ""
        return (product, parts[-1]) if above[:-1] == prefix and product in self.products else None

    def check(self) -> None:
        """Look back when all members have been taken.

        Raises:
            ToolkitError: there was no dataset among them, or a product that is wanted is missing.
        """
        found = self._all_products()
        if not found:
            self._refuse()
        missing = [name for name in self.wanted if name not in found]
        if missing:
            raise ToolkitError(self.archive, f"has no category {missing[0]!r}", f"it has: {', '.join(sorted(found))}")

    def _refuse(self) -> None:
        held = [*self.strangers, *self._others, *("/".join(parts) for parts in self.documents)]
        archives = [name for name in held if _ARCHIVE.search(name)]
        if archives:
            problem = f"holds no dataset but archives: {', '.join(archives[:_SHOWN])}"
            raise ToolkitError(self.archive, problem, "unpack it, and prepare each of them")
        if not held:
            raise ToolkitError(self.archive, "holds no files", "get the archive again")
        problem = f"holds no dataset in MVTec layout (PRODUCT/test/DEFECT/..., PRODUCT/{_MASKS}/DEFECT/...)"
        more = ", ..." if len(held) > _SHOWN or self._other_count > len(self._others) else ""
        raise ToolkitError(self.archive, problem, f"it holds: {', '.join(held[:_SHOWN])}{more}")

    def _all_products(self) -> list[str]:
        return [
            name
            for name, classes in self._classes.items()
            if any(part == _MASKS or kind == GOOD for part, kind in classes)
        ]


def _name_of(archive: Path) -> str:
    """Name of a folder, or of an archive without its endings."""
    name = archive.resolve().name
    return name if archive.is_dir() else (re.sub(r"(\.tar)?\.[A-Za-z0-9]+$", "", name) or name)
