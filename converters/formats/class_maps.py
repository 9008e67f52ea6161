"""Reading trees of class maps, ours and other tools': images/, and maps of the same names in masks/."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import cv2
import numpy as np

from converters.formats.base import Reading
from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records, subset_of_name, walk_files
from converters.formats.map_values import IGNORE, MapValues, map_values
from converters.formats.registry import read_manifest
from converters.formats.yolo.data_yaml import find_data_yaml, image_folders, read_data_yaml
from converters.formats.yolo.places import path_parts
from converters.rasterize import Rounding
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance
from toolkit.imaging.images import is_image, read_header
from toolkit.imaging.masks import Mask, read_class_map

__all__ = ["index_class_maps", "load_class_map"]

_IMAGES = "images"


@dataclass(frozen=True, eq=False)
class _Pair:
    """A map and its image, as far as both are there."""

    subset: str
    name: str
    image: Path | None
    label: Path | None


@dataclass(eq=False)
class _Seen:
    """What was found in the maps so far: images, values, and maps that mark nothing but pixels to ignore."""

    found: list[FoundImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    values: set[int] = field(default_factory=set)
    ignored: list[tuple[Path, Path | None]] = field(default_factory=list)
    maps: int = 0


def index_class_maps(root: Path, reading: Reading) -> LabelTree:
    """Index a tree of images/ and class-id maps in masks/ (or what `masks_dir` says).

    Raises:
        ToolkitError: its dataset file is at fault, or no map marks anything but what is to be ignored.
    """
    path = find_data_yaml(root)
    if path is None:
        raise ToolkitError(root, "has no data.yaml", "name the folder that holds it")
    document = read_data_yaml(path)
    manifest = read_manifest(root)
    ours = manifest is not None
    meaning = map_values(path, document, ours=ours)
    part = _masks_dir(path, document.get("masks_dir") or "masks")
    seen, read = _Seen(), set[Path]()
    for subset, folder in image_folders(root, document, part) or image_folders(root, document):
        images, maps = _folders(root, folder, part, path)
        read |= {images, maps}
        pairs = list(_pairs(subset, images, maps, seen.problems))
        if not ours and any(pair.image is not None for pair in pairs):
            seen.problems += _orphans(pairs)
            pairs = [pair for pair in pairs if pair.image is not None]
        for pair in pairs:
            _look_at(pair, root, meaning, seen, ours=ours)
    notes = [meaning.note] if meaning.note and seen.found else []
    if not ours:
        _check_all_ignored(root, meaning, seen)
        notes += _check_classes(path, meaning, seen)
        notes += _unread(root, read)
    records = make_records(seen.found, load_class_map, meaning.names, ours=ours)
    return LabelTree(
        root, "semantic", meaning.classes, records, manifest=manifest, layout_problems=seen.problems, notes=notes
    )


def _masks_dir(path: Path, told: object) -> str:
    """The folder of maps that a dataset file names.

    Raises:
        ToolkitError: it is no path inside the tree.
    """
    text = told if isinstance(told, str) and "\0" not in told else ".."
    parts = path_parts(text)
    leads_out = ".." in re.split(r"[\\/]", text) or PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive
    if leads_out or not parts or any(len(part) > 255 for part in parts):
        raise ToolkitError(path, "has a masks_dir that is no folder in the tree", "name it from there, as masks")
    return "/".join(parts)


def _folders(root: Path, folder: Path, part: str, path: Path) -> tuple[Path, Path]:
    """The folder of images and the folder of maps that belong together, of which `folder` is one.

    Raises:
        ToolkitError: no part of its path tells where the other one is.
    """
    parts = folder.resolve().relative_to(root.resolve()).parts if _is_below(folder, root) else folder.parts
    inner = tuple(part.split("/"))
    for start in reversed(range(len(parts))):
        if parts[start : start + len(inner)] == inner:
            return root.joinpath(*parts[:start], _IMAGES, *parts[start + len(inner) :]), folder
        if parts[start].lower() == _IMAGES:
            return folder, root.joinpath(*parts[:start], *inner, *parts[start + 1 :])
    problem = f"lists {os.path.relpath(folder, root)}, no part of which is called {_IMAGES}: where are its maps?"
    raise ToolkitError(path, problem, f"move the images to {_IMAGES}/..., the maps to {part}/..., and list those")


def _is_below(folder: Path, root: Path) -> bool:
    return folder.resolve().is_relative_to(root.resolve())


def _pairs(subset: str, images: Path, maps: Path, problems: list[Problem]) -> Iterator[_Pair]:
    """Images and maps of the same path below their folders; of what is there twice the first, and a problem."""
    photos, labels = _by_name(images), _by_name(maps)
    for name in sorted(photos.keys() | labels.keys()):
        these, those = photos.get(name, []), labels.get(name, [])
        for other in these[1:] if those else ():
            what = f"shares its class map with {these[0].name}"
            problems.append(Problem(str(other), what, "rename it, and give it a map of its own"))
        for other in those[1:]:
            problems.append(Problem(str(other), f"is one of two class maps of {name}", "remove one of them"))
        yield _Pair(subset, name, these[0] if these else None, those[0] if those else None)
        for other in these[1:] if not those else ():
            yield _Pair(subset, name, other, None)


def _orphans(pairs: Iterable[_Pair]) -> list[Problem]:
    """Maps whose image is not there, while others are."""
    remedy = "put its image beside the others, or remove the map"
    lost = (pair.label for pair in pairs if pair.image is None)
    return [Problem(str(label), "a class map without an image", remedy) for label in lost]


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Image files below a folder by their paths in it, without endings."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in walk_files(folder):
        if is_image(path.name):
            found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return found


def _look_at(pair: _Pair, root: Path, meaning: MapValues, seen: _Seen, *, ours: bool) -> None:
    """Take in an image by what its map shows, or say what is wrong with it."""
    if pair.label is None:
        remedy = "write its map, or remove the image"
        seen.problems.append(Problem(str(pair.image), "an image without a class map", remedy))
        return
    try:
        ids = read_class_map(pair.label)
    except ToolkitError as error:
        seen.problems += error.problems
        return
    present = _values(ids)
    seen.maps += 1
    seen.values.update(present)
    if not ours and meaning.ignores and IGNORE in present and set(present) <= {0, IGNORE}:
        seen.ignored.append((pair.label, pair.image))
        if 0 not in meaning.names or present == [IGNORE]:
            what = f"every marked pixel is {IGNORE}, which means ignore"
            remedy = "give them the number of their class, or remove the image"
            seen.problems.append(Problem(str(pair.label), what, remedy))
            return
    image = pair.image or root / _IMAGES / pair.subset / f"{pair.name}.png"
    classes = tuple(dict.fromkeys(meaning.names[number] for number in present if number in meaning.names))
    payload = (str(pair.label), (meaning.passed, ours))
    seen.found.append(FoundImage(pair.subset, pair.name, image, payload, classes, (ids.width, ids.height)))


def _check_all_ignored(root: Path, meaning: MapValues, seen: _Seen) -> None:
    """Refuse a tree that marks things, and all of them with 255: those are masks of another kind.

    Raises:
        ToolkitError: it does.
    """
    if not (meaning.classes and seen.ignored) or not seen.values <= {0, IGNORE}:
        return
    label, image = seen.ignored[0]
    patterns = f'--image "{_pattern(image or label, root)}" --mask "{_pattern(label, root)}"'
    raise ToolkitError(
        label.parent,
        f"every marked pixel in {_counted(seen.maps, 'class map')} is {IGNORE}, which means ignore",
        "give pixels the number of their class; if these are binary masks, "
        f"'defectkit convert ROOT OUT --to FORMAT {patterns} --values nonzero'",
    )


def _pattern(path: Path, root: Path) -> str:
    """A pattern for the likes of a file: the folder of a subset and the name stand open."""
    inner = Path(os.path.relpath(path.resolve(), root.resolve()))
    parts = ["{split}" if subset_of_name(part) else part for part in inner.parent.parts]
    return "/".join([*parts, "{name}" + path.suffix])


def _check_classes(path: Path, meaning: MapValues, seen: _Seen) -> list[str]:
    """A problem where no class that is named occurs in any map; a note on those that do not."""
    shown = {meaning.names[value] for value in seen.values if value in meaning.names}
    absent = [name for name in meaning.classes if name not in shown]
    if not absent or not seen.maps:
        return []
    if shown:
        what = f"names {len(meaning.classes)} classes, of which {len(absent)} occur in no map"
        return [f"{path}: {what}: {', '.join(absent[:5])}" + (", ..." if len(absent) > 5 else "")]
    what = f"names {_counted(len(absent), 'class')}, none of which occurs in any map"
    seen.problems.append(Problem(str(path), what, "correct the names, or the values in the maps"))
    return []


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "es" if what.endswith("s") else "s")


def _unread(root: Path, read: Iterable[Path]) -> list[str]:
    """Folders with images that the dataset file does not list."""
    folders = {folder.resolve() for folder in read}
    counts: dict[Path, int] = defaultdict(int)
    for path in walk_files(root):
        if is_image(path.name) and not any(parent in folders for parent in path.resolve().parents):
            counts[path.parent] += 1
    return [
        f"{count} image(s) in {folder} are not listed in the dataset file: not read" for folder, count in counts.items()
    ]


def _values(ids: Mask) -> list[int]:
    """The values in a map, sorted."""
    if not ids.crop.size:
        return [0]
    counts = cv2.calcHist([ids.crop], [0], None, [256], [0, 256]).ravel()
    counts[0] += ids.width * ids.height - ids.crop.size
    return [int(number) for number in np.flatnonzero(counts)]


def load_class_map(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the 8-connected components of each class.

    Raises:
        ToolkitError: the map cannot be read, has a value without a name, or, in another tool's tree, is not of the size
            of its image.
    """
    path, (passed, ours) = entry.payload
    ids = read_class_map(Path(path))
    width, height = ids.width, ids.height
    values: dict[str, list[int]] = {}
    for number in _values(ids):
        if number in entry.names:
            values.setdefault(entry.names[number], []).append(number)
        elif number not in passed:
            raise ToolkitError(path, f"holds class {number}, which data.yaml does not name", "correct it")
    if not ours and entry.sample.image.is_file():
        header = read_header(entry.sample.image)
        if (header.width, header.height) != (width, height):
            problem = (
                f"is {width} x {height} pixels, its image {entry.sample.image} is {header.width} x {header.height}"
            )
            raise ToolkitError(path, problem, "make the two the same size")
    found: list[Instance] = []
    values_at, offset = (ids.pixels(), (0, 0)) if 0 in entry.names else (ids.crop, (ids.x, ids.y))
    for name, numbers in values.items():
        marked = values_at == numbers[0] if len(numbers) == 1 else np.isin(values_at, numbers)
        found += find_instances(Mask.of(marked.view(np.uint8), width, height, offset), name).instances
    return found
