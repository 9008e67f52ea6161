"""Dataset + split + formats -> label trees, in one pass over the masks.

Workers read, trace and encode; they touch no output. One writer takes their results in order, so that the bytes on
disk do not depend on the number of workers, on the backend, or on an interruption in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from converters.formats.base import Encoded, Holds, ImageMode, Settings, check_defect_folder
from converters.formats.label_tree import image_header
from converters.formats.registry import FORMATS, check_formats, find_format
from converters.sources import Member, Source, SourceLike, open_source
from converters.writing.conversion import Conversion, Rendered, fingerprint, finished
from converters.writing.growth import Growth, find_growth
from converters.writing.items import Item, find_items, split_advice
from converters.writing.summary import MANIFEST_HEADER, good_as_defects, manifest_notes, manifest_rows
from toolkit.aliases import JsonObject, Progress
from toolkit.dataset.samples import ClassScheme, LabelKind, Sample, image_class, is_good_word
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.parallel import ordered_map, shared_path
from toolkit.files.staging import check_apart, check_free
from toolkit.geometry.instances import parse_grouping
from toolkit.geometry.labels import LabelledImage
from toolkit.imaging.copies import upright_copy

__all__ = ["ConvertReport", "convert", "write_labels"]


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion did.

    Attributes:
        out: the folder that holds the trees.
        manifests: format -> its manifest, as on disk.
        skipped: faults of the samples that were left out.
        notes: what a user should know.
        seconds: wall time.
    """

    out: Path
    manifests: dict[str, JsonObject]
    skipped: tuple[Problem, ...]
    notes: tuple[str, ...]
    seconds: float

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        about = f"{len(self.manifests)} label trees in {self.seconds:.1f} s"
        lists = {"Notes": self.notes, "Left out": self.skipped}
        return report_html(f"Labels {self.out}", about, MANIFEST_HEADER, manifest_rows(self.manifests), lists=lists)


