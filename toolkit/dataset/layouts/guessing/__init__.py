"""Which built-in description a folder is laid out by: taken only where exactly one accounts for every image in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import match as match_start

from toolkit.dataset.foreign import label_like
from toolkit.dataset.layouts.builtins import every_description
from toolkit.dataset.layouts.described import is_good
from toolkit.dataset.layouts.description import Description
from toolkit.dataset.layouts.files import FileList
from toolkit.dataset.layouts.guessing.pairs import drafted_pairs, seems_good, takes_masks_for_photos
from toolkit.dataset.layouts.resolving import FoundFile, Resolution, resolve

__all__ = ["Candidate", "candidates", "draft", "fits", "guess", "signed"]

_TRIED = 64  # files that tell most descriptions off before the whole folder is looked at
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Candidate:
    """A description, and what it makes of a folder."""

    description: Description
    resolution: Resolution

    @property
    def words(self) -> list[str]:
        """Names of the classes of images."""
        return sorted({file.groups["class"] for file in self.resolution.images if "class" in file.groups})

    @property
    def leaves_any(self) -> bool:
        """Whether it leaves images over, or finds no masks for them."""
        return bool(_left(self.resolution) or self._unmasked)

    @property
    def lacks_good(self) -> bool:
        """Whether all that it lacks is a folder of good images."""
        told = any(is_good(word, self.description) for word in self.words)
        return self.description.needs == "good" and bool(self.words) and not told and not self.leaves_any

    @property
    def _unmasked(self) -> list[str]:
        return [file.path for file in self.resolution.images if _lacks_mask(file, self.description)]

    @property
    def told(self) -> str:
        """What it leaves over, in a line."""
        left = [*self.resolution.leftover, *self.resolution.orphans, *self.resolution.shared]
        missing = self._unmasked
        if left:
            shown = ", ".join(left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
            return f"{self.description.name} leaves {len(left)} of the images over ({shown})"
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            return f"{self.description.name} finds no mask for {len(missing)} images ({shown})"
        if self.lacks_good:
            return f"{self.description.name} finds no folder of good images"
        return f"{self.description.name} fits, as others do"


def _lacks_mask(file: FoundFile, description: Description) -> bool:
    return file.labelled and not file.masks and bool(description.mask) and description.missing_mask == "error"


def signed(root: Path) -> Description | None:
    """The description whose sign a folder bears, whether or not it accounts for all images in it."""
    for whole in every_description():
        for description in _forms(whole, root):
            if any(_exists(root, sign) for sign in description.sign):
                return description
    return None


def _exists(root: Path, sign: str) -> bool:
    return next(root.glob(sign.replace("{category}", "*")), None) is not None


def _forms(description: Description, root: Path) -> list[Description]:
    """A description, and the same from a single product on."""
    below = description.below(root.resolve().name)
    return [description] if below is None else [description, below]


def fits(found: Candidate, files: FileList) -> bool:
    """Whether a description accounts for every image in a folder, and for what it asks for."""
    resolution, description = found.resolution, found.description
    if resolution.leftover or resolution.orphans or resolution.shared or resolution.strange_subsets:
        return False
    if description.root_name and not match_start(description.root_name, files.root.resolve().name):
        return False
    needs = description.needs or ("masks" if description.mask else "nothing")
    if needs == "masks":
        return resolution.paired > 0
    if label_like(files.images, files.others):
        return False  # labels of a kind that a description does not read would be lost
    if needs == "good":
        if not description.mask and takes_masks_for_photos(files):
            return False
        words = {file.groups["class"] for file in resolution.images if "class" in file.groups}
        some = bool(resolution.paired) or not description.mask
        return some and any(is_good(word, description) for word in words) and len(words) > 1
    return bool(resolution.images)


def candidates(files: FileList) -> list[Candidate]:
    """What each built-in description makes of a folder; those that leave the least over come first."""
    found = []
    for whole in every_description():
        for description in _forms(whole, files.root):
            if description.needs == "good" and not description.mask and takes_masks_for_photos(files):
                continue
            if _may_fit(description, files.images):
                found.append(Candidate(description, resolve(description, files.images)))
    return sorted(found, key=lambda one: (one.description.needs == "nothing", _left(one.resolution)))


def _left(resolution: Resolution) -> int:
    return len(resolution.leftover) + len(resolution.orphans) + sum(map(len, resolution.shared.values()))


def _may_fit(description: Description, files: Sequence[str]) -> bool:
    """Whether some of a sample of the files match anything."""
    step = max(1, len(files) // _TRIED)
    some = files[::step]
    return len(resolve(description, some).leftover) < len(some)


def guess(files: FileList) -> Candidate | None:
    """The one description that accounts for every image; None if there is none, or several that differ.

    Where one finds masks, and some without images, no other may call these masks images.
    """
    fitting: list[Candidate] = []
    near = False
    for whole in every_description():
        for description in _forms(whole, files.root):
            if _all_match(description, files.images):
                found = Candidate(description, resolve(description, files.images))
                if fits(found, files):
                    fitting.append(found)
                near |= bool(found.resolution.paired) and not found.resolution.leftover
    if not fitting or (near and not any(one.resolution.paired for one in fitting)):
        return None
    marked = [one for one in fitting if one.resolution.paired] or fitting
    first = marked[0]
    alike = all(_pairs(one.resolution) == _pairs(first.resolution) for one in marked[1:])
    return first if alike or first.description.root_name else None


def _pairs(resolution: Resolution) -> list[tuple[str, tuple[str, ...], str]]:
    """What a description says of each image: its masks and the class of its folder."""
    return sorted((file.path, file.masks, file.groups.get("class", "")) for file in resolution.images)


def _all_match(description: Description, files: Sequence[str]) -> bool:
    """Whether all of a sample of the files match something."""
    return not resolve(description, files[:: max(1, len(files) // _TRIED)]).leftover


def _worth(found: Candidate) -> tuple[int, int]:
    return found.resolution.paired, -_left(found.resolution)


def draft(files: FileList) -> str:
    """A description to start from, as YAML, with what it does not account for as comments."""
    near = candidates(files)
    lines = [f"# A first draft for {files.root}: correct it, then name it with --layout."]
    pairs = drafted_pairs(files)
    if pairs is not None:
        own = Candidate(pairs, resolve(pairs, files.images))
        if not near or _worth(own) > _worth(near[0]):
            near = [own]
    if not near:
        lines.append("# No built-in layout comes near; these are the folders that hold images:")
        lines += [f"#   {folder or '.'}/" for folder in sorted(files.folders)[:20]]
        lines += ["images: 'images/{name}.{ext}'", "mask: 'masks/{name}.{ext}'", "# values: nonzero"]
        return "\n".join(lines) + "\n"
    best = near[0]
    lines.append(f"# {best.told}" if best.description.name else "# Folders whose files have the same names")
    left = [*best.resolution.leftover, *best.resolution.orphans]
    lines += [f"#   not accounted for: {path}" for path in left[:20]]
    lines += _questions(best)
    good = [word for word in best.words if seems_good(word)]
    told = best.description.model_copy(update={"name": "", "about": "", "source": ""})
    if not all(is_good(word, told) for word in good):
        told = told.model_copy(update={"good": good})
    return "\n".join(lines) + "\n" + told.as_yaml()


def _questions(best: Candidate) -> Iterator[str]:
    """What a draft asks where it is not known which images are good."""
    bare = [file for file in best.resolution.images if _lacks_mask(file, best.description)]
    bare = [file for file in bare if not seems_good(file.groups.get("class", ""))]
    if bare:
        shown = ", ".join(file.path for file in bare[:_SHOWN]) + (", ..." if len(bare) > _SHOWN else "")
        yield f"# {len(bare)} image(s) have no mask ({shown}): if they show no defect, say missing_mask: good"
    words = best.words
    if words and not any(map(seems_good, words)):
        shown = ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")
        yield f"# If one of the folders ({shown}) holds images without a defect, name it here: good: [NAME]"
