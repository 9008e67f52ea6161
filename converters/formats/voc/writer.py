"""Writing Pascal VOC: an XML file an image, and label maps of those whose objects have masks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from xml.sax.saxutils import escape

import numpy as np

from converters.formats.base import Encoded, Settings, TreeShape, image_name
from converters.formats.label_tree import image_header
from converters.formats.painting import pixels_kept
from converters.formats.voc.annotation import OURS, USUAL
from converters.formats.voc.class_values import colour_map, labelmap_text
from converters.formats.voc.subsets import list_line
from toolkit.errors import ToolkitError
from toolkit.files.xml_files import check_class_name, xml_text
from toolkit.geometry.labels import FLAGS, Box, Instance, LabelledImage, flag_value
from toolkit.imaging.images import encode_map

__all__ = ["encode_voc", "objects_shown", "voc_shape"]

_MOST = 254
_HIDDEN = "hidden by another instance"
_ALWAYS = (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0"))
_IHDR_COLOUR, _IHDR_END = 25, 33  # places in a PNG: of the colour type, and behind the first chunk
_PALETTE = 3


def encode_voc(image: LabelledImage, settings: Settings) -> Encoded:
    """The XML file of an image, and its label maps where objects have masks: object k of the one is k in the other.

    Objects that others hide wholly cannot be shown in a map, and are reported.

    Raises:
        ToolkitError: more objects than a map has values.
    """
    name = image_name(image)
    stem = name.rpartition(".")[0]
    masked = [one for one in image.instances if one.mask is not None]
    only = LabelledImage(image.key, None, image.width, image.height, tuple(masked))
    numbers = only.painted(range(1, len(masked) + 1), np.uint32)
    fidelity, covered = pixels_kept(numbers, only, range(1, len(masked) + 1))
    seen = np.bincount(numbers.ravel(), minlength=len(masked) + 1) > 0 if masked else np.zeros(1, np.bool_)
    places = {id(one): place for place, one in enumerate(masked, 1)}
    shown = [one for one in image.instances if one.mask is None or seen[places[id(one)]]]
    hidden = tuple((_HIDDEN, one.area) for one in image.instances if one.mask is not None and not seen[places[id(one)]])
    files = [(f"Annotations/{stem}.xml", _xml(image, name, shown, segmented=bool(masked)))]
    lines = [(f"ImageSets/Main/{image.subset}.txt", list_line(stem))]
    if masked:
        _check_count(image, shown)
        tables = np.zeros((2, len(masked) + 1), np.uint8)
        for number, one in enumerate(shown, 1):
            if one.mask is not None:
                tables[:, places[id(one)]] = settings.class_id(one.label) + 1, number
        for folder, table in zip(("SegmentationClass", "SegmentationObject"), tables, strict=True):
            files.append((f"{folder}/{stem}.png", _encode_indices(table[numbers])))
        lines.append((f"ImageSets/Segmentation/{image.subset}.txt", list_line(stem)))
    return Encoded(
        f"JPEGImages/{name}",
        tuple(files),
        objects=len(shown),
        fidelity=fidelity,
        covered=covered,
        skipped=hidden,
        lines=tuple(lines),
    )


def objects_shown(image: LabelledImage, settings: Settings) -> int:
    """Objects that a reader finds: boxes, and masks of which something shows."""
    masked = [one for one in image.instances if one.mask is not None]
    if len(masked) < 2:
        return len(image.instances)
    numbers = LabelledImage(image.key, None, image.width, image.height, tuple(masked)).painted(
        range(1, len(masked) + 1), np.uint32
    )
    return len(image.instances) - len(masked) + int(np.count_nonzero(np.bincount(numbers.ravel())[1:]))


def _check_count(image: LabelledImage, shown: Sequence[Instance]) -> None:
    if len(shown) > _MOST:
        problem = f"shows {len(shown)} objects, and SegmentationObject has {_MOST} values for them"
        grouped = any(one.part is not None for one in shown)  # found in a mask: objects of labels are never joined
        remedy = f"use --to coco, which holds any number of them{', or --instances image' if grouped else ''}"
        raise ToolkitError(image.key, problem, remedy)


def voc_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """The table of classes.

    Raises:
        ToolkitError: more classes than a map has values, or a name that XML or the table cannot hold.
    """
    if len(settings.classes) > _MOST:
        problem = f"holds {_MOST} classes at most, and there are {len(settings.classes)}"
        raise ToolkitError("voc", problem, "use --to coco, which holds any number of them, or --classes binary")
    for name in settings.classes:
        check_class_name("voc", name)
        _check_in_table(name)
    return TreeShape(closing=(("labelmap.txt", labelmap_text(settings.classes)),))


def _check_in_table(name: str) -> None:
    """Refuse a class that readers of labelmap.txt cut short, pass over, or have twice.

    Raises:
        ToolkitError: it is one.
    """
    strange = (":" in name, "holds ':', behind which labelmap.txt has its colour")
    comment = (name.startswith("#"), "begins with '#', as comments in labelmap.txt")
    twice = (name.casefold() == "background", "is what labelmap.txt calls pixels of no class")
    for is_so, why in (strange, comment, twice):
        if is_so:
            raise ToolkitError("voc", f"the class {name!r} {why}", "rename the class (--rename)")


def _xml(image: LabelledImage, name: str, shown: Sequence[Instance], *, segmented: bool) -> bytes:
    depth = _channels(image)
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{xml_text(name)}</filename>",
        f"  <source><database>Unknown</database><annotation>{OURS}</annotation></source>",
        f"  <size><width>{image.width}</width><height>{image.height}</height><depth>{depth}</depth></size>",
        f"  <segmented>{int(segmented)}</segmented>",
    ]
    for one in shown:
        lines += _object(one)
    return "\n".join([*lines, "</annotation>", ""]).encode()


def _object(one: Instance) -> list[str]:
    words = {name: flag_value(text) if name in FLAGS else text for name, text in one.attributes.items()}
    told = {name: text for name, text in words.items() if text is not None}
    # What is said and is usual, or no flag's word, stands among the other attributes, where it is read as said.
    said = ((name, text, USUAL.get(name)) for name, text in one.attributes.items())
    more = {name: text for name, text, usual in said if name not in told or usual in (None, text.lower())}
    lines = ["  <object>", f"    <name>{escape(one.label)}</name>"]
    lines += [f"    <{name}>{xml_text(told.get(name, usual))}</{name}>" for name, usual in _ALWAYS]
    if "occluded" in told:
        lines.append(f"    <occluded>{xml_text(told['occluded'])}</occluded>")
    sides = zip(("xmin", "ymin", "xmax", "ymax"), _corners(one.bbox), strict=True)
    lines.append(f"    <bndbox>{''.join(f'<{name}>{side}</{name}>' for name, side in sides)}</bndbox>")
    return [*lines, *_attributes(more), "  </object>"]


def _attributes(told: Mapping[str, str]) -> list[str]:
    """What else is said of an object, as datumaro writes it."""
    if not told:
        return []
    each = (
        f"<attribute><name>{xml_text(name)}</name><value>{xml_text(value)}</value></attribute>"
        for name, value in told.items()
    )
    return [f"    <attributes>{''.join(each)}</attributes>"]


def _corners(box: Box) -> tuple[str, str, str, str]:
    """Corners of a half-open box as pixels from 1, the last one included; fractions stay what they are."""
    x0, y0, x1, y1 = box
    return _number(x0 + 1), _number(y0 + 1), _number(x1), _number(y1)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _channels(image: LabelledImage) -> int:
    try:
        return image_header(image.path).channels if image.path is not None and image.path.is_file() else 3
    except ToolkitError:  # which is said where the image is put into the tree
        return 3


def _encode_indices(indices: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """A PNG of palette indices, uint8 (H, W): one of grey values, which are stored alike, that is given a palette."""
    data = encode_map(np.ascontiguousarray(indices))
    header = bytearray(data[16 - 4 : _IHDR_END - 4])  # kind and content of the first chunk
    header[_IHDR_COLOUR - 12] = _PALETTE
    return data[:12] + bytes(header) + _checksum(bytes(header)) + _palette() + data[_IHDR_END:]


def _checksum(chunk: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(chunk))


@lru_cache
def _palette() -> bytes:
    """The chunk of the devkit's colours."""
    chunk = b"PLTE" + colour_map().tobytes()
    return struct.pack(">I", len(chunk) - 4) + chunk + _checksum(chunk)
