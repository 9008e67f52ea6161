"""Reading YOLO trees, ours and other tools': data.yaml in its many forms, text rows, classification folders."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.formats.boxes import TOLERANCE
from converters.formats.label_tree import (
    FoundImage,
    LabelRecord,
    LabelTree,
    make_records,
    walk_files,
)
from converters.formats.registry import read_manifest
from converters.formats.yolo.data_yaml import find_data_yaml, image_folders, listed_places, read_data_yaml
from converters.rasterize import Rounding, fill_edges, fill_pixels, to_pixels
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import LabelKind
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance
from toolkit.imaging.images import is_image

__all__ = ["index_yolo", "load_yolo", "parse_rows"]


def index_yolo(root: Path) -> LabelTree:
    """Index a tree of images/ and labels/ with a dataset file."""
    manifest = read_manifest(root)
    path = find_data_yaml(root)
    if path is None:
        raise ToolkitError(root, "has no data.yaml", "name the folder that holds it")
    document = read_data_yaml(path)
    names: dict[int, str] = document["names"]
    found: list[FoundImage] = []
    problems: list[Problem] = []
    folders = image_folders(root, document)
    places = [(subset, image, label, name) for subset, folder in folders for image, label, name in _pairs(folder)]
    for subset, image, label, name in places + list(_listed(root, document)):
        classes = tuple(names.get(number, "") for number in _classes_in(label))
        found.append(FoundImage(subset, name, image, str(label), classes))
    for _, folder in folders:
        problems += _orphans(folder)
    sizes = root / "images.csv"
    if manifest and sizes.is_file():
        found += _without_images(root, sizes, names)
    kind: str = manifest["format"] if manifest else _format_of(found)
    load, told = _LOADS[kind]
    records = make_records(found, load, names, ours=manifest is not None, kind=told)
    ordered = [names[number] for number in sorted(names)]
    return LabelTree(root, kind, ordered, records, manifest=manifest, layout_problems=problems)


def _listed(root: Path, document: JsonObject) -> Iterator[tuple[str, Path, Path, str]]:
    """Subset, image, label file and name of the images in the text files that a dataset file lists.

    Raises:
        ToolkitError: such a file cannot be read, or names an image that is not there.
    """
    for subset, table in listed_places(root, document):
        if not table.is_file():
            continue
        try:
            lines = table.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolkitError(table, f"cannot be read ({error})", "list one image a line") from error
        for number, line in enumerate((line.strip() for line in lines), 1):
            image = table.parent / line.removeprefix("./")
            if line and not image.is_file():
                raise ToolkitError(f"{table}:{number}", f"no image at {image}", "correct or remove the line")
            if line:
                name = os.path.relpath(image.with_suffix(""), root)
                yield subset, image, (_label_folder(image.parent) / image.name).with_suffix(".txt"), name


def _label_folder(folder: Path) -> Path:
    """The folder of labels beside a folder of images: the last part named images becomes labels."""
    parts = list(folder.parts)
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            return Path(*parts[:index], "labels", *parts[index + 1 :])
    return folder


def _pairs(folder: Path) -> Iterator[tuple[Path, Path, str]]:
    """Each image below a folder, its label file, and its path in the folder without the ending."""
    labels = _label_folder(folder)
    for image in walk_files(folder):
        if is_image(image.name):
            inner = image.relative_to(folder)
            yield image, labels / inner.with_suffix(".txt"), inner.with_suffix("").as_posix()


def _orphans(folder: Path) -> list[Problem]:
    """Label files without an image."""
    stems = {image.relative_to(folder).with_suffix("") for image in walk_files(folder) if is_image(image.name)}
    labels = _label_folder(folder)
    if not labels.is_dir() or labels == folder or not stems:
        return []
    return [
        Problem(str(path), "a label without an image", "put its image beside the others, or remove the label")
        for path in walk_files(labels)
        if path.suffix == ".txt"
        and path.relative_to(labels).with_suffix("") not in stems
        and path.name != "classes.txt"
    ]


def _without_images(root: Path, table: Path, names: dict[int, str]) -> list[FoundImage]:
    """Images of a tree that was written without them, from its table of sizes."""
    found = []
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            stem = row["name"].rpartition(".")[0]
            image = root / "images" / row["subset"] / row["name"]
            label = root / "labels" / row["subset"] / f"{stem}.txt"
            classes = tuple(names.get(number, "") for number in _classes_in(label))
            size = (int(row["width"]), int(row["height"]))
            if not image.exists():
                found.append(FoundImage(row["subset"], stem, image, str(label), classes, size))
    return found


def _classes_in(label: Path) -> list[int]:
    """Class ids in a label file, as far as they can be read; what cannot is reported when the labels are loaded."""
    try:
        text = label.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    words = (line.split(maxsplit=1)[0] for line in text.splitlines() if line.strip())
    return sorted({int(float(word)) for word in words if word.replace(".", "", 1).isdigit()})


def _format_of(found: Sequence[FoundImage]) -> str:
    """Boxes where every row is one, else polygons."""
    texts = (Path(one.payload).read_text(encoding="utf-8-sig", errors="replace") for one in found if one.classes)
    columns = {len(line.split()) for text in texts for line in text.splitlines() if line.strip()}
    return "yolo-detect" if columns == {5} else "yolo-segment"


Row = tuple[int, npt.NDArray[np.float32], int]


def parse_rows(label: Path, names: dict[int, str]) -> list[Row]:
    """(class id, coordinates, number of the line) of each row of a label file; one that is not there holds none.

    Coordinates are in single precision, as ultralytics reads them.

    Raises:
        ToolkitError: a row is not numbers, has the wrong length, or a class that is not in the dataset file.
    """
    try:
        lines = label.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(label, f"cannot be read ({error})", "replace it") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        words = line.split()
        try:
            label_id, values = _whole(words[0]), np.array(words[1:], np.float32)
        except ValueError as error:
            raise ToolkitError(f"{label}:{number}", "is not a row of numbers", "correct or remove the row") from error
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            problem = f"has {len(words)} columns, which is neither a box (5) nor a polygon (7, 9, ...)"
            raise ToolkitError(f"{label}:{number}", problem, "correct or remove the row")
        if label_id not in names:
            raise ToolkitError(
                f"{label}:{number}", f"has class {label_id}, which data.yaml does not name", "correct it"
            )
        if not np.isfinite(values).all():
            raise ToolkitError(f"{label}:{number}", "holds numbers that are not finite", "correct or remove the row")
        rows.append((label_id, values, number))
    return rows


def _whole(word: str) -> int:
    """A class id; some tools write it as 1.0."""
    number = float(word)
    if not number.is_integer():
        raise ValueError(word)
    return int(number)


def load_yolo(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: boxes as rectangles, polygons filled as ultralytics fills them."""
    width, height = entry.image_size()
    found = []
    for label_id, values, number in parse_rows(Path(entry.payload), entry.names):
        size = np.array([width, height], np.float32)
        if len(values) == 4:
            instance = box_instance(values.astype(np.float64), (width, height), entry.names[label_id])
        else:
            pixels = to_pixels(values.reshape(-1, 2) * size, rounding)
            instance = polygon_instance(pixels, (width, height), entry.names[label_id])
        if instance is None:
            raise ToolkitError(f"{entry.payload}:{number}", "covers no pixel of the image", "remove the row")
        found.append(instance)
    return found


