"""The formats by name: who writes each, who indexes a tree of it, and which of them a folder is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from converters.formats.base import FormatCodec, FormatName
from converters.formats.coco.reader import find_coco_files, index_coco, index_panoptic
from converters.formats.coco.writer import Coco
from converters.formats.label_tree import LabelTree, read_manifest
from converters.formats.panoptic import Masks, Panoptic, Semantic
from converters.formats.semantic import index_masks, index_semantic
from converters.formats.yolo.classification import YoloClassify
from converters.formats.yolo.reader import find_data_yaml, index_classify, index_yolo, read_data_yaml
from converters.formats.yolo.writer import YoloDetect, YoloObb, YoloSegment
from toolkit.dataset.layouts import mvtec
from toolkit.dataset.samples import Dataset, load_dataset
from toolkit.errors import ToolkitError
from toolkit.imaging.images import is_image

__all__ = ["CODECS", "INDEXERS", "open_source", "read_labels", "trees_in"]

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


def read_labels(root: str | Path) -> LabelTree:
    """Open a label tree of any format, ours or another tool's, recognised by itself.

    A folder that holds one tree stands for it. Labels are read as the tree is iterated.

    Raises:
        ToolkitError: no such folder, no tree in it, or several.
    """
    root = Path(root)
    if not root.is_dir():
        raise ToolkitError(root, "no such folder" if not root.exists() else "not a folder", "name a label tree")
    kind = _kind(root)
    trees = trees_in(root) if kind is None else []
    if not trees:
        kind = kind or _loose_kind(root)
    if kind is not None:
        return _indexed(root, kind)
    if len(trees) == 1:
        return _indexed(trees[0], _kind(trees[0]) or "masks")
    if trees:
        raise ToolkitError(root, f"holds {len(trees)} label trees", f"name one: {', '.join(p.name for p in trees)}")
    raise ToolkitError(root, "is no label tree of a known format", f"known are {', '.join(CODECS)}")


def _indexed(root: Path, kind: FormatName) -> LabelTree:
    tree = INDEXERS[kind](root)
    if not len(tree) and not tree.layout_problems:
        raise ToolkitError(root, f"a {kind} tree without images", "check the paths in it")
    return tree


def trees_in(folder: Path) -> list[Path]:
    """The label trees that stand in a folder, as `convert` leaves them."""
    children = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    ours = [path for path in children if read_manifest(path) is not None]
    return ours or [path for path in children if _kind(path) is not None]


def _kind(root: Path) -> FormatName | None:
    """Format of a tree by unmistakable signs."""
    manifest = read_manifest(root)
    if manifest is not None:
        kind: FormatName = manifest["format"]
        return kind
    path = find_data_yaml(root)
    if path is not None:
        return "semantic" if "masks_dir" in read_data_yaml(path) else "yolo-segment"
    files = find_coco_files(root)
    if files:
        with open(files[0], "rb") as file:
            return "panoptic" if b'"segments_info"' in file.read() else "coco"
    return None


def _loose_kind(root: Path) -> FormatName | None:
    """Format of a tree that carries no sign but its folders: MVTec masks, or classes within subsets."""
    if mvtec.detect(root) and any(root.glob("**/ground_truth")):
        return "masks"
    images = (path for pattern in ("train/*/*", "val/*/*", "test/*/*") for path in root.glob(pattern))
    first = next((path for path in images if is_image(path.name)), None)
    return "yolo-classify" if first is not None and first.parent.name not in ("images", "labels") else None


def open_source(source: Dataset | LabelTree | str | Path) -> Dataset | LabelTree:
    """What `load_dataset` or `read_labels` makes of a folder; a dataset or a tree is passed on.

    Raises:
        ToolkitError: the folder is neither.
    """
    if isinstance(source, Dataset | LabelTree):
        return source
    root = Path(source)
    if root.is_dir():
        kind = _kind(root)
        if kind == "masks" and any((root / category).is_dir() for category in _pictured(root)):
            return load_dataset(root)
        if kind is not None:
            return read_labels(root)
        trees = trees_in(root)
        # Our trees may look like a dataset together: the folders of yolo-classify are those of a product.
        if trees and (read_manifest(trees[0]) is not None or not mvtec.detect(root)):
            return read_labels(root)
        if not trees and not mvtec.detect(root) and _loose_kind(root) is not None:
            return read_labels(root)
    return load_dataset(root)


def _pictured(root: Path) -> list[str]:
    """Folders of a masks tree that hold images, not masks alone."""
    return [str(path.relative_to(root)) for path in root.glob("*/t*/*") if path.parent.name != "ground_truth"]
