"""Which subset each image of a Pascal VOC tree is of: ImageSets/Main, else the folders."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.image_files import plain_name
from converters.formats.label_tree import subset_of_name
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import Problem
from toolkit.files.typed import read_text
from toolkit.imaging.images import is_image

__all__ = ["Subsets", "list_line", "read_subsets"]

_LISTS = re.compile(r"train(ing|set)?|val(id|idation|set)?|test(ing|set)?|trainval|train_val")
_VERDICT = re.compile(r"\s+-?[01]$")  # of lists of a single class
_REMEDY = "write the names of its images, one a line, in UTF-8"
_SHOWN = 3


@dataclass(frozen=True)
class Subsets:
    """What the lists of a tree say.

    Attributes:
        of_name: name of an image, without ending -> subset and the list that says so.
        listed: whether there are lists.
        problems: names that two lists have.
    """

    of_name: dict[str, tuple[str, Path]] = field(default_factory=dict)
    listed: bool = False
    problems: tuple[Problem, ...] = ()
    _found: set[str] = field(default_factory=set)

    def of_image(self, root: Path, image: Path) -> str:
        """The subset of an image: that of its list, else that of its folders, else "train"."""
        inner = image.relative_to(root) if image.is_relative_to(root) else Path(image.name)
        parts = inner.with_suffix("").parts
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            if name in self.of_name:
                self._found.add(name)
                return self.of_name[name][0]
        folders = (subset_of_name(part) for part in reversed(parts[:-1]))
        return next((subset for subset in folders if subset), "train")

    def unmatched(self) -> tuple[list[Problem], list[str]]:
        """What to say of lists that name images that are not there: a problem where that is all of them, else a note.

        Lists are often those of a whole set of which a part is at hand.
        """
        lost: dict[Path, list[str]] = defaultdict(list)
        for name, (_, path) in self.of_name.items():
            if name not in self._found:
                lost[path].append(name)
        found = {self.of_name[name][1] for name in self._found}
        problems, notes = [], []
        for path, names in lost.items():
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            what = f"lists {len(names)} image(s) that are not there: {shown}"
            if path in found:
                notes.append(f"{path} {what}")
            else:
                problems.append(Problem(str(path), what, "put them there, or remove the list"))
        return problems, notes

    def unlisted(self, images: Iterable[Path], root: Path) -> list[Path]:
        """Images that no list names."""
        found = self._found
        return [image for image in images if self.listed and not _names(image, root) & found]


def _names(image: Path, root: Path) -> set[str]:
    parts = image.relative_to(root).with_suffix("").parts if image.is_relative_to(root) else (image.stem,)
    return {"/".join(parts[start:]) for start in range(len(parts))}


def read_subsets(root: Path, stems: set[str]) -> Subsets:
    """What ImageSets/Main, ImageSets/Segmentation, or ImageSets itself says of subsets.

    Lists of one class (dent_train.txt) say nothing; trainval.txt only of images that no other list has.

    Args:
        root: the tree.
        stems: names of its images, without endings; of a line that is none, what may stand beside a name is cut off.

    Raises:
        ToolkitError: a list cannot be read.
    """
    home = root / "ImageSets"
    of_name: dict[str, tuple[str, Path]] = {}
    twice: list[Problem] = []
    for folder in (home / "Main", home / "Segmentation", home):
        known = set(of_name)  # one list is enough; others need not have all of them
        for path in _lists(folder):
            subset = subset_of_name(path.stem) or "train"
            for name in _listed(path, stems):
                other = of_name.setdefault(name, (subset, path))
                if other[0] != subset and name not in known and not _is_both(path):
                    what = f"lists {name}, as {other[1].name} does"
                    twice.append(Problem(str(path), what, "take it out of one of the lists"))
    return Subsets(of_name, bool(of_name), tuple(twice))


def _is_both(path: Path) -> bool:
    return path.stem.lower() in ("trainval", "train_val")


def _lists(folder: Path) -> Sequence[Path]:
    """The lists of whole subsets in a folder, trainval last."""
    if not folder.is_dir():
        return []
    paths = [path for path in sorted(folder.glob("*.txt")) if _LISTS.fullmatch(path.stem.lower())]
    order = {subset: place for place, subset in enumerate(SUBSETS)}
    return sorted(paths, key=lambda path: (_is_both(path), order[subset_of_name(path.stem) or "train"]))


def list_line(stem: str) -> bytes:
    """The line of a list that names an image; as JSON text where the name would break lines, or is no text."""
    plain = stem == stem.strip() and not stem.startswith('"') and "\n" not in stem and "\r" not in stem
    try:
        return stem.encode() if plain else json.dumps(stem).encode()
    except UnicodeEncodeError:
        return json.dumps(stem).encode()


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _listed(path: Path, stems: set[str]) -> Iterator[str]:
    """The names in a list, each as an image has it."""
    for line in read_text(path, _REMEDY).split("\n"):
        text = line.rstrip("\r")
        if not text.strip():
            continue
        if text in stems:
            yield text
            continue
        if text.startswith('"') and (told := _unquoted(text)) in stems:
            yield told
            continue
        text = _VERDICT.sub("", text.strip()).strip("\"'")
        name = plain_name(text)
        yield name.rpartition(".")[0] if is_image(name) or name.lower().endswith(".xml") else name
