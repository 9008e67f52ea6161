"""The dataset card as data: what it holds, a paragraph on it, and its tables of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.aliases import JsonObject
from toolkit.card.distributions import Balance, Distribution, percent_text
from toolkit.card.statistics import ClassFigures
from toolkit.dataset.samples import GOOD
from toolkit.dataset.suspects import Suspect
from toolkit.errors import Problem
from toolkit.plotting.markdown import Rows

__all__ = ["DatasetCard", "card_html", "class_table", "listed", "summarise"]


@dataclass(frozen=True, eq=False)
class DatasetCard:
    """What a dataset holds. `as_json()` is what `defectkit describe --json` prints, `summary` says the most of it.

    An image counts once for every class that it shows. Sizes are told of the images that can be read, all that is
    measured in masks of the samples without a problem; the others stand in `problems`.

    Attributes:
        root, layout: the folder, and how it is laid out ("mvtec", or the format of a label tree).
        products: names, sorted.
        defect_names: names of the kinds of defect, sorted or in the order of their ids; "good" is none of them.
        classes: class -> images, "good" first.
        images: number of images.
        defect_images: images that show a defect.
        subsets: subset -> class -> images.
        subset_images: subset -> images.
        by_product: product -> class -> images.
        sizes: (width, height, channels) -> images; 0 channels where a label tree has no image files.
        depths: bits that an image is read with -> images; above 8 they are as many as its largest value needs.
        measured: figures of all defects together; None where nothing is marked.
        figures: the same of each class that is marked somewhere.
        marked_px, marked_percent: all that is marked in an image together, over the images that show a defect.
        area_histogram: (from, below, instances), areas in pixels in bins of powers of two.
        instances_per_image: number of instances -> images with as many, over the images that show a defect.
        components_per_mask: number of 8-connected components of all that is marked in an image -> images.
        balance: over the classes, good included; `defect_balance` over the kinds of defect; `subset_balance` over the
            classes, in each subset.
        uniform: whether every class of every product has as many images as any other in every subset.
        duplicates: keys of images with identical bytes.
        near_duplicates: keys of images that show one photo; None where nobody looked.
        leaks: those of `duplicates` and `near_duplicates` whose images lie in several subsets.
        conflicts: those of `duplicates` whose images are of several classes.
        suspects: images by how much speaks against their labels; None where nobody looked.
        witnesses: the runs that were asked about labels.
        problems: everything at fault in the files.
        published: product -> how it differs from the published MVTec AD; products of other names are missing.
        notes: what a reader should know, and is no fault.
        split: how the subsets were made, {"strategy": ..., "settings": ...}; None for the dataset's own.
    """

    root: Path
    layout: str
    products: list[str]
    defect_names: list[str]
    classes: dict[str, int]
    images: int
    defect_images: int
    subsets: dict[str, dict[str, int]]
    subset_images: dict[str, int]
    by_product: dict[str, dict[str, int]]
    sizes: dict[tuple[int, int, int], int]
    depths: dict[int, int]
    measured: ClassFigures | None
    figures: dict[str, ClassFigures]
    marked_px: Distribution | None
    marked_percent: Distribution | None
    area_histogram: list[tuple[int, int, int]]
    instances_per_image: dict[int, int]
    components_per_mask: dict[int, int]
    balance: Balance
    defect_balance: Balance
    subset_balance: dict[str, Balance]
    uniform: bool
    duplicates: list[list[str]]
    problems: tuple[Problem, ...]
    published: dict[str, list[str]]
    notes: tuple[str, ...]
    split: dict[str, object] | None
    near_duplicates: list[list[str]] | None = None
    leaks: tuple[list[str], ...] = ()
    conflicts: tuple[list[str], ...] = ()
    suspects: tuple[Suspect, ...] | None = None
    witnesses: tuple[JsonObject, ...] = ()

    @property
    def instances(self) -> int:
        """Instances in all."""
        return self.measured.instances if self.measured else 0

    @property
    def doubtful(self) -> list[Suspect]:
        """Images against whose label more speaks than for it."""
        return [one for one in self.suspects or () if one.doubtful]

    @property
    def summary(self) -> str:
        """A paragraph that answers what is asked first: classes, images, subsets, sizes, areas, faults."""
        return summarise(self)

    def as_json(self) -> dict[str, object]:
        """The card as one JSON object; its keys are explained in the documentation of formats."""
        sizes = [
            {"width": width, "height": height, "channels": channels or None, "images": images}
            for (width, height, channels), images in self.sizes.items()
        ]
        return {
            "root": str(self.root).encode(errors="backslashreplace").decode(),
            "layout": self.layout,
            "summary": self.summary,
            "products": self.products,
            "defect_classes": len(self.defect_names),
            "defect_names": self.defect_names,
            "classes": self.classes,
            "images": self.images,
            "defect_images": self.defect_images,
            "subsets": self.subsets,
            "subset_images": self.subset_images,
            "by_product": self.by_product,
            "split": self.split,
            "sizes": sizes,
            "depths": {str(bits): images for bits, images in self.depths.items()},
            "uniform": self.uniform,
            "imbalance_factor": self.balance.imbalance_factor,
            "balance": {
                "classes": self.balance.as_json(),
                "defects": self.defect_balance.as_json(),
                "subsets": {name: balance.as_json() for name, balance in self.subset_balance.items()},
            },
            "instances": self.instances,
            "instances_per_image": {str(number): images for number, images in self.instances_per_image.items()},
            "components_per_mask": {str(number): images for number, images in self.components_per_mask.items()},
            "defects": self._defects_json(),
            "duplicates": self.duplicates,
            **({} if self.near_duplicates is None else {"near_duplicates": self.near_duplicates}),
            "leaks": list(self.leaks),
            "conflicts": list(self.conflicts),
            **self._suspects_json(),
            "problems": [{"file": problem.file, "problem": problem.problem} for problem in self.problems],
            "published": {
                product: {"agrees": not lines, "differences": lines} for product, lines in self.published.items()
            },
            "notes": list(self.notes),
        }

    def _suspects_json(self) -> dict[str, object]:
        if self.suspects is None:
            return {}
        return {"suspects": [one.as_json() for one in self.suspects], "suspected_by": list(self.witnesses)}

    def _defects_json(self) -> dict[str, object]:
        bins = [dict(zip(("from", "below", "instances"), one, strict=True)) for one in self.area_histogram]
        return {
            "all": self.measured.as_json() if self.measured else None,
            "by_class": {name: figures.as_json() for name, figures in self.figures.items()},
            "area_histogram": bins,
            "marked_px": self.marked_px.as_json() if self.marked_px else None,
            "marked_percent": self.marked_percent.as_json() if self.marked_percent else None,
        }

    def _repr_html_(self) -> str:
        return card_html(self)


_NAMED = 6  # classes named in a sentence
_BYTE = 8  # bits


def summarise(card: DatasetCard) -> str:
    """A paragraph on a card: classes, images, subsets, evenness, sizes, what is marked, and what is at fault."""
    facts = [_classes(card), _number(card.images, "image"), *(f"{n} {c}" for n, c in card.subset_images.items())]
    facts += [_evenness(card), *_sizes(card), *_depths(card)]
    sentences = [", ".join(facts) + "."]
    if len(card.products) > 1:
        sentences.insert(0, f"{len(card.products)} products: {listed(card.products)}.")
    if card.measured is not None and card.marked_percent is not None:
        px, percent = card.measured.area_px, card.measured.area_percent
        shown = _number(card.measured.images, "image")
        sentences.append(
            f"{shown} show{'s' * (card.measured.images == 1)} {_number(card.instances, 'instance')} of"
            f" {px.least:g} to {px.most:g} px (median {px.median:g} px, {percent_text(percent.median)} of the image)."
        )
    sentences += _verdicts(card)
    return " ".join(sentences)


def _classes(card: DatasetCard) -> str:
    kinds = _number(len(card.defect_names), "kind") + " of defect"
    has_good = GOOD in card.classes
    total = len(card.defect_names) + has_good
    return f"{total} class{'es' * (total != 1)} ({kinds}{' and good' if has_good else ', no good images'})"


def _evenness(card: DatasetCard) -> str:
    """Whether the classes are of one size, or how far from it they are."""
    sizes = list(card.balance.images.values())
    if not sizes:
        return "no class has an image"
    if card.uniform:
        each = card.images // max(1, sum(len(classes) for classes in card.by_product.values()))
        return f"uniform ({each} of each class{' of each product' if len(card.products) > 1 else ''})"
    if sizes[0] == sizes[-1]:
        return f"{sizes[0]} of each class, but unevenly over the subsets"
    names = list(card.balance.images)
    return (
        f"not uniform ({sizes[0]} of {names[0]} to {sizes[-1]} of {names[-1]}, "
        f"imbalance factor {card.balance.imbalance_factor:.3g})"
    )


def _sizes(card: DatasetCard) -> list[str]:
    if not card.sizes:
        return ["sizes unknown"]
    (width, height, channels), images = next(iter(card.sizes.items()))
    told = [f"{width} x {height} pixels", *([_number(channels, "channel")] if channels else [])]
    if len(card.sizes) > 1:
        return [f"{len(card.sizes)} sizes, most of them ({images}) {', '.join(told)}"]
    return told


def _depths(card: DatasetCard) -> list[str]:
    """Depths, where any is above the 8 bits that view and learners work with."""
    if max(card.depths, default=0) <= _BYTE:
        return []
    deep = [f"{bits} bits ({images})" for bits, images in card.depths.items() if bits > _BYTE]
    return [f"depth {listed(deep)}, read as {_BYTE} bits"]


def _verdicts(card: DatasetCard) -> list[str]:
    agree = [product for product, lines in card.published.items() if not lines]
    differ = [product for product, lines in card.published.items() if lines]
    told = []
    if agree:
        told.append(f"{listed(agree)}: counts and sizes agree with the published MVTec AD.")
    if differ:
        told.append(f"{listed(differ)}: differs from the published MVTec AD.")
    if card.duplicates:
        told.append(f"{_number(len(card.duplicates), 'set')} of identical images.")
    if card.near_duplicates:
        told.append(f"{_number(len(card.near_duplicates), 'set')} of near-duplicates.")
    if card.suspects is not None:
        told.append(f"Suspicious: {_number(len(card.doubtful), 'label')} of {len(card.suspects)} that were looked at.")
    if card.problems:
        told.append(f"{_number(len(card.problems), 'problem')} in the files.")
    return told


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of them where there are many."""
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])


