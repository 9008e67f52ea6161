"""The dataset card: what anyone must report about a dataset, measured in one pass over its files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.card.distributions import measure_balance, power_histogram
from toolkit.card.model import DatasetCard, listed
from toolkit.card.statistics import ClassFigures, DatasetStatistics, LabelReader, Record, area_distributions, observe
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.reference import compare_with_published, differences, published_counts
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits import SUBSETS, Split, find_duplicates
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map, reported

__all__ = ["describe_dataset"]

_UNASSIGNED = "unassigned"  # subset of images that belong to none


def describe_dataset(
    dataset: Dataset,
    *,
    split: Mapping[str, str] | None = None,
    labels: Mapping[str, LabelReader] | None = None,
    names: Sequence[str] | None = None,
    near: bool = False,
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetCard:
    """Measure a dataset. Faulty files are listed in the card and end nothing.

    Args:
        dataset: what to describe.
        split: key -> subset; images that it leaves out do not count. By default the dataset's own subsets.
        labels: key -> what reads the labels of that image, where they do not stand in masks.
        names: names of the kinds of defect; by default those of the images that count.
        near: whether to look for near-duplicates, which reads every image once more.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers then measure the images.
        progress: called with (done, total).

    Raises:
        ToolkitError: as `ordered_map`, or the split names images that are not in the dataset.
    """
    subsets = {sample.key: sample.split for sample in dataset} if split is None else split
    members = _members(dataset, subsets)
    # What reads one image's labels goes with that image: all of them would be much to send with each.
    items = [(sample, None if labels is None else labels[sample.key]) for sample in members]
    records = ordered_map(_observe, items, workers=workers, cluster=cluster, reads=[dataset.root])
    statistics = DatasetStatistics()
    for record in reported(records, len(items), progress):
        statistics.add(record, subsets[record.sample.key] or _UNASSIGNED)
    twins = find_duplicates([sample for sample in members if _has_bytes(sample.image)])
    published = _differences(dataset, statistics) if labels is None else {}
    notes = [
        *(_missing_folders(dataset) if dataset.layout == "mvtec" else ()),
        *_said_of(len(dataset) - len(members), "{} of the dataset's images are left out by the split"),
        *_remarks(statistics, names),
        *_twins_apart(_apart(twins, subsets), _apart(twins, {sample.key: sample.defect for sample in members})),
        *getattr(split, "notes", ()),
        *(note for note in dataset.notes if note not in compare_with_published(dataset)),
    ]
    card = _card(dataset, split, names, statistics, twins, published, notes)
    if near:
        card = replace(card, near_duplicates=_alike(members, twins))
    defects = {sample.key: sample.defect for sample in members}
    alike = [*twins, *(card.near_duplicates or ())]
    return replace(card, leaks=_apart(alike, subsets), conflicts=_apart(twins, defects))


def _apart(sets: Sequence[list[str]], names: Mapping[str, str]) -> tuple[list[str], ...]:
    """Sets of keys that do not share one name."""
    return tuple(keys for keys in sets if len({names[key] for key in keys}) > 1)


def _members(dataset: Dataset, subsets: Mapping[str, str]) -> list[Sample]:
    """The samples that a split names.

    Raises:
        ToolkitError: it names others.
    """
    members = [sample for sample in dataset if sample.key in subsets]
    if len(members) < len(subsets):
        strange = min(subsets.keys() - {sample.key for sample in members})
        raise ToolkitError("the split", f"names {strange!r}, which is not in the dataset", "make the split again")
    return members


def _observe(item: tuple[Sample, LabelReader | None]) -> Record:
    return observe(*item)


def _alike(members: Sequence[Sample], twins: list[list[str]]) -> list[list[str]]:
    """Keys of images that show one photo, but for sets that are identical throughout."""
    identical = [set(keys) for keys in twins]
    found = near_duplicates([sample for sample in members if _has_bytes(sample.image)], skip_faulty=True)
    return [keys for keys in found if not any(one.issuperset(keys) for one in identical)]


def _card(
    dataset: Dataset,
    split: Mapping[str, str] | None,
    names: Sequence[str] | None,
    statistics: DatasetStatistics,
    twins: list[list[str]],
    published: dict[str, list[str]],
    notes: Sequence[str],
) -> DatasetCard:
    """The sums of a statistics, put in order."""
    classes = _by_class(statistics)
    subsets = {name: _by_class(statistics, subset=name) for name in _ordered(statistics.images)}
    products = sorted({product for product, _, _ in statistics.counted})
    defect_names = list(names) if names is not None else [name for name in classes if name != GOOD]
    marked_px, marked_percent = area_distributions(statistics.areas)
    return DatasetCard(
        root=dataset.root,
        layout=dataset.layout,
        products=products,
        defect_names=defect_names,
        classes=classes,
        images=sum(statistics.images.values()),
        defect_images=statistics.defect_images,
        subsets=subsets,
        subset_images={name: statistics.images[name] for name in subsets},
        by_product={name: _by_class(statistics, product=name) for name in products},
        sizes=_sizes(statistics),
        depths=dict(sorted(statistics.depths.items())),
        measured=statistics.every.figures(),
        figures=_figures(statistics),
        marked_px=marked_px,
        marked_percent=marked_percent,
        area_histogram=power_histogram(_instance_areas(statistics)),
        instances_per_image=dict(sorted(statistics.per_image.items())),
        components_per_mask=dict(sorted(statistics.components.items())),
        balance=measure_balance(classes),
        defect_balance=measure_balance({name: images for name, images in classes.items() if name != GOOD}),
        subset_balance={name: measure_balance(subset) for name, subset in subsets.items()},
        uniform=_is_uniform(statistics),
        duplicates=twins,
        problems=(*dataset.named_problems, *sorted(statistics.problems)),
        published=published,
        notes=tuple(dict.fromkeys(notes)),
        split=_told_of(split),
    )


def _figures(statistics: DatasetStatistics) -> dict[str, ClassFigures]:
    """Figures of each class that has instances."""
    found = {name: one.figures() for name, one in sorted(statistics.by_class.items())}
    return {name: figures for name, figures in found.items() if figures is not None}


def _sizes(statistics: DatasetStatistics) -> dict[tuple[int, int, int], int]:
    """Width, height and channels -> images, the most frequent first."""
    sizes: Counter[tuple[int, int, int]] = Counter()
    for (_, width, height, channels), images in statistics.sizes.items():
        sizes[width, height, channels] += images
    return dict(sorted(sizes.items(), key=lambda one: (-one[1], one[0])))


def _instance_areas(statistics: DatasetStatistics) -> Counter[int]:
    """Area in pixels -> instances."""
    areas: Counter[int] = Counter()
    for (area, _), times in statistics.every.areas.items():
        areas[area] += times
    return areas


def _told_of(split: Mapping[str, str] | None) -> dict[str, object] | None:
    """How a split was made, as far as that is known."""
    if isinstance(split, Split):
        return {"strategy": split.strategy, "settings": split.settings}
    return None if split is None else {"strategy": "given", "settings": {}}


def _by_class(statistics: DatasetStatistics, product: str | None = None, subset: str | None = None) -> dict[str, int]:
    """Class -> images, all or those of one product or subset; "good" first."""
    counts: Counter[str] = Counter()
    for (of_product, name, of_subset), images in statistics.counted.items():
        if product in (None, of_product) and subset in (None, of_subset):
            counts[name] += images
    return dict(sorted(counts.items(), key=lambda one: (one[0] != GOOD, one[0])))


def _ordered(subsets: Iterable[str]) -> list[str]:
    """Names of subsets as they follow on each other: train, val, test, and any others."""
    return sorted(subsets, key=lambda name: (SUBSETS.index(name) if name in SUBSETS else len(SUBSETS), name))


def _is_uniform(statistics: DatasetStatistics) -> bool:
    """Whether every class of every product has as many images in each subset as any other."""
    groups = {(product, name) for product, name, _ in statistics.counted}
    counts = {
        tuple(statistics.counted[product, name, subset] for subset in statistics.images) for product, name in groups
    }
    return len(counts) == 1


def _differences(dataset: Dataset, statistics: DatasetStatistics) -> dict[str, list[str]]:
    """How products of a published name differ from what was published: in numbers of images, and in their size."""
    found = differences(dataset)
    for (product, width, height, channels), images in sorted(statistics.sizes.items()):
        counts = published_counts().get(product)
        if counts is not None and (width, height, channels) != (counts.image_px, counts.image_px, counts.channels):
            size = f"{width} x {height} pixels with {channels} channel(s)"
            wanted = f"{counts.image_px} x {counts.image_px} with {counts.channels}"
            found[product].append(f"{images} images of {size}, published {wanted}")
    return found


def _missing_folders(dataset: Dataset) -> list[str]:
    """A note for each product that lacks the folder train or test, or has no image in it."""
    homes = {sample.category: sample.image.parent.parent.parent for sample in dataset}
    present = {(sample.category, sample.split) for sample in dataset}
    notes = []
    for product, home in sorted(homes.items()):
        for subset in ("train", "test"):
            if not (home / subset).is_dir():
                notes.append(f"{product}: no {subset} folder")
            elif (product, subset) not in present:
                notes.append(f"{product}: no images in the {subset} folder")
    return notes


def _said_of(number: int, text: str) -> list[str]:
    """A note about so many images, if there are any."""
    return [text.format(number)] if number else []


def _remarks(statistics: DatasetStatistics, names: Sequence[str] | None) -> list[str]:
    """Notes on images of several classes, on annotations that mark nothing, and on classes that lack images."""
    every = {name for _, name, _ in statistics.counted}
    nowhere = [name for name in names or () if name not in every]
    notes = [
        *_said_of(statistics.several, "{} image(s) show several classes, and count for each of them"),
        *_said_of(statistics.left_out, "{} annotation(s) mark no pixel of their image, and are left out"),
        *([f"no image shows {listed(nowhere)}"] if nowhere else ()),
    ]
    for subset in _ordered(statistics.images):
        missing = sorted(every - _by_class(statistics, subset=subset).keys())
        if missing:
            notes.append(f"{subset} has no image of {len(missing)} of {len(every)} classes: {listed(missing)}")
    return notes


def _twins_apart(leaks: Sequence[list[str]], conflicts: Sequence[list[str]]) -> list[str]:
    """Notes on identical images that belong to different subsets, or are of different classes."""
    return [
        *_said_of(len(leaks), "{} set(s) of identical images lie in several subsets: what is tested was trained on"),
        *_said_of(len(conflicts), "{} set(s) of identical images are of different classes: one of them is wrong"),
    ]


def _has_bytes(image: Path) -> bool:
    """Whether there is an image file that can be compared with others."""
    return image.is_file() and os.access(image, os.R_OK) and image.stat().st_size > 0
