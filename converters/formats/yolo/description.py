"""What a YOLO tree says of itself: names of classes and lists of images, out of the files that various tools write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

from converters.formats.yolo.data_yaml import (
    find_data_yaml,
    keypoint_shape,
    listed_places,
    numbered_names,
    read_document,
    unusable,
)
from converters.formats.yolo.places import NAMES_FILES, TreeFiles, child, children, find_place, read_text
from converters.formats.yolo.rows import RowForm, looks_like_row
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.imaging.images import is_image

__all__ = ["TreeDescription", "describe_tree", "holds_labels", "holds_row", "is_described"]


@dataclass(frozen=True)
class TreeDescription:
    """What a tree says of itself.

    Attributes:
        file: the file that names the classes.
        names: class id -> name.
        document: members as of a data.yaml: path, train, val, test and others, as text.
        task: what the rows are for, as ultralytics calls it; "" where the tree does not say.
        named_oriented: whether the tree's name says that rows of four corners are oriented boxes.
        darknet: whether an obj.data says it, whose lists are often left behind.
        form: what is to be known of its rows.
        notes: what is odd about these files.
    """

    file: Path
    names: dict[int, str]
    document: JsonObject
    task: str
    named_oriented: bool
    darknet: bool
    form: RowForm
    notes: tuple[str, ...]


def describe_tree(root: Path, *, ours: bool = False) -> TreeDescription:
    """Read the dataset file of a tree, or the files that stand for one.

    Raises:
        ToolkitError: one of them is at fault, or none names the classes.
    """
    path = find_data_yaml(root)
    if path is not None:
        document, notes = read_document(path)
    else:
        path, document, notes = _darknet(root)
    file, names = path, numbered_names(document.get("names"))
    if names is None:
        file, names, more = _names_beside(root, path, document)
        notes += more
    elif path is not None:
        notes += _contradictions(root, path, names)
    if file is None or names is None:
        raise _nameless(root, path, document)
    if not any(listed_places(root, document)):
        document = {**document, **_lists_in(root)}
    form = RowForm(file.name, _keypoint_columns(path, document), ours)
    return TreeDescription(
        file,
        names,
        document,
        str(document.get("task", "")).lower(),
        _named_oriented(root, path),
        path is not None and path.suffix.lower() == ".data",
        form,
        tuple(dict.fromkeys(notes)),
    )


def _nameless(root: Path, path: Path | None, document: JsonObject) -> ToolkitError:
    if path is not None:
        return unusable(path, document, "names")
    remedy = "write a classes.txt, one name a line in the order of the ids, or a data.yaml with names: [...]"
    return ToolkitError(root, "holds YOLO labels, and no data.yaml or classes.txt that names their classes", remedy)


def _darknet(root: Path) -> tuple[Path | None, JsonObject, list[str]]:
    """The lines "key = value" of Darknet's obj.data, as CVAT writes it too."""
    for path in sorted(root.iterdir()):
        if path.suffix.lower() == ".data" and path.is_file():
            text, notes = read_text(path)
            pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
            return path, {key.strip().lower(): value.strip() for key, value in pairs}, notes
    return None, {}, []


def _names_beside(
    root: Path, path: Path | None, document: JsonObject
) -> tuple[Path | None, dict[int, str] | None, list[str]]:
    """Names out of a file of names: the one that the dataset file speaks of, or those found in the tree.

    Raises:
        ToolkitError: several of them differ.
    """
    told = document.get("names")
    place = find_place(root, told) if isinstance(told, str) and told else None
    files = [place] if place is not None and place.is_file() else names_files(root)
    notes: list[str] = []
    found: dict[Path, dict[int, str]] = {}
    for file in files:
        found[file], more = _read_names(file)
        notes += more
    for file in files[1:]:
        if found[file] != found[files[0]]:
            remedy = f"keep one of them in {root}"
            raise ToolkitError(file, f"names other classes than {files[0]}", remedy)
    return (files[0], found[files[0]], notes) if files else (path, None, notes)


