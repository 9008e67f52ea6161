"""The layout of Real-IAD: its JSON says of each image what it shows, not its folder.

    realiad_jsons/CATEGORY.json                     {meta: {prefix}, train: [...], test: [...]}, one of the family
                                                    realiad_jsons, realiad_jsons_sv, realiad_jsons_fuiad_0.1 and so on
    realiad_1024/CATEGORY/OK/S0004/NAME.jpg         the images of one part in several views
    realiad_1024/CATEGORY/NG/CODE/S0129/NAME.jpg    with a mask NAME.png where this view shows the defect

Many images under NG are good, since their view does not show the defect: without the JSON they cannot be told from
images whose mask is lost, so such a folder is refused. The JSON may lie in the category's own folder too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.layouts.published import compare_with_published
from toolkit.dataset.layouts.records import read_json
from toolkit.dataset.samples import GOOD, MaskFile, Sample
from toolkit.errors import Problem, ToolkitError

__all__ = ["LAYOUT"]

_FAMILY = "realiad_jsons"
_PART = re.compile(r"S\d+\Z")
_GOOD_CLASS = "OK"
_SUBSETS = ("train", "test")
_FOLDERS = "--layout real-iad-folders"


@dataclass(frozen=True)
class _Listing:
    """A category and its JSON: their places, the word for a good image, and the files that are there."""

    folder: Path
    place: Path
    normal: str
    there: frozenset[str]


@dataclass(eq=False)
class _Findings:
    """What is seen on the way, beside samples; `used` are the files of a category that its JSON has named."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unmasked: dict[str, Problem] = field(default_factory=dict)
    passed_over: list[Path] = field(default_factory=list)
    used: set[str] = field(default_factory=set)


def _detect(root: Path) -> bool:
    """Whether a folder is a category, holds categories, or holds folders of categories in some size."""
    return _is_category(root) or any(_categories(folder) for folder in (root, *_folders(root, "realiad_")))


def _folders(folder: Path, start: str = "") -> list[Path]:
    inner = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in inner if path.name.startswith(start))


def _is_category(folder: Path) -> bool:
    """Whether it has parts in OK, or below a code in NG."""
    above = [folder / _GOOD_CLASS, *(_folders(folder / "NG") if (folder / "NG").is_dir() else ())]
    return any(_PART.match(path.name) for place in above if place.is_dir() for path in _folders(place))


def _categories(folder: Path) -> list[Path]:
    return [path for path in _folders(folder) if _is_category(path)]


def _index(root: Path) -> Dataset:
    """Samples of a category, or of all that a root holds in one size.

    Raises:
        ToolkitError: there are several sizes, or no JSON, or several families of it.
    """
    seen = _Findings()
    categories = [root] if _is_category(root) else _categories(root)
    if not categories:
        sizes = [folder for folder in _folders(root, "realiad_") if _categories(folder)]
        if len(sizes) > 1:
            shown = ", ".join(folder.name for folder in sizes)
            raise ToolkitError(root, f"holds the same images in several sizes: {shown}", f"name one, as {sizes[0]}")
        categories = _categories(sizes[0])
    samples: list[Sample] = []
    for folder in categories:
        samples += _category(folder, _json_of(folder, root, seen), seen)
    return Dataset(
        samples,
        root=root,
        layout="real-iad",
        layout_problems=seen.problems,
        notes=[*dict.fromkeys(seen.notes), *compare_with_published("real-iad", samples)],
        unmasked=seen.unmasked,
        passed_over=seen.passed_over,
    )


