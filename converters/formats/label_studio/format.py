"""Label Studio's JSON and JSON_MIN, and what is written for it."""

from __future__ import annotations

from converters.formats.format import Format
from converters.formats.label_studio.files import is_dataset, is_label_studio, is_tasks_file
from converters.formats.label_studio.reader import index_label_studio
from converters.formats.label_studio.writer import encode_label_studio, label_studio_shape

__all__ = ["FORMAT"]

FORMAT = Format(
    name="label-studio",
    holds="pixels",
    encode=encode_label_studio,
    shape=label_studio_shape,
    index=index_label_studio,
    label_files=("tasks_*.json",),
    rank=26,
    reads=("without_label",),
    recognise=is_label_studio,
    recognise_file=is_tasks_file,
    is_dataset=is_dataset,
    takes_boxes=True,
    keeps=None,
    seen_by={"label-studio": None},
    count=lambda image, settings: len(image.instances),
)
