"""Which images a finished run is evaluated on: its own again, or others, less those whose bytes it was trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from converters.sources import LayoutLike, Source, SourceLike, open_source
from finetune.engine.config import read_settings
from finetune.engine.facts import Facts
from finetune.engine.remarks.depth import tell_depth
from finetune.engine.remarks.inputs import left_out, without_faults
from finetune.engine.remarks.seen import SEEN, SeenImage, named, read_seen
from finetune.engine.remarks.telling import tell
from finetune.engine.remarks.tested import file_digests, tell_copies, tell_relabelled
from finetune.engine.runs import Run, split_sha256
from finetune.engine.splits import ImageRecord, ImageRecords, check_layout
from toolkit.dataset.samples import Sample
from toolkit.dataset.splits import NONE
from toolkit.errors import Problem, ToolkitError
from toolkit.files.digests import file_digest
from toolkit.geometry.tiles import image_of_tile

__all__ = ["evaluated_examples", "trained_examples"]

_ALSO = ", or on tiles or photos of the same names"


def evaluated_examples(
    run: Run,
    data: SourceLike | None,
    opened: Callable[[Path], ImageRecords],
    *,
    layout: LayoutLike = None,
    masked: bool = False,
) -> tuple[Source, list[ImageRecord]]:
    """The images that a run is evaluated on, and the source of their labels, opened once.

    Of the data that it was trained on, wherever that stands now, they are those that its metrics are of. Of other data
    they are all, whatever their names, less those whose very bytes it was trained on, and those that have a photo in
    common with it by their keys, as tiles do; which is told. So is what else may surprise: copies, labels that changed,
    deep photos.

    Args:
        run: what was trained. Where `on_problem` is "skip", for its own data also in its settings, images at fault are
            left out, and told.
        data: None for the data that it was trained on.
        opened: opens and splits data as the training did.
        layout: of the data that it was trained on; other data may be laid out so, or as `open_source` finds.
        masked: whether an image without masks is at fault.

    Raises:
        ToolkitError: the data is at fault, or is not as it was, or the run was trained on all of it.
    """
    skip = run.on_problem == "skip" or (data is None and _settings(run).get("on_problem") == "skip")
    source, chosen = _chosen(run, data, opened, layout, skip)
    if skip:
        chosen = without_faults(chosen, source, masked=masked)
        if not chosen:
            raise ToolkitError(source.root, "all of its images are at fault", "look at them with --on-problem fail")
    tell_copies(chosen)
    tell_depth(run, (one.image for one in chosen))
    return source, chosen


def _chosen(
    run: Run, data: SourceLike | None, opened: Callable[[Path], ImageRecords], layout: LayoutLike, skip: bool
) -> tuple[Source, list[ImageRecord]]:
    told, seen = run.facts(Facts), read_seen(run)
    place = Path(told.data) if data is None else data
    source = open_source(place, layout) if data is None else _opened(place, layout)
    if seen is None and data is None:
        return source, _as_before(told, opened(Path(told.data)), source.root)
    if seen is None:
        seen = _seen_before(told, opened)
    if seen is None:
        return source, _by_names(told, source, opened, skip)
    every = every_example(_of_run(run, source) if data is None else source, skip=skip)
    if data is None:
        return source, _as_it_was(every, seen, told.metrics_of, source.root, skip)
    return source, _unseen(every, seen, told.metrics_of, _categories(run), source.root)


def every_example(source: Source, *, skip: bool = False) -> list[ImageRecord]:
    """All images of a dataset root, a category folder or a label tree, whatever their subset.

    Args:
        source: the data.
        skip: leave out what is at fault with its layout, and images that are missing; which is told.

    Raises:
        ToolkitError: there are such.
    """
    samples: Sequence[Sample] = [sample for sample in source.dataset if sample.kind != "unlabelled"]
    missing = [sample for sample in samples if not sample.image.is_file()]
    remedy = "convert with --images hardlink"
    if skip:
        gone = [Problem(one.key, "has no image file", remedy) for one in missing]
        for note in left_out([*source.layout_problems, *gone], len(source.layout_problems) + len(gone)):
            tell("note", note)
        kept = {one.key for one in samples} - {one.key for one in missing}
        samples = [one for one in samples if one.key in kept]
    else:
        check_layout(source)
        if missing:
            raise ToolkitError(source.root, f"has no image file for {missing[0].key}", remedy)
    return [ImageRecord(one.key, one.image, one.defect, one.category, one.split) for one in samples]


def _as_it_was(
    every: Sequence[ImageRecord], seen: Mapping[str, SeenImage], subset: str, root: Path, skip: bool
) -> list[ImageRecord]:
    """The images of the data of a training that its metrics are of; all that it used must still be there."""
    there = {one.key: one for one in every}
    used = {key: one for key, one in seen.items() if one.subset != NONE and (key in there or not skip)}
    for key, one in used.items():
        if key not in there:
            raise ToolkitError(root, f"is not as it was: {key} is gone", "name the data")
        if one.subset == subset and file_digest(there[key].image) != one.sha256:
            raise ToolkitError(root, f"is not as it was: {key} is another image", "name the data")
    tell_relabelled(
        (there[key], {one.label})
        for key, one in used.items()
        if there[key].label == one.label or one.subset == subset or file_digest(there[key].image) == one.sha256
    )
    return [replace(there[key], subset=subset) for key, one in used.items() if one.subset == subset]


def _unseen(
    every: Sequence[ImageRecord], seen: Mapping[str, SeenImage], subset: str, categories: Sequence[str], root: Path
) -> list[ImageRecord]:
    """Of the images of other data those that a run was not trained on, by the bytes of their files; which is told."""
    digests = dict(zip((one.key for one in every), file_digests([one.image for one in every]), strict=True))
    labels: dict[str, set[str]] = defaultdict(set)
    for row in seen.values():
        if row.subset != NONE:
            labels[row.sha256].add(row.label)
    tell_relabelled((one, labels[digests[one.key]]) for one in every if digests[one.key] in labels)
    own = {one.sha256: one.subset for one in seen.values()}
    if own and set(own) == {digests[one.key] for one in every if not categories or one.category in categories}:
        tested = [replace(one, subset=subset) for one in every if own.get(digests[one.key]) == subset]
        tell("note", f"{root} is the data that the run was trained on: its {len(tested)} {subset} images are evaluated")
        return tested
    shown = _shown_by_tiles([one.key for one in every], seen)
    trained = [one.key for one in every if own.get(digests[one.key]) in SEEN or one.key in shown]
    known = {*trained}
    left = [one for one in every if one.key not in known]
    if not every:
        raise ToolkitError(root, "holds no image with a label", "label some, or look at it with 'defectkit predict'")
    if not left:
        also, way = (_ALSO, ", or give what shows something else other names") if shown else ("", "")
        problem = f"the run was trained on all of its {len(every)} images{also}"
        raise ToolkitError(root, problem, f"name data that it has not seen{way}")
    how = _ALSO if shown else ", by the bytes of their files"
    told = f"{len(left)} of {len(every)} images of {root} are evaluated: the run was trained on the others{how}"
    tell("note", f"{told} ({named(trained)})" if trained else f"all {len(left)} images of {root} are evaluated")
    photos = {found[0] for key in seen if (found := image_of_tile(key)) is not None}
    if photos and not any(_photo(one.key) in photos for one in every):
        problem = "the run was trained on tiles, and none of these images is called as a photo that they are of"
        tell("note", f"{problem}: see to it that it has not seen them under other names")
    return left


def _shown_by_tiles(keys: Sequence[str], seen: Mapping[str, SeenImage]) -> set[str]:
    """Of some images those that show what a run was trained on though their bytes differ, since one is a tile.

    A photo and a tile of it, or tiles that were cut in other ways, have the photo's key in common.
    """
    used = [key for key, one in seen.items() if one.subset in SEEN]
    parts = {_photo(key) for key in used if image_of_tile(key) is not None}
    every = parts.union(used)
    return {key for key in keys if key in parts or (image_of_tile(key) is not None and _photo(key) in every)}


def _photo(key: str) -> str:
    """Key of the photo that an image is, or is a tile of."""
    found = image_of_tile(key)
    return key if found is None else found[0]


def _seen_before(told: Facts, opened: Callable[[Path], ImageRecords]) -> Mapping[str, SeenImage] | None:
    """What a run of an older version was trained on: its data is hashed, if that is where and as it was."""
    try:
        own = opened(Path(told.data))
    except ToolkitError:
        return None
    if split_sha256(own.subsets) != told.split_sha256:
        return None
    return {one.key: SeenImage(key=one.key, subset=one.subset, sha256=file_digest(one.image)) for one in own.examples}


def trained_examples(run: Run, opened: Callable[[Path], ImageRecords]) -> ImageRecords:
    """The images of the data that a run was trained on, split as they were then.

    Args:
        run: what was trained.
        opened: opens and splits data as the training did.

    Raises:
        ToolkitError: the data is at fault, or is not as it was.
    """
    told = run.facts(Facts)
    found = opened(Path(told.data))
    if split_sha256(found.subsets) != told.split_sha256:
        remedy = "train again, or choose a threshold yourself (--threshold X)"
        raise ToolkitError(told.data, "is not as it was: other images or another split", remedy)
    return found


def _as_before(told: Facts, own: ImageRecords, root: Path) -> list[ImageRecord]:
    """The images that the metrics of a run of an older version are of."""
    if split_sha256(own.subsets) != told.split_sha256:
        raise ToolkitError(root, "is not as it was: other images or another split", "name the data")
    return own.subset(told.metrics_of)


def _by_names(told: Facts, source: Source, opened: Callable[[Path], ImageRecords], skip: bool) -> list[ImageRecord]:
    """Other data for a run of an older version whose own is gone: only names can tell whether it is the same."""
    with suppress(ToolkitError):
        own = opened(source.root)
        if split_sha256(own.subsets) == told.split_sha256:
            tested = own.subset(told.metrics_of)
            tell(
                "note",
                f"{source.root} is taken for the data that the run was trained on, by the names of its images: its "
                f"{len(tested)} {told.metrics_of} images are evaluated",
            )
            return tested
    every = every_example(source, skip=skip)
    tell(
        "note",
        f"all {len(every)} images of {source.root} are evaluated; the run was made by an older version, and does not "
        "say whether it was trained on some of them",
    )
    return every


def _categories(run: Run) -> list[str]:
    """The products that a run was trained on; none for all that there were."""
    told = _settings(run).get("categories") or []
    return [told] if isinstance(told, str) else list(map(str, told)) if isinstance(told, list) else []


def _settings(run: Run) -> Mapping[str, object]:
    return read_settings(run.root / "config.yaml")


def _of_run(run: Run, source: Source) -> Source:
    """The products of the data of a training that a run was trained on."""
    categories = _categories(run)
    return source.only(categories) if categories else source


def _opened(place: SourceLike, layout: LayoutLike) -> Source:
    """Other data, laid out as the data of the training was, or in a way that is found by itself."""
    if layout is not None:
        with suppress(ToolkitError):
            return open_source(place, layout)
    return open_source(place)