def convert(
    dataset: SourceLike,
    out: str | Path,
    formats: str | Iterable[str],
    *,
    split: Mapping[str, str] | None = None,
    classes: ClassScheme = "defect",
    instances: str = "components",
    min_area: int = 0,
    min_iou: float = 1.0,
    join_parts: bool = False,
    segmentation: Literal["polygon", "rle"] = "polygon",
    images: ImageMode = "hardlink",
    on_problem: Literal["fail", "skip"] = "fail",
    threshold: int | None = None,
    workers: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a dataset, or the labels of any label tree, in one or more formats.

    Args:
        dataset: what `load_dataset` or `read_labels` gave, a source, or a folder.
        out: folder to write into; each format gets a folder in it, which appears whole or not at all.
        formats: names out of `converters.FORMATS`, or one of them.
        split: key -> subset, as `split_dataset` makes it; without it the dataset's own subsets.
        classes: how to name classes.
        instances: "components", "image" or "merge:GAP"; instances of a label tree stay as they are labelled.
        min_area: components of fewer pixels are left out, and listed in the manifest.
        min_iou: 1 is exact; below 1, polygons get the fewest vertices that keep that IoU.
        join_parts: join parts of an instance that do not touch into one YOLO row, over counted bridges.
        segmentation: COCO segmentations as polygons or run lengths.
        images: how images get into the trees.
        on_problem: "fail" stops at faulty files, after listing them all; "skip" leaves those samples out.
        threshold: grey values of this or more are defect.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers then do the work.
        overwrite, resume: replace earlier conversions; go on where an interrupted one with the same settings stopped.
        progress: called with (done, total).

    Raises:
        ToolkitError: the settings, the output folder or the files are at fault. Nothing is left behind.
    """
    source = open_source(shared_path(dataset, cluster))
    names, grouping = tuple(source.classes(classes)), parse_grouping(instances)
    settings = Settings(
        names, classes, grouping, min_area, min_iou, join_parts, segmentation, images=images, threshold=threshold
    )
    wanted, out = check_formats(formats), Path(out)
    _check(settings, on_problem, wanted, source)
    check_apart(out, source.root)
    check_free(out, wanted, overwrite=overwrite, resume=resume)
    order = _Order(source, split, out, wanted, settings, on_problem == "fail", overwrite=overwrite, resume=resume)
    return _carry_out(order, workers, cluster, progress)


@dataclass(frozen=True, eq=False)
class _Order:
    """What is to be converted, into what, and how."""

    source: Source
    split: Mapping[str, str] | None
    out: Path
    formats: Sequence[str]
    settings: Settings
    fail: bool
    overwrite: bool
    resume: bool


def _carry_out(order: _Order, workers: int, cluster: str | None, progress: Progress | None) -> ConvertReport:
    """Inspect, render, encode, write, report: each once."""
    started = time.monotonic()
    source, settings = order.source, order.settings
    items = find_items(source, order.split)
    bare = settings.images != "none" and not any(item.sample.image.is_file() for item, _ in items)
    if bare:  # then sizes stand in the tables that trees without images have
        settings = replace(settings, images="none")
    _check_words(order.formats, settings, items)
    if source.layout_problems and (order.fail or not items):
        found = (problem for item in items for problem in _faults(item, order.formats, settings))
        raise BadInputError([*source.layout_problems, *sorted(found)])
    inputs = fingerprint(items)
    manifests = finished(order.out, order.formats, settings, inputs) if order.resume else {}
    missing = [name for name in order.formats if name not in manifests]
    growth = Growth(settings, (), ())
    if order.resume and not order.overwrite:
        subsets = {item.sample.key: subset for item, subset in items}
        growth = find_growth(order.out, missing, settings, inputs, source.root, subsets)
        settings = growth.settings
    job = Conversion(order.out, missing, settings, len(items), inputs)
    if missing:
        with job.staged(resume=order.resume, anew=order.overwrite or bool(growth.formats)) as done:
            render = partial(_render, formats=missing, settings=settings)
            results = ordered_map(render, items[done:], workers=workers, cluster=cluster, reads=[source.root])
            job.consume(results, fail=order.fail, progress=progress)
            manifests |= job.finish((*source.layout_problems, *job.problems), source.root, source.dataset.description)
    manifests = {name: manifests[name] for name in order.formats}
    samples = (one.sample for one, _ in items)
    told = (*growth.notes, *job.notes, *manifest_notes(manifests), *good_as_defects(samples, settings.scheme))
    without = ("no image of the source is there: the trees are written as with --images none",) if bare else ()
    notes = (*source.notes, *without, *getattr(order.split, "notes", ()), *split_advice(source, items), *told)
    skipped = (*source.layout_problems, *job.problems)
    return ConvertReport(order.out, manifests, skipped, notes, time.monotonic() - started)


def _check(settings: Settings, on_problem: str, formats: Sequence[str], source: Source) -> None:
    """Refuse settings that mean nothing."""
    choices = {
        "--images": (settings.images, get_args(ImageMode)),
        "--segmentation": (settings.segmentation, ("polygon", "rle")),
        "--on-problem": (on_problem, ("fail", "skip")),
    }
    for flag, (value, allowed) in choices.items():
        if value not in allowed:
            raise ToolkitError(flag, f"{value!r} is unknown", f"use one of {', '.join(allowed)}")
    if not 0 < settings.min_iou <= 1:
        raise ToolkitError("--min-iou", f"{settings.min_iou:g} is no IoU", "give a number above 0, up to 1")
    if settings.min_area < 0:
        raise ToolkitError("--min-area", f"{settings.min_area} is no area", "give 0 or more pixels")
    if settings.threshold is not None and not 0 < settings.threshold <= 65535:
        raise ToolkitError("--threshold", f"{settings.threshold} is no grey value", "give a number from 1 to 65535")
    blank = next((name for name in settings.classes if not name.strip()), None)
    if blank is not None:
        raise ToolkitError(source.root, f"the class {blank!r} has a name that nobody can read", "rename the class")
    _check_kinds(formats, source)


_TOLD: Mapping[Holds, tuple[LabelKind, str]] = {
    "classes": ("class", "its labels are classes of whole images and say nothing of where defects are"),
    "boxes": ("boxes", "its labels are boxes, and none of its objects has a mask"),
    "oriented boxes": ("boxes", "its labels are oriented boxes, and none of its objects has a mask"),
}


def _check_kinds(formats: Sequence[str], source: Source) -> None:
    """Refuse formats that say more than the source knows, with what else is wrong with it: that may be the reason.

    Raises:
        BadInputError: one of them does.
    """
    if source.holds == "pixels":
        return
    kind, told = _TOLD[source.holds]
    within = [name for name in FORMATS if find_format(name).can_show(kind) or name == source.layout]
    beyond = [name for name in formats if name not in within]
    if beyond:
        problem = Problem(str(source.root), f"{told}: no {', '.join(beyond)}", f"use --to {','.join(within)}")
        raise BadInputError([*source.layout_problems, problem])


def _check_words(formats: Sequence[str], settings: Settings, items: Sequence[Item]) -> None:
    """Refuse classes whose folders would be read as good, before anything is written.

    Raises:
        ToolkitError: an image of defects is of such a class.
    """
    if settings.scheme == "category" or not any(find_format(name).class_folders for name in formats):
        return
    for member, _ in items:
        sample = member.sample
        if sample.labels and is_good_word(label := image_class(sample, settings.scheme)):
            check_defect_folder(label, sample.key)


def _check_kind(member: Member, formats: Sequence[str]) -> None:
    """Refuse an image that lacks what a format is to show.

    Raises:
        BadInputError: it has no mask, or is of a kind that a format cannot show.
    """
    kind = member.sample.kind or "masks"
    if kind == "boxes" or all(find_format(name).can_show(kind) for name in formats):
        return  # a box among masks becomes a rectangle, and is called so
    remedy = "give it a mask, or move it to the good images"
    missing = Problem(str(member.sample.image), "a defect image without a mask", remedy)
    raise BadInputError([member.missing or missing])


def _faults(item: Item, formats: Sequence[str], settings: Settings) -> tuple[Problem, ...]:
    """Everything that is wrong with one image."""
    try:
        _check_kind(item[0], formats)
    except BadInputError as error:
        return error.problems
    return item[0].inspect(settings)


def _render(item: Item, formats: Sequence[str], settings: Settings) -> Rendered:
    """One image in every format, or what is wrong with it. Runs in a worker; pure but for reading the files."""
    member, subset = item
    try:
        labelled = member.read(settings, subset)
        _check_kind(member, formats)
        encoded = _encoded(labelled.image, formats, settings, labelled.lies)
        copy = _copied(labelled.image, encoded)
    except ToolkitError as error:
        return Rendered(member.sample, subset, error.problems, ())
    return Rendered(
        member.sample,
        subset,
        (),
        encoded,
        labelled.found,
        labelled.too_small,
        labelled.turned,
        labelled.inverted,
        labelled.both_ways,
        labelled.image.left_out,
        copy,
    )


def _encoded(
    image: LabelledImage, formats: Sequence[str], settings: Settings, lies: bool | None
) -> tuple[Encoded, ...]:
    """One image in every format. A rectangle that stands for a box is exact to nothing.

    `lies`: as in `Labelled`. An image that lies is a PNG where a reader would not turn it.
    """
    boxes = sum(one.mask is None for one in image.instances)
    encoded = []
    for found in map(find_format, formats):
        turned = image
        if settings.images != "none" and not found.turns_photos and image.path is not None and image.path.is_file():
            lies = image_header(image.path).turned if lies is None else lies
            turned = replace(image, path=image.path.with_suffix(".png")) if lies else image
        one = replace(found.encode(turned, settings), upright=turned is not image)
        drawn = boxes and not found.takes_boxes and found.holds != "classes"
        encoded.append(replace(one, fidelity=None, rectangles=boxes) if drawn else one)
    return tuple(encoded)


def _copied(image: LabelledImage, encoded: Sequence[Encoded]) -> bytes:
    """The copy of an image that stands upright, where a format has one; else nothing."""
    return upright_copy(image.path) if image.path is not None and any(one.upright for one in encoded) else b""


def write_labels(
    images: Iterable[LabelledImage],
    out: str | Path,
    formats: str | Iterable[str],
    *,
    classes: Sequence[str],
    image_mode: ImageMode = "hardlink",
    overwrite: bool = False,
) -> dict[str, JsonObject]:
    """Write labels that are in memory, for instance predictions. Images are taken one at a time.

    Args:
        images: each with a key of its own; one without a subset is of train.
        out: folder to write into, as in `convert`.
        formats: names out of `converters.FORMATS`, or one of them.
        classes: names of all classes; their order gives the ids.
        image_mode: how image files get into the trees.
        overwrite: replace folders of earlier conversions.

    Returns:
        format -> manifest.

    Raises:
        ToolkitError: as `convert`; two images have one key, or one has an unknown class or subset.
    """
    out = Path(out)
    wanted = check_formats(formats)
    settings = Settings(classes=tuple(classes), images=image_mode)
    check_free(out, wanted, overwrite=overwrite, resume=False)
    job = Conversion(out, wanted, settings, 0, "")
    with job.staged(resume=False, anew=overwrite):
        job.consume(
            (_render_labelled(image, wanted, settings) for image in _checked(images, settings)),
            fail=True,
            progress=None,
        )
        return job.finish((), out)


def _checked(images: Iterable[LabelledImage], settings: Settings) -> Iterator[LabelledImage]:
    """The images, those without a subset in train.

    Raises:
        ToolkitError: one has the key of another, or a class or a subset that is unknown.
    """
    seen: set[str] = set()
    for image in images:
        if image.key in seen:
            raise ToolkitError(image.key, "stands twice among the images", "give each image a key of its own")
        seen.add(image.key)
        if image.subset and image.subset not in SUBSETS:
            raise ToolkitError(image.key, f"unknown subset {image.subset!r}", f"use {', '.join(SUBSETS)}")
        strange = next((one.label for one in image.instances if one.label not in settings.classes), None)
        if strange is not None:
            raise ToolkitError(image.key, f"shows {strange!r}, which is none of the classes", "name it among them")
        yield image if image.subset else replace(image, subset="train")


def _render_labelled(image: LabelledImage, formats: Sequence[str], settings: Settings) -> Rendered:
    sample = Sample(image.key, image.path or Path(), (), "", image.image_label, image.subset)
    encoded = _encoded(image, formats, settings, None)
    return Rendered(sample, image.subset, (), encoded, len(image.instances), copy=_copied(image, encoded))
