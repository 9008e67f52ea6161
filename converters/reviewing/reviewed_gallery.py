"""The gallery that was reviewed: what it showed, and the labels themselves, held against that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from converters.formats.base import Settings
from converters.formats.label_tree import LabelRecord
from converters.formats.registry import find_format
from converters.merging import MergedSource
from converters.origins import named_roots
from converters.sources import Member, Source
from converters.viewing.gallery_items import open_shown
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.typed import Record, checked, parse_json
from toolkit.gallery.vectors import mask_path
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = ["ReviewedGallery", "open_gallery", "open_labels", "read_as_shown"]

_AGAIN = "make the gallery again, and review that"
_NEAR = 0.51  # pixels: boxes stand rounded in some label files


class _Columns(Record):
    key: list[str]


class _Index(Record):
    gallery: str
    classes: list[str]
    columns: _Columns


class _Instance(Record):
    label: str
    area: int | float
    box: list[int | float]
    fill: str | None = None


@dataclass(frozen=True, eq=False)
class ReviewedGallery:
    """A gallery.

    Attributes:
        root: its folder.
        mark: tells it from others.
        places: key -> number of the image.
        classes: names of the classes.
        manifest: what it says of itself.
    """

    root: Path
    mark: str
    places: dict[str, int]
    classes: tuple[str, ...]
    manifest: JsonObject

    def shown(self, key: str) -> list[_Instance]:
        """The labels of an image as the page drew them.

        Raises:
            ToolkitError: the file that says so is damaged.
        """
        path = self.root / "data/images" / f"{self.places[key]:06}.js"
        told = _script(path, f"defectkit.detail({self.places[key]},")
        found = told.get("instances")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise ToolkitError(path, "is damaged", _AGAIN)
        return [checked(_Instance, {"label": one.pop("class", None), **one}, path, _AGAIN) for one in found]


def open_gallery(place: Path) -> ReviewedGallery:
    """A gallery by its folder, by its page, or by the run that holds it.

    Raises:
        ToolkitError: there is none, it is damaged, or an older version made it.
    """
    place = place.parent if place.name == "index.html" else place
    homes = [home for home in (place, place / "review") if (home / "manifest.json").is_file()]
    for root in homes:
        manifest = parse_json(root / "manifest.json", _AGAIN)
        if not isinstance(manifest, dict) or manifest.get("format") != "gallery":
            continue
        told = _script(root / "data/index.js", "defectkit.index(")
        if "gallery" not in told or not isinstance(manifest.get("shows"), dict):
            raise ToolkitError(root, "was made by a version without reviews", _AGAIN)
        index = checked(_Index, told, root / "data/index.js", _AGAIN)
        places = {key: number for number, key in enumerate(index.columns.key)}
        return ReviewedGallery(root, index.gallery, places, tuple(index.classes), manifest)
    raise ToolkitError(place, "holds no gallery", "name the folder that 'defectkit view' or 'autolabel' wrote")


def _script(path: Path, begin: str) -> JsonObject:
    """What a data file of a gallery holds.

    Raises:
        ToolkitError: it cannot be read, or is damaged.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", _AGAIN) from error
    try:
        told = orjson.loads(text.strip().removeprefix(begin.encode()).removesuffix(b");"))
    except orjson.JSONDecodeError as error:
        raise ToolkitError(path, "is damaged", _AGAIN) from error
    if not isinstance(told, dict):
        raise ToolkitError(path, "is damaged", _AGAIN)
    return told


def open_labels(gallery: ReviewedGallery, labels: Path | None) -> tuple[Source, tuple[str, ...]]:
    """The labels that a gallery shows, and what to say of them.

    Args:
        gallery: what was reviewed.
        labels: where they are now; where the gallery says if None.

    Raises:
        ToolkitError: they are not there.
    """
    shows = gallery.manifest["shows"]
    if labels is None:
        labels = next(iter(named_roots(shows, gallery.root)), None)
        if labels is None or not labels.exists():
            where = "" if labels is None else f" ({labels})"
            raise ToolkitError(
                gallery.root, f"the labels that it shows are not there{where}", "name them with --labels"
            )
    source, notes = open_shown(labels, shows.get("layout"))
    categories = shows.get("categories") or ()
    if categories and source.tree is None:
        source = source.only(categories)
    if isinstance(source, MergedSource):
        raise ToolkitError(labels, "is of several roots", "review each by itself")
    return source, notes


def read_as_shown(member: Member, gallery: ReviewedGallery, source: Source) -> LabelledImage:
    """The labels of an image, which are those that the page drew.

    Raises:
        ToolkitError: its files are at fault, or its labels are others by now.
    """
    key = member.sample.key
    shown, found = gallery.shown(key), _readings(member, source)
    if not any(_alike(shown, one.instances) for one in found):
        raise ToolkitError(key, "its labels are not those that the gallery shows", _AGAIN)
    return found[0]


def _readings(member: Member, source: Source) -> list[LabelledImage]:
    """The labels, with each rounding that the page may have drawn."""
    if isinstance(member, LabelRecord) and source.tree is not None:
        return member.readings("defect", find_format(source.tree.kind).roundings)
    return [member.read(Settings(tuple(source.classes()))).image]


def _alike(shown: Sequence[_Instance], instances: Sequence[Instance]) -> bool:
    if len(shown) != len(instances):
        return False
    return all(_is_shown(one, instance) for one, instance in zip(shown, instances, strict=True))


def _is_shown(shown: _Instance, instance: Instance) -> bool:
    if shown.label != instance.label:
        return False
    if shown.fill is not None:
        return shown.fill == mask_path(instance.region, instance.window[:2])
    return len(shown.box) == 4 and all(abs(a - b) <= _NEAR for a, b in zip(shown.box, instance.bbox, strict=True))
