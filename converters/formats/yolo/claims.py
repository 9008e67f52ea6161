"""Which images of a YOLO tree belong to which subset: by folders, by lists of images, or by where their labels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from converters.formats.label_tree import subset_of_name
from converters.formats.yolo.data_yaml import image_folders, listed_places
from converters.formats.yolo.places import TreeFiles, path_ways, read_text
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = ["Claim", "Claims", "claim_images"]


class Claim(NamedTuple):
    """An image of a subset: its path below the root, and how many letters of it are the folder that is listed."""

    subset: str
    image: str
    before: int

    @property
    def name(self) -> str:
        """Its name without ending in the folder that is listed."""
        return _stem(self.image[self.before :])


@dataclass
class Claims:
    """The images of a tree.

    Attributes:
        images: image -> what is known of it.
        tables: the lists of images, paths below the root.
        doubled: images that are listed for two subsets; the first has them.
        lost: what is listed and not there, as it is written, with its subset.
        notes: what is odd about the lists.
    """

    images: dict[str, Claim] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    doubled: int = 0
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def claim_images(files: TreeFiles, document: JsonObject, *, may_lead_nowhere: bool = False) -> Claims:
    """Go through what a dataset file lists; where it lists nothing, through the folders that there are.

    With `may_lead_nowhere`, also where nothing that it lists is there.

    Raises:
        ToolkitError: a list cannot be read, or names an image that is not there.
    """
    claims = Claims()
    places = list(listed_places(files.root, document))
    tables: dict[Path, list[str]] = {}
    for subset, text, place in places:
        if place is None:
            claims.lost.append(f"{subset}: {text}")
        elif place.is_file():
            tables.setdefault(place, []).append(subset)
    for table, subsets in tables.items():
        own = subset_of_name(table.stem)
        _claim_list(claims, files, table, own if own in subsets else subsets[0])
    folders = [(subset, folder.relative_to(files.root)) for subset, folder in image_folders(files.root, document)]
    for subset, folder in sorted(folders, key=lambda pair: (-len(pair[1].parts), pair[1])):
        before = "" if not folder.parts else f"{folder.as_posix()}/"
        for image in files.images:
            if image.startswith(before) and image not in claims.images:
                claims.images[image] = Claim(subset, image, len(before))
    if not claims.images and (may_lead_nowhere or not places):
        _claim_labelled(claims, files)
    return claims


def _claim_list(claims: Claims, files: TreeFiles, table: Path, subset: str) -> None:
    claims.tables.add(table.relative_to(files.root).as_posix())
    for image in _listed_images(claims, files, table):
        known = claims.images.setdefault(image, Claim(subset, image, 0))
        claims.doubled += known.subset != subset


def _listed_images(claims: Claims, files: TreeFiles, table: Path) -> Iterator[str]:
    try:
        text, notes = read_text(table)
    except OSError as error:
        raise ToolkitError(table, f"cannot be read ({error})", "list one image a line") from error
    claims.notes += notes
    beside = table.parent.relative_to(files.root).as_posix()
    for number, line in enumerate((line.strip() for line in text.splitlines()), 1):
        if line:
            ways = path_ways(line, beside)
            image = next((found for way in ways if (found := files.image_at("/".join(way))) is not None), None)
            if image is None:
                raise ToolkitError(f"{table}:{number}", f"no image at {line}", "correct or remove the line")
            yield image


def _claim_labelled(claims: Claims, files: TreeFiles) -> None:
    """The images of every folder at the top that has labels beside its images; of the root those in it alone."""
    tops = {image.partition("/")[0] if "/" in image else "" for image in files.images if files.label_of(image)[1]}
    for image in files.images:
        top, _, inner = image.rpartition("/") if "/" not in image else image.partition("/")
        if top in tops:
            claims.images[image] = Claim(subset_of_name(top) or "train", image, len(image) - len(inner))


def _stem(image: str) -> str:
    return image.rpartition(".")[0]
