"""The formats by name: who writes each, who indexes a tree of it, and which of them a folder is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from converters.formats.base import FormatCodec, FormatName
from converters.formats.coco.reader import index_coco
from converters.formats.coco.writer import Coco
from converters.formats.label_tree import LabelTree
from converters.formats.masks import Masks, index_masks
from converters.formats.panoptic import Panoptic, index_panoptic
from converters.formats.semantic import Semantic, index_semantic
from converters.formats.yolo.classification import YoloClassify, index_classify
from converters.formats.yolo.reader import index_yolo
from converters.formats.yolo.writer import YoloDetect, YoloObb, YoloSegment

__all__ = ["CODECS", "INDEXERS"]

CODECS: dict[FormatName, FormatCodec] = {
    "yolo-detect": YoloDetect(),
    "yolo-segment": YoloSegment(),
    "yolo-obb": YoloObb(),
    "yolo-classify": YoloClassify(),
    "coco": Coco(),
    "semantic": Semantic(),
    "panoptic": Panoptic(),
    "masks": Masks(),
}

INDEXERS: dict[FormatName, Callable[[Path], LabelTree]] = {
    "yolo-detect": index_yolo,
    "yolo-segment": index_yolo,
    "yolo-obb": index_yolo,
    "yolo-classify": index_classify,
    "coco": index_coco,
    "semantic": index_semantic,
    "panoptic": index_panoptic,
    "masks": index_masks,
}
