"""Pascal VOC trees as other tools leave them, and a reader that shares no code with ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
from PIL import Image

from converters.formats.voc.class_values import colour_map
from tests.converters.support import save_png

__all__ = ["BORDER", "EDGES", "SIZE", "by_element_tree", "dent", "photo", "save_map", "text", "write"]

SIZE = (30, 20)  # width, height
BORDER = ("dent", 1, 1, 30, 20)  # a box of pixels from 1 that says so
EDGES = ("dent", 0, 0, 30, 20)

Corner = int | float | str
Told = tuple[str, Corner, Corner, Corner, Corner]


def dent(x0: Corner, y0: Corner, x1: Corner, y1: Corner) -> Told:
    return ("dent", x0, y0, x1, y1)


def text(*objects: Told | str, filename: str = "", size: object = SIZE, more: str = "") -> str:
    """An annotation; an object is a class and its corners, or XML."""
    sides = "" if size is None else "<size><width>{}</width><height>{}</height><depth>1</depth></size>".format(*size)  # type: ignore[misc]
    parts = [one if isinstance(one, str) else _object(one) for one in objects]
    return f"<annotation>{more}<filename>{filename}</filename>{sides}{''.join(parts)}</annotation>"


def _object(one: Told) -> str:
    label, *corners = one
    names = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{name}>{side}</{name}>" for name, side in zip(names, corners, strict=True))
    return f"<object><name>{label}</name><bndbox>{box}</bndbox></object>"


def photo(path: Path, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.zeros(size[::-1], np.uint8))


def write(root: Path, name: str, *objects: Told | str, image: str | None = None, **more: object) -> Path:
    """An annotation Annotations/NAME.xml, and its image: in JPEGImages/, where `image` says, or ("") nowhere."""
    path = root / f"Annotations/{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(*objects, **more), encoding="utf-8")  # type: ignore[arg-type]
    if image != "":
        photo(root / (image or f"JPEGImages/{name}.png"))
    return path


def save_map(path: Path, indices: npt.NDArray[np.uint8], palette: Sequence[int] | None = None) -> Path:
    """A label map with the devkit's palette, as Pillow writes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices).convert("L")
    image.putpalette(list(palette) if palette is not None else colour_map().ravel().tolist())
    image.save(path)
    return path


def by_element_tree(path: Path) -> list[tuple[str, tuple[float, ...]]]:
    """Class and corners of each object, as the standard library reads them."""
    found = []
    for one in ElementTree.parse(path).getroot().findall("object"):
        sides = tuple(float(one.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax"))
        found.append((one.findtext("name", ""), sides))
    return found
