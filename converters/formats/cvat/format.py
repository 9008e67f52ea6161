"""CVAT's XML for images, in and out."""

from __future__ import annotations

from converters.formats.cvat.files import is_cvat, is_cvat_file, is_masked_dataset
from converters.formats.cvat.reader import index_cvat
from converters.formats.cvat.writer import cvat_shape, encode_cvat
from converters.formats.format import Format

__all__ = ["FORMAT"]

FORMAT = Format(
    name="cvat",
    holds="pixels",
    encode=encode_cvat,
    shape=cvat_shape,
    index=index_cvat,
    label_files=("annotations_*.xml",),
    rank=17,
    reads=("without_label",),
    recognise=is_cvat,
    recognise_file=is_cvat_file,
    is_dataset=is_masked_dataset,
    count=lambda image, settings: len(image.instances),
    takes_boxes=True,
    keeps=None,
    flags=("occluded",),
    seen_by={"cvat": None},
)
