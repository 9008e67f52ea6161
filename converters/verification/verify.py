"""The proof: rasterise what lies on disk as its consumer does, and compare it with the source.

COCO is rasterised by pycocotools. YOLO polygons are filled as ultralytics does, once truncating and once rounding, and
count as good as the worse of the two. Class maps, panoptic maps and masks are compared pixel by pixel; boxes to a
hundredth of a pixel; oriented boxes must contain every pixel square. The image files must be there, and be those of the
source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from converters.formats.base import Holds, Reading, Settings
from converters.formats.format import Format
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import find_format
from converters.merging import SourcesLike, roots_of, shared_paths
from converters.recognition import reading_of
from converters.sources import LayoutLike, Member, Source
from converters.verification.comparison import ImageFidelity, compare_image
from converters.verification.matching import Match, find_source, match_records, omissions, settings_of, unsaid_images
from converters.verification.opening import TreeUnderTest, index_trees, trees_as_seen
from converters.verification.pasting import TilePhotos, missing_tiles, paste_back, tile_faults
from converters.verification.photos import PhotoTally, check_photo, expects_photos, photo_faults
from converters.verification.report import TreeReport, VerifyReport
from converters.verification.results import WORST, Checked, Results
from converters.writing.selection import read_selected
from converters.writing.summary import covered_note
from toolkit.dataset.samples import ClassScheme
from toolkit.dataset.splits import SUBSETS
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map, reported, shared_path
from toolkit.files.typed import parse_json, parse_yaml
from toolkit.geometry.labels import LabelledImage
from toolkit.geometry.tiles import cut_labels, window_in

__all__ = ["ImageFidelity", "TreeReport", "VerifyReport", "verify"]

_NO_SOURCE = "no source to compare with: counts, classes, boxes and hashes were checked; name it with --against ROOT"
_NEITHER = "no source to compare with: what labels say of themselves was checked; name it with --against ROOT"
_NO_MANIFEST = "no manifest: no counts and hashes to check"


class _Way(NamedTuple):
    """How a tree was written, and who reads it: format, content, whether it has images, settings, another program.

    It goes to other processes, and so has the name of the format and not its functions.
    """

    kind: str
    holds: Holds
    photos: bool
    settings: Settings
    seen_by: str | None = None

    @property
    def format(self) -> Format:
        """The format."""
        return find_format(self.kind)


def verify(
    out: str | Path,
    against: SourcesLike | None = None,
    *,
    layout: LayoutLike = None,
    min_iou: float = 1.0,
    seen_by: str | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check label trees against their source.

    Args:
        out: a label tree, or the folder that `convert` wrote trees into.
        against: the source, or a list of several; by default what the manifests name. Without a source only counts,
            classes, boxes, hashes and whether the images can be read are checked.
        layout: how `against` is laid out, where it is a folder; what the manifests say of it if None. What it says of
            labels is said of `out`, where another tool wrote that.
        min_iou: every image must reach this.
        seen_by: read the labels as this program does, one of `as_seen.programs()`.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers then do the work.
        progress: called with (done, total).

    Raises:
        ToolkitError: `out` holds no label tree, or `against` is no dataset, or the program opens no such files.
    """
    if not 0 <= min_iou <= 1:
        raise ToolkitError("--min-iou", f"{min_iou:g} is no IoU", "give a number from 0 to 1")
    trees, reports = index_trees(shared_path(Path(out), cluster), reading_of(layout) or Reading())
    unseen: tuple[str, ...] = ()
    if seen_by is not None:
        trees, unseen = trees_as_seen(trees, seen_by)
    given = None if against is None else shared_paths(against, cluster)
    source = find_source(given, [one.tree for one in trees], layout)
    known = any(one.tree.manifest is not None for one in trees)
    notes = unseen if source is not None else (*unseen, _NO_SOURCE if known else _NEITHER)
    work = _work(trees, source)
    ways = [_way(one.tree, source, seen_by) for one in trees]
    check = partial(_check_sample, ways=ways, compare=source is not None, least=min_iou)
    checked = [Results() for _ in trees]
    reads = [*(one.tree.root for one in trees), *(() if source is None else roots_of(source))]
    spread = ordered_map(check, work, workers=workers, cluster=cluster, reads=reads)
    for result in chain.from_iterable(reported(spread, len(work), progress)):
        checked[result.tree].add(result)
    for one, way, results in zip(trees, ways, checked, strict=True):
        _check_manifest(one, results)
        _check_closing(one, way)
        _check_photos(one, results.photos)
        reports.append(_report(one, way, results, min_iou))
        notes += (*one.notes, *_notes(one, way, results, min_iou, compared=source is not None))
    return VerifyReport(tuple(sorted(reports, key=lambda report: report.tree)), notes)


