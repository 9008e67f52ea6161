"""A dataset's masks, or the labels of a tree as they were written, as the items of a gallery.

Labels of a tree are compared with their source, as `verify` does it; but small components that a conversion was told
to leave out count as lost here, since a viewer asks what the mask holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from converters.formats.base import Holds, Settings
from converters.formats.label_tree import LabelRecord, LabelTree
from converters.formats.registry import find_format, read_manifest
from converters.merging import SourcesLike, roots_of, shared_paths
from converters.origins import source_remarks
from converters.recognition import reading_of
from converters.sources import LayoutLike, Member, Source, open_source, read_labels, trees_in
from converters.verification.matching import find_source, match_records, settings_of
from converters.viewing.as_written import read_shown
from converters.viewing.mapped import Places, mapped
from converters.viewing.suspected import suspected
from converters.viewing.views import Views
from converters.writing.selection import selection_words
from toolkit.dataset.samples import Sample, image_class
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.parallel import shared_path
from toolkit.files.portable import relative_path
from toolkit.files.reach import check_links
from toolkit.files.staging import check_apart
from toolkit.gallery import GalleryItem, GalleryPage, GalleryReport, Shapes, Shown, Words, build_gallery
from toolkit.gallery.building import choose
from toolkit.gallery.sheets import check_sheet, write_sheet
from toolkit.imaging.images import is_image

__all__ = ["Views", "open_shown", "open_views", "view"]

_SHAPES: dict[Holds, Shapes] = {
    "pixels": "pixels",
    "boxes": "boxes",
    "oriented boxes": "oriented",
    "classes": "classes",
}
_WITHOUT: dict[Shapes, tuple[str, tuple[str, ...]]] = {
    "pixels": ("", ()),
    "boxes": ("these labels are boxes, which have no", ("fill", "outline", "oriented")),
    "oriented": ("these labels are oriented boxes, which have no", ("fill", "outline", "box")),
    "classes": ("these labels name a class for the whole image, and have no", ("fill", "outline", "box", "oriented")),
}
_SAID = {"fill": "pixels to fill", "outline": "outline", "box": "upright box", "oriented": "oriented box"}
_OWN: dict[Shapes, str] = {"pixels": "masks", "boxes": "boxes", "oriented": "oriented boxes", "classes": "classes"}
_COMPARED: dict[Shapes, str] = {
    "pixels": "masks and classes, pixel by pixel",
    "boxes": "classes and boxes, to a hundredth of a pixel; not the pixels in them, of which boxes say nothing",
    "oriented": "classes, and whether each box holds all pixels of its object; not how tightly, nor the pixels in it",
    "classes": "the class of the image; not where anything is, of which classes say nothing",
}
_ITSELF = "the labels shown are the source {} themselves"
_NO_SOURCE = "no source to compare with: name it with --against ROOT"
_IMAGELESS = "the tree was written without images: those of the source are shown"


def view(
    path: str | Path,
    out: str | Path | None = None,
    *,
    limit: int | None = None,
    against: SourcesLike | None = None,
    categories: Sequence[str] = (),
    sheet: str | Path | None = None,
    layout: LayoutLike = None,
    suspects: str | Path | None = None,
    places: Places | None = None,
    workers: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[GalleryReport, Views]:
    """Draw a dataset's masks, or a tree's labels as they were written, into a gallery.

    Args:
        path: a dataset root, a label tree, or a folder of trees, of which the one that tells the most is shown.
        out: folder of the gallery; by default the name of `path` and "-gallery", in the current folder.
        limit: show so many images: an even sample over classes and subsets, with `suspects` the most suspicious.
        against: the source of a tree, or a list of several; by default what its manifest names.
        categories: show these products only.
        sheet: also draw a contact sheet, a PNG.
        layout: how a dataset is laid out, `path` or what it is compared with; found by itself if None.
        suspects: the table of `describe --suspects`: the most suspicious labels then come first.
        places: what puts the images on a plane, such as `finetune.embed`: the gallery then has a map of them.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers then do the work.
        overwrite: replace an earlier gallery (and sheet).
        resume: go on where an interrupted run stopped.
        progress: called with (done, total).

    Raises:
        ToolkitError: there is nothing to show at `path`, or `out` or `sheet` is in the way or cannot be written.
    """
    given = None if against is None else shared_paths(against, cluster)
    views = open_views(shared_path(path, cluster), given, categories, layout)
    views = views if suspects is None else suspected(views, Path(suspects))
    views = views if places is None else mapped(views, places)
    out = Path(out) if out is not None else Path(f"{Path(path).resolve().name or 'dataset'}-gallery")
    check_apart(out, views.source.root)
    shows = {**source_remarks(views.source, out), "categories": list(categories)}
    if sheet is not None:
        check_sheet(Path(sheet), replace_it=overwrite or resume)
    report = build_gallery(
        views.items,
        out,
        replace(views.page, shows=shows),
        limit=limit,
        workers=workers,
        cluster=cluster,
        overwrite=overwrite,
        resume=resume,
        progress=progress,
    )
    if sheet is not None:
        write_sheet(choose(views.items, limit), Path(sheet), views.page, limit)
    return report, views


def open_views(
    path: str | Path,
    against: SourcesLike | None = None,
    categories: Sequence[str] = (),
    layout: LayoutLike = None,
) -> Views:
    """What there is to see at a path; labels are read when an item is loaded.

    Args:
        path, against, categories, layout: as for `view`.

    Raises:
        ToolkitError: there is nothing, or `against` is no dataset, or a category is not there.
    """
    shown, notes = open_shown(Path(path), layout, compared=against is not None)
    if shown.tree is None:
        views = _of_dataset(shown.only(categories) if categories else shown)
    else:
        views = _of_tree(shown, shown.tree, against, categories, layout)
    return replace(views, notes=(*notes, *views.notes))


def open_shown(path: Path, layout: LayoutLike, *, compared: bool = False) -> tuple[Source, tuple[str, ...]]:
    """What stands at a path, and what to say of the choice; of several trees the one that tells the most.

    Raises:
        ToolkitError: nothing does.
    """
    check_links(path)
    if path.is_dir() and read_manifest(path) is not None:
        return open_source(read_labels(path)), ()
    manifests = {folder: read_manifest(folder) for folder in trees_in(path)} if path.is_dir() else {}
    kinds = {folder: manifest["format"] for folder, manifest in manifests.items() if manifest is not None}
    if not kinds:
        told = read_labels(path, reading=reading_of(layout), strict=False) if compared else path
        return open_source(told, layout), ()
    best = min(kinds, key=lambda folder: (find_format(kinds[folder]).rank, folder.name))
    others = ", ".join(folder.name for folder in kinds if folder != best)
    note = f"{path} holds {len(kinds)} label trees; {best.name} is shown, name another one to see it: {others}"
    return open_source(read_labels(best)), (note,) if others else ()


def _of_dataset(source: Source) -> Views:
    classes = tuple(source.classes())
    settings = Settings(classes=classes)
    items = [
        GalleryItem(
            key=member.sample.key,
            subset=member.sample.split,
            product=member.sample.category,
            image_class=image_class(member.sample, "defect"),
            image=member.sample.image,
            stamp=_lengths(mask.path for mask in member.sample.masks),
            load=partial(_masks_of, member, settings),
            count=partial(_counted, partial(_masks_of, member, settings)) if member.sample.labels else _none,
        )
        for member in source.members
    ]
    items += _faulty(source.layout_problems, source.root)
    shapes = _SHAPES[source.holds]
    reason, without = _WITHOUT[shapes]
    layers = {name: f"{reason} {_SAID[name]}" for name in without}
    layers |= dict.fromkeys(("source", "difference"), _ITSELF.format(_OWN[shapes]))
    words = Words(_name(source.root), f"{_OWN[shapes]} of the dataset")
    page = GalleryPage(words, classes, shapes, layers, (source.root,))
    return Views(source, page, _sorted(items), source.notes)


def _masks_of(member: Member, settings: Settings) -> Shown:
    """The labels of a sample, each component of a mask an instance."""
    return Shown(member.read(settings).image)


def _of_tree(
    shown: Source, tree: LabelTree, against: SourcesLike | None, categories: Sequence[str], layout: LayoutLike
) -> Views:
    source, notes = _source(tree, against, layout)
    settings = settings_of(tree, source)
    holds = find_format(tree.kind).holds_in(tree)
    shapes = _SHAPES[holds]
    items: list[GalleryItem] = []
    borrowed = False
    for match in match_records([tree], source).found:
        for _, record in match.records:
            true = match.member.sample if match.member is not None else None
            own = record.sample.image if record.sample.image.name and record.sample.image.exists() else None
            whole = true.image if true is not None and settings.tiles is None else None  # a tile is not all of it
            image = own or (whole if whole is not None and whole.exists() else None)
            borrowed |= image is not own
            items.append(
                GalleryItem(
                    key=record.sample.key,
                    subset=record.sample.split,
                    product=true.category if true is not None else record.sample.category,
                    image_class=record.sample.defect,
                    image=image,
                    stamp=_stamp(record, true),
                    load=partial(
                        read_shown, record, match.member, tree.kind, holds, settings, compare=source is not None
                    ),
                    count=partial(_counted, partial(_as_written, record)),
                )
            )
    _mark_missing(items, tree)
    items = _only(items, categories, tree.root)
    items += _faulty(tree.layout_problems, tree.root)
    layers = _layers(shapes, source)
    told = (*_remarks(settings, tree, source, layers), *((_IMAGELESS,) if borrowed else ()))
    compared = " and ".join(map(_name, roots_of(source))) if source is not None else ""
    words = Words(_name(tree.root, 2), f"{tree.kind} labels", compared, told)
    roots = (tree.root, *(() if source is None else roots_of(source)))
    checked = _COMPARED[shapes] if source is not None else ""
    page = GalleryPage(words, tuple(tree.names), shapes, layers, roots, compared=checked)
    return Views(shown, page, _sorted(items), (*notes, *told, *tree.notes))


def _source(tree: LabelTree, against: SourcesLike | None, layout: LayoutLike) -> tuple[Source | None, tuple[str, ...]]:
    """What to compare a tree with, and a note where that is nothing."""
    try:
        source = find_source(against, [tree], layout)
    except ToolkitError as error:
        if against is not None:
            raise
        return None, (f"{_NO_SOURCE} ({error.with_flags})",)  # the one that the manifest names is no more
    return source, () if source is not None else (_NO_SOURCE,)


def _remarks(settings: Settings, tree: LabelTree, source: Source | None, layers: dict[str, str]) -> tuple[str, ...]:
    """What a conversion was told to do that shows as a difference; or why there is no difference."""
    if source is None or "difference" in layers:
        return () if source is None else (layers["difference"],)
    found = []
    drawn = (tree.manifest or {}).get("fidelity", {}).get("rectangles", 0)
    if drawn:
        found.append(f"{drawn} objects have a box and no mask in the source: their rectangles are exact to nothing")
    if settings.min_area:
        found.append(f"converted with --min-area {settings.min_area}: smaller components show as lost")
    if settings.selection:
        told = f"converted with {selection_words(settings.selection)}"
        lost = "larger components show as lost" if settings.selection.max_area else ""
        found.append(": ".join(part for part in (told, lost) if part))
    if settings.join_parts:
        found.append("converted with --join-parts: bridges between parts show as gained")
    if settings.min_iou < 1:
        found.append(f"converted with --min-iou {settings.min_iou:g}: simplified outlines differ from the masks")
    return tuple(found)


def _layers(shapes: Shapes, source: Source | None) -> dict[str, str]:
    """Layers that these labels, or their source, do not have, and why."""
    reason, without = _WITHOUT[shapes]
    layers = {name: f"{reason} {_SAID[name]}" for name in without}
    if source is None:
        return layers | {"source": _NO_SOURCE, "difference": _NO_SOURCE}
    if source.holds != "pixels":
        layers["source"] = f"the source has {_OWN[_SHAPES[source.holds]]}, and no masks"
    if shapes != "pixels":
        layers["difference"] = f"{reason} pixels to compare with the source; what they get wrong is listed as a problem"
    return layers


def _mark_missing(items: list[GalleryItem], tree: LabelTree) -> None:
    """Where a tree has images but for some of them, those that are missing are a problem."""
    if tree.manifest is not None and tree.manifest["options"]["images"] == "none":
        return
    if not any(item.image is not None for item in items):
        return
    for place, entry in enumerate(items):
        if entry.image is None:
            items[place] = replace(entry, load=partial(_without_image, entry))


def _without_image(item: GalleryItem) -> Shown:
    shown = item.load()
    return replace(shown, problems=(*shown.problems, Problem(item.key, "its image is not there", "put it back")))


def _faulty(problems: Sequence[Problem], root: Path) -> list[GalleryItem]:
    """Files that belong to no image, or to one that lacks something: each a tile with its problem."""
    return [
        GalleryItem(
            key=relative_path(Path(problem.file), root),
            subset="",
            product="",
            image_class="",
            image=Path(problem.file) if is_image(Path(problem.file).name) else None,
            stamp=problem.problem,
            load=partial(_raise, problem),
            count=_none,
        )
        for problem in problems
    ]


def _raise(problem: Problem) -> Shown:
    raise BadInputError([problem])


def _none() -> int:
    return 0


def _as_written(record: LabelRecord) -> Shown:
    return Shown(record.labelled())


def _counted(load: Callable[[], Shown]) -> int:
    try:
        return len(load().labelled.instances)
    except ToolkitError:
        return 0


def _only(items: list[GalleryItem], categories: Sequence[str], root: Path) -> list[GalleryItem]:
    """The items of some products.

    Raises:
        ToolkitError: a category is not there.
    """
    there = sorted({item.product for item in items})
    unknown = [name for name in categories if name not in there]
    if unknown:
        raise ToolkitError(root, f"has no category {unknown[0]!r}", f"it has: {', '.join(there) or 'none'}")
    return [item for item in items if item.product in categories] if categories else items


def _sorted(items: list[GalleryItem]) -> tuple[GalleryItem, ...]:
    return tuple(sorted(items, key=lambda item: item.key))


def _lengths(files: Iterable[Path]) -> str:
    """Lengths of files, -1 for those that are not there."""
    return ",".join(str(path.stat().st_size) if path.is_file() else "-1" for path in files)


def _stamp(record: LabelRecord, true: Sample | None) -> str:
    """What tells the labels of an image from others: a digest of what the tree's own file says, lengths of the rest."""
    payload = record.payload
    path, rest = payload if isinstance(payload, tuple) else (payload, "")
    own = isinstance(path, str) and not (rest and path.endswith(".json"))  # else it is that of many
    files = [Path(path)] if own else []
    said = hashlib.sha256(repr(rest).encode(errors="backslashreplace")).hexdigest() if rest else ""
    return f"{_lengths([*files, *((mask.path for mask in true.masks) if true is not None else ())])} {said}"


def _name(root: Path, parts: int = 1) -> str:
    """The last parts of a folder's path as text."""
    return "/".join(root.resolve().parts[-parts:]).encode(errors="backslashreplace").decode()