def names_files(root: Path) -> list[Path]:
    """Files that name classes: the first kind that is in the root, else those in its folders and among its labels."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    labels = [path for path in folders if path.name.lower() == "labels"]
    inner = [path for folder in labels for path in sorted(folder.iterdir()) if path.is_dir()]
    others = [path for path in folders if path.name.lower() != "labels"]
    inner += [path for folder in others if (path := children(folder, ["labels"]).get("labels")) is not None]
    for places in ([root], labels, others + inner):
        named = [children(place, NAMES_FILES) for place in places]
        for name in NAMES_FILES:
            found = [file for files in named if (file := files.get(name)) is not None and file.is_file()]
            if found:
                return found
    return []


def _read_names(path: Path) -> tuple[dict[int, str], list[str]]:
    """Names, one a line in the order of their ids.

    Raises:
        ToolkitError: it cannot be read, names nothing, or has a blank line among its names, which would move their ids.
    """
    try:
        text, notes = read_text(path)
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error})", "replace it") from error
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text.rstrip())]
    if not any(lines):
        raise ToolkitError(path, "names no classes", "write one name a line, in the order of their ids")
    if "" in lines:
        raise ToolkitError(f"{path}:{lines.index('') + 1}", "is blank, among names of classes", "remove the line")
    return dict(enumerate(lines)), notes


def _contradictions(root: Path, path: Path, names: dict[int, str]) -> list[str]:
    """A note where a file that annotation tools keep beside their labels orders the classes otherwise."""
    for file in names_files(root):
        if file.name.lower() in ("classes.txt", "obj.names"):
            try:
                others, _ = _read_names(file)
            except ToolkitError:
                continue
            if others != names:
                return [f"{file} names other classes than {path}, which was followed"]
    return []


def _lists_in(root: Path) -> JsonObject:
    """Lists of images in the root of a tree that says nothing of its subsets: train.txt and the like."""
    found = {}
    for subset in ("train", "valid", "val", "test"):
        path = child(root, f"{subset}.txt")
        if path is not None and path.is_file():
            first = next((line.strip() for line in read_text(path)[0].splitlines() if line.strip()), "")
            if is_image(first.replace("\\", "/").rpartition("/")[2]):
                found[subset] = path.name
    return found


def _keypoint_columns(path: Path | None, document: JsonObject) -> int:
    """Columns that keypoints take: `kpt_shape` is their number, and numbers for each.

    Raises:
        ToolkitError: it is no such pair.
    """
    if path is None or document.get("kpt_shape") in (None, "", "null", "~"):
        return 0
    shape = keypoint_shape(document)
    if shape is None:
        raise unusable(path, document, "kpt_shape")
    return prod(shape)


def _named_oriented(root: Path, path: Path | None) -> bool:
    stem = path.stem if path is not None else ""
    return "obb" in re.split(r"[^a-z0-9]+", f"{root.resolve().name} {stem}".lower())


_LOOKED_AT = 50  # text files in which a row is looked for


def is_described(root: Path) -> bool:
    """Whether there is a file in a folder, or among its labels, that names classes as YOLO's tools do."""
    return any(path.suffix.lower() == ".data" for path in root.iterdir()) or bool(names_files(root))


def holds_labels(root: Path, *, empty: bool = False) -> bool:
    """Whether there are rows of YOLO labels below a folder, in folders called labels or beside images of their name.

    With `empty`, text files without rows in a folder called labels will do.
    """
    files = TreeFiles(root)
    stems = {image.rpartition(".")[0].lower() for image in files.images}
    looked = 0
    for text in files.texts:
        among = "labels" in text.lower().split("/")[:-1]
        if among or text[:-4].lower() in stems:
            looked += 1
            if looked > _LOOKED_AT:
                return False
            head = _head(root / text)
            if looks_like_row(head) or (empty and among and not head.strip()):
                return True
    return False


def holds_row(path: Path) -> bool:
    """Whether a text file begins with a row of YOLO's."""
    return looks_like_row(_head(path))


def _head(path: Path) -> str:
    """The beginning of a text file."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
