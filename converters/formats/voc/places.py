"""The files of a Pascal VOC tree: XML files, label maps and images, and which belong together."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from converters.formats.image_files import plain_name
from converters.formats.label_tree import subset_of_name
from converters.formats.voc.annotation import Annotation
from toolkit.files.reach import JUNK
from toolkit.imaging.images import is_image

__all__ = ["MAP_FOLDERS", "TreeFiles", "find_files", "is_structural"]

MAP_FOLDERS = {
    "segmentationclass": "class",
    "segmentationclasspng": "class",
    "segmentationobject": "object",
    "segmentationobjectpng": "object",
}
"""Folders of label maps, in lower case, and what these tell; others that begin alike hold pictures of labels."""

_PICTURES = re.compile(r"(annotations|segmentationclass|segmentationobject)(npy|vis\w*|jpg|color\w*)")
_STRUCTURAL = re.compile(
    r"jpe?gimages?|images?|imgs?|pictures?|pics|photos?|rgb|data(set)?|source|original"
    r"|ann(s|o|os|otations?|otation_?xmls?)?|xmls?|labels?|lables?|bbox(es)?|box(es)?|voc(\d{4})?"
    r"|segmentation(class|object)(png)?"
)
"""Names of folders that say what lies in them, and not of what."""

Parts = tuple[str, ...]


def is_structural(name: str) -> bool:
    """Whether the name of a folder says what lies in it, such as images or annotations, and not of what."""
    return _STRUCTURAL.fullmatch(_folded(name)) is not None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(eq=False)
class TreeFiles:
    """What lies below a root.

    Attributes:
        root: the folder.
        xmls: XML files, sorted.
        images: image files that are no labels, sorted.
        maps: "class" or "object" -> PNG files of label maps, sorted.
        pictures: folders of pictures of labels, which are neither, and how many.
    """

    root: Path
    xmls: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    maps: dict[str, list[Path]] = field(default_factory=lambda: {"class": [], "object": []})
    pictures: dict[Path, int] = field(default_factory=dict)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return _grouped(self.images)

    @cached_property
    def _own_xml(self) -> frozenset[str]:
        return frozenset(_folded(path.stem) for path in self.xmls)

    def inner(self, path: Path) -> Parts:
        """The folders from the root down to a file."""
        return path.relative_to(self.root).parts[:-1]

    def of_stem(self, label: Path) -> list[Path]:
        """Images of the same name as a label file, but for the ending and the letter case."""
        return self._named(label.stem, self._by_stem.get(_folded(label.stem), []), self.inner(label))

    def _named(self, stem: str, alike: Sequence[Path], inner: Parts) -> list[Path]:
        exact = [path for path in alike if path.stem == stem]
        subset = _subset(inner)
        return [path for path in exact or alike if not subset or _subset(self.inner(path)) in (None, subset)]

    def _of_name(self, label: Path, name: str) -> list[Path]:
        """Images that bear the name that an annotation tells, which may lack its ending."""
        bare = name.rpartition("/")[2]
        ending = is_image(bare)
        stem = PurePosixPath(bare).stem if ending else bare
        alike = self._named(stem, self._by_stem.get(_folded(stem), []), self.inner(label))
        return [path for path in alike if not ending or _folded(path.name) == _folded(bare)]

    def image_of(self, label: Path, told: Annotation | None) -> tuple[Path | None, str]:
        """The image that an annotation or a label map is of; else None, and why.

        An annotation's own name tells first; what it says of its image second, since files are renamed and what stands
        in them is not. Where the two name images that both lack other labels, nothing decides.
        """
        alike = self.of_stem(label)
        name = plain_name((told.filename or told.place) if told is not None else "")
        hints = _hints(told) if told is not None else ()
        said = self._of_name(label, name) if name else []
        both = [path for path in alike if path in said]
        if alike and said and not both and _folded(said[0].stem) not in self._own_xml:
            return None, f"is of {alike[0].name} by its name, and of {said[0].name} by its <filename>"
        return self._closest(label, both or alike or said, hints, name)

    def _closest(self, label: Path, found: Sequence[Path], hints: Parts, name: str) -> tuple[Path | None, str]:
        """The one image whose folders fit best."""
        if not found:
            named = f" {label.stem} or {name}" if name and PurePosixPath(name).stem != label.stem else f" {label.stem}"
            return None, f"no image{named} was found"
        beside = [path for path in found if path.parent == label.parent]
        if len(beside) == 1:
            return beside[0], ""
        here = self.inner(label)
        scores = {path: _score(here, hints, self.inner(path)) for path in found}
        best = [path for path, score in scores.items() if score == max(scores.values())]
        if len(best) == 1:
            return best[0], ""
        shown = ", ".join(path.relative_to(self.root).as_posix() for path in best[:3])
        return None, f"may be of {len(best)} images: {shown}"


def _grouped(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        found[_folded(path.stem)].append(path)
    return found


def _subset(parts: Parts) -> str | None:
    """The subset that folders speak of, the innermost that does."""
    return next((subset for part in reversed(parts) if (subset := subset_of_name(part))), None)


def _hints(told: Annotation) -> Parts:
    """Folders that an annotation names."""
    whole = (plain_name(text).split("/") for text in (told.folder, told.place, told.filename))
    folder, place, name = whole
    return (*folder, *place[:-1], *name[:-1])


def _score(here: Parts, hints: Parts, there: Parts) -> tuple[bool, int, int, bool]:
    """How well the folders of an image fit a label's: the same; those that both have; few others; one of images."""
    known = {_folded(part) for part in (*here, *hints) if not is_structural(part)}
    telling = [_folded(part) for part in there if not is_structural(part)]
    shared = sum(part in known for part in telling)
    return here == there, shared, shared - len(telling), len(telling) < len(there)


def find_files(root: Path) -> TreeFiles:
    """All files below a root that may be of a Pascal VOC tree."""
    files, seen = TreeFiles(root), set[str]()
    for parent, folders, names in os.walk(root, followlinks=True):
        here, real = Path(parent), os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in JUNK)
        parts = [_folded(part) for part in here.relative_to(root).parts]
        kind = next((MAP_FOLDERS[part] for part in parts if part in MAP_FOLDERS), None)
        drawn = any(_PICTURES.fullmatch(part) for part in parts)
        every = [here / name for name in sorted(names)]
        files.xmls += (path for path in every if path.suffix.lower() == ".xml" and not path.name.startswith("."))
        images = [path for path in every if is_image(path.name)]
        if drawn:
            files.pictures[here] = len(images)
        else:
            (files.maps[kind] if kind else files.images).extend(images)
    for paths in (files.xmls, files.images, *files.maps.values()):
        paths.sort()
    return files
