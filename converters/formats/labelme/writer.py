"""Instances -> LabelMe's JSON: polygons where LabelMe draws the mask again, else masks; rectangles for boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import orjson

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, image_name
from converters.formats.labelme.document import BACKGROUND, IGNORE
from converters.formats.labelme.drawing import encode_mask, fill_polygon
from converters.formats.labelme.instances import rectangle_points
from toolkit.aliases import BoolArray, JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.contours import uncut_rings
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.geometry.simplify import Region, simplify_regions

__all__ = ["encode_labelme", "labelme_shape"]

_VERSION = "5.5.0"  # of LabelMe: the files are those that it writes, and later ones read
_MOST_RINGS = 64  # parts of an object; beyond, one mask says it in less
_MOST_PIXELS = 1 << 24  # of parts drawn one by one, where they are many

Ring = npt.NDArray[np.int64]


def labelme_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """Nothing beside the images and their files.

    Raises:
        ToolkitError: a class has a name that means something else to LabelMe.
    """
    strange = next((name for name in settings.classes if name in (BACKGROUND, IGNORE)), None)
    if strange is not None:
        raise ToolkitError("labelme", f"the class {strange!r} is none to LabelMe's scripts", "rename the class")
    return TreeShape()


def encode_labelme(image: LabelledImage, settings: Settings) -> Encoded:
    """The file of an image, which lies beside it. Objects that overlap stay whole, and in their order."""
    name = image_name(image)
    shapes: list[bytes] = []
    kept = total = groups = 0
    for instance in image.instances:
        found, pixels = _shapes(instance, settings)
        group = groups if len(found) > 1 else None
        groups += group is not None
        shapes += (_shape(instance, one, group) for one in found)
        kept, total = kept + pixels.intersection, total + pixels.union
    path = f"images/{image.subset}/{name.rpartition('.')[0]}.json"
    return Encoded(
        f"images/{image.subset}/{name}",
        ((path, _document(image, name, shapes)),),
        objects=len(image.instances),
        fidelity=Pixels(kept, total) if total else None,
    )


def _document(image: LabelledImage, name: str, shapes: Sequence[bytes]) -> bytes:
    """A LabelMe file, a shape a line."""
    listed = b",".join(b"\n    " + shape for shape in shapes) + (b"\n  " if shapes else b"")
    end = b'  "imageData": null,\n  "imageHeight": %d,\n  "imageWidth": %d\n}\n' % (image.height, image.width)
    start = b'{\n  "version": %b,\n  "flags": {},\n  "shapes": [%b],\n' % (orjson.dumps(_VERSION), listed)
    return start + b'  "imagePath": %b,\n' % orjson.dumps(name) + end


def _shape(instance: Instance, told: JsonObject, group: int | None) -> bytes:
    """A shape as JSON; what LabelMe has no place for stands under `attributes`, which it keeps."""
    flags = {name: value == "true" for name, value in instance.attributes.items() if value in ("true", "false")}
    others = {name: value for name, value in instance.attributes.items() if name not in flags}
    document: JsonObject = {
        "label": instance.label,
        "points": told["points"],
        "group_id": group,
        "description": others.pop("description", ""),
        "shape_type": told["shape_type"],
        "flags": flags,
        "mask": told.get("mask"),
    }
    document |= {"box": told["box"]} if "box" in told else {}
    return orjson.dumps(document | ({"attributes": others} if others else {}), option=orjson.OPT_SERIALIZE_NUMPY)


def _shapes(instance: Instance, settings: Settings) -> tuple[list[JsonObject], Pixels]:
    """The shapes of an object, and what LabelMe keeps of it when it draws them; a box keeps nothing that is exact."""
    if instance.mask is None:
        points = rectangle_points(instance.bbox)
        told: JsonObject = {"shape_type": "rectangle", "points": points}
        x0, y0, x1, y1 = instance.bbox
        if [[x0, y0], [x1 - 1, y1 - 1]] != points:
            told["box"] = [x0, y0, x1, y1]
        return [told], Pixels(0, 0)
    mask, (x0, y0, x1, y1) = instance.mask, instance.window
    rings = _simplified(instance, settings) if settings.min_iou < 1 else []
    rings = rings or _exact_rings(instance)
    if not rings:
        corners = [[x0, y0], [x1 - 1, y1 - 1]]
        return [{"shape_type": "mask", "points": corners, "mask": encode_mask(mask)}], Pixels(*[instance.area] * 2)
    drawn = _filled(rings, mask.shape, x0)
    pixels = Pixels(int(np.count_nonzero(drawn & mask)), int(np.count_nonzero(drawn | mask)))
    return [{"shape_type": "polygon", "points": ring + np.array([x0, y0])} for ring in rings], pixels


def _exact_rings(instance: Instance) -> list[Ring]:
    """Polygons, (K, 2) in the crop, that LabelMe draws the mask from; none where it does not."""
    mask = instance.region
    rings = [_padded(ring) for ring in instance.centre_rings]
    many = len(rings) > _MOST_RINGS or (len(rings) > 1 and len(rings) * mask.size > _MOST_PIXELS)
    return rings if not many and np.array_equal(_filled(rings, mask.shape, instance.window[0]), mask) else []


def _simplified(instance: Instance, settings: Settings) -> list[Ring]:
    """Polygons of few vertices that keep the IoU asked for; none where a hole, which LabelMe has not, is too large."""
    mask = instance.region
    regions = [Region(outer, ()) for outer, _ in uncut_rings(instance.outline, "centre")]
    if len(regions) > _MOST_RINGS:
        return []
    found = simplify_regions(regions, mask, lambda rings: _filled(rings, mask.shape), settings.min_iou)
    rings = [_padded(ring) for ring in found]
    drawn = _filled(rings, mask.shape, instance.window[0])
    enough = np.count_nonzero(drawn & mask) >= settings.min_iou * np.count_nonzero(drawn | mask)
    return rings if rings and enough else []


def _padded(ring: Ring) -> Ring:
    """A ring of at least three points, without which LabelMe draws none."""
    return np.concatenate([ring, np.repeat(ring[-1:], max(0, 3 - len(ring)), axis=0)])


def _filled(rings: Sequence[Ring], shape: tuple[int, ...], left: int = 0) -> BoolArray:
    """What LabelMe draws of polygons: bool of the given shape.

    Args:
        rings: (K, 2) in the crop.
        shape: height and width of the crop.
        left: column of the image that the crop begins in: Pillow's sums are rounded by how far to the right they are.
    """
    drawn = np.zeros(shape, np.bool_)
    for ring in rings:
        points = [(x + left, y) for x, y in _padded(ring).tolist()]
        drawn |= fill_polygon(points, (left + shape[1], shape[0]))[:, left:]
    return drawn
