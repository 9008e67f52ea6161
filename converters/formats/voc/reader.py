"""Reading Pascal VOC trees, ours and other tools'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from converters.formats.base import Reading, VocBoxes
from converters.formats.label_tree import FoundImage, LabelTree, make_records
from converters.formats.registry import read_manifest
from converters.formats.voc.box_forms import Evidence, as_box, form_note
from converters.formats.voc.class_values import ClassValues, read_class_values
from converters.formats.voc.gathering import Gathered, ImageLabels, gather
from converters.formats.voc.loading import MapFile, Told, load_voc
from converters.formats.voc.map_forms import form_by_maps
from converters.formats.voc.segments import classes_in
from converters.formats.voc.subsets import Subsets, read_subsets
from toolkit.dataset.samples import LabelKind
from toolkit.errors import Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.imaging.limits import check_claimed_size

__all__ = ["index_voc"]

_SHOWN = 3
_SLACK = 0.01


_NOTES = {
    "foreign": "XML file(s) are no annotations of images, and are not read",
    "unsized": "annotation(s) tell no size: that of the image is taken",
    "outlines": "annotation(s) have polygons beside their boxes, which are not read",
    "beyond": "image(s) have boxes that reach beyond their border, where they are cut",
    "boxless": "image(s) show nothing but objects without a <bndbox>, and are unlabelled",
    "renamed": "annotation(s) name another image than that of their own name, which is taken",
}


def index_voc(root: Path, reading: Reading) -> LabelTree:
    """Index a Pascal VOC tree: XML files and label maps, wherever they lie below the root, and their images.

    Raises:
        ToolkitError: nothing tells what corners of boxes are, or its file of classes is at fault.
    """
    manifest = read_manifest(root)
    ours = manifest is not None
    seen = gather(root, ours=ours)
    used = {one.label for labels in seen.labels.values() if labels.told for one in labels.told.objects}
    values = read_class_values(root, used, ours=ours)
    form, why = _form(root, seen, reading, values, ours=ours)
    seen.problems += _class_faults(values, manifest)
    subsets = read_subsets(root, {path.stem for path in (*seen.labels, *seen.files.images)})
    found = list(_found(seen, values, form, subsets, reading, ours=ours))
    lost, listed = subsets.unmatched()
    seen.problems += [*subsets.problems, *lost, *_nothing_marked(root, seen, found, ours=ours)]
    names = list(values.classes) if values.path else []
    names += sorted({name for one in found for name in one.classes} - set(names))
    return LabelTree(
        root,
        "voc",
        names,
        make_records(found, load_voc, dict(enumerate(names)), ours=ours),
        manifest=manifest,
        layout_problems=seen.problems,
        notes=[] if ours else [*why, *listed, *_notes(seen, subsets, found)],
        reading=reading if ours else Reading(form if why else reading.voc_boxes, reading.without_label),
    )


def _form(
    root: Path, seen: Gathered, reading: Reading, values: ClassValues, *, ours: bool
) -> tuple[VocBoxes, list[str]]:
    """What corners of boxes are, and a note on it where there are any.

    Raises:
        ToolkitError: nothing tells.
    """
    told = [labels for labels in seen.labels.values() if labels.told is not None]
    if ours or (told and all(labels.told is not None and labels.told.ours for labels in told)):
        if reading.voc_boxes == "edges0":
            raise ToolkitError(root, "was written by defectkit, with pixels from 1", "leave --voc-boxes edges0 out")
        return "inclusive1", []
    evidence = Evidence()
    for labels in told:
        size = labels.size
        for one in labels.told.objects if labels.told is not None else ():
            if one.corners is not None:
                evidence.add(one.corners, size)
    if reading.voc_boxes is not None:
        return reading.voc_boxes, [form_note(reading.voc_boxes, ["as --voc-boxes says"])]
    if not evidence.boxes:
        return "inclusive1", []
    try:
        form, why = evidence.decide(root)
    except ToolkitError:
        by_maps = form_by_maps(told, values) if any(labels.maps for labels in told) else None
        if by_maps is None:
            raise
        form, why = by_maps
    return form, [form_note(form, [why, "--voc-boxes has the last word"])]


def _class_faults(values: ClassValues, manifest: object) -> Iterator[Problem]:
    """That the file of classes of a tree of ours is another one's."""
    if isinstance(manifest, dict) and list(values.classes) != list(manifest["classes"]):
        where = values.path
        what = "does not name the classes that were written" if where else "is not there: it names the classes"
        yield Problem(str(where or "labelmap.txt"), what, "convert again")


