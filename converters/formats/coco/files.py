"""Which files of a folder are COCO files of a kind, which subset they speak of, and where their images lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from converters.formats.coco.document import check_coco, open_coco_file
from converters.formats.coco.slices import Slices
from converters.formats.image_files import ImageFinder
from converters.formats.label_tree import subset_of_name
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["CocoFiles", "find_coco_files", "image_folders", "read_coco_files", "speaks_of", "subset_of_file"]

Kind = Literal["instances", "panoptic"]
_BLOCK = 1 << 20
_HEAD = 1 << 16  # bytes at either end in which a file's lists are looked for: these files may be large


@dataclass(frozen=True, eq=False)
class CocoFiles:
    """The COCO files of one kind in a tree.

    Attributes:
        home: folder that the tree's images lie in or below.
        documents: path and content of each, in the order of their names.
        notes: what else was there and has not been read.
    """

    home: Path
    documents: tuple[tuple[Path, JsonObject], ...]
    notes: tuple[str, ...]


def find_coco_files(root: Path) -> list[Path]:
    """Files that look like COCO's: the root, or in it annotations/*.json, */_annotations.coco.json, or *.json."""
    if root.is_file():
        return [root] if _is_coco(root) else []
    for pattern in ("[Aa]nnotations/*.json", "*/_annotations.coco.json", "*.json"):
        files = [path for path in sorted(root.glob(pattern)) if path.name != "manifest.json" and _is_coco(path)]
        if files:
            return files
    return []


def _is_coco(path: Path) -> bool:
    """Whether a JSON file speaks of images, by its first and last bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            if _is_list_of_tasks(head):
                return False
            file.seek(max(0, path.stat().st_size - _HEAD))
            seen = _told(head + file.read())
            if len(seen) == 1 or (seen and "images" not in seen):  # a list may begin in the middle, behind a long one
                file.seek(0)
                seen = _told(file.read())
    except OSError:
        return False
    return "images" in seen and len(seen) > 1


def _is_list_of_tasks(head: bytes) -> bool:
    """Whether a file is a list, of what has data: tasks of Label Studio, whose column may be called `images`."""
    plain = head.replace(b"\0", b"")
    return plain.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"[") and b'"data"' in plain


def _told(data: bytes) -> set[str]:
    """The lists of a COCO file that are named in some bytes; every second byte of UTF-16 is none."""
    plain = data.replace(b"\0", b"")
    return {name for name in ("images", "annotations", "categories") if b'"%b"' % name.encode() in plain}


def speaks_of(root: Path, kind: Kind) -> bool:
    """Whether a tree has COCO files, and they are of this kind; those of instances go before panoptic ones."""
    files = find_coco_files(root)
    return bool(files) and all(map(_names_segments, files)) == (kind == "panoptic")


_SEGMENTS = b'"segments_info"'


def _names_segments(path: Path) -> bool:
    """Whether a file has a member of panoptic annotations."""
    with open(path, "rb") as file:
        data = b""
        while block := file.read(_BLOCK):
            data = data[1 - len(_SEGMENTS) :] + block.replace(b"\0", b"")
            if _SEGMENTS in data:
                return True
    return False


def read_coco_files(root: Path, kind: Kind) -> CocoFiles:
    """Read the files of one kind. Those of COCO's other tasks, as they lie beside them, are named in a note.

    Raises:
        ToolkitError: a file is damaged, or none is of this kind.
    """
    paths = find_coco_files(root)
    opened = [(path, open_coco_file(path)) for path in paths]
    if len(paths) == 1:  # whatever it lacks is said of it by name
        return CocoFiles(_home(root), ((paths[0], check_coco(*opened[0])),), tuple(_untold(paths)))
    tasks = [_task(path, document) for path, document in opened]
    wanted = kind if kind in tasks else "keypoints" if kind == "instances" and "keypoints" in tasks else ""
    if not wanted:
        for path, document in opened[:1]:
            check_coco(path, document)
        raise ToolkitError(root, f"holds no COCO file of {kind}", "name the folder of one, or the file")
    documents = tuple(
        (path, check_coco(path, document))
        for (path, document), task in zip(opened, tasks, strict=True)
        if task == wanted
    )
    others = [f"{path.name} ({task})" for (path, _), task in zip(opened, tasks, strict=True) if task != wanted]
    notes = [f"not read: {', '.join(others)}"] if others else []
    return CocoFiles(_home(root), documents, (*notes, *_untold([path for path, _ in documents])))


def _task(path: Path, document: Any) -> str:
    """What a COCO file is for: instances, keypoints, panoptic, stuff, captions, labels or a list of images.

    Exporters write a file for each task, and `categories` into those that need none.
    """
    members = document if isinstance(document, dict) else {}
    listed = members.get("annotations")
    objects = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else listed
    annotations = objects if isinstance(objects, list | Slices) else []
    told = {name for one in annotations for name in _TELLING if name in one}
    if "segments_info" in told:
        return "panoptic"
    if listed is None or (not listed and path.name.startswith("image_info")):
        return "a list of images"
    if annotations and not told & {"bbox", "segmentation"}:
        return "captions" if "caption" in told else "labels of whole images"
    if "keypoints" in told or path.name.startswith("person_keypoints"):
        return "keypoints"
    return "stuff" if path.name.startswith("stuff_") else "instances"


_TELLING = ("segments_info", "bbox", "segmentation", "caption", "keypoints")


def subset_of_file(path: Path) -> str:
    """Subset that an annotation file speaks of, by its name or its folder's; train if neither tells."""
    return subset_of_name(path.stem) or subset_of_name(path.parent.name) or "train"


