"""Items -> one folder with a page that needs no server: built in parallel, whole or not at all, and resumable.

Unfinished work lies beside the output in a hidden folder. Each finished image is a line of a file there, written after
the image's own files, so that a run that was killed goes on behind the last whole line.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import orjson
from pydantic import Field, ValidationError

from toolkit import __version__
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.links import link_or_copy
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_json
from toolkit.files.staging import Staging, check_free, staging
from toolkit.files.typed import Count, Finite, Record, Share, checked, parse_json
from toolkit.gallery.items import GalleryItem, GalleryPage, GalleryReport
from toolkit.gallery.pages import write_pages
from toolkit.gallery.rendering import Rendered, render
from toolkit.gallery.sampling import even_sample

__all__ = ["build_gallery", "choose"]


_LINES, _MARK, _BUILT = "lines.jsonl", "mark", "gallery"
_TOGETHER = 4  # images in a batch: each brings its thumbnail, and may bring a whole picture


def choose(items: Sequence[GalleryItem], limit: int | None) -> list[GalleryItem]:
    """All items, or `limit` of them: the most suspicious where any is, else an even sample over classes and subsets.

    Raises:
        ToolkitError: `limit` is below 1.
    """
    if limit is None:
        return list(items)
    if limit < 1:
        raise ToolkitError("--limit", f"{limit} is no number of images", "give 1 or more")
    doubts = [-1.0 if item.suspect is None else item.suspect.score for item in items]
    if any(doubt >= 0 for doubt in doubts):
        worst = sorted(range(len(items)), key=lambda place: (-doubts[place], place))[:limit]
        return [items[place] for place in sorted(worst)]
    return [items[place] for place in even_sample([(item.image_class, item.subset) for item in items], limit)]


def build_gallery(
    items: Sequence[GalleryItem],
    out: Path,
    page: GalleryPage,
    *,
    limit: int | None = None,
    workers: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> GalleryReport:
    """Build a gallery.

    Args:
        items: what there is to show, sorted by key.
        out: the folder to make.
        page: what stands around the items.
        limit: show an even sample of this many.
        workers, cluster: threads; or the address of a Dask scheduler, whose workers must see `page.roots`.
        overwrite: replace an earlier gallery.
        resume: go on where an interrupted run with the same items stopped.
        progress: called with (done, total).

    Raises:
        ToolkitError: there is nothing to show, or `out` is in the way or cannot be written. Nothing is left behind.
    """
    chosen = choose(items, limit)
    if not chosen:
        raise ToolkitError(page.words.title, "nothing to show", "check the folder and --category")
    mark = _fingerprint(chosen, page, (limit, len(items)))
    with staging(out, resumable=True) as stage:
        _check_free(out, overwrite=overwrite, resume=resume)
        if resume and (told := _told_of(out)) is not None and told.input_sha256 == mark:
            _remove_spent(stage, mark)
            return _report_of(out)
        built, done = _begin(stage, mark, resume=resume, overwrite=overwrite)
        spread = partial(ordered_map, workers=workers, cluster=cluster, batch=_TOGETHER, reads=page.roots)
        with open(stage.folder / _LINES, "ab") as lines:
            rendered = enumerate(spread(partial(render, page=page), chosen[done:]), done)
            _write_all(built, rendered, lines, len(chosen), progress)
        totals = len(items), sum(spread(_count, _others(items, chosen)))
        write_json(built / "manifest.json", write_pages(built, stage.folder / _LINES, page, totals, mark))
        stage.publish(built)
    return _report_of(out)


def _others(items: Sequence[GalleryItem], chosen: Sequence[GalleryItem]) -> list[GalleryItem]:
    kept = {item.key for item in chosen}
    return [item for item in items if item.key not in kept]


def _count(item: GalleryItem) -> int:
    return item.count()


def _fingerprint(items: Sequence[GalleryItem], page: GalleryPage, extent: tuple[int | None, int]) -> str:
    """SHA-256 of what goes into a gallery: names, settings, lengths of files."""
    about = (__version__, page.words, page.classes, page.shapes, page.layers, extent)
    digest = hashlib.sha256(f"{about}\n".encode(errors="backslashreplace"))
    for item in items:
        against = [told for told in (item.suspect, item.place) if told is not None]
        told = (item.key, item.subset, item.product, item.image_class, _length(item.image), item.stamp, *against)
        digest.update(f"{told}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()


def _length(image: Path | None) -> int:
    """Bytes of a file; -1 where there is none."""
    if image is not None:
        with suppress(OSError):
            return image.stat().st_size
    return -1


class _Told(Record):
    """The manifest of a gallery."""

    input_sha256: str
    images: Count
    images_found: Count
    instances: Count
    instances_found: Count
    problems: Count
    min_iou: Share | None


class _Mark(Record):
    label: str = Field(alias="class")


class _Tile(Record):
    marks: tuple[_Mark, ...] = ()


class _Line(Record):
    """What is kept of an image until all are rendered."""

    key: str
    subset: str
    product: str
    classes: list[str]
    instances: Count
    area: Finite | int
    size: list[int]
    iou: Share | None
    doubt: Finite | None
    suspect: Share | None
    place: list[Share] | None
    problems: list[str]
    image: str
    tile: _Tile


def _told_of(out: Path) -> _Told | None:
    """The manifest of a gallery; None where there is none.

    Raises:
        ToolkitError: it is damaged.
    """
    path, remedy = out / "manifest.json", "choose another folder with --out"
    if not path.is_file():
        return None
    told = parse_json(path, remedy)
    if not isinstance(told, dict) or told.get("format") != "gallery":
        return None
    return checked(_Told, told, path, remedy)


def _report_of(out: Path) -> GalleryReport:
    told = _told_of(out)
    if told is None:
        raise ToolkitError(out, "is no gallery any more: another program has changed it", "make it again")
    found = (told.images, told.images_found, told.instances, told.instances_found, told.problems, told.min_iou)
    return GalleryReport(out / "index.html", *found)


def _check_free(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse to write where something else stands.

    Raises:
        ToolkitError: `out` is a file, or holds what is no gallery; or a gallery that must not be replaced.
    """
    remedy = "choose another folder with --out, or add --overwrite (or --resume)"
    if check_free(out, overwrite=overwrite, resume=resume, remedy=remedy) and _told_of(out) is None:
        raise ToolkitError(out, "is no gallery that defectkit wrote", "choose another folder with --out")


