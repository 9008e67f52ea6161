"""The on-disk layouts: descriptions in `builtin`, and code where a description cannot do it, one line each here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.foreign import label_like, shown_labels
from toolkit.dataset.layouts.builtins import built_in_names, every_description, find_description, find_layout
from toolkit.dataset.layouts.described import index_described, is_good
from toolkit.dataset.layouts.description import Description, checked, describe_pairs, parse_values
from toolkit.dataset.layouts.files import FileList, hidden_notes, list_files, unread_notes, unread_pictures
from toolkit.dataset.layouts.guessing import candidates, guess, signed
from toolkit.dataset.layouts.guessing.pairs import holds_masks
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.layouts.places import MaskPlaces, plain_pattern
from toolkit.dataset.layouts.resolving import Resolution, resolve, subset_of
from toolkit.errors import Problem, ToolkitError
from toolkit.files.reach import check_links, following_links

__all__ = [
    "LAYOUTS",
    "Layout",
    "LayoutLike",
    "chosen_layout",
    "coded_layout",
    "detect_layout",
    "find_layout",
    "index_root",
    "load_dataset",
]

LAYOUTS: dict[str, str] = {
    "mvtec": "toolkit.dataset.layouts.mvtec",
    "severstal": "toolkit.dataset.layouts.coded.severstal",
    "real-iad": "toolkit.dataset.layouts.coded.real_iad",
    "deeppcb": "toolkit.dataset.layouts.coded.deeppcb",
    "elpv": "toolkit.dataset.layouts.coded.elpv",
    "crackforest": "toolkit.dataset.layouts.coded.crackforest",
}
"""Name -> module, whose `LAYOUT` it is. The first that detects a folder has it."""

LayoutLike = str | Path | Mapping[str, Any] | None
"""How a root is laid out: the name of a built-in layout, a YAML file, or a mapping; None finds it by itself."""

_LISTED = 3
_LABELS = "labels"
"""In place of a layout: the root is a label tree, whatever else is in it."""


def coded_layout(name: str) -> Layout:
    """The layout of this name, of those that are code."""
    found: Layout = import_module(LAYOUTS[name]).LAYOUT
    return found


def _every_layout() -> Iterator[Layout]:
    return (coded_layout(name) for name in LAYOUTS)


def detect_layout(root: Path) -> Layout | None:
    """The layout of a folder, by names alone; None if it is the root of no dataset."""
    described = signed(root)
    if described is not None:
        return Layout(described.name, described.about, lambda _: True, lambda folder: _described(folder, described))
    return next((layout for layout in _every_layout() if layout.detect(root)), None)


def _described(root: Path, description: Description, *, told: bool = False) -> Dataset:
    return index_described(list_files(root), description, told=told)


def index_root(root: Path) -> Dataset:
    """Find the layout of a root, there or one level down, and index it.

    Raises:
        ToolkitError: no such folder, nothing in it, or no layout fits.
    """
    if not root.exists():
        raise ToolkitError(root, "no such folder", "check the path")
    if not root.is_dir():
        raise ToolkitError(root, "not a folder", "name the folder that holds the dataset")
    children = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for folder in (root, *children):
        layout = detect_layout(folder)
        if layout is not None:
            dataset = _whole(layout.index(folder), folder)
            return dataset if folder == root else _with_beside(dataset, root, folder)
    place = root.resolve()
    for folder in place.parents[:2]:
        part = place.relative_to(folder).parts[0]
        if not any(part in layout.parts for layout in _every_layout()):
            continue  # what lies above may be anything, and large
        layout = detect_layout(folder)
        if layout is not None and part in layout.parts:
            raise ToolkitError(root, "is a part of a dataset", f"name its category, {folder}")
    if not any(root.iterdir()):
        raise ToolkitError(root, "the folder is empty", "name the folder that holds the dataset")
    return _guessed(root, children)


def _with_beside(dataset: Dataset, root: Path, folder: Path) -> Dataset:
    """The dataset that one folder of a root is, and what lies beside that: images there would be lost."""
    whole = list_files(root)
    images, hidden, passed = (
        tuple(path for path in paths if path.split("/")[0] != folder.name)
        for paths in (whole.images, whole.hidden, whole.passed_over)
    )
    problems = []
    if images:
        shown = ", ".join(images[:_LISTED]) + (", ..." if len(images) > _LISTED else "")
        what = f"{len(images)} image file(s) lie beside the dataset {folder.name}: {shown}"
        problems.append(Problem(str(root), what, f"name {folder} itself, or each dataset of several"))
    return dataset.with_problems(problems, hidden_notes(replace(whole, hidden=hidden, passed_over=passed)))


def _whole(dataset: Dataset, root: Path) -> Dataset:
    """A dataset that accounts for every image file below its root, or one of another layout that does.

    Raises:
        ToolkitError: there is no image.
    """
    files = list_files(root)
    dataset = _with_unread(dataset, files)
    left = _left_over(dataset, files.images)
    if not left:
        if not len(dataset) and not dataset.layout_problems:
            raise _holds_no_images(files)
        return dataset.with_problems(_masks_among_photos(dataset, files))
    found = guess(files)
    if found is not None:
        return index_described(files, found.description, resolution=found.resolution)
    if dataset.layout not in LAYOUTS:
        return dataset  # a description has said itself what it leaves over
    shown = ", ".join(left[:_LISTED]) + (", ..." if len(left) > _LISTED else "")
    what = f"{len(left)} image file(s) have no place in the layout {dataset.layout}: {shown}"
    remedy = "take them out, or say how the folder is laid out with --layout FILE.yaml"
    return dataset.with_problems([Problem(str(root), what, f"{remedy}; 'defectkit layouts --guess {root}' drafts one")])


def _masks_among_photos(dataset: Dataset, files: FileList) -> Iterator[Problem]:
    """That some photos of a dataset of classes are masks of others, by their names or values."""
    if dataset.holds == "class" and holds_masks(files):
        remedy = "say with --image and --mask where both are, or take the masks out"
        yield Problem(str(files.root), "some of its images look like masks of others, and would be photos", remedy)


def _with_unread(dataset: Dataset, files: FileList) -> Dataset:
    """A dataset that tells of files below its root that nobody reads: pictures of other kinds, and what is hidden."""
    further = [one for one in unread_pictures(files.root, files.others) if one not in dataset.layout_problems]
    notes = hidden_notes(files) if dataset.layout in LAYOUTS else []  # a description has said itself
    if dataset.layout == "mvtec":
        notes += unread_notes(files)
    return dataset.with_problems(further, notes) if further or notes else dataset


def _holds_no_images(files: FileList) -> ToolkitError:
    for one in unread_pictures(files.root, files.others):
        return ToolkitError(one.file, f"holds no images that are read, but {one.problem}", one.remedy)
    return ToolkitError(files.root, "holds no images", "name the folder that holds the dataset")


def _left_over(dataset: Dataset, images: Sequence[str]) -> list[str]:
    """Image files below the root that a dataset neither takes nor names."""
    taken = len(dataset) + sum(len(sample.masks) for sample in dataset) + len(dataset.passed_over)
    if not dataset.layout_problems and taken == len(images):
        return []  # each has its place, and is counted once
    start = f"{dataset.root.as_posix()}/" if str(dataset.root) != "." else ""
    used = {Path(path).as_posix() for sample in dataset for path in (sample.image, *sample.masks)}
    used |= {Path(path).as_posix() for path in dataset.passed_over}
    used |= {Path(problem.file).as_posix() for problem in dataset.layout_problems}
    return [path for path in images if start + path not in used]


def _guessed(root: Path, children: list[Path]) -> Dataset:
    """Index a folder by the one built-in description that accounts for all of it, there or one level down.

    Raises:
        ToolkitError: none does, or several that differ.
    """
    whole = list_files(root)
    if not whole.images:
        raise _holds_no_images(whole)
    alone = [files for folder in children if (files := list_files(folder)).images]
    found = guess(whole)
    only = alone[0] if len(alone) == 1 and len(alone[0].images) == len(whole.images) else None
    if only is not None and (found is None or not found.description.single):
        nested = guess(replace(only, others=whole.others))
        if nested is not None and nested.description.name != "photos":
            return _with_beside(
                index_described(only, nested.description, resolution=nested.resolution), root, only.root
            )
    if found is not None:
        return index_described(whole, found.description, resolution=found.resolution)
    raise _unknown(whole)


def _unknown(files: FileList) -> ToolkitError:
    """What a folder of no known layout looks like."""
    labels = shown_labels(files.root, label_like(files.images, files.others))
    near = candidates(files)
    if labels:  # which is why nothing else has it, where all images have their places
        near = [one for one in near if one.leaves_any]
    reasons = [*([f"holds {labels}, which were not read"] if labels else []), *(one.told for one in near)]
    shown = f" ({'; '.join(reasons[:_LISTED])})" if reasons else ""
    ways = "describe it with --image PATTERN --mask PATTERN, or with --layout FILE.yaml"
    lacking = next((one for one in near if one.lacks_good), None)
    if lacking is not None:
        words = ", ".join(lacking.words[:_LISTED]) + (", ..." if len(lacking.words) > _LISTED else "")
        ways = f"say which folder ({words}) is good with --layout '{lacking.description.name}' --good NAME, or {ways}"
    remedy = f"{ways}; 'defectkit layouts --guess {files.root}' drafts one"
    return ToolkitError(files.root, f"unknown layout{shown}", remedy)


def chosen_layout(
    layout: LayoutLike = None,
    image: str | None = None,
    mask: str | None = None,
    values: str | None = None,
    good: Sequence[str] | None = None,
    without_label: str | None = None,
    voc_boxes: str | None = None,
) -> LayoutLike:
    """What several ways to say how a root is laid out come to; the arguments are those of `load_dataset`.

    What is told of label trees alone, and nothing else, stands under `labels`.

    Raises:
        ToolkitError: they contradict each other, or one is faulty.
    """
    if mask and not image:
        raise ToolkitError("--mask", "says nothing of where the images are", "give --image PATTERN too")
    if image and layout is not None:
        raise ToolkitError("--layout", "stands beside --image", "give one of them")
    if image:
        _check_no_boxes(voc_boxes, "--image")
        told = describe_pairs(image, mask, values, good)
        return _dumped(told) | ({"missing_mask": without_label} if without_label else {})
    labels = {"without_label": without_label, "voc_boxes": voc_boxes}
    alone = {"alone": True} if layout == _LABELS else _told_of_labels(layout)
    for flag, given in (("--values", values), ("--good", good)):
        if alone and given:
            raise ToolkitError(flag, "says nothing of labels, which --layout asks for", "leave one of the two out")
    if (layout is None or alone) and not values and not good and (any(labels.values()) or alone):
        return {"labels": {name: value for name, value in labels.items() if value} | alone}
    _check_no_boxes(voc_boxes, "--values" if values else "--good" if good else "--layout")
    changes: dict[str, Any] = {"values": parse_values(values)} if values else {}
    changes |= {"good": [good] if isinstance(good, str) else list(good)} if good else {}
    changes |= {"missing_mask": without_label} if without_label else {}
    if layout is None or not changes:
        return changes or layout
    return {**_dumped(find_layout(layout)), **changes}


def _check_no_boxes(voc_boxes: str | None, flag: str) -> None:
    if voc_boxes:
        problem = f"is of label trees with Pascal VOC boxes, and not of datasets with masks, as {flag}"
        raise ToolkitError("--voc-boxes", problem, "leave one of the two out")


def _told_of_labels(layout: LayoutLike) -> dict[str, Any]:
    """What a layout says of label trees, where it says nothing else."""
    return dict(layout["labels"]) if isinstance(layout, Mapping) and layout.keys() == {"labels"} else {}


def _dumped(description: Description) -> dict[str, Any]:
    return description.model_dump(by_alias=True, exclude_defaults=True)


def load_dataset(
    root: str | Path,
    layout: LayoutLike = None,
    *,
    image: str | None = None,
    mask: str | None = None,
    values: str | None = None,
    good: Sequence[str] | None = None,
    without_label: str | None = None,
    voc_boxes: str | None = None,
    follow_links: bool = False,
) -> Dataset:
    """Index a dataset: a dataset root, a single category folder, or a folder that holds either one level down.

    Only names are read here, and masks where only their values tell classes or good images, so that a hundred
    thousand samples take seconds. `Dataset.problems` reads the files.

    Args:
        root: the folder.
        layout: name of a built-in layout, a YAML file or a mapping that describes one; found by itself if None.
        image, mask: patterns of the images and of their masks instead, such as "images/{name}.jpg".
        values: what the values in masks mean: "nonzero", ">=128", "alpha", "ids", or "1=scratch,2=dent".
        good: names of folders whose images have no defect.
        without_label: what an image without a mask is: "good" or "unlabelled".
        voc_boxes: of label trees, which `converters.read_labels` reads with it; a dataset of masks is refused with it.
        follow_links: read what links in it lead to outside of it.

    Raises:
        ToolkitError: the folder does not exist, holds nothing, has no known layout, or has links that lead out of it;
            the description is faulty.
    """
    root = Path(root)
    layout = chosen_layout(layout, image, mask, values, good, without_label, voc_boxes)
    with following_links(follow_links):
        check_links(root)
        return _loaded(root, layout)


def _loaded(root: Path, layout: LayoutLike) -> Dataset:
    if layout is None:
        return index_root(root)
    if not root.is_dir():
        raise ToolkitError(root, "no such folder" if not root.exists() else "not a folder", "check the path")
    if isinstance(layout, Mapping) and not {"images", "unlabelled"} & layout.keys():
        return _changed(root, _of_masks(root, layout))
    if isinstance(layout, str) and layout in LAYOUTS and layout not in built_in_names():
        if not coded_layout(layout).detect(root):
            shown = coded_layout(layout).shown
            raise ToolkitError(root, f"is not laid out as {layout} ({shown})", "correct the layout, or the path")
        return _with_unread(coded_layout(layout).index(root), list_files(root))
    return _as_told(root, find_layout(layout))


def _of_masks(root: Path, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a layout speaks of masks, where the root is no label tree.

    Raises:
        ToolkitError: it speaks of the boxes of one.
    """
    if "labels" not in told:
        return told
    if alone := told["labels"].get("alone"):
        name = alone if isinstance(alone, str) else _LABELS
        raise ToolkitError(root, "is no label tree of a known format", f"leave --layout {name} out")
    if told["labels"].get("voc_boxes"):
        files = list_files(root)
        labels = shown_labels(files.root, label_like(files.images, files.others))
        if "Pascal VOC" in labels:
            raise ToolkitError(root, f"holds {labels}: it is no dataset", "open it with converters.read_labels")
        raise ToolkitError(root, "holds no Pascal VOC boxes, of which --voc-boxes speaks", "leave it out")
    return {"missing_mask": told["labels"]["without_label"]}


