"""What images with labels come from: a dataset with masks, or a label tree; recognised, opened, and read one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from converters.formats.base import FormatName, Settings
from converters.formats.coco.reader import find_coco_files
from converters.formats.label_tree import Entry, LabelTree, read_manifest
from converters.formats.registry import CODECS, INDEXERS
from converters.formats.yolo.data_yaml import find_data_yaml, read_data_yaml
from toolkit.dataset.layouts import load_dataset, mvtec
from toolkit.dataset.samples import Dataset, Sample, image_class, inspect_sample, instance_class, read_sample
from toolkit.errors import Problem, ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.images import is_image

__all__ = [
    "Labelled",
    "expected_labels",
    "inspect_member",
    "key_of",
    "label_entry",
    "label_sample",
    "open_source",
    "read_labels",
    "sample_of",
    "trees_in",
]


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


def key_of(member: Sample | Entry) -> str:
    """Key of an image of a source."""
    return member.sample.key if isinstance(member, Entry) else member.key


def expected_labels(member: Sample | Entry, settings: Settings) -> LabelledImage | str:
    """What the labels of an image should say under some settings, or why that is not known."""
    try:
        if isinstance(member, Entry):
            return member.labelled(settings.scheme)
        labelled = label_sample(member, member.split, settings)
    except ToolkitError as error:
        return error.with_flags
    return labelled.image if isinstance(labelled, Labelled) else "; ".join(str(problem) for problem in labelled)


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image and its instances, the components in its mask, and the areas of those below the minimum area."""

    image: LabelledImage
    found: int
    too_small: tuple[int, ...]


def sample_of(item: Sample | Entry) -> Sample:
    """The sample of an image of a dataset or a label tree."""
    return item.sample if isinstance(item, Entry) else item


def inspect_member(item: Sample | Entry, threshold: int | None) -> tuple[Problem, ...]:
    """Every fault of the files of an image."""
    if isinstance(item, Sample):
        return inspect_sample(item, threshold)
    try:
        item.labelled()
    except ToolkitError as error:
        return error.problems
    return ()


def label_sample(sample: Sample, subset: str, settings: Settings) -> Labelled | tuple[Problem, ...]:
    """Read a sample's masks and find its instances; or say what is wrong with its files."""
    inspected = read_sample(sample, settings.threshold)
    if isinstance(inspected, tuple):
        return inspected
    header, label = inspected.header, image_class(sample, settings.scheme)
    if inspected.mask is None:
        image = LabelledImage(sample.key, sample.image, header.width, header.height, (), subset, label)
        return Labelled(image, 0, ())
    name = instance_class(sample, settings.scheme)
    found = find_instances(inspected.mask, name, settings.grouping, settings.min_area)
    image = LabelledImage(sample.key, sample.image, header.width, header.height, found.instances, subset, label)
    return Labelled(image, found.components, found.too_small)


def label_entry(entry: Entry, subset: str, settings: Settings) -> Labelled:
    """Instances of a label tree stand as they are labelled; those below the minimum area are left out."""
    image = entry.labelled(settings.scheme)
    kept = tuple(instance for instance in image.instances if instance.area >= settings.min_area)
    too_small = tuple(instance.area for instance in image.instances if instance.area < settings.min_area)
    return Labelled(replace(image, instances=kept, subset=subset), len(image.instances), too_small)
