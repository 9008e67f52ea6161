"""What a detector learns from: a dataset or label tree, written as a YOLO tree in the run, and its truth."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from converters import convert
from converters.formats.base import Settings
from converters.sources import Source, open_source
from finetune.detection.config import DetectorConfig
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecords, open_examples
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.geometry.instances import parse_grouping
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.copies import eight_bit_copy
from toolkit.imaging.images import is_image

__all__ = ["DetectionData", "check_kind", "labelled_images", "open_detection_data", "write_tree"]


@dataclass(frozen=True, eq=False)
class DetectionData:
    """Images, their split and their classes.

    Attributes:
        source: a dataset or a label tree.
        examples: its images, split.
        classes: names, in the order of their ids.
    """

    source: Source
    examples: ImageRecords
    classes: tuple[str, ...]

    @property
    def tested(self) -> tuple[str, dict[str, str]]:
        """The subset that figures are of, and its images as key -> subset: test, or else val, or else train."""
        for name in ("test", "val", "train"):
            found = {example.key: name for example in self.examples.subset(name)}
            if found:
                return name, found
        return "train", {}


def open_detection_data(data: Path, config: DetectorConfig) -> DetectionData:
    """Open and split what a detector is trained on.

    Raises:
        ToolkitError: the data or the split are at fault, or no train image shows an instance.
    """
    source = open_source(data, config.layout)
    if source.holds == "classes":
        raise ToolkitError(
            source.root, "says nothing of where defects are", "name a tree with boxes, or a dataset root"
        )
    examples = open_examples(source, config.split, None, config.categories, config.on_problem)
    source = examples.source or source
    classes = source.classes(config.classes)
    if not classes or all(example.label == GOOD for example in examples.examples):
        raise ToolkitError(data, "holds no instances: all its images are background", "name data with labelled defects")
    if all(example.label == GOOD for example in examples.subset("train")):
        raise ToolkitError(
            data,
            "holds no instances in train, only good images",
            "use --set split.strategy=stratified, or a split file with defects in train",
        )
    if GOOD in classes:
        raise ToolkitError(data, f"labels instances {GOOD!r}", "good images have no labels; leave that class out")
    return DetectionData(source, examples, tuple(classes))


def check_kind(data: DetectionData, model: str, *, masks: bool, boxes: str) -> None:
    """Refuse to learn masks from data that has none.

    Args:
        data: what is learnt from.
        model: as in its setting.
        masks: whether it makes masks.
        boxes: a model that learns boxes.

    Raises:
        ToolkitError: the model makes masks, and all labels are boxes.
    """
    if masks and data.source.holds != "pixels":
        problem = f"holds {data.source.holds} without masks, and {model} learns masks"
        raise ToolkitError(data.source.root, problem, f"use --set model={boxes}, which learns boxes")


def labelled_images(
    source: Source, chosen: Mapping[str, str], config: DetectorConfig, classes: Sequence[str]
) -> Iterator[LabelledImage]:
    """The labels of some images, read one at a time, sorted by key.

    Args:
        source: a dataset or a label tree.
        chosen: key -> subset of the images in question.
        config: how classes and instances are made.
        classes: all class names.

    Raises:
        ToolkitError: a file is at fault.
    """
    grouping = parse_grouping(config.instances)
    settings = Settings(classes=tuple(classes), scheme=config.classes, grouping=grouping, min_area=config.min_area)
    for member in source.members:
        if member.sample.key in chosen:
            yield member.read(settings, chosen[member.sample.key]).image


def write_tree(
    data: DetectionData, run: Run, config: DetectorConfig, *, masks: bool, names: Sequence[str] | None = None
) -> Path:
    """Write the YOLO tree that a run trains on, in RUN/data; what stands there of an interrupted run is kept.

    Images are links to the data, but for those of more than 8 bits: of them ultralytics takes the highest 8, whatever
    range they use, so they are copies with the pixels of `toolkit.imaging.images.read_image`, by the range of the run.

    Args:
        data: what to train on.
        run: where.
        config: how classes and instances are made.
        masks: polygons instead of boxes.
        names: what the classes are called in it, in their order; None for their own names.

    Returns:
        The YAML file for ultralytics.

    Raises:
        ToolkitError: files are at fault.
    """
    kind, folder = "yolo-segment" if masks else "yolo-detect", run.root / "data"
    report = convert(
        data.source,
        folder,
        formats=kind,
        split=data.examples.subsets,
        classes=config.classes,
        instances=config.instances,
        min_area=config.min_area,
        join_parts=masks,
        images="hardlink",
        on_problem=config.on_problem,
        resume=folder.is_dir(),
    )
    _say_rectangles(run, report.manifests[kind]["fidelity"].get("rectangles", 0))
    _put_eight_bits(folder / kind / "images", config.bits)
    for cache in folder.rglob("*.cache"):
        os.unlink(cache)  # ultralytics unpickles them, which a run from elsewhere must not be able to use
    subsets = [name for name in ("train", "val", "test") if data.examples.subset(name)]
    told: dict[str, object] = {
        **{name: f"{kind}/images/{name}" for name in ("train", "val", "test") if name in subsets},
        "names": dict(enumerate(data.classes if names is None else names)),
    }
    told.setdefault("val", told["train"])
    file = folder / "train.yaml"
    write_whole(file, yaml.safe_dump(told, sort_keys=False, allow_unicode=True).encode())
    return file


def _say_rectangles(run: Run, number: int) -> None:
    """Note in a run how many rectangles stand for masks; once, also where it goes on."""
    if number:
        note = f"{number} object(s) with a box and no mask: the model learns their rectangles as masks"
        run.note(notes=list(dict.fromkeys([*run.environment()["notes"], note])))


def _put_eight_bits(folder: Path, depth: int | None) -> None:
    """Replace links to images of more than 8 bits; the files that they lead to stay as they are."""
    for path in sorted(folder.rglob("*")):
        if is_image(path.name) and (copy := eight_bit_copy(path, depth)) is not None:
            write_whole(path, copy)
