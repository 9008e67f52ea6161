"""Instances -> Label Studio's tasks: brushes for masks, which come back bit by bit, and rectangles for boxes."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import orjson

from converters.formats.base import Encoded, Pixels, Settings, TreeShape, image_name
from converters.formats.label_studio.brush import encode_brush
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["encode_label_studio", "label_config", "label_studio_shape"]

_MOST_VALUES = 1 << 32  # of a buffer, four for each pixel


def label_studio_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """A file of tasks for each subset, and the labelling configuration of a project that shows them.

    Raises:
        ToolkitError: a class has a name that a configuration cannot hold.
    """
    config = label_config(settings.classes)
    return TreeShape(json_file="tasks_{}.json", json_tasks=True, closing=(("label_config.xml", config),))


def label_config(classes: Sequence[str]) -> bytes:
    """The labelling configuration of a project.

    Raises:
        ToolkitError: a class has a name that it cannot hold.
    """
    strange = next((name for name in classes if any(ord(mark) < 32 or ord(mark) in _NO_XML for mark in name)), None)
    if strange is not None:
        raise ToolkitError("label-studio", f"the class {strange!a} holds a control character", "rename the class")
    labels = [
        f'    <Label value={quoteattr(name)} background="{_colour(number)}"/>' for number, name in enumerate(classes)
    ]
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true"/>']
    for tag, name in (("BrushLabels", "brush"), ("RectangleLabels", "box")):
        lines += [f'  <{tag} name="{name}" toName="image">', *labels, f"  </{tag}>"]
    return "\n".join([*lines, "</View>", ""]).encode()


_NO_XML = frozenset({0xFFFE, 0xFFFF, *range(0xD800, 0xE000)})
_GOLDEN = (math.sqrt(5) - 1) / 2


def _colour(number: int) -> str:
    """A colour that those of other numbers are unlike."""
    parts = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.75, 0.95)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def encode_label_studio(image: LabelledImage, settings: Settings) -> Encoded:
    """The task of an image: one annotation, a result for each object, in their order.

    Raises:
        ToolkitError: the image has more pixels than run lengths count.
    """
    if 4 * image.width * image.height >= _MOST_VALUES:
        raise ToolkitError(image.key, f"has {image.width} x {image.height} pixels, too many for a brush", "use coco")
    name = image_name(image)
    results = [_result(number, one, image) for number, one in enumerate(image.instances, 1)]
    area = sum(one.area for one in image.instances if one.mask is not None)
    path = f"images/{image.subset}/{name}"
    data = {"image": f"/data/local-files/?d={quote(path)}", "width": image.width, "height": image.height}
    listed = b",".join(results)
    annotation = b'{"was_cancelled":false,"ground_truth":false,"result":[%b]}' % listed
    return Encoded(
        path,
        header=b'"data":%b,"annotations":[%b]' % (orjson.dumps(data), annotation),
        objects=len(results),
        fidelity=Pixels(area, area) if area else None,
    )


def _result(number: int, one: Instance, image: LabelledImage) -> bytes:
    """An object as a result."""
    size = image.width, image.height
    attributes = dict(one.attributes)
    told: JsonObject = {"id": f"r{number}", "to_name": "image", "origin": "manual"}
    told |= {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    told |= _score(attributes) | ({"meta": attributes} if attributes else {})
    if one.mask is None:
        told |= {"type": "rectanglelabels", "from_name": "box"}
        told["value"] = {**_rectangle(one.bbox, size), "rotation": 0, "rectanglelabels": [one.label]}
    else:
        rle = encode_brush(one.mask, one.window[:2], *size)
        told |= {"type": "brushlabels", "from_name": "brush"}
        told["value"] = {"format": "rle", "rle": list(rle), "brushlabels": [one.label]}
    return orjson.dumps(told)


def _score(attributes: dict[str, str]) -> JsonObject:
    """The score of an object as a number, taken out of its attributes, where it is read again as it stands."""
    try:
        score = float(attributes.get("score", ""))
    except ValueError:
        return {}
    if not math.isfinite(score) or repr(score) != attributes["score"]:
        return {}
    del attributes["score"]
    return {"score": score}


def _rectangle(box: Sequence[float], size: tuple[int, int]) -> dict[str, float]:
    x0, y0, x1, y1 = box
    sides = {"x": (x0, size[0]), "y": (y0, size[1]), "width": (x1 - x0, size[0]), "height": (y1 - y0, size[1])}
    return {name: length * 100 / whole for name, (length, whole) in sides.items()}