def _found(
    seen: Gathered, values: ClassValues, form: VocBoxes, subsets: Subsets, reading: Reading, *, ours: bool
) -> Iterator[FoundImage]:
    """The images of the tree, those without a label too."""
    root = seen.files.root
    for labels in sorted(seen.labels.values(), key=lambda labels: labels.image):
        subset = subsets.of_image(root, labels.image)
        if labels.xml is not None and labels.told is None:
            continue  # a problem of the tree
        try:
            yield _labelled(seen, labels, values, form, subset, ours=ours)
        except ToolkitError as error:
            seen.problems += error.problems
    for image in seen.files.images:
        if image not in seen.labels:
            kind: LabelKind = reading.without_label or "unlabelled"
            seen.note(kind, image)
            yield FoundImage(subsets.of_image(root, image), _stem(root, image), image, None, (), kind=kind)


def _labelled(
    seen: Gathered, labels: ImageLabels, values: ClassValues, form: VocBoxes, subset: str, *, ours: bool
) -> FoundImage:
    """An image with labels.

    Raises:
        ToolkitError: its maps cannot be read, or nothing tells its size.
    """
    objects = labels.told.objects if labels.told is not None else ()
    names = [one.label for one in objects]
    size = labels.told.size if labels.told is not None else None
    drawn = bool(labels.maps) and (ours or "object" in labels.maps)
    if "class" in labels.maps and not ours:
        shown, map_size = classes_in(labels.maps["class"], values)
        names, drawn = [*names, *shown], bool(shown)
        size = size or (map_size if not labels.there else None)
    if size is None and not labels.there:
        raise ToolkitError(labels.first, "tells no size of its image, which is not there", "write <size> into it")
    if size is not None:
        check_claimed_size(labels.image, *size)
    if not ours and _reaches_beyond(labels, form):
        seen.note("beyond", labels.first)
    told = Told(
        labels.xml is not None,
        tuple(MapFile(kind, str(path), file_digest(path)) for kind, path in labels.maps.items()),
        form,
        values if "class" in labels.maps else None,
    )
    kind: LabelKind | None = ("masks" if drawn else "boxes") if names else None
    if not ours and objects and not drawn and all(one.corners is None for one in objects):
        seen.note("boxless", labels.first)
        names, kind = [], "unlabelled"
    return FoundImage(
        subset, _stem(seen.files.root, labels.image), labels.image, (str(labels.first), told), tuple(names), size, kind
    )


def _stem(root: Path, image: Path) -> str:
    return image.relative_to(root).with_suffix("").as_posix()


def _reaches_beyond(labels: ImageLabels, form: VocBoxes) -> bool:
    """Whether a box of an image leaves it."""
    size = labels.size
    for one in labels.told.objects if labels.told is not None and size is not None else ():
        if one.corners is not None and size is not None:
            x0, y0, x1, y1 = as_box(one.corners, form)
            if min(x0, y0) < -_SLACK or x1 > size[0] + _SLACK or y1 > size[1] + _SLACK:
                return True
    return False


def _nothing_marked(root: Path, seen: Gathered, found: list[FoundImage], *, ours: bool) -> list[Problem]:
    """A problem where no label names an object, or none of those that do has a box: nothing found is never nothing."""
    if ours or not seen.labels:
        return []
    told = [one for labels in seen.labels.values() if labels.told for one in labels.told.objects]
    if told and not any(labels.maps for labels in seen.labels.values()) and all(one.corners is None for one in told):
        what = f"none of the {len(told)} objects in its XML files has a <bndbox>"
        return [Problem(str(root), what, "export boxes (xmin, ymin, xmax, ymax) from the tool that wrote them")]
    if any(one.classes for one in found) or seen.problems:
        return []
    return [
        Problem(str(root), "no annotation names an object", "name the folder that holds the labels of these images")
    ]


def _notes(seen: Gathered, subsets: Subsets, found: list[FoundImage]) -> Iterator[str]:
    """What a user should know of how the tree was read."""
    for what, text in _NOTES.items():
        if seen.counts[what]:
            yield f"{seen.counts[what]} {text}: {_named(seen, what)}"
    if seen.counts["lost"]:
        yield f"no image was found below {seen.files.root}: the labels of {seen.counts['lost']} images are read without"
    if seen.counts["unlabelled"]:
        what = f"{seen.counts['unlabelled']} image(s) have no annotation, and are taken as unlabelled"
        yield f"{what}: {_named(seen, 'unlabelled')}; --without-label good takes them as good"
    if seen.counts["good"]:
        yield f"{seen.counts['good']} image(s) have no annotation, and are taken as good, as --without-label says"
    for folder, count in seen.files.pictures.items():
        yield f"{folder.relative_to(seen.files.root).as_posix()}: {count} picture(s) of labels, which are not read"
    spare = subsets.unlisted((one.image for one in found), seen.files.root)
    if spare:
        shown = ", ".join(path.name for path in spare[:_SHOWN]) + (", ..." if len(spare) > _SHOWN else "")
        yield f"{len(spare)} image(s) are in no list of ImageSets, and are of the subset of their folders: {shown}"


def _named(seen: Gathered, what: str) -> str:
    paths = [path.relative_to(seen.files.root).as_posix() for path in seen.examples[what]]
    return ", ".join(paths) + (", ..." if seen.counts[what] > len(paths) else "")