def _way(tree: LabelTree, source: Source | None, seen_by: str | None) -> _Way:
    found = find_format(tree.kind)
    return _Way(tree.kind, found.holds_in(tree), expects_photos(tree), settings_of(tree, source), seen_by)


def _notes(one: TreeUnderTest, way: _Way, results: Results, min_iou: float, *, compared: bool) -> tuple[str, ...]:
    """What could not be checked in a tree, and why."""
    notes, tree = [], one.tree
    if way.settings.min_iou < min_iou:
        notes.append(f"{tree.root} was converted with --min-iou {way.settings.min_iou:g}: verify it with the same")
    if tree.manifest is not None and (covered := covered_note(tree.manifest)):
        notes.append(f"{tree.root}: {covered}")
    if results.pasted:
        told = f"{len(results.pasted)} image(s) that show something were pasted back from {results.images} tiles"
        notes.append(f"{tree.root}: {told}: min IoU {min(results.pasted):.4f}")
    if results.rectangles:
        notes.append(
            f"{tree.root}: {results.rectangles} objects of {results.drawn} images have a box and no mask in the "
            "source: their rectangles were compared, and are exact to nothing"
        )
    elif compared and results.images and results.silent and not one.failures:
        notes.append(
            f"{tree.root}: nothing was compared: neither it nor the source shows a defect, in {results.images} images"
        )
    return tuple(notes)


def _work(trees: Sequence[TreeUnderTest], source: Source | None) -> Sequence[Match]:
    """The labels to check, image by image; what the source has and a whole tree lacks is a failure.

    What it has and a tree of ours was never given is a note.
    """
    matches = match_records([one.tree for one in trees], source)
    for one, lost in zip(trees, matches.missing, strict=True):
        if lost and (one.tree.manifest is None or (_images_said(one.tree) or 0) > len(one.tree)):
            one.failures.append(
                f"{one.tree.root}: {len(lost)} of the source's {matches.images} images are missing: {_first(lost)}"
            )
        elif source is not None and (unsaid := unsaid_images(one.tree, source, lost)):
            what = f"{len(unsaid)} image(s) of the source are not in this tree ({_first(unsaid)})"
            one.notes.append(f"{one.tree.root}: {what}: 'defectkit convert ROOT OUT --resume' adds those that are new")
    return matches.found


def _first(keys: Sequence[str]) -> str:
    return ", ".join(keys[:WORST]) + (", ..." if len(keys) > WORST else "")


def _images_said(tree: LabelTree) -> int | None:
    """Images that a manifest speaks of; None without one, and where good images leave no trace."""
    if tree.manifest is None:
        return None
    if not find_format(tree.kind).tells_good and tree.manifest["options"]["images"] == "none":
        return None
    return sum(int(counts["images"]) for counts in tree.manifest["subsets"].values())


