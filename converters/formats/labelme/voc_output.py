"""What LabelMe's `labelme2voc.py` writes: maps of class ids and of objects, as PNG or as NumPy's files.

class_names.txt     JPEGImages/NAME.jpg     SegmentationClass/NAME.png or SegmentationClassPNG/NAME.png
SegmentationClassNpy/NAME.npy, or NAME.npy in SegmentationClass/; and the same of SegmentationObject, where it is there

The first class is `_background_`, 0; what is to be ignored is -1 in arrays and 255 in pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from converters.formats.base import Reading
from converters.formats.label_tree import FoundImage, InstanceList, LabelRecord, LabelTree, make_records
from converters.formats.labelme.document import BACKGROUND, IGNORE
from converters.formats.labelme.notes import counted
from converters.rasterize import Rounding
from toolkit.dataset.layouts.files import FileList, list_files
from toolkit.dataset.samples import LabelKind
from toolkit.errors import Problem, ToolkitError
from toolkit.files.typed import read_text
from toolkit.geometry.instances import crop_to_bbox, find_instances
from toolkit.geometry.labels import Instance
from toolkit.imaging.limits import check_claimed_size
from toolkit.imaging.masks import Mask, read_values

__all__ = ["index_voc_output", "is_voc_output"]

_NAMES, _IMAGES = "class_names.txt", "JPEGImages"
_CLASSES = (
    "SegmentationClass/{}.png",
    "SegmentationClassPNG/{}.png",
    "SegmentationClassNpy/{}.npy",
    "SegmentationClass/{}.npy",
)
_OBJECTS = tuple(place.replace("Class", "Object") for place in _CLASSES)
_VOID = 255
_MOST_HEADER = 1 << 12  # bytes that NumPy's header may have; it is some hundred
_REMEDY = "run labelme2voc.py again"

Map = npt.NDArray[np.int64]


def is_voc_output(root: Path) -> bool:
    """Whether a folder is what labelme2voc.py writes, and has none of what Pascal VOC says beside it."""
    names = root / _NAMES
    if not names.is_file() or not (root / _IMAGES).is_dir():
        return False
    if any((root / folder).is_dir() for folder in ("Annotations", "ImageSets")):
        return False
    folders = {place.partition("/")[0] for place in _CLASSES}
    if not any((root / folder).is_dir() for folder in folders):
        return False
    try:
        with open(names, "rb") as file:
            first = file.read(64).removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].strip()
    except OSError:
        return False
    return first in (BACKGROUND.encode(), IGNORE.encode())


@dataclass(frozen=True)
class _Maps:
    """The maps of an image: of its classes, and of its objects where there is one; and the names of classes."""

    classes: Path
    objects: Path | None
    names: dict[int, str]


def index_voc_output(root: Path, reading: Reading) -> LabelTree:
    """Index what labelme2voc.py writes. Maps are read for the classes in them.

    Raises:
        ToolkitError: the list of classes cannot be read.
    """
    files = list_files(root)
    names = _class_names(root / _NAMES)
    found: list[FoundImage] = []
    problems: list[Problem] = list(files.problems)
    known = {path for path in (*files.images, *files.others) if path.startswith("Segmentation")}
    ignored, bare = [], []
    images = [path for path in files.images if path.startswith(f"{_IMAGES}/")]
    for image in images:
        stem = PurePosixPath(image).relative_to(_IMAGES).with_suffix("").as_posix()
        place = _first(_CLASSES, stem, known)
        if place is None:
            bare.append(image)
            kind: LabelKind = "good" if reading.without_label == "good" else "unlabelled"
            found.append(FoundImage("train", stem, root / image, None, (), None, kind))
            continue
        objects = _first(_OBJECTS, stem, known)
        maps = _Maps(root / place, root / objects if objects is not None else None, names)
        try:
            ids = _read_map(maps.classes)
            one = _taken(root / image, stem, ids, maps)
        except ToolkitError as error:
            problems += error.problems
            continue
        ignored += [image] if one.kind == "unlabelled" else []
        found.append(one)
    problems += _orphans(root, images, known)
    notes = _notes(files, bare, ignored, reading)
    records = make_records(found, load_maps, names, ours=False)
    classes = [names[number] for number in sorted(names)]
    return LabelTree(
        root, "labelme", classes, records, manifest=None, layout_problems=problems, notes=notes, reading=reading
    )


def _class_names(path: Path) -> dict[int, str]:
    """Id -> name of each class; what is ignored is -1 where it stands in the list, as in LabelMe's own lists.

    Raises:
        ToolkitError: it cannot be read, or names a class twice.
    """
    lines = [line.strip() for line in read_text(path, "save it as UTF-8").splitlines()]
    first = -1 if lines and lines[0] == IGNORE else 0
    names = {number: name for number, name in enumerate(lines, first) if name and number > 0}
    if twice := [name for name in names.values() if list(names.values()).count(name) > 1]:
        raise ToolkitError(path, f"names the class {twice[0]!r} twice", "correct it")
    return names


def _first(places: Sequence[str], stem: str, known: set[str]) -> str | None:
    return next((place for one in places if (place := one.format(stem)) in known), None)


def _taken(image: Path, stem: str, ids: Map, maps: _Maps) -> FoundImage:
    """An image by what its map shows.

    Raises:
        ToolkitError: a value has no name.
    """
    values = [int(value) for value in np.unique(ids) if value]
    strange = [value for value in values if value != _VOID and value not in maps.names]
    if strange:
        raise ToolkitError(maps.classes, f"holds class {strange[0]}, which {_NAMES} does not name", "correct it")
    classes = tuple(maps.names[value] for value in values if value != _VOID)
    kind: LabelKind = "unlabelled" if values and not classes else "masks"
    objects = str(maps.objects) if maps.objects is not None else ""
    payload = (str(maps.classes), objects)
    return FoundImage("train", stem, image, payload, classes, (ids.shape[1], ids.shape[0]), kind)


def _orphans(root: Path, images: Sequence[str], known: set[str]) -> Iterator[Problem]:
    """Maps of classes without an image."""
    stems = {PurePosixPath(image).relative_to(_IMAGES).with_suffix("").as_posix() for image in images}
    wanted = {(place.partition("/")[0], PurePosixPath(place).suffix) for place in _CLASSES}
    for path in sorted(known):
        folder, _, name = path.partition("/")
        if (folder, PurePosixPath(name).suffix) in wanted and name.rpartition(".")[0] not in stems:
            yield Problem(
                str(root / path), "a class map without an image", f"put its image into {_IMAGES}, or remove it"
            )


def _notes(files: FileList, bare: list[str], ignored: list[str], reading: Reading) -> Iterator[str]:
    if bare and reading.without_label != "good":
        rest = "unlabelled: --without-label good takes them for good"
        yield f"{counted(bare, 'image')} without a class map, such as {bare[0]}: {rest}"
    if ignored:
        yield f"{counted(ignored, 'image')} show nothing but what is to be ignored, and are unlabelled"
    shown = [path for path in files.images if not path.startswith((f"{_IMAGES}/", "Segmentation"))]
    shown += [path for path in files.images if "Visualization/" in path]
    if shown:
        yield f"{counted(shown, 'picture')} beside the images and their maps are not read, such as {shown[0]}"


def load_maps(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image: its objects where a map tells them apart, else the components of each class.

    Raises:
        ToolkitError: a map cannot be read; or the two do not agree.
    """
    if entry.payload is None:
        return InstanceList()
    path, objects = entry.payload
    ids = _read_map(Path(path))
    ids[ids == _VOID] = 0
    if not objects:
        return InstanceList(_components(ids, entry.names))
    numbers = _read_map(Path(objects))
    if numbers.shape != ids.shape:
        raise ToolkitError(objects, f"is not of the size of {path}", _REMEDY)
    numbers[(numbers == _VOID) & (ids == 0)] = 0
    if ((numbers > 0) != (ids > 0)).any():
        raise ToolkitError(objects, f"marks other pixels than {path}", _REMEDY)
    found: list[Instance] = []
    for number in np.unique(numbers[numbers > 0]).tolist():
        mine = numbers == number
        classes = np.unique(ids[mine]).tolist()
        if len(classes) > 1:
            raise ToolkitError(objects, f"object {number} is of several classes in {path}", _REMEDY)
        instance = crop_to_bbox(mine, entry.names[classes[0]])
        found += [instance] if instance is not None else []
    return InstanceList(found)


