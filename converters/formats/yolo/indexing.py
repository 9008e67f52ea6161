"""Index of a YOLO tree, ours or another tool's: its images, their label files, and what is odd about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from converters.formats.base import Reading
from converters.formats.label_tree import FoundImage, LabelRecord, LabelTree, make_records, packed_images
from converters.formats.manifest import ImageRow
from converters.formats.registry import read_manifest
from converters.formats.yolo.claims import Claim, Claims, claim_images
from converters.formats.yolo.description import TreeDescription, describe_tree
from converters.formats.yolo.places import TreeFiles
from converters.formats.yolo.reader import load_obb, load_yolo
from converters.formats.yolo.rows import LabelFile, RowCounts, RowForm, count_rows, looks_like_row
from converters.rasterize import Rounding
from toolkit.dataset.layouts.guessing.pairs import named_as_masks
from toolkit.dataset.samples import LabelKind
from toolkit.errors import Problem
from toolkit.files.typed import read_rows
from toolkit.geometry.labels import Instance
from toolkit.packed import Folders, Plain

__all__ = ["index_yolo"]

_LOADS: dict[str, tuple[Callable[[LabelRecord, Rounding], list[Instance]], LabelKind]] = {
    "yolo-detect": (load_yolo, "boxes"),
    "yolo-segment": (load_yolo, "masks"),
    "yolo-obb": (load_obb, "boxes"),
}


@dataclass
class _Tally:
    """What the label files of a tree hold together.

    Attributes:
        labels: label files that are there, paths below the root.
        places: folders in which label files were looked for.
        bare: folder -> images in it without a label file.
        unlabelled: these images.
        images: folder -> images in it.
        ids: class ids that occur.
        counts: sums over all files.
        mixed: files of boxes and polygons.
    """

    labels: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    bare: Counter[str] = field(default_factory=Counter)
    unlabelled: list[str] = field(default_factory=list)
    images: Counter[str] = field(default_factory=Counter)
    ids: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    mixed: int = 0

    def add(self, image: str, label: str, there: bool, counts: RowCounts) -> None:
        """Take an image and what its label file holds."""
        folder = image.rpartition("/")[0]
        self.images[folder] += 1
        self.places.add(label.rpartition("/")[0] or ".")
        if there:
            self.labels.add(label)
        else:
            self.bare[folder] += 1
            self.unlabelled.append(image)
        self.ids.update(counts.ids)
        self.mixed += bool(counts.boxes and counts.polygons)
        for name in ("boxes", "polygons", "quads", "posed", "repeated", "rows"):
            self.counts[name] += getattr(counts, name)


def index_yolo(root: Path, reading: Reading) -> LabelTree:
    """Index a tree of images and label files, by its dataset file or the files that stand for one.

    Raises:
        ToolkitError: these files are at fault, or none names the classes.
    """
    manifest = read_manifest(root)
    told = describe_tree(root, ours=manifest is not None)
    files = TreeFiles(root)
    claims = claim_images(files, told.document, may_lead_nowhere=told.darknet)
    tally = _Tally()
    payloads = _payloads(told.form)
    found = packed_images(payloads)
    found.extend(_found(claim, files, told, tally) for claim in claims.images.values())
    sizes = root / "images.csv"
    if manifest and sizes.is_file():
        found.extend(_without_images(root, sizes, told, tally))
    shared = _shared_labels(found, files.root, tally)
    if shared:
        several, found = found, packed_images(payloads)
        found.extend(one for one in several if one.payload.path not in shared)
    problems = [*_unread_labels(files, claims, tally), *(_shared(label, images) for label, images in shared.items())]
    problems += _masks_among(files, tally) if manifest is None else ()
    if found and not tally.labels:
        problems.append(_unlabelled(root, len(found), tally))
        bare, found = found, packed_images(payloads)
        found.extend(replace(one, kind="unlabelled") for one in bare)
    elif manifest is None and tally.labels and told.names and not tally.counts["rows"]:
        problems.append(_all_empty(told, tally))
    kind = manifest["format"] if manifest else _format_of(told, tally)
    load, default = _LOADS[kind]
    ordered = [told.names[number] for number in sorted(told.names)]
    notes = [] if manifest else [*told.notes, *claims.notes, *_notes(files, claims, told, tally, kind)]
    del files, claims, tally  # which are as large as what was found
    records = make_records(found, load, told.names, ours=manifest is not None, kind=default, payloads=payloads)
    return LabelTree(
        root, kind, dict.fromkeys(ordered), records, manifest=manifest, layout_problems=problems, notes=notes
    )


def _payloads(form: RowForm) -> Plain:
    folders = Folders()
    return Plain(lambda file: folders.told(file.path), lambda told: LabelFile(folders.text(told), form))


def _found(claim: Claim, files: TreeFiles, told: TreeDescription, tally: _Tally) -> FoundImage:
    label, there = files.label_of(claim.image)
    file = LabelFile(str(files.root / label), told.form)
    counts = count_rows(file) if there else RowCounts()
    tally.add(claim.image, label, there, counts)
    kind: LabelKind | None = "boxes" if counts.boxes and not counts.polygons else None
    image = files.root / claim.image
    return FoundImage(claim.subset, claim.name, image, file, _classes(counts, told), kind=kind)


def _shared_labels(found: Sequence[FoundImage], root: Path, tally: _Tally) -> dict[str, list[Path]]:
    """Label files that are there and that several images find, and these: names alone do not tell whose it is."""
    of: dict[str, list[Path]] = {}
    for one in found:
        of.setdefault(one.payload.path, []).append(one.image)
    there = {str(root / label) for label in tally.labels}
    return {label: images for label, images in of.items() if len(images) > 1 and label in there}


def _shared(label: str, images: Sequence[Path]) -> Problem:
    shown = " and ".join(_first(list(map(str, images))))
    return Problem(
        label, f"one label for {len(images)} images: {shown}", "rename one of them, and give it its own label"
    )


def _masks_among(files: TreeFiles, tally: _Tally) -> Iterator[Problem]:
    """That images without a label are called as the masks of others: as background they would be good images."""
    masks = set(named_as_masks(files.images)).intersection(tally.unlabelled)
    if masks:
        shown = ", ".join(_first(sorted(masks)))
        what = f"{len(masks)} image(s) without a label are called as masks of others: {shown}"
        yield Problem(str(files.root), what, "take them out, or give each a label file")


def _classes(counts: RowCounts, told: TreeDescription) -> tuple[str, ...]:
    return tuple(told.names.get(number, "") for number in counts.ids)


def _without_images(root: Path, table: Path, told: TreeDescription, tally: _Tally) -> Iterator[FoundImage]:
    """Images of a tree that was written without them, from its table of sizes."""
    for row in read_rows(table, ImageRow, "convert again"):
        stem = row.name.rpartition(".")[0]
        image = root / "images" / row.subset / row.name
        if image.exists():
            continue
        label = f"labels/{row.subset}/{stem}.txt"
        rows = LabelFile(str(root / label), told.form)
        counts = count_rows(rows)
        tally.add(f"images/{row.subset}/{row.name}", label, (root / label).is_file(), counts)
        size = (row.width, row.height)
        yield FoundImage(row.subset, stem, image, rows, _classes(counts, told), size)


def _format_of(told: TreeDescription, tally: _Tally) -> str:
    """Boxes where every row is one; oriented boxes where the tree says so; else polygons."""
    boxes, polygons = tally.counts["boxes"], tally.counts["polygons"]
    if not polygons:
        return "yolo-detect" if boxes else "yolo-segment"
    corners = not boxes and polygons == tally.counts["quads"]
    return "yolo-obb" if told.task == "obb" or (told.named_oriented and not told.task and corners) else "yolo-segment"


def _unlabelled(root: Path, images: int, tally: _Tally) -> Problem:
    """That no image has a label file: then none is good either, as one without a label file among others would be."""
    places = ", ".join(str(root / place) for place in _first(sorted(tally.places)))
    problem = f"none of its {images} images has a label file; looked in {places}"
    return Problem(str(root), problem, "put label files there; an empty one says that nothing is to be seen")


def _all_empty(told: TreeDescription, tally: _Tally) -> Problem:
    names = ", ".join(_first(list(told.names.values())))
    problem = f"names classes ({names}), and none occurs: all {len(tally.labels)} label files are empty"
    return Problem(str(told.file), problem, "fill the label files, or name no classes (names: []) in a data.yaml")


def _unread_labels(files: TreeFiles, claims: Claims, tally: _Tally) -> Iterator[Problem]:
    """Label files that no image has; those of images that were not read are told of with these."""
    if not tally.images:
        return
    others = {files.label_of(image)[0] for image in files.images if image not in claims.images}
    for text in files.texts:
        if text in tally.labels or text in claims.tables or text in others:
            continue
        path = files.root / text
        folders = text.split("/")[:-1]
        if any(folder.lower() == "labels" for folder in folders):
            yield Problem(str(path), "a label without an image", "put its image beside the others, or remove the label")
        elif "/".join(folders) in tally.images and looks_like_row(path.read_text("utf-8", errors="replace")):
            remedy = "put its image beside it, or remove the label"
            yield Problem(str(path), "a label that belongs to no image, or to one that has another", remedy)


def _notes(files: TreeFiles, claims: Claims, told: TreeDescription, tally: _Tally, kind: str) -> Iterator[str]:
    """What a user should know of another tool's tree: all that was left out, and all that could be meant otherwise."""
    counts, name = tally.counts, told.form.names_file
    for lost in claims.lost:
        yield f"{told.file} lists {lost}, which is not there"
    unread = Counter(image.rpartition("/")[0] for image in files.images if image not in claims.images)
    for folder, number in sorted(unread.items()):
        yield f"{number} image(s) in {files.root / folder} are in no folder and no list that {name} names: not read"
    if claims.doubled:
        yield f"{claims.doubled} image(s) are listed for two subsets; the first has them"
    if tally.labels:
        yield from _background(files.root, tally)
    absent = [shown for number, shown in sorted(told.names.items()) if number not in tally.ids]
    if absent and counts["rows"]:
        yield f"{name} names classes that do not occur: {', '.join(_first(absent, 10))}"
    for shown, number in Counter(told.names.values()).items():
        if number > 1:
            yield f"{name} names {number} classes {shown!r}, which are taken as one"
    yield from _row_notes(tally, kind)