def _check_sample(match: Match, ways: Sequence[_Way], compare: bool, least: float) -> list[Checked]:
    """Check all the labels of one image, and its image files."""
    expected: _Truths = {}
    omitted = omissions(match, [way.settings for way in ways])
    results = [Checked(number, 0, (told,)) for number, told in omitted]
    photos = TilePhotos(match.member) if match.member is not None else None
    for number, record in match.records:
        way = ways[number]
        truth = _truth(match.member, way.settings, expected) if match.member is not None else None
        window = None
        if way.settings.tiles is not None and isinstance(truth, LabelledImage):
            size = truth.width, truth.height
            window = window_in(record.sample.key, *size, way.settings.tiles)
            truth = "" if window is None else cut_labels(truth, window).image  # what no tile is, `_pasted` names
        if isinstance(truth, str) or (truth is None and compare):
            unknown = () if truth == "" else (truth or f"{record.sample.key}: is not in the source",)
            checked = Checked(number, 0, unknown)
        else:
            try:
                checked = _check_record(number, record, truth, way, least)
            except ToolkitError as error:
                checked = _wrong(number, record, way, 0, (error.with_flags,))
        if not way.photos:
            photo = None
        elif window is not None and photos is not None:
            photo = photos.check(record, window, size)
        else:
            photo = check_photo(record, match.member if way.settings.tiles is None else None)
        results.append(checked._replace(photo=photo))
    return _pasted(results, match, ways, expected, least)


def _pasted(
    results: list[Checked], match: Match, ways: Sequence[_Way], expected: _Truths, least: float
) -> list[Checked]:
    """The results of an image; where a tree has tiles of it, the last of them says what these are together."""
    for number in {number for number, _ in match.records if ways[number].settings.tiles is not None}:
        way, records = ways[number], [record for other, record in match.records if other == number]
        truth = _truth(match.member, way.settings, expected) if match.member is not None else None
        if way.settings.tiles is None or not isinstance(truth, LabelledImage):
            continue
        if not way.format.tells_classes:
            truth = truth.binary()
        failures = missing_tiles(records, truth, way.settings.tiles, selected=bool(way.settings.selection))
        try:
            pasted = paste_back(records, truth, way.settings.tiles, way.format, way.holds)
        except ToolkitError:
            pasted = None  # which was said of the tile that cannot be read
        if pasted is not None and pasted.iou < least and way.settings.min_iou == 1:
            told = f"IoU {pasted.iou:.4f}, {pasted.lost} px lost, {pasted.gained} gained"
            failures.append(f"{truth.key}: pasted back from its tiles is not what the source shows ({told})")
        place = max(place for place, one in enumerate(results) if one.tree == number)
        last = results[place]
        iou = None if pasted is None else pasted.iou
        results[place] = last._replace(failures=(*last.failures, *failures), pasted=iou)
    return results


_Truths = dict[tuple[Any, ...], LabelledImage | str]
"""What labels should say by the settings that they were made with, or why that cannot be read."""


def _truth(member: Member, settings: Settings, known: _Truths) -> LabelledImage | str:
    """What the labels of an image should say. The image is read once for all trees whose settings allow it."""
    how = (settings.grouping, settings.min_area, settings.threshold, settings.selection)
    named, own = known.get(("defect", *how)), (settings.scheme, *how)
    if own not in known and settings.scheme == "binary" and named is not None:
        known[own] = named if isinstance(named, str) else named.binary()
    if own not in known:
        try:
            known[own] = read_selected(member, settings).labelled.image
        except ToolkitError as error:
            known[own] = "; ".join(str(problem) for problem in error.problems)
    return known[own]


def _wrong(number: int, record: LabelRecord, way: _Way, objects: int, failures: tuple[str, ...]) -> Checked:
    """An image whose labels cannot be compared, and should be."""
    fidelity = ImageFidelity(0.0, record.sample.key, 0, 0) if way.holds == "pixels" else None
    return Checked(number, objects, failures, fidelity, right=False)


