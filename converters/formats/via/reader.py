"""Indexing VIA's files, and loading the regions of an image."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from converters.formats.base import Reading
from converters.formats.coco.document import shown
from converters.formats.foreign.listing import Labels, Listing
from converters.formats.foreign.signs import files_near, tells_more_than_masks, told_bytes
from converters.formats.foreign.values import attributes_of, coordinate
from converters.formats.label_tree import InstanceList, LabelRecord, LabelTree, make_records
from converters.formats.via.attributes import ONLY_CLASS, class_attribute, class_of, option_texts
from converters.formats.via.document import COLUMNS, ViaImage, read_via
from converters.formats.via.drawing import fill_ellipse, fill_polygon
from converters.rasterize import Crop, Rounding
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import LabelKind
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance

__all__ = ["index_via", "is_via_file", "is_via_tree", "load_via"]

_ENDINGS = (".json", ".csv")
_TRIED = 8  # files that are opened
_FLAT = ("point", "polyline")
_AREAS = ("polygon", "polyline", "rect", "circle", "ellipse", "point")
_BARE = "{} image(s) that no VIA file lists are unlabelled (--without-label good takes them for good)"
_EMPTY = "{} image(s) without a region are unlabelled (--without-label good takes them for good)"


def is_via_file(path: Path) -> bool:
    """Whether a file is VIA's, by its first and last bytes."""
    data = told_bytes(path)
    if path.suffix.lower() == ".csv":
        header = data.partition(b"\n")[0]
        return all(name.encode() in header for name in COLUMNS)
    if b'"_via_img_metadata"' in data:
        return True
    return all(name in data for name in (b'"filename"', b'"regions"', b'"file_attributes"'))


def is_via_tree(root: Path) -> bool:
    """Whether a folder holds files of VIA's, and no masks of more images than they list."""
    if not root.is_dir():
        return False
    found = [path for path in islice(files_near(root, _ENDINGS), _TRIED) if is_via_file(path)]
    return bool(found) and tells_more_than_masks(root, lambda: _listed(found))


def _listed(paths: Iterable[Path]) -> int:
    """Images that some files list, as their bytes tell."""
    return sum(path.read_bytes().count(b'"filename"' if path.suffix.lower() == ".json" else b"\n") for path in paths)


def index_via(root: Path, reading: Reading) -> LabelTree:
    """Index a folder of VIA files and images, or one file. Regions are held in memory.

    Raises:
        ToolkitError: nothing tells which attribute is the class; or one file is named, and it is damaged.
    """
    home = root if root.is_dir() else root.parent
    listing = Listing.of(home, reading)
    named = [root.name] if root.is_file() else [one for one in listing.files.others if one.lower().endswith(_ENDINGS)]
    images = [(label, image) for label in named for image in _read(listing, label, alone=root.is_file())]
    attribute = class_attribute(root, (region for _, image in images for region in image.regions))
    told = {id(image.options): image.options.get(attribute, {}) for _, image in images}
    texts = option_texts(root, told.values())
    for label, image in images:
        _take(listing, label, image, attribute, texts)
    for name, text in texts.items():
        if name != text and text in listing.classes:
            listing.remark("{} option(s) of VIA's are called as their texts are", f"{name!r} is {text!r}")
    if not attribute and any(image.regions for _, image in images):
        listing.remark(f"no region of {{}} file(s) has an attribute: all are of one class, {ONLY_CLASS!r}", named[0])
    listing.nothing_marked(root, "no VIA file has a region", "name the file that has some")
    found, names = listing.found(_BARE, whole=root.is_dir()), listing.classes
    return LabelTree(
        root,
        "via",
        names,
        make_records(found, load_via, dict(enumerate(names)), ours=False),
        manifest=None,
        layout_problems=listing.problems,
        notes=listing.notes(),
        reading=reading,
    )


def _read(listing: Listing, label: str, *, alone: bool) -> Sequence[ViaImage]:
    """The images of a file; what is wrong with it is a problem of the tree.

    Raises:
        ToolkitError: it is the only one, and damaged.
    """
    try:
        found = read_via(listing.root / label)
    except ToolkitError as error:
        if alone:
            raise
        listing.withhold(error)
        return []
    if found is None:
        listing.remark("{} file(s) of another kind are not read", label)
    return found or []


def _take(listing: Listing, label: str, image: ViaImage, attribute: str, texts: Mapping[str, str]) -> None:
    """Take in an image of a file."""
    folder = posixpath.dirname(label)
    place = _found(listing, folder, image)
    if place is not None and image.length not in (None, _length(listing.root / place)):
        listing.remark("{} image(s) are not as long in bytes as VIA saw them: are they the same pictures", image.name)
    if image.attributes:
        listing.remark("what {} image(s) say of themselves (file attributes) is not read", image.attributes[0])
    try:
        classes = tuple(
            class_of(f"{image.place}: regions[{number}]", region, attribute, texts)
            for number, region in enumerate(image.regions)
            if _shape(region) not in _FLAT
        )
    except ToolkitError as error:
        listing.withhold(error, place)
        return
    kind = _kind(listing, image)
    if kind == "unlabelled":
        listing.remark(_EMPTY, image.name)
    elif kind is None and image.regions:
        kind = "unlabelled"
        listing.remark("{} image(s) show nothing but points and lines, and are unlabelled", image.name)
    payload = (str(listing.root / label), (image.place, attribute, texts, image.regions))
    marks = classes if kind in ("masks", "boxes") else ()
    listing.take(Labels(label, payload, marks, kind, says=image.regions), place, image.name, f"below {listing.root}")