def _background(root: Path, tally: _Tally) -> Iterator[str]:
    bare = sum(tally.bare.values())
    if bare:
        whole = f"{bare} of {sum(tally.images.values())} images have no label file"
        yield f"{whole}: taken as background, as ultralytics takes them"
    for folder, number in sorted(tally.bare.items()):
        if number == tally.images[folder]:
            yield f"none of the {number} image(s) in {root / folder} has a label file"


def _row_notes(tally: _Tally, kind: str) -> Iterator[str]:
    counts = tally.counts
    if counts["boxes"] and counts["polygons"]:
        among = f"{counts['boxes']} box(es) stand among {counts['polygons']} polygon(s), and have no mask"
        passed = f"; ultralytics passes over the {tally.mixed} file(s) that hold both" if tally.mixed else ""
        yield among + passed
    if kind == "yolo-segment" and counts["quads"] and counts["quads"] == counts["polygons"] and not counts["boxes"]:
        yield "all rows have four corners: read as polygons; if they are oriented boxes, write task: obb in data.yaml"
    if counts["posed"]:
        yield f"{counts['posed']} box(es) have keypoints (kpt_shape), which are passed over"
    if counts["repeated"]:
        yield f"{counts['repeated']} row(s) stand twice in their file: read once, as ultralytics reads them"


def _first(names: Sequence[str], most: int = 3) -> list[str]:
    """The first of some names, and how many more there are."""
    return [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]
