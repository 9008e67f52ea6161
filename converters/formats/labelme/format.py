"""LabelMe's JSON, and what labelme2voc makes of it."""

from __future__ import annotations

from pathlib import Path

from converters.formats.base import Reading
from converters.formats.format import Format
from converters.formats.label_tree import LabelTree
from converters.formats.labelme.files import is_labelme_file, looks_labelled, marks_shapes
from converters.formats.labelme.reader import index_labelme
from converters.formats.labelme.voc_output import index_voc_output, is_voc_output
from converters.formats.labelme.writer import encode_labelme, labelme_shape

__all__ = ["FORMAT"]


def _index(root: Path, reading: Reading) -> LabelTree:
    return index_voc_output(root, reading) if is_voc_output(root) else index_labelme(root, reading)


def _recognise(root: Path) -> bool:
    return is_voc_output(root) or looks_labelled(root)


FORMAT = Format(
    name="labelme",
    holds="pixels",
    encode=encode_labelme,
    shape=labelme_shape,
    index=_index,
    label_files=("images/*/*.json",),
    rank=25,
    reads=("without_label",),
    recognise=_recognise,
    recognise_file=is_labelme_file,
    sidecar=".json",
    marks=marks_shapes,
    takes_boxes=True,
    keeps=None,
    seen_by={"labelme": None},
    count=lambda image, settings: len(image.instances),
)