def _found(listing: Listing, folder: str, image: ViaImage) -> str | None:
    """The file of an image; of several of one name the one of the length that VIA saw."""
    told = posixpath.join(image.prefix.replace("\\", "/"), image.name)
    place = listing.image_of(folder, told) or listing.image_of(folder, image.name)
    if place is not None or image.length is None:
        return place
    alike = [path for path in listing.alike(image.name) if _length(listing.root / path) == image.length]
    return alike[0] if len(alike) == 1 else None


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _kind(listing: Listing, image: ViaImage) -> LabelKind | None:
    """What the labels of an image consist of; None for nothing that has an area."""
    if not image.regions:
        return "good" if listing.reading.without_label == "good" else "unlabelled"
    shapes = {_shape(region) for region in image.regions} - {*_FLAT}
    return None if not shapes else "boxes" if shapes == {"rect"} else "masks"


def _shape(region: JsonObject) -> object:
    name = region["shape_attributes"].get("name")
    return name if isinstance(name, str) else None


def load_via(entry: LabelRecord, rounding: Rounding) -> InstanceList:
    """Instances of an image, as scikit-image draws VIA's shapes; rectangles are boxes.

    What has no area, and what marks no pixel of the image, is left out and named.

    Raises:
        ToolkitError: a region is no shape of VIA's.
    """
    if entry.payload is None:
        return InstanceList()
    where, attribute, texts, regions = entry.payload[1]
    size = entry.image_size() if regions else (1, 1)
    found: list[Instance] = []
    left_out: list[str] = []
    for number, region in enumerate(regions):
        place, shape = f"{where}: regions[{number}]", _shape(region)
        if shape not in _AREAS:
            problem = f"has the shape {shown(shape)}, which VIA does not draw"
            raise ToolkitError(place, problem, "draw it as a polygon, or remove it")
        if shape in _FLAT:
            left_out.append(f"regions[{number}] is a {shape}, which has no area")
            continue
        one = _instance(place, str(shape), region, class_of(place, region, attribute, texts), size)
        if one is None:
            left_out.append(f"regions[{number}] marks no pixel of the image")
            continue
        others = {name: value for name, value in region["region_attributes"].items() if name != attribute}
        found.append(replace(one, attributes=attributes_of(others)))
    return InstanceList(found, left_out, settled=True)


def _instance(place: str, shape: str, region: JsonObject, label: str, size: tuple[int, int]) -> Instance | None:
    told = region["shape_attributes"]
    if shape == "rect":
        x, y, width, height = (coordinate(place, name, told.get(name)) for name in ("x", "y", "width", "height"))
        if width < 0 or height < 0:
            raise ToolkitError(place, f"is {width:g} wide and {height:g} high", "correct or remove it")
        return Instance.of_box(label, (x, y, x + width, y + height), size)
    mask, offset = _polygon(place, told, size) if shape == "polygon" else _round(place, shape, told, size)
    return crop_to_bbox(mask, label, offset)


def _polygon(place: str, told: JsonObject, size: tuple[int, int]) -> Crop:
    xs, ys = told.get("all_points_x"), told.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise ToolkitError(place, "has no list of x and of y of the same length", "draw it again, or remove it")
    points = [[coordinate(place, "coordinate", value) for value in pair] for pair in zip(xs, ys, strict=True)]
    if len(points) < 3:
        return np.zeros((0, 0), np.bool_), (0, 0)
    try:
        return fill_polygon(np.array(points, np.float64), size)
    except ValueError as error:
        raise ToolkitError(place, f"is {error}", "draw it again, or remove it") from error


def _round(place: str, shape: str, told: JsonObject, size: tuple[int, int]) -> Crop:
    x, y = (coordinate(place, name, told.get(name)) for name in ("cx", "cy"))
    names = ("r", "r") if shape == "circle" else ("rx", "ry")
    rx, ry = (coordinate(place, name, told.get(name)) for name in names)
    if min(rx, ry) < 0:
        raise ToolkitError(place, f"has the radius {min(rx, ry):g}", "correct or remove it")
    turn = coordinate(place, "theta", told.get("theta", 0)) if shape == "ellipse" else 0.0
    if min(rx, ry) == 0:
        return np.zeros((0, 0), np.bool_), (0, 0)
    return fill_ellipse((x, y), (rx, ry), turn, size)