def _untold(paths: Iterable[Path]) -> Iterator[str]:
    """A note for each file in whose name a subset stands where it means none."""
    for path in paths:
        if subset_of_name(path.stem) is None and subset_of_name(path.parent.name) is None:
            word = next((word for word in re.split(r"[\W_]+", path.stem) if subset_of_name(word)), None)
            if word is not None:
                yield f"{path.name} is read as train: end its name in {word} if that is its subset"


def _home(root: Path) -> Path:
    """The folder that the images of a tree, or of one file, lie below."""
    if root.is_dir():
        return root
    above = root.parent.parent
    if root.parent.name.casefold() == "annotations":
        return above
    finder = ImageFinder(above)
    beside = ImageFinder(root.parent)
    near = [place for place in _places(root, subset_of_file(root)) if place]
    return above if finder.folders(near) and not beside.folders(near) and beside.empty else root.parent


_SPELLINGS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def _places(path: Path, subset: str) -> Iterator[str]:
    """Where the images of an annotation file may lie, relative to the tree; the likeliest first."""
    words = path.stem.replace("-", "_").split("_")
    own = ["_".join(words[start:]) for start in range(len(words))]
    spellings = [*_SPELLINGS.get(subset, ()), *(f"{subset}{year}" for year in (2017, 2014) if subset)]
    names = list(dict.fromkeys([*own, *spellings]))
    for parent in ("images/", ""):
        yield from (f"{parent}{name}{inner}" for name in names for inner in ("", "/images", "/data"))
    yield from ("images", "data", "img", "imgs", "JPEGImages", "")


def image_folders(finder: ImageFinder, path: Path, subset: str) -> list[Path]:
    """The folders that are there of those in which the images of an annotation file may lie, the likeliest first."""
    near = [path.parent] if path.parent != finder.root else []
    return list(dict.fromkeys([*near, *finder.folders(_places(path, subset))]))


def shown_folders(finder: ImageFinder, folders: Iterable[Path]) -> str:
    """Folders as a message names them."""
    return ", ".join(
        folder.relative_to(finder.root).as_posix() if folder != finder.root else str(folder) for folder in folders
    )
