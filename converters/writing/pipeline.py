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

from converters.formats.base import ImageMode, PanopticLayout, Reading, Settings, VocBoxes, WithoutLabel
from converters.formats.registry import check_formats
from converters.merging import MergedSource, SourcesLike, open_sources, roots_of, shared_images, shared_paths
from converters.origins import name_in_roots, source_remarks
from converters.sources import Source
from converters.writing.checks import check_class_folders, check_kind, check_kinds
from converters.writing.conversion import Conversion, fingerprint, finished, remove_spent
from converters.writing.growth import Growth, find_growth
from converters.writing.items import Item, find_items, split_advice
from converters.writing.rendering import render, render_labelled
from converters.writing.selection import (
    make_selection,
    selected_classes,
    selection_notes,
    unmarked_note,
)
from converters.writing.summary import MANIFEST_HEADER, good_as_defects, manifest_notes, manifest_rows, unmasked_note
from converters.writing.tiling import as_tiles, check_tiled, tiles_note
from toolkit.aliases import JsonObject, Progress
from toolkit.dataset.samples import ClassScheme
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.files.staging import check_apart, check_free
from toolkit.geometry.instances import parse_grouping
from toolkit.geometry.labels import LabelledImage
from toolkit.geometry.tiles import Tiles

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
    dataset: SourcesLike,
    out: str | Path,
    formats: str | Iterable[str],
    *,
    split: Mapping[str, str] | None = None,
    classes: ClassScheme = "defect",
    rename: Mapping[str, str] | None = None,
    only: Iterable[str] = (),
    drop_empty: bool = False,
    instances: str = "components",
    min_area: int = 0,
    max_area: int | None = None,
    min_iou: float = 1.0,
    join_parts: bool = False,
    segmentation: Literal["polygon", "rle"] = "polygon",
    panoptic_layout: PanopticLayout = "flat",
    images: ImageMode = "hardlink",
    tiles: int | Tiles | None = None,
    on_problem: Literal["fail", "skip"] = "fail",
    threshold: int | None = None,
    voc_boxes: VocBoxes | None = None,
    without_label: WithoutLabel | None = None,
    workers: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a dataset, or the labels of any label tree, in one or more formats.

    Args:
        dataset: what `load_dataset` or `read_labels` gave, a source, or a folder; or a list of these, to be merged.
        out, formats: folder to write into; names out of `converters.FORMATS`, whose folders appear whole or not at all.
        split: key -> subset, as `split_dataset` makes it; without it the dataset's own subsets.
        classes, rename: how classes are named; class -> its new name.
        only, drop_empty: classes whose objects alone are kept; leave out images that show no object.
        instances: "components", "image" or "merge:GAP"; instances of a label tree stay as they are labelled.
        min_area, max_area: components of fewer, or more, pixels are left out, and listed in the manifest.
        min_iou, join_parts: below 1 (exact) the fewest vertices that keep that IoU; one YOLO row, over counted bridges.
        segmentation, panoptic_layout: COCO segmentations as polygons or run lengths; panoptic maps as "flat" or "coco".
        images, tiles: how images get into the trees; side in pixels of tiles to cut them into, or `toolkit.Tiles`.
        on_problem: "fail" stops at faulty files, after listing them all; "skip" leaves those samples out.
        threshold, voc_boxes, without_label: grey values of this or more are defect; as for `read_labels`.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers then do the work.
        overwrite, resume: replace earlier conversions; go on where an interrupted one with the same settings stopped.
        progress: called with (done, total).

    Raises:
        ToolkitError: the settings, the output folder or the files are at fault. Nothing is left behind.
    """
    source = _opened(shared_paths(dataset, cluster), voc_boxes, without_label)
    known = source.classes(classes)
    asked = make_selection(known, classes, rename, only, drop_empty, (min_area, max_area))
    cut = as_tiles(tiles, images)
    how = (min_area, min_iou, join_parts, segmentation, images, threshold, asked, panoptic_layout, cut)
    settings = Settings(tuple(selected_classes(known, asked)), classes, parse_grouping(instances), *how)
    order = _Order(source, split, Path(out), check_formats(formats), settings, on_problem, overwrite, resume)
    _check(order)
    return _carry_out(order, workers, cluster, progress)


def _opened(given: SourcesLike, voc_boxes: VocBoxes | None, without_label: WithoutLabel | None) -> Source:
    """The source, its labels read so.

    Raises:
        ToolkitError: as of `open_sources`; or it was read before.
    """
    told = Reading.of({"voc_boxes": voc_boxes, "without_label": without_label}).described()
    every = given if isinstance(given, list | tuple) else [given]
    if told and not all(isinstance(one, str | Path) for one in every):
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in told)
        raise ToolkitError(flags, "says how labels are read, and these were read before", "give it to read_labels")
    return open_sources(given, {"labels": told} if told else None)


@dataclass(frozen=True, eq=False)
class _Order:
    """What is to be converted, into what, and how."""

    source: Source
    split: Mapping[str, str] | None
    out: Path
    formats: Sequence[str]
    settings: Settings
    on_problem: str
    overwrite: bool
    resume: bool

    @property
    def fail(self) -> bool:
        """Whether faulty files stop it."""
        return self.on_problem == "fail"


def _carry_out(order: _Order, workers: int, cluster: str | None, progress: Progress | None) -> ConvertReport:
    """Inspect, render, encode, write, report: each once."""
    started = time.monotonic()
    source, settings = order.source, order.settings
    items = find_items(source, order.split)
    bare = settings.images != "none" and not any(item.sample.image.is_file() for item, _ in items)
    if bare and settings.tiles is not None:
        raise ToolkitError(source.root, "holds no image file to cut into tiles", "leave out --tiles")
    if bare:  # then sizes stand in the tables that trees without images have
        settings = replace(settings, images="none")
    check_class_folders(order.formats, settings, items)
    if source.layout_problems and (order.fail or not items):
        found = (problem for item in items for problem in _faults(item, order.formats, settings))
        raise BadInputError([*source.layout_problems, *sorted(found)])
    inputs = fingerprint(items)
    manifests = finished(order.out, order.formats, settings, inputs) if order.resume else {}
    missing = [name for name in order.formats if name not in manifests]
    growth = Growth(settings, (), ())
    if order.resume and not order.overwrite:
        subsets = {item.sample.key: subset for item, subset in items}
        growth = find_growth(order.out, missing, settings, inputs, roots_of(source), subsets)
        settings = growth.settings
    job = Conversion(order.out, missing, settings, len(items), inputs)
    if missing:
        with job.staged(resume=order.resume, anew=order.overwrite or bool(growth.formats)) as done:
            rendered = partial(render, formats=missing, settings=settings)
            results = ordered_map(rendered, items[done:], workers=workers, cluster=cluster, reads=roots_of(source))
            job.consume(results, fail=order.fail, progress=progress)
            problems = [(name_in_roots(one.file, source), one) for one in (*source.layout_problems, *job.problems)]
            manifests |= job.finish(problems, source_remarks(source, order.out))
    else:
        remove_spent(order.out)
    manifests = {name: manifests[name] for name in order.formats}
    told = (*manifest_notes(manifests), *good_as_defects(items, settings.scheme), *unmasked_note(items))
    told += (*unmarked_note(manifests), *tiles_note(manifests))
    things = "component" if source.reader is None else "object"
    told += tuple(selection_notes(source.classes(settings.scheme), settings.selection, manifests, things))
    without = ("no image of the source is there: the trees are written as with --images none",) if bare else ()
    alike = (*shared_images(source, items), *getattr(order.split, "notes", ()))
    own = (*_source_notes(source, settings), *without, *alike, *split_advice(source, items))
    notes = (*own, *growth.notes, *job.notes, *told)
    skipped = (*source.layout_problems, *job.problems)
    return ConvertReport(order.out, manifests, skipped, notes, time.monotonic() - started)


def _source_notes(source: Source, settings: Settings) -> tuple[str, ...]:
    """Notes of a source, for the classes as they are named now."""
    if not isinstance(source, MergedSource):
        return source.notes
    asked = settings.selection
    names = {name: asked.name_of(name) for name in source.classes(settings.scheme)}
    return source.notes_on({name: new for name, new in names.items() if asked.keeps(new)})


def _check(order: _Order) -> None:
    """Refuse settings that mean nothing, and to write where something else stands."""
    source, settings = order.source, order.settings
    choices = {
        "--images": (settings.images, get_args(ImageMode)),
        "--segmentation": (settings.segmentation, ("polygon", "rle")),
        "--panoptic-layout": (settings.panoptic_layout, get_args(PanopticLayout)),
        "--on-problem": (order.on_problem, ("fail", "skip")),
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
    check_kinds(order.formats, source)
    if settings.tiles is not None:
        check_tiled(order.formats, source)
    for root in roots_of(source):
        check_apart(order.out, root)
    check_free(order.out, order.formats, overwrite=order.overwrite, resume=order.resume)


def _faults(item: Item, formats: Sequence[str], settings: Settings) -> tuple[Problem, ...]:
    """Everything that is wrong with one image."""
    try:
        check_kind(item[0], formats)
    except BadInputError as error:
        return error.problems
    return item[0].inspect(settings)


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
            ([render_labelled(image, wanted, settings)] for image in _checked(images, settings)),
            fail=True,
            progress=None,
        )
        return job.finish((), {"source": "."})


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