def class_table(card: DatasetCard) -> tuple[list[str], Rows]:
    """Header and rows of the table of classes."""
    header = ["class", *card.subsets, "all", "instances", "median px", "5 % to 95 % px", "median % of image"]
    names = [*card.classes, *(name for name in card.defect_names if name not in card.classes)]
    rows = []
    for name in names:
        counts = [str(subset.get(name, 0)) for subset in card.subsets.values()]
        figures = card.figures.get(name)
        measured = ["", "", "", ""]
        if figures is not None:
            px, percent = figures.area_px, percent_text(figures.area_percent.median).removesuffix(" %")
            measured = [str(figures.instances), f"{px.median:g}", f"{px.p05:g} to {px.p95:g}", percent]
        rows.append([name, *counts, str(card.classes.get(name, 0)), *measured])
    totals = [str(images) for images in card.subset_images.values()]
    instances = str(card.instances) if card.measured else ""
    rows.append(["all images", *totals, str(card.images), instances, "", "", ""])
    return header, rows


def card_html(card: DatasetCard) -> str:
    """The summary and the table of classes as HTML, for a notebook."""
    from toolkit.markup import report_html

    header, rows = class_table(card)
    return report_html(f"Dataset card of {card.root}", card.summary, header, rows, lists={"Notes": card.notes})
