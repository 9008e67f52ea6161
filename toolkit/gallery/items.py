"""What a gallery is made of: items that can be read, what they show, and what stands around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from toolkit.aliases import JsonObject
from toolkit.dataset.suspects import Suspect
from toolkit.errors import Problem
from toolkit.geometry.labels import LabelledImage

__all__ = ["LAYERS", "Difference", "GalleryItem", "GalleryPage", "GalleryReport", "Shapes", "Shown", "Words"]

Shapes = Literal["pixels", "boxes", "oriented", "classes"]
"""What labels consist of: masks or polygons; upright boxes; oriented boxes; a class for the whole image."""

LAYERS = ("fill", "outline", "box", "oriented", "names", "source", "difference")
"""Names of the layers that can be switched on and off, in the order in which they are offered."""


@dataclass(frozen=True, eq=False)
class Difference:
    """Where labels and their source differ.

    Attributes:
        offset: x, y of the arrays' first pixel in the image.
        lost: bool (H, W), pixels of the source that are not labelled.
        gained: bool (H, W), labelled pixels that the source does not mark.
        renamed: class of the source -> bool (H, W), pixels of it that are labelled as another class.
        iou: intersection over union, 0 to 1; None where there was nothing to be exact to.
    """

    offset: tuple[int, int]
    lost: npt.NDArray[np.bool_]
    gained: npt.NDArray[np.bool_]
    renamed: Mapping[str, npt.NDArray[np.bool_]]
    iou: float | None


@dataclass(frozen=True, eq=False)
class Shown:
    """The labels of one image, as they were written.

    Attributes:
        labelled: image and instances.
        boxes: x0, y0, x1, y1 of each instance as written; None takes the tight boxes of the instances.
        corners: oriented box of each instance as written, (4, 2) x, y in pixels; None derives them from the instances.
        source: bool (height, width), what the source marks; None where it is not known.
        difference: None where labels and source cannot be compared pixel by pixel.
        scores: how sure a model is of each instance, 0 to 1; None where the labels are no model's.
        doubt: how much the labels of the image need a look, 0 to 1; None where nobody knows.
        problems: what is wrong with the labels.
    """

    labelled: LabelledImage
    boxes: tuple[tuple[float, float, float, float], ...] | None = None
    corners: tuple[npt.NDArray[np.float64], ...] | None = None
    source: npt.NDArray[np.bool_] | None = None
    difference: Difference | None = None
    scores: tuple[float, ...] | None = None
    doubt: float | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class GalleryItem:
    """One image of a gallery, before it is read.

    Attributes:
        key: unique name.
        subset, product, image_class: what it is filtered by; the class counts where the image has no instances.
        image: the image file, if there is one.
        stamp: tells the files behind `load` from others, without their place.
        load: reads the labels; raises ToolkitError where they are at fault. Called in threads.
        count: number of instances without reading more than needed; 0 where the labels are at fault.
        suspect: what speaks against its label; None where nobody looked.
        place: x, y on a map, each 0 to 1; None where it has none.
    """

    key: str
    subset: str
    product: str
    image_class: str
    image: Path | None
    stamp: str
    load: Callable[[], Shown]
    count: Callable[[], int]
    suspect: Suspect | None = None
    place: tuple[float, float] | None = None


@dataclass(frozen=True)
class Words:
    """What a person is told of a gallery.

    Attributes:
        title: name of what is shown.
        kind: what it is, for instance "coco labels".
        compared: what it was compared with; "" for nothing.
        notes: what to know when looking at it.
    """

    title: str
    kind: str
    compared: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GalleryPage:
    """What stands around the items.

    Attributes:
        words: title, kind and notes.
        classes: names of the classes; the position of a name gives its colour.
        shapes: what labels consist of.
        layers: layer -> why it cannot be shown; layers that can are not in it.
        roots: files in problems are named relative to these folders.
        shows: where the labels are that are shown, as paths from the gallery: goes into its manifest.
        compared: what was compared with the source, and what was not; "" for nothing to say.
        alike: keys of images that show one photo, which a map draws lines between.
    """

    words: Words
    classes: tuple[str, ...]
    shapes: Shapes
    layers: dict[str, str] = field(default_factory=dict)
    roots: tuple[Path, ...] = ()
    shows: JsonObject = field(default_factory=dict)
    compared: str = ""
    alike: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class GalleryReport:
    """A gallery that was built.

    Attributes:
        index: the page to open.
        images, instances: shown in it, of `images_found` and `instances_found`.
        problems: images with a problem.
        min_iou: lowest fidelity of any image; None where nothing was compared.
    """

    index: Path
    images: int
    images_found: int
    instances: int
    instances_found: int
    problems: int
    min_iou: float | None

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        rows = [
            ["images", self.images, self.images_found],
            ["instances", self.instances, self.instances_found],
        ]
        fidelity = "not compared with a source" if self.min_iou is None else f"lowest IoU {self.min_iou:.4f}"
        about = f"{fidelity}, {self.problems} image(s) with a problem"
        return report_html(f"Gallery {self.index}", about, ["what", "shown", "of"], rows)