def _check_record(number: int, record: LabelRecord, truth: LabelledImage | None, way: _Way, least: float) -> Checked:
    """Check the labels of one image in one tree, with the truth or, without one, by themselves."""
    found, key = way.format, record.sample.key
    scheme: ClassScheme = "defect" if found.tells_classes else "binary"
    readings = record.readings(scheme, found.roundings, sized=False)
    shown = readings[0]
    objects = 1 if way.holds == "classes" else len(shown.instances)
    # Simplified rings keep the box and the area of the mask that they stand for.
    simplified = way.settings.min_iou < 1 and truth is not None and len(truth.instances) == len(shown.instances)
    described = truth.instances if simplified and truth is not None else shown.instances
    # What another program sees is compared with the source, and not with what the file says of itself.
    failures = [] if way.seen_by else found.self_faults(record, described)
    if truth is None:
        return Checked(number, objects, tuple(failures))
    if not found.tells_classes:
        truth = truth.binary()
    if (shown.width, shown.height) != (truth.width, truth.height):
        sizes = f"{shown.width} x {shown.height} pixels, the source is {truth.width} x {truth.height}"
        return _wrong(number, record, way, objects, (*failures, f"{key}: labelled as {sizes}"))
    compared = compare_image(found, way.holds, record, readings, truth, least)
    wanted = found.count(truth, way.settings) if way.holds == "pixels" else None
    if wanted is not None and objects != wanted:
        failures.append(f"{key}: {objects} labelled objects where the source has {wanted}")
    failures += compared.faults
    return Checked(number, objects, tuple(failures), compared.fidelity, compared.right, compared.rectangles)


def _check_manifest(one: TreeUnderTest, results: Results) -> None:
    """Check what a manifest says against what is there."""
    manifest, root = one.tree.manifest, one.tree.root
    if manifest is None:
        one.notes.append(f"{root}: {_NO_MANIFEST}")
        return
    path = root / "manifest.json"
    images = _images_said(one.tree)
    instances = sum(counts["instances"] for counts in manifest["subsets"].values())
    components = manifest["components"]
    if images is not None and images != len(one.tree):
        one.failures.append(f"{path}: says {images} images, {len(one.tree)} are there")
    if find_format(one.tree.kind).counts_instances and results.objects != instances:
        one.failures.append(f"{path}: says {instances} instances, {results.objects} are there")
    if components["found"] != components["written"] + len(components["skipped"]):
        one.failures.append(f"{path}: components found are not those written and those skipped")
    if manifest["options"].get("tiles"):
        one.failures.extend(tile_faults(one.tree))
    if find_format(one.tree.kind).labels_sha256(root) != manifest["labels_sha256"]:
        one.failures.append(f"{path}: the label files are not those that were written (labels_sha256)")


def _check_closing(one: TreeUnderTest, way: _Way) -> None:
    """Check that the dataset files of a tree still lead to its folders and have its classes."""
    manifest = one.tree.manifest
    if manifest is None:
        return
    shape = way.format.shape(way.settings, [name for name in SUBSETS if name in manifest["subsets"]])
    for name, content in shape.closing:
        path = one.tree.root / name
        if name.endswith(".yaml") or (name.endswith(".json") and path.is_file()):  # older trees have no JSON
            parse, read = (parse_yaml, yaml.safe_load) if name.endswith(".yaml") else (parse_json, orjson.loads)
            try:
                written, there = read(content), parse(path, "convert again")
            except ToolkitError as error:
                one.failures.append(error.with_flags)
                continue
            changed = [key for key, value in written.items() if not isinstance(there, dict) or there.get(key) != value]
            if changed:
                one.failures.append(f"{path}: {', '.join(changed)} is not what was written")


def _check_photos(one: TreeUnderTest, photos: PhotoTally) -> None:
    """Check that the image files are there, and are those of the source."""
    faults, note = photo_faults(one.tree, photos)
    one.failures.extend(faults)
    one.notes.extend([note] if note else [])


def _report(one: TreeUnderTest, way: _Way, results: Results, min_iou: float) -> TreeReport:
    """Put the results of one tree together."""
    ious, worst = results.ious, tuple(results.worst)
    failures = one.failures + results.failures
    if worst and worst[0].iou < min_iou:
        below = sum(iou < min_iou for iou in ious)
        shown = ", ".join(f"{w.key} ({w.iou:.4f}, {w.lost} px lost, {w.gained} gained)" for w in worst)
        failures.insert(0, f"{one.tree.root}: {below} images below IoU {min_iou:g}; the worst: {shown}")
    return TreeReport(
        tree=one.tree.root,
        kind=one.tree.kind,
        images=results.images,
        compared=results.compared,
        min_iou=min(ious, default=None),
        mean_iou=sum(ious) / len(ious) if ious else None,
        exact=results.exact,
        worst=worst,
        failures=tuple(failures),
    )
