"""Whether a folder is a Pascal VOC tree, told by a few of its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from converters.formats.foreign.signs import told_bytes
from converters.formats.label_tree import subset_of_name
from converters.formats.voc.places import MAP_FOLDERS, is_structural
from toolkit.files.reach import JUNK
from toolkit.files.xml_files import first_element
from toolkit.imaging.images import is_image

__all__ = ["is_voc", "looks_like_voc", "marks_objects"]

_ENTRIES = 1000  # of a folder that are looked at
_FOLDERS = 100  # that are looked into
_DEEP, _DEEPER = 3, 8  # levels below a root
_TRIED = 3  # XML files of a folder that are opened
_SHARE = 20  # images for each XML file, where a tree has few of these
_ENOUGH = 200


@dataclass
class _Folder:
    """What a folder holds, as far as it was looked at."""

    parts: tuple[str, ...]
    images: int = 0
    xmls: list[str] = field(default_factory=list)


def is_voc(root: Path) -> bool:
    """Whether a folder holds Pascal VOC labels as a tree of its own, and not as a stray file or as one tree of several.

    Label maps in SegmentationClass are a sign, and XML files of annotations, at least one for twenty images.
    """
    if not root.is_dir():
        return False
    names = {name.casefold() for name in _children(root)}
    if names & MAP_FOLDERS.keys() and (names & {"jpegimages", "imagesets", "annotations"} or _has_tables(root)):
        return True
    folders = list(_folders(root, _DEEP))
    with_labels = [one for one in folders if one.xmls and _are_annotations(root, one)]
    return _are_many(with_labels, folders) and not _stand_apart(with_labels, folders)


def looks_like_voc(root: Path) -> bool:
    """Whether label maps, or annotations of no few images, lie anywhere below a folder that nothing else knows."""
    folders = list(_folders(root, _DEEPER)) if root.is_dir() else []
    has_maps = any(part.casefold() in MAP_FOLDERS for one in folders for part in one.parts)
    return has_maps or _are_many([one for one in folders if one.xmls and _are_annotations(root, one)], folders)


def marks_objects(path: Path) -> bool:
    """Whether an XML file is an annotation that names an object, by its first and last bytes."""
    return first_element(path) == "annotation" and b"<object" in told_bytes(path)


def _are_many(with_labels: list[_Folder], folders: list[_Folder]) -> bool:
    """Whether there are annotations enough for the images that were seen."""
    count, images = sum(len(one.xmls) for one in with_labels), sum(one.images for one in folders)
    return count >= min(_ENOUGH, max(1, images / _SHARE))


def _has_tables(root: Path) -> bool:
    return any((root / name).is_file() for name in ("labelmap.txt", "class_names.txt"))


def _stand_apart(labels: list[_Folder], folders: list[_Folder]) -> bool:
    """Whether the labels lie in trees of their own within the folder: children that have images and labels apart.

    Those of a split (train, valid) are parts of one tree, and so are folders of images with their labels beside them.
    """
    owners = {one.parts[0] if len(one.parts) > 1 else "" for one in labels}
    if "" in owners or any(subset_of_name(name) or _is_part(name) for name in owners):
        return False
    return all(
        any(one.images for one in folders if one.parts[:1] == (name,))
        and all(not one.images for one in labels if one.parts[0] == name)
        for name in owners
    )


def _is_part(name: str) -> bool:
    """Whether the name of a folder is that of a part of a tree; VOC2007 and VOC2012 are trees."""
    return is_structural(name) and not name.casefold().startswith("voc")


def _are_annotations(root: Path, folder: _Folder) -> bool:
    tried = sorted(folder.xmls)[:_TRIED]
    return any(first_element(root.joinpath(*folder.parts, name)) == "annotation" for name in tried)


def _children(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(islice(entries, _ENTRIES))
    except OSError:
        return []
    return sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)


def _folders(root: Path, deep: int) -> Iterator[_Folder]:
    """A folder and those below it, level by level; trees of ours are passed over."""
    level: list[tuple[str, ...]] = [()]
    left = _FOLDERS
    for _ in range(deep + 1):
        below: list[tuple[str, ...]] = []
        for parts in level[:left]:
            here = _Folder(parts)
            entries = _entries(root.joinpath(*parts))
            if parts and any(one.name == "manifest.json" for one in entries):
                continue
            for one in entries:
                if one.is_dir():
                    below += [(*parts, one.name)] if one.name not in JUNK else []
                elif one.name.lower().endswith(".xml"):
                    here.xmls.append(one.name)
                else:
                    here.images += is_image(one.name)
            yield here
        left -= len(level)
        level = below
        if left <= 0:
            return
