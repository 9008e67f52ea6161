"""The proof: rasterise what lies on disk as its consumer does, and compare it with the source.

COCO is rasterised by pycocotools. YOLO polygons are filled as ultralytics does, once truncating and once rounding, and
count as good as the worse of the two. Class maps, panoptic maps and masks are compared pixel by pixel; boxes to a
hundredth of a pixel; oriented boxes must contain every pixel square.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from pathlib import Path
from typing import Any, NamedTuple

from converters.formats.base import Settings
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import find_format, read_manifest
from converters.sources import LayoutLike, Source, SourceLike, read_labels, trees_in
from converters.verification.comparison import ImageFidelity, box_faults, compare_pixels
from converters.verification.matching import Match, find_source, match_records, settings_of
from toolkit.dataset.samples import ClassScheme
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.geometry.labels import LabelledImage

__all__ = ["ImageFidelity", "TreeReport", "VerifyReport", "verify"]

_WORST = 5
_NO_SOURCE = "no source to compare with: counts, classes, boxes and hashes were checked; name it with --against ROOT"


@dataclass(frozen=True)
class TreeReport:
    """What was found in one label tree.

    Attributes:
        tree: its folder.
        kind: its format.
        images: images looked at; `compared` of them show something in the source or in the label.
        min_iou, mean_iou: over the compared images; 1 for boxes that are right, 0 for those that are not.
        exact: compared images without a single wrong pixel.
        worst: the images with the lowest IoU, if any is below 1.
        failures: what is wrong, one line each.
    """

    tree: Path
    kind: str
    images: int
    compared: int
    min_iou: float
    mean_iou: float
    exact: int
    worst: tuple[ImageFidelity, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        trees: one report for each label tree.
        notes: what could not be checked, and why.
    """

    trees: tuple[TreeReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def min_iou(self) -> float:
        """The lowest IoU of any image in any tree."""
        return min((tree.min_iou for tree in self.trees), default=1.0)

    @property
    def failures(self) -> tuple[str, ...]:
        """All that is wrong."""
        return tuple(line for tree in self.trees for line in tree.failures)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def __bool__(self) -> bool:
        """Whether nothing is wrong, so that `assert verify("out")` means what it says."""
        return self.passed

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        found = "nothing is wrong" if self.passed else f"{len(self.failures)} failures"
        rows = [
            [tree.tree.name, tree.images, f"{tree.exact} of {tree.compared}", f"{tree.min_iou:.4f}", len(tree.failures)]
            for tree in self.trees
        ]
        worst = [
            f"{image.key}: IoU {image.iou:.4f}, {image.lost} pixels lost, {image.gained} gained"
            for tree in self.trees
            for image in tree.worst
        ]
        lists = {"Failures": self.failures, "The worst images": worst, "Notes": self.notes}
        header = ["tree", "images", "exact", "min IoU", "failures"]
        return report_html("Verification", f"min IoU {self.min_iou:.4f}, {found}", header, rows, lists=lists)


@dataclass(frozen=True, eq=False)
class _Tree:
    """A tree under test, and what is wrong with it so far."""

    tree: LabelTree
    failures: list[str]


class _Way(NamedTuple):
    """How a tree was written."""

    format: Format
    settings: Settings


class _Checked(NamedTuple):
    """One image of one tree: its fidelity if it shows anything, the objects in it, and what is wrong."""

    tree: int
    fidelity: ImageFidelity | None
    objects: int
    failures: tuple[str, ...]


def verify(
    out: str | Path,
    against: SourceLike | None = None,
    *,
    layout: LayoutLike = None,
    min_iou: float = 1.0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check label trees against their source.

    Args:
        out: a label tree, or the folder that `convert` wrote trees into.
        against: the source; by default the one that the manifests name. Without a source only counts, classes, boxes
            and hashes are checked.
        layout: how `against` is laid out, where it is a folder; what the manifests say of it if None.
        min_iou: every image must reach this.
        workers: threads.
        progress: called with (done, total).

    Raises:
        ToolkitError: `out` holds no label tree, or `against` is no dataset.
    """
    if not 0 <= min_iou <= 1:
        raise ToolkitError("--min-iou", f"{min_iou:g} is no IoU", "give a number from 0 to 1")
    trees, reports = _indexed(Path(out))
    source = find_source(against, [one.tree for one in trees], layout)
    notes: tuple[str, ...] = () if source is not None else (_NO_SOURCE,)
    work = _work(trees, source)
    ways = [_Way(find_format(one.tree.kind), settings_of(one.tree, source)) for one in trees]
    check = partial(_check_sample, ways=ways, compare=source is not None)
    checked: list[list[_Checked]] = [[] for _ in trees]
    for done, results in enumerate(ordered_map(check, work, workers=workers), 1):
        for result in results:
            checked[result.tree].append(result)
        if progress is not None:
            progress(done, len(work))
    for one, way, results in zip(trees, ways, checked, strict=True):
        _check_manifest(one, results)
        reports.append(_report(one, results, min_iou))
        if way.settings.min_iou < min_iou:
            notes += (
                f"{one.tree.root} was converted with --min-iou {way.settings.min_iou:g}: verify it with the same",
            )
    return VerifyReport(tuple(sorted(reports, key=lambda report: report.tree)), notes)


def _indexed(out: Path) -> tuple[list[_Tree], list[TreeReport]]:
    """The trees to check, and reports of those that cannot be read."""
    trees, reports = [], []
    for folder, kind in _folders(out):
        try:
            tree = find_format(kind).index(folder)
        except ToolkitError as error:
            reports.append(TreeReport(folder, kind, 0, 0, 0.0, 0.0, 0, (), (error.with_flags,)))
        else:
            trees.append(_Tree(tree, [str(problem) for problem in tree.layout_problems]))
    return trees, reports


def _folders(out: Path) -> list[tuple[Path, str]]:
    """The trees to check."""
    if out.is_dir() and read_manifest(out) is None:
        found = [(path, manifest["format"]) for path in trees_in(out) if (manifest := read_manifest(path))]
        if found:
            return found
    manifest = read_manifest(out) if out.is_dir() else None
    return [(out, manifest["format"] if manifest else read_labels(out).kind)]


def _work(trees: Sequence[_Tree], source: Source | None) -> Sequence[Match]:
    """The labels to check, image by image; what the source has and a whole tree lacks is a failure."""
    matches = match_records([one.tree for one in trees], source)
    for one, lost in zip(trees, matches.missing, strict=True):
        if lost and (one.tree.manifest is None or (_images_said(one.tree) or 0) > len(one.tree)):
            shown = ", ".join(lost[:_WORST]) + (", ..." if len(lost) > _WORST else "")
            one.failures.append(
                f"{one.tree.root}: {len(lost)} of the source's {matches.images} images are missing: {shown}"
            )
    return matches.found


def _images_said(tree: LabelTree) -> int | None:
    """Images that a manifest speaks of; None without one, and where good images leave no trace."""
    if tree.manifest is None:
        return None
    if not find_format(tree.kind).tells_good and tree.manifest["options"]["images"] == "none":
        return None
    return sum(int(counts["images"]) for counts in tree.manifest["subsets"].values())


def _check_sample(match: Match, ways: Sequence[_Way], compare: bool) -> list[_Checked]:
    """Check all the labels of one image."""
    expected: dict[tuple[Any, ...], LabelledImage | str] = {}
    results = []
    for number, record in match.records:
        settings = ways[number].settings
        how = (settings.scheme, settings.grouping, settings.min_area, settings.threshold)
        if how not in expected and match.member is not None:
            try:
                expected[how] = match.member.read(settings).image
            except ToolkitError as error:
                expected[how] = "; ".join(str(problem) for problem in error.problems)
        truth = expected.get(how)
        if isinstance(truth, str) or (truth is None and compare):
            results.append(_Checked(number, None, 0, (truth or f"{record.sample.key}: is not in the source",)))
            continue
        try:
            results.append(_check_record(number, record, truth, ways[number]))
        except ToolkitError as error:
            fidelity = ImageFidelity(0.0, record.sample.key, 0, 0)
            results.append(_Checked(number, fidelity, 0, (error.with_flags,)))
    return results


def _check_record(number: int, record: LabelRecord, truth: LabelledImage | None, way: _Way) -> _Checked:
    """Check the labels of one image in one tree, with the truth or, without one, by themselves."""
    found, key = way.format, record.sample.key
    scheme: ClassScheme = "defect" if found.tells_classes else "binary"
    readings = [record.labelled(scheme, rounding) for rounding in found.roundings]
    shown = readings[0]
    whole = found.holds == "classes"
    objects = 1 if whole else len(shown.instances)
    # Simplified rings keep the box and the area of the mask that they stand for.
    simplified = way.settings.min_iou < 1 and truth is not None and len(truth.instances) == len(shown.instances)
    described = truth.instances if simplified and truth is not None else shown.instances
    failures = found.self_faults(record, described)
    if truth is None:
        return _Checked(number, None, objects, tuple(failures))
    if (shown.width, shown.height) != (truth.width, truth.height):
        sizes = f"{shown.width} x {shown.height} pixels, the source is {truth.width} x {truth.height}"
        return _Checked(number, ImageFidelity(0.0, key, 0, 0), objects, (*failures, f"{key}: labelled as {sizes}"))
    if found.holds == "pixels":
        fidelity = min(compare_pixels(reading, truth) for reading in readings)
        wanted = found.count(truth, way.settings)
        if wanted is not None and objects != wanted:
            failures.append(f"{key}: {objects} labelled objects where the source has {wanted}")
    else:
        wrong = box_faults(found, record, shown, truth)
        fidelity = ImageFidelity(float(not wrong), key, 0, 0)
        failures += wrong
    compared = bool(truth.instances or shown.instances or whole)
    return _Checked(number, fidelity if compared else None, objects, tuple(failures))


def _check_manifest(one: _Tree, results: Sequence[_Checked]) -> None:
    """Check what a manifest says against what is there."""
    manifest, root = one.tree.manifest, one.tree.root
    if manifest is None:
        return
    path = root / "manifest.json"
    images = _images_said(one.tree)
    instances = sum(counts["instances"] for counts in manifest["subsets"].values())
    components = manifest["components"]
    if images is not None and images != len(one.tree):
        one.failures.append(f"{path}: says {images} images, {len(one.tree)} are there")
    found = sum(result.objects for result in results)
    if find_format(one.tree.kind).counts_instances and found != instances:
        one.failures.append(f"{path}: says {instances} instances, {found} are there")
    if components["found"] != components["written"] + len(components["skipped"]):
        one.failures.append(f"{path}: components found are not those written and those skipped")
    if find_format(one.tree.kind).labels_sha256(root) != manifest["labels_sha256"]:
        one.failures.append(f"{path}: the label files are not those that were written (labels_sha256)")


def _report(one: _Tree, results: Sequence[_Checked], min_iou: float) -> TreeReport:
    """Put the results of one tree together."""
    found = [result.fidelity for result in results if result.fidelity is not None]
    worst = tuple(nsmallest(_WORST, (fidelity for fidelity in found if fidelity.iou < 1)))
    failures = one.failures + [line for result in results for line in result.failures]
    low = worst[0].iou if worst else 1.0
    if low < min_iou:
        below = sum(fidelity.iou < min_iou for fidelity in found)
        shown = ", ".join(f"{w.key} ({w.iou:.4f}, {w.lost} px lost, {w.gained} gained)" for w in worst)
        failures.insert(0, f"{one.tree.root}: {below} images below IoU {min_iou:g}; the worst: {shown}")
    return TreeReport(
        tree=one.tree.root,
        kind=one.tree.kind,
        images=len(results),
        compared=len(found),
        min_iou=low,
        mean_iou=sum(fidelity.iou for fidelity in found) / len(found) if found else 1.0,
        exact=sum(fidelity.iou == 1 for fidelity in found),
        worst=worst,
        failures=tuple(failures),
    )