def _components(ids: Map, names: dict[int, str]) -> Iterator[Instance]:
    for number in np.unique(ids[ids > 0]).tolist():
        marked = (ids == number).view(np.uint8)
        yield from find_instances(Mask.of(marked, ids.shape[1], ids.shape[0]), names[number]).instances


def _read_map(path: Path) -> Map:
    """The ids in a map, what is to be ignored as 255.

    Raises:
        ToolkitError: it cannot be read, or holds what is no id.
    """
    ids = _read_npy(path) if path.suffix == ".npy" else np.array(read_values(path, "values"), np.int64)
    ids[ids == -1] = _VOID
    if ids.size and ids.min() < 0:
        raise ToolkitError(path, f"holds {int(ids.min())}, which is the id of nothing", _REMEDY)
    return ids


def _read_npy(path: Path) -> Map:
    """A map in NumPy's format; nothing in it is run, and no more is read than the file has.

    Raises:
        ToolkitError: it is no map.
    """
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file, max_header_size=_MOST_HEADER)
            rest = path.stat().st_size - file.tell()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error
    except Exception as error:  # a header is Python, and may fail in any way
        raise ToolkitError(path, "is no array of NumPy's that can be read", _REMEDY) from error
    if len(shape) != 2 or dtype.kind not in "iu" or rest != math.prod(shape) * dtype.itemsize:
        raise ToolkitError(path, f"is no map of whole numbers (shape {shape}, type {dtype})", _REMEDY)
    check_claimed_size(path, shape[1], shape[0])
    return np.asarray(np.load(path, allow_pickle=False), np.int64).copy()