def load_obb(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Instances of an image: the pixels whose centres lie in each oriented box."""
    width, height = entry.image_size()
    found = []
    for label_id, values, number in parse_rows(Path(entry.payload), entry.names):
        corners = values.reshape(-1, 2).astype(np.float64) * (width, height)
        instance = crop_to_bbox(fill_edges([corners], height, width), entry.names[label_id])
        if instance is None:
            raise ToolkitError(f"{entry.payload}:{number}", "covers no pixel of the image", "remove the row")
        found.append(instance)
    return found


def box_instance(xywh: npt.NDArray[np.float64], size: tuple[int, int], label: str) -> Instance | None:
    """A normalised box (centre x, y, width, height) in pixels; None if none of it lies in the image.

    A side that lies within a hundredth of a whole pixel lies on it: rows have few decimals.
    """
    sides = np.concatenate([(xywh[:2] - xywh[2:] / 2) * size, (xywh[:2] + xywh[2:] / 2) * size])
    whole = np.rint(sides)
    x0, y0, x1, y1 = np.where(np.abs(sides - whole) < TOLERANCE, whole, sides).tolist()
    return Instance.of_box(label, (x0, y0, x1, y1), size)


def polygon_instance(pixels: npt.NDArray[np.int32], size: tuple[int, int], label: str) -> Instance | None:
    """The pixels that `cv2.fillPoly` paints inside an image of `size` (width, height); None if there are none."""
    low = np.clip(pixels.min(axis=0), 0, np.array(size) - 1)
    high = np.clip(pixels.max(axis=0), 0, np.array(size) - 1)
    span = (int(high[1] - low[1]) + 1, int(high[0] - low[0]) + 1)
    filled = fill_pixels([pixels - low.astype(np.int32)], *span)
    return crop_to_bbox(filled, label, (int(low[0]), int(low[1])))


_LOADS: dict[str, tuple[Callable[[LabelRecord, Rounding], list[Instance]], LabelKind]] = {
    "yolo-detect": (load_yolo, "boxes"),
    "yolo-segment": (load_yolo, "masks"),
    "yolo-obb": (load_obb, "boxes"),
}