def _changed(root: Path, changes: Mapping[str, Any]) -> Dataset:
    """A root whose layout is found by itself, but for what its values or its good images are.

    Raises:
        ToolkitError: as `index_root`, or its layout is code and takes no changes.
    """
    found = index_root(root)
    if found.layout not in built_in_names():
        remedy = "leave --values, --good, --without-label out, or describe the folder with --layout FILE.yaml"
        raise ToolkitError(found.root, f"the layout {found.layout} says itself what values mean", remedy)
    base = find_description(found.layout).model_dump(by_alias=True, exclude_defaults=True)
    return _as_told(found.root, checked({**base, **changes}, "--values, --good, --without-label"))


def _as_told(root: Path, description: Description) -> Dataset:
    below = description.below(root.resolve().name)
    files = list_files(root)
    # Masks in different places are one only where a user named these places.
    united = all(description.mask != built_in.mask for built_in in every_description())
    resolution = resolve(description, files.images, united=united)
    if below is not None and not resolution.names_any:
        description, resolution = below, resolve(below, files.images, united=united)
    if not resolution.names_any:
        wanted = ", ".join(map(plain_pattern, [*description.images, *description.unlabelled][:2]))
        raise ToolkitError(root, f"has no image that the layout names ({wanted})", "correct the layout, or the path")
    _check_masks(root, description, resolution)
    dataset = index_described(files, description, resolution=resolution, told=True)
    if description.needs == "good" and not description.mask and all(sample.kind != "good" for sample in dataset):
        remedy = "name one with --good NAME, or as good: [NAME] in the layout; or leave needs: good out of it"
        raise ToolkitError(root, f"has no folder of good images, which the layout {description.name} needs", remedy)
    return dataset


def _check_masks(root: Path, description: Description, found: Resolution) -> None:
    """Refuse a layout whose masks are nowhere: a slip in a pattern would make all images good, or classes alone.

    Raises:
        ToolkitError: no file is a mask, and not all images are good by their folders.
    """
    if not description.mask or found.paired or found.orphans or found.shared:
        return
    for one in found.images:
        subset = one.groups.get("split", "train")
        missing = description.without_mask(subset_of(subset, description) or subset)
        if not one.labelled or missing == "unlabelled" or is_good(one.groups.get("class", ""), description):
            continue
        wanted = MaskPlaces(root, description, []).of(one)
        what = f"no file is a mask of the layout: that of {one.path} would be {wanted}"
        remedy = "correct the pattern of the masks, or leave it out where there are none"
        raise ToolkitError(root, what, remedy)
