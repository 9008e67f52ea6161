"""Instances -> CVAT's XML: a <mask> for each object that has pixels, a <box> for others, as in a project's export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np

from converters.formats.base import Encoded, Pixels, Settings, SubsetFile, TreeShape, image_name
from converters.formats.cvat.document import BUILT_IN
from toolkit.aliases import BoolArray
from toolkit.files.xml_files import check_class_name, xml_text
from toolkit.geometry.labels import Instance, LabelledImage, flag_value

__all__ = ["cvat_shape", "encode_cvat"]

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <project>
      <labels>
{}      </labels>
      <tasks>
        <task><name>{subset}</name><mode>annotation</mode><subset>{subset}</subset></task>
      </tasks>
    </project>
  </meta>
"""
_LABEL = "        <label><name>{}</name><attributes>{}</attributes></label>\n"
_ATTRIBUTE = (
    "<attribute><name>{}</name><mutable>False</mutable><input_type>text</input_type>"
    "<default_value></default_value><values></values></attribute>"
)


def cvat_shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """A file for each subset, which declares all classes, and the attributes that objects of each have.

    Raises:
        ToolkitError: a class has a name that XML cannot hold.
    """
    for name in settings.classes:
        check_class_name("cvat", name)
    files = {}
    for subset in subsets:
        head = partial(_head, settings.classes, subset)
        files[subset] = SubsetFile(f"annotations_{subset}.xml", head, b"</annotations>\n")
    return TreeShape(subset_files=files)


def _head(classes: Sequence[str], subset: str, declared: Sequence[tuple[str, str]]) -> bytes:
    """What stands before the images of a subset. `declared`: classes, and an attribute of each, sorted."""
    names: dict[str, list[str]] = {}
    for label, name in declared:
        names.setdefault(label, []).append(_ATTRIBUTE.format(xml_text(name)))
    labels = "".join(_LABEL.format(xml_text(label), "".join(names.get(label, ()))) for label in classes)
    return _HEAD.format(labels, subset=xml_text(subset)).encode()


def encode_cvat(image: LabelledImage, settings: Settings) -> Encoded:
    """An <image>. Objects stay whole where they overlap, and keep their order; boxes keep their fractions."""
    name = image_name(image)
    groups = Counter((one.label, one.attributes.get("group_id")) for one in image.instances)
    depths = [_depth(one) for one in image.instances]
    aside = set() if depths == sorted(depths) else {"z_order"}  # it would be read in another order
    shapes, declares = [], set[tuple[str, str]]()
    for one in image.instances:
        alone = groups[one.label, one.attributes.get("group_id")] == 1
        own, others = _attributes(one, aside if alone else aside | {"group_id"})
        shapes.append(_shape(one, own, others))
        declares |= {(one.label, name) for name in others}
    area = sum(one.area for one in image.instances if one.mask is not None)
    told = f'name="{xml_text(name, quoted=True)}" subset="{xml_text(image.subset, quoted=True)}"'
    start = f'" {told} width="{image.width}" height="{image.height}">\n'
    return Encoded(
        f"images/{image.subset}/{name}",
        objects=len(shapes),
        fidelity=Pixels(area, area) if area else None,
        entry=(b'  <image id="', f"{start}{''.join(shapes)}  </image>\n".encode()),
        declares=tuple(sorted(declares)),
    )


def _depth(one: Instance) -> int:
    value = one.attributes.get("z_order", "0")
    return int(value) if _is_built_in("z_order", value) else 0


def _shape(one: Instance, own: Mapping[str, str], others: Mapping[str, str]) -> str:
    """An object, with what CVAT has a place for and with other attributes."""
    said = f'label="{xml_text(one.label, quoted=True)}" source="{own["source"]}" occluded="{own["occluded"]}"'
    rest = f'z_order="{own["z_order"]}"' + (f' group_id="{own["group_id"]}"' if own["group_id"] != "0" else "")
    if one.mask is None:
        kind = "box"
        sides = zip(("xtl", "ytl", "xbr", "ybr"), one.bbox, strict=True)
        place = " ".join(f'{name}="{_number(side)}"' for name, side in sides)
    else:
        kind = "mask"
        left, top, right, bottom = one.window
        runs = ", ".join(map(str, _runs(one.mask)))
        place = f'rle="{runs}" left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
    start = f"    <{kind} {said} {place} {rest}"
    if not others:
        return f"{start}/>\n"
    lines = (
        f'      <attribute name="{xml_text(name, quoted=True)}">{xml_text(value)}</attribute>\n'
        for name, value in others.items()
    )
    return f"{start}>\n{''.join(lines)}    </{kind}>\n"


def _attributes(one: Instance, aside: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What CVAT has a place for of what is said of an object, and the rest, which are attributes of its class.

    What is said under the names in `aside` must not mean what it does to CVAT.
    """
    own, others = dict(BUILT_IN), {}
    for name, value in one.attributes.items():
        if name == "occluded" and (flag := flag_value(value)) is not None:
            own[name] = flag
        elif _is_built_in(name, value) and name not in aside:
            own[name] = value
        else:
            others[name] = value
    return own, others


def _is_built_in(name: str, value: str) -> bool:
    """Whether CVAT has a place for an attribute, and would read there what it says."""
    if name not in BUILT_IN or value == BUILT_IN[name]:
        return False
    if name == "occluded":
        return False
    if name == "source":
        return value.isascii() and value.isalpha()
    sign, digits = value[:1], value.lstrip("-")
    canonical = digits.isascii() and digits.isdigit() and str(int(digits[:9])) == digits and digits != "0"
    return canonical and (sign != "-" or (name == "z_order" and value == f"-{digits}"))


def _runs(mask: BoolArray) -> list[int]:
    """Run lengths of a mask, row by row, beginning with what is not marked; they cover it to its end."""
    flat = mask.ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate([[0], turns, [flat.size]])
    runs: list[int] = np.diff(ends).tolist()
    return [0, *runs] if flat[0] else runs


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
