"""Which image file an <image> of CVAT's is: below images/, in a folder of its subset, or wherever it is by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.coco.files import shown_folders
from converters.formats.cvat.document import CvatImage
from converters.formats.image_files import ImageFinder, plain_name
from converters.formats.label_tree import subset_of_name
from toolkit.errors import ToolkitError
from toolkit.imaging.images import is_image
from toolkit.imaging.limits import check_claimed_size

__all__ = ["TreeImages", "subset_of"]

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Of frames of a video, whose names in the file have none; in either letter case."""


def subset_of(path: Path, image: CvatImage) -> str:
    """Subset of an image: as the file says, its name, its folder, or those of the image; train where nothing tells."""
    folders = reversed(plain_name(image.name).split("/")[:-1])
    words = (image.subset, path.stem, path.parent.name, *folders)
    return next((subset for word in words if word and (subset := subset_of_name(word))), "train")


@dataclass(eq=False)
class TreeImages:
    """The image files of a tree; each belongs to one <image>.

    Attributes:
        finder: finds them.
        ours: whether defectkit wrote the tree; then its manifest, and what reads it, says which are missing.
        lost: images without a file, whose labels are read all the same.
        moved: names that lead elsewhere; images of the same bare name are taken.
    """

    finder: ImageFinder
    ours: bool
    lost: int = 0
    moved: list[str] = field(default_factory=list)
    _claimed: dict[str, Path] = field(default_factory=dict)

    def claim(self, path: Path, image: CvatImage) -> Path:
        """Where the file of an image lies, or would lie in a tree without images.

        Raises:
            ToolkitError: it is not there, while others are; or it is another <image>'s, too.
        """
        name, place = plain_name(image.name), f"{path}: {image.name}"
        if not name:
            raise ToolkitError(f"{path}: an image", f"has the name {image.name!a:.60}", "write the name of its file")
        found = self._find(path, image, name)
        if found is None:
            found = self._missing(path, image, name)
            if image.size is None:
                raise ToolkitError(place, "has no size, and its image is not there", "add width and height")
            check_claimed_size(found, *image.size)
        real = os.path.realpath(found)
        other = self._claimed.get(real)
        if other is not None:
            what = f"is of {found.name}, as another image of {other.name} is"
            raise ToolkitError(place, what, "keep one of the two, with the shapes of both")
        self._claimed[real] = path
        return found

    def withhold(self, path: Path, name: str) -> None:
        """Note whose image it is that cannot be read: it is not one without labels."""
        plain = plain_name(name)
        found = self._find(path, CvatImage(name, "", None, (), ()), plain) if plain else None
        if found is not None:
            self._claimed.setdefault(os.path.realpath(found), path)

    def unlisted(self) -> list[Path]:
        """Images below the root that no file lists."""
        return [path for path in self.finder.every() if os.path.realpath(path) not in self._claimed]

    def _find(self, path: Path, image: CvatImage, name: str) -> Path | None:
        folders = self._folders(path, image)
        names = [name] if is_image(name) else [name, *(name + one for end in _ENDINGS for one in (end, end.upper()))]
        for one in names:
            if is_image(one) and (found := self.finder.find(one, folders, anywhere=False)) is not None:
                return found
        if self.ours:
            return None
        found = next((found for one in names if is_image(one) and (found := self.finder.find(one, folders))), None)
        if found is not None and not found.as_posix().endswith(f"/{name}"):
            self.moved.append(image.name)
        return found

    def _folders(self, path: Path, image: CvatImage) -> list[Path]:
        """Folders that may hold an image, the likeliest first."""
        return self.finder.folders(_places(path.parent, self.finder.root, image, subset_of(path, image)))

    def _missing(self, path: Path, image: CvatImage, name: str) -> Path:
        """Where an image would lie that is not there.

        Raises:
            ToolkitError: others are.
        """
        if not self.finder.empty:
            alike = self.finder.namesakes(name)
            places = shown_folders(self.finder, self._folders(path, image))
            told = f"looked in {places}, and by its name below {self.finder.root}"
            if alike:
                told = f"{len(alike)} files of that name are there: {shown_folders(self.finder, alike[:3])}"
            raise ToolkitError(f"{path}: {image.name}", f"no such image ({told})", "put it there, or correct its name")
        self.lost += 1
        name = name if is_image(name) else f"{name}.png"
        return self.finder.root / "images" / subset_of(path, image) / name


def _places(folder: Path, root: Path, image: CvatImage, subset: str) -> Iterator[str]:
    """Where the image of a file in a folder may lie, relative to the root; the likeliest first."""
    inner = folder.relative_to(root).as_posix()
    homes = [inner, ""] if inner != "." else [""]
    subsets = [name for name in (image.subset, subset) if name and "/" not in name and name not in (".", "..")]
    for home in homes:
        for images in ("images", "data", "img", "imgs", ""):
            yield from ("/".join(part for part in (home, images, name) if part) for name in [*subsets, ""])