def _json_of(category: Path, root: Path, seen: _Findings) -> Path:
    """The JSON of a category: in its own folder, or of the family beside the images.

    Raises:
        ToolkitError: there is none, or several families have one.
    """
    whole = category.resolve()
    name = f"{whole.name}.json"
    if (category / name).is_file():
        return category / name
    above = dict.fromkeys((root.resolve(), whole.parent, whole.parent.parent))
    families = [path for folder in above for path in _folders(folder, _FAMILY) if (path / name).is_file()]
    families += [folder for folder in above if (folder / name).is_file()]
    if not families:
        what = "is laid out as Real-IAD, without its JSON: many images under NG/ are good, and only the JSON says which"
        remedy = (
            f"put {_FAMILY}/{name} beside the images; or take an image under NG/ without a mask for good: {_FOLDERS}"
        )
        raise ToolkitError(category, what, remedy)
    plain = [path for path in families if path.name == _FAMILY]
    if len(families) > 1 and len(plain) != 1:
        shown = ", ".join(str(path) for path in families)
        raise ToolkitError(category, f"has several JSON files: {shown}", f"keep one of them, or name it {_FAMILY}")
    if len(families) > 1:
        others = ", ".join(path.name for path in families if path not in plain)
        seen.notes.append(f"subsets are those of {_FAMILY}; not read: {others}")
    return (plain or families)[0] / name


def _category(folder: Path, place: Path, seen: _Findings) -> Iterator[Sample]:
    """The samples of a category, as its JSON lists them."""
    document = read_json(place)
    files = list_files(folder)
    seen.problems += files.problems
    seen.used = set()
    try:
        normal = str(document.get("meta", {}).get("normal_class", _GOOD_CLASS))
        listing = _Listing(folder, place, normal, frozenset(files.images))
        for subset in _SUBSETS:
            for record in document.get(subset, []):
                yield from _sample(listing, subset, record, seen)
    except (AttributeError, KeyError, TypeError) as error:
        what = f"is not as Real-IAD has it ({type(error).__name__}: {error})"
        raise ToolkitError(place, what, "give the file as it was published") from error
    left = [path for path in files.images if path not in seen.used]
    if left:
        shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        what = f"{len(left)} image file(s) are named nowhere in {place}: {shown}"
        seen.problems.append(Problem(str(folder), what, "take them out, or give the whole JSON"))
        seen.passed_over += (folder / path for path in left)


def _sample(listing: _Listing, subset: str, record: Mapping[str, Any], seen: _Findings) -> Iterator[Sample]:
    """One image, unless something is wrong with it."""
    folder, place, category = listing.folder, listing.place, listing.folder.resolve().name
    image, label, mask = str(record["image_path"]), str(record["anomaly_class"]), record.get("mask_path")
    if image not in listing.there:
        what = f"names {image}, which is not in {folder}"
        seen.problems.append(Problem(str(place), what, "put the image in its place, or take it out of the JSON"))
        return
    if image in seen.used:
        seen.problems.append(Problem(str(place), f"names {image} more than once", "keep one of the entries"))
        return
    seen.used |= listing.there & {image, mask}
    if label == listing.normal and mask:
        what = f"says of {image} that it is good, and gives it a mask"
        seen.problems.append(Problem(str(place), what, "correct the entry"))
        seen.passed_over.append(folder / image)
        return
    defect = GOOD if label == listing.normal else label
    part = PurePosixPath(image).parent.name
    key = f"{category}/{subset}/{defect}/{part}/{PurePosixPath(image).stem}"
    masks = (MaskFile(folder / mask, reading="nonzero"),) if mask in listing.there else ()
    if defect != GOOD and not masks:
        remedy = f"put its mask at {mask}" if mask else "correct the JSON"
        seen.unmasked[key] = Problem(str(folder / image), "a defect image without a mask", remedy)
    yield Sample(key, folder / image, masks, category, defect, subset, f"{category}/{part}")


LAYOUT = Layout(
    name="real-iad",
    shown="realiad_jsons/CATEGORY.json beside realiad_SIZE/CATEGORY/{OK,NG/CODE}/S0001/",
    detect=_detect,
    index=_index,
    parts=frozenset({_GOOD_CLASS, "NG"}),
)
