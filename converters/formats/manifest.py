"""What a label tree of ours says of itself: its manifest, whichever version wrote it, and its tables of images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from converters.formats.base import PanopticLayout
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import ClassScheme
from toolkit.errors import ToolkitError
from toolkit.files.links import ImageMode
from toolkit.files.typed import Count, Name, PathText, Record, Row, Share, Side
from toolkit.geometry.instances import parse_grouping

__all__ = ["ClassRow", "ImageRow", "Manifest"]


def _grouping(text: str) -> str:
    try:
        parse_grouping(text)
    except ToolkitError as error:
        raise ValueError("should be components, image or merge:GAP") from error
    return text


class _Counts(Record):
    images: Count
    instances: Count
    background: Count


class _Skipped(Record):
    key: str
    reason: str
    area: int | float


class _LeftOut(Record):
    key: str
    reason: str


class _Components(Record):
    found: Count
    written: Count
    skipped: list[_Skipped]


class _Covered(Record):
    pixels: Count
    images: Count


class _Fidelity(Record):
    mean_iou: Share | None
    min_iou: Share | None
    exact: Count
    images: Count
    rectangles: Count = 0
    covered: _Covered | None = None
    dropped: dict[str, Count] | None = None


class _TileOptions(Record):
    side: Annotated[int, Field(ge=1)]
    overlap: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    background: Count | None = None


class _Parts(Record):
    found: Count
    whole: Count
    cut: Count
    written: Count


class _Tiled(Record):
    images: Count
    uncut: Count
    tiles: Count
    background: Count
    left_out: Count
    not_asked_for: Count = 0
    parts: _Parts


class _Options(Record):
    classes: ClassScheme
    instances: Annotated[str, AfterValidator(_grouping)]
    min_area: Count
    min_iou: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    join_parts: bool
    images: ImageMode
    threshold: Annotated[int, Field(ge=1, le=65535)] | None
    rename: dict[str, str] = Field(default={})
    only: list[str] = Field(default=[])
    drop_empty: bool = False
    max_area: Annotated[int, Field(ge=1)] | None = None
    panoptic_layout: PanopticLayout = "flat"
    tiles: _TileOptions | None = None


class _Images(Record):
    count: Count
    bytes: Count


class Manifest(Record):
    """What is needed of a manifest; version 0.1.0 wrote no `schema` and no `images`.

    Attributes:
        source: where the images came from, from the folder that the tree is in.
        layout: how that was laid out, where it was told.
        sources, layouts: these of several roots.
        prefixes: what stands before the keys of each of them, where keys of two would meet.
        left_out: images without what was asked for.
        tiles: of tiles the images that they were cut from, their number, and the parts (objects) of these images.
    """

    tool: Literal["defectkit"]
    format: str
    classes: list[str]
    subsets: dict[str, _Counts]
    components: _Components
    fidelity: _Fidelity
    options: _Options
    labels_sha256: str
    images: _Images | None = None
    source: PathText | None = None
    input_sha256: str | None = None
    layout: PathText | dict[str, Any] | None = None
    sources: Annotated[list[PathText], Field(min_length=2)] | None = None
    layouts: list[PathText | dict[str, Any] | None] | None = None
    prefixes: list[Name] | None = None
    left_out: list[_LeftOut] = Field(default=[])
    tiles: _Tiled | None = None
    version: str | None = None

    def as_json(self) -> JsonObject:
        """The members that the file has."""
        return self.model_dump(exclude_unset=True)


class ImageRow(Row):
    """A row of images.csv: the image's file name in the folder of its subset, and its size in pixels."""

    name: Name
    subset: Name
    width: Side
    height: Side


class ClassRow(ImageRow):
    """A row of labels.csv: its class besides, which is a folder too."""

    label: Name = Field(alias="class")
