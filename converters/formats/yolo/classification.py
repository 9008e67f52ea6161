"""YOLO classification trees: `<subset>/<class>/NAME.png`, and a table of the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.formats.base import (
    Encoded,
    Pixels,
    Reading,
    Settings,
    TreeShape,
    as_folder,
    check_defect_folder,
    image_name,
)
from converters.formats.format import Format
from converters.formats.label_tree import (
    FoundImage,
    LabelRecord,
    LabelTree,
    make_records,
    subset_of_name,
    walk_files,
)
from converters.formats.manifest import ClassRow
from converters.formats.registry import read_manifest
from converters.formats.yolo.placement import where_they_stand
from converters.formats.yolo.writer import csv_line
from converters.rasterize import Rounding
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.guessing.pairs import holds_masks
from toolkit.dataset.samples import GOOD, is_good_word
from toolkit.errors import Problem
from toolkit.files.typed import read_rows
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.images import is_image

__all__ = ["FORMAT"]


def _encode(image: LabelledImage, settings: Settings) -> Encoded:
    """The place of an image: its class is its folder."""
    name, label = image_name(image), as_folder(image.image_label, image.key)
    if settings.scheme != "category" and (image.instances or label != GOOD):
        check_defect_folder(label, image.key)
    row = csv_line(name, image.subset, label, image.width, image.height)
    return Encoded(f"{image.subset}/{label}/{name}", row=row, objects=1, fidelity=Pixels(1, 1))


def _shape(settings: Settings, subsets: Sequence[str]) -> TreeShape:
    """The table, which is all there is in a tree without images."""
    return TreeShape(table=("labels.csv", "name,subset,class,width,height"), table_is_label=True)


def _suspect(root: Path) -> bool:
    """Whether there are images in folders of classes, within folders of subsets."""
    folders = [folder for _, folder in _class_folders(root)]
    if any(folder.name.lower() in _NO_CLASSES for folder in folders):
        return False
    some = any(is_image(file.name) for folder in folders for file in walk_files(folder))
    return some and not holds_masks(list_files(root))  # which would be photos of a class


_NO_CLASSES = ("images", "labels", "masks", "annotations", "ground_truth")


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """Subset and folder of each class, train/dent and Valid/Dent."""
    subsets = [(subset_of_name(path.name), path) for path in sorted(root.iterdir()) if path.is_dir()]
    return [
        (subset, folder)
        for subset, path in subsets
        if subset is not None
        for folder in sorted(path.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def _index(root: Path, reading: Reading) -> LabelTree:
    """Index a tree of <subset>/<class>/ folders of images, or of a table alone."""
    manifest = read_manifest(root)
    table = root / "labels.csv"
    notes = ["a classification tree says nothing of where defects are"]
    problems: list[Problem] = []
    if manifest and table.is_file():
        found = list(_in_table(root, table))
        if manifest["options"]["images"] != "none":
            found, problems = where_they_stand(root, found)
    else:
        found, unread = _in_folders(root)
        notes += unread
    names = manifest["classes"] if manifest else sorted({name for one in found for name in one.classes})
    records = make_records(found, _load_nothing, dict(enumerate(names)), ours=manifest is not None, kind="class")
    return LabelTree(root, "yolo-classify", names, records, manifest=manifest, layout_problems=problems, notes=notes)


def _in_table(root: Path, table: Path) -> Iterator[FoundImage]:
    """The images of a tree of ours, by its table: they need not be there."""
    for row in read_rows(table, ClassRow, "convert again"):
        image = root / row.subset / row.label / row.name
        yield FoundImage(row.subset, row.name.rpartition(".")[0], image, None, (row.label,), (row.width, row.height))


def _in_folders(root: Path) -> tuple[list[FoundImage], list[str]]:
    """The images of another tool's tree, and a note of each folder whose images stand in no folder of a class."""
    found: dict[Path, FoundImage] = {}
    for subset, folder in _class_folders(root):
        classes = () if is_good_word(folder.name) else (folder.name,)
        for image in walk_files(folder):
            if is_image(image.name):
                found[image] = FoundImage(subset, f"{folder.name}/{image.stem}", image, None, classes)
    others = Counter(path.parent for path in walk_files(root) if is_image(path.name) and path not in found)
    notes = [f"{count} image(s) in {folder} are in no folder of a class: not read" for folder, count in others.items()]
    return list(found.values()), notes


def _load_nothing(entry: LabelRecord, rounding: Rounding) -> list[Instance]:
    """Images of a classification tree carry a class, and no instances."""
    return []


FORMAT = Format(
    name="yolo-classify",
    holds="classes",
    encode=_encode,
    shape=_shape,
    index=_index,
    label_files=("labels.csv",),
    rank=70,
    suspect=_suspect,
    class_folders=True,
    seen_by={"ultralytics": None},
    turns_photos=False,  # ultralytics does, torchvision opens them with a bare Pillow
)