def _begin(stage: Staging, mark: str, *, resume: bool, overwrite: bool) -> tuple[Path, int]:
    """The folder to build in, and how many images are in it already."""
    done = _resumed(stage.folder, mark, overwrite=overwrite) if resume else 0
    built = stage.begin(anew=not done) / _BUILT
    for name in ("images", "thumbs", "data/images", "assets"):
        (built / name).mkdir(parents=True, exist_ok=True)
    (stage.folder / _MARK).write_text(mark)
    return built, done


def _resumed(stage: Path, mark: str, *, overwrite: bool) -> int:
    """Images that an interrupted run has finished; what it wrote of the next one is cut off.

    Raises:
        ToolkitError: the unfinished work is of other files or settings, and must not be overwritten.
    """
    try:
        same = (stage / _MARK).read_bytes() == mark.encode()
        lines = (stage / _LINES).read_bytes()
    except OSError:
        return 0
    if same:
        whole = lines.rfind(b"\n") + 1
        if not _are_sound(lines[:whole]):
            return 0
        os.truncate(stage / _LINES, whole)
        return lines.count(b"\n")
    if overwrite:
        return 0
    raise ToolkitError(
        stage, "was begun with other files or settings", "repeat them, or leave out --resume to begin anew"
    )


def _are_sound(lines: bytes) -> bool:
    """Whether all that an interrupted run has kept can be used."""
    try:
        for line in lines.splitlines():
            _Line.model_validate_json(line)
    except ValidationError:
        return False
    return True


def _remove_spent(stage: Staging, mark: str) -> None:
    """Remove what a run left behind that was killed when its gallery stood in its place already."""
    with suppress(OSError):
        if (stage.folder / _MARK).read_text() == mark:
            stage.remove()


def _write_all(
    built: Path, results: Iterable[tuple[int, Rendered]], lines: IO[bytes], total: int, progress: Progress | None
) -> None:
    for number, rendered in results:
        _write(built, number, rendered, lines)
        if progress is not None:
            progress(number + 1, total)


def _write(built: Path, number: int, rendered: Rendered, lines: IO[bytes]) -> None:
    """The files of one image, and then its line."""
    name = f"{number:06}"
    picture = rendered.picture
    if picture is not None:
        (built / "thumbs" / f"{name}.webp").write_bytes(picture.thumbnail)
        target = built / "images" / f"{name}{picture.suffix}"
        if picture.encoded is not None:
            target.write_bytes(picture.encoded)
        elif rendered.image is not None:
            link_or_copy(rendered.image, str(target), "hardlink")
    detail = b"defectkit.detail(%d,%b);\n" % (number, rendered.detail)
    (built / "data/images" / f"{name}.js").write_bytes(detail)
    lines.write(orjson.dumps(rendered.row) + b"\n")
    lines.flush()
