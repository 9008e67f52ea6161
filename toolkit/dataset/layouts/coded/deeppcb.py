"""The layout of DeepPCB: boxes in text files, and for each image the good template beside it.

    groupG/G/ID_test.jpg        groupG/G_not/ID.txt     lines "x1 y1 x2 y2 type", with spaces or commas
    groupG/G/ID_temp.jpg        the template, without a defect
    trainval.txt, test.txt      groupG/G/ID.jpg groupG/G_not/ID.txt; no file is called ID.jpg: ID_test.jpg is meant

The authors call the points "top left and bottom right corner of the bounding box" and say no more. They are taken for
the edges of the box, so that it is x2 - x1 wide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.layouts.published import compare_with_published
from toolkit.dataset.layouts.records import read_lines
from toolkit.dataset.samples import BoxLabel, Sample, class_of_image
from toolkit.errors import Problem, ToolkitError

__all__ = ["LAYOUT"]

_CLASSES = {"1": "open", "2": "short", "3": "mousebite", "4": "spur", "5": "copper", "6": "pin-hole"}
_IMAGE = re.compile(r"group(?P<board>[^/]+)/(?P=board)/(?P<name>[^/]+)_(?P<role>test|temp)\.(?i:jpg|jpeg|png)\Z")
_BOXES = re.compile(r"group(?P<board>[^/]+)/(?P=board)_not/(?P<name>[^/]+)\.txt\Z")
_LISTED = re.compile(
    r"(?P<image>group(?P<board>[^/]+)/(?P=board)/(?P<name>[^/]+?)(?:_test)?\.(?i:jpg|jpeg|png))(?:\s|\Z)"
)
_LISTS = {"trainval.txt": "train", "test.txt": "test"}
_FIELDS = re.compile(r"[\s,]+")
_NOTE = "DeepPCB: corners of boxes are taken for edges; its authors do not say whether the last pixel is in the box"


@dataclass(frozen=True)
class _Pair:
    """An image and its template: the board that it is of, and its name."""

    board: str
    name: str


def _detect(root: Path) -> bool:
    """Whether a folder holds boards with images, and boxes of them."""
    boards = (path for path in root.glob("group*") if path.is_dir())
    return any((board / f"{board.name.removeprefix('group')}_not").is_dir() for board in boards)


def _index(root: Path) -> Dataset:
    """Samples of the images and of their templates.

    Raises:
        ToolkitError: a list or a file of boxes cannot be read.
    """
    files = list_files(root)
    boxes = {_Pair(found["board"], found["name"]): path for path in files.others if (found := _BOXES.match(path))}
    images = {path: match for path in files.images if (match := _IMAGE.match(path))}
    tested = {_Pair(match["board"], match["name"]) for match in images.values() if match["role"] == "test"}
    problems = list(files.problems)
    splits = _splits(root, files, tested, problems)
    samples: list[Sample] = []
    keys: dict[str, str] = {}
    named: list[Path] = []
    for path, match in images.items():
        pair = _Pair(match["board"], match["name"])
        key = f"{pair.board}/{pair.name}_{match['role']}"
        if keys.setdefault(key, path) != path:
            problems.append(Problem(str(root / path), f"has the same name as {keys[key]}", "rename one of the two"))
            continue
        labels: tuple[BoxLabel, ...] = ()
        if match["role"] == "test":
            faults, labels = _labels(root, pair, boxes.get(pair))
            problems += faults
            if faults:
                named.append(root / path)
                continue
        defect = class_of_image(box.label for box in labels)
        split, group = splits.get(pair, "train"), f"{pair.board}/{pair.name}"
        samples.append(Sample(key, root / path, (), root.resolve().name, defect, split, group, boxes=labels))
    for pair in sorted(boxes.keys() - tested, key=lambda pair: boxes[pair]):
        remedy = f"put its image at group{pair.board}/{pair.board}/{pair.name}_test.jpg, or remove the file"
        problems.append(Problem(str(root / boxes[pair]), "boxes without an image", remedy))
    notes = [_NOTE, *compare_with_published("deeppcb", samples)]
    return Dataset(samples, root=root, layout="deeppcb", layout_problems=problems, notes=notes, passed_over=named)


def _labels(root: Path, pair: _Pair, path: str | None) -> tuple[list[Problem], tuple[BoxLabel, ...]]:
    """The boxes of an image, and what is wrong with them."""
    if path is None:
        image = root / f"group{pair.board}/{pair.board}/{pair.name}_test.jpg"
        remedy = f"put its boxes at group{pair.board}/{pair.board}_not/{pair.name}.txt"
        return [Problem(str(image), "an image without boxes", remedy)], ()
    problems: list[Problem] = []
    labels: list[BoxLabel] = []
    try:
        lines = read_lines(root / path)
    except ToolkitError as error:
        return list(error.problems), ()
    for number, line in enumerate(lines, 1):
        if line.strip():
            box = _box(line)
            if box is None:
                what = f"line {number} is no box of a known type ({line[:40]!r})"
                remedy = "write 'x1 y1 x2 y2 type', x1 < x2, y1 < y2, and a type of 1 to 6"
                problems.append(Problem(str(root / path), what, remedy))
            else:
                labels.append(box)
    if not labels and not problems:
        what = "holds no box, though the image is one with defects"
        problems.append(Problem(str(root / path), what, "give its boxes, or call the image _temp if it is good"))
    return problems, tuple(labels)


def _box(line: str) -> BoxLabel | None:
    """A line as a box; None if it is none."""
    fields = _FIELDS.split(line.strip())
    if len(fields) != 5 or not all(re.fullmatch(r"\d{1,6}", field, re.ASCII) for field in fields):
        return None
    x0, y0, x1, y1 = map(float, fields[:4])
    return BoxLabel(_CLASSES[fields[4]], (x0, y0, x1, y1)) if x0 < x1 and y0 < y1 and fields[4] in _CLASSES else None


def _splits(root: Path, files: FileList, tested: set[_Pair], problems: list[Problem]) -> Mapping[_Pair, str]:
    """Subsets as the lists have them; none where there are no lists."""
    splits: dict[_Pair, str] = {}
    lists = [name for name in _LISTS if name in files.others]
    for name in lists:
        for number, line in enumerate(read_lines(root / name), 1):
            found = _LISTED.match(line.strip())
            pair = _Pair(found["board"], found["name"]) if found else None
            if not line.strip():
                continue
            if pair is None or pair not in tested:
                what = f"line {number} names an image that is not there ({line.split()[0]})"
                problems.append(Problem(str(root / name), what, "put the image in its place, or take the line out"))
            elif splits.setdefault(pair, _LISTS[name]) != _LISTS[name]:
                what = f"line {number} names {line.split()[0]}, which is in the other list too"
                problems.append(Problem(str(root / name), what, "keep one of the two"))
    problems += _unlisted(root, lists, sorted(f"{pair.board}/{pair.name}" for pair in tested - splits.keys()))
    return splits


def _unlisted(root: Path, lists: list[str], left: list[str]) -> Iterator[Problem]:
    if lists and left:
        shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        what = f"{len(left)} image(s) are in none of {', '.join(lists)}: {shown}"
        yield Problem(str(root), what, "add them to a list, or take the lists out and all are one subset")


LAYOUT = Layout(
    name="deeppcb",
    shown="groupG/G/ID_test.jpg and ID_temp.jpg, boxes in groupG/G_not/ID.txt",
    detect=_detect,
    index=_index,
)
