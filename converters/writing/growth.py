"""Trees that grow: a complete one whose source has more images by now is written again, and nothing in it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converters.formats.base import Reading, Settings
from converters.formats.registry import find_format, read_manifest
from converters.origins import named_roots
from converters.writing.tiling import NO_TILE
from toolkit.aliases import JsonObject
from toolkit.dataset.keys import key_finder
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError
from toolkit.geometry.tiles import image_of_tile

__all__ = ["Growth", "find_growth"]

_SHOWN = 3
_KEEP = "keep the split that it was made with (defectkit split --extend OLD.csv), or use --overwrite"


@dataclass(frozen=True)
class Growth:
    """Complete trees that lack images of their source.

    Attributes:
        settings: with the classes of the trees first, in their order, so that ids stay what they were.
        formats: the trees.
        notes: how many images each lacked.
    """

    settings: Settings
    formats: tuple[str, ...]
    notes: tuple[str, ...]


def find_growth(
    out: Path,
    formats: Sequence[str],
    settings: Settings,
    inputs: str,
    roots: Sequence[Path],
    subsets: Mapping[str, str],
) -> Growth:
    """Which complete trees in `out` were made from fewer files of the same source, with the same settings.

    Args:
        out: the folder of the trees.
        formats: which of them.
        settings: of this conversion.
        inputs: fingerprint of its files.
        roots: what it reads.
        subsets: key -> subset of its images.

    Raises:
        ToolkitError: an image of a tree is no longer there, or would move to another subset.
    """
    classes = list(settings.classes)
    grown: list[str] = []
    notes: list[str] = []
    for name in formats:
        manifest = read_manifest(out / name)
        if manifest is None or manifest.get("input_sha256") == inputs or not _alike(manifest, settings, out, roots):
            continue
        records = find_format(name).index(out / name, Reading()).records
        _check_images(out / name, [record.sample for record in records], manifest, settings, subsets)
        old = [str(one) for one in manifest["classes"]]
        classes = [*old, *(one for one in classes if one not in old)]
        grown.append(name)
        there = sum(int(counts["images"]) for counts in manifest["subsets"].values())
        if settings.tiles is not None:
            there = manifest["tiles"]["images"]  # which counts those of which no tile was written
        there += sum(one["reason"] != NO_TILE for one in manifest.get("left_out", ()))
        notes.append(f"{name}: {len(subsets) - there} image(s) added to {there}")
    return Growth(replace(settings, classes=tuple(classes)), tuple(grown), tuple(notes))


def _check_images(
    tree: Path, samples: Sequence[Sample], manifest: JsonObject, settings: Settings, subsets: Mapping[str, str]
) -> None:
    """Refuse to lose images that a tree has, and to move them.

    Raises:
        ToolkitError: one is no longer there, or would move to another subset.
    """
    found, find = find_format(manifest["format"]), key_finder(subsets, bare=False)
    named = [(_image_of(one.key, settings), one.split) for one in samples]
    # Only a tree with folders of its own has other names than the source: elsewhere another name is another image.
    keys = [key if found.keeps_subsets else find(key) or key for key, _ in named]
    before = {key: subset for key, (_, subset) in zip(keys, named, strict=True)}
    _check(tree, before, subsets, still=found.keeps_subsets)
    if not found.keeps_subsets:
        _check_counts(tree, Counter(subsets[key] for key in keys), manifest["subsets"])


def _image_of(key: str, settings: Settings) -> str:
    """The key of the image that a tile is of; as it is where there are no tiles."""
    found = image_of_tile(key) if settings.tiles is not None else None
    return key if found is None else found[0]


def _alike(manifest: JsonObject, settings: Settings, out: Path, roots: Sequence[Path]) -> bool:
    """Whether a tree was made from the same source with the same settings."""
    same = named_roots(manifest, out) == [root.resolve() for root in roots]
    return same and manifest.get("options") == settings.described()


def _check(tree: Path, before: Mapping[str, str], subsets: Mapping[str, str], *, still: bool) -> None:
    """Refuse to lose what a tree has, and to move it where a tree tells subsets (`still`)."""
    gone = sorted(before.keys() - subsets.keys())
    if gone:
        problem = f"has {len(gone)} image(s) that its source has no more: {', '.join(gone[:_SHOWN])}"
        raise ToolkitError(tree, problem, "put them back, or use --overwrite to begin anew without them")
    moved = sorted(key for key, subset in before.items() if still and subsets[key] != subset)
    if moved:
        problem = f"has {len(moved)} image(s) that would move to another subset: {', '.join(moved[:_SHOWN])}"
        raise ToolkitError(tree, problem, _KEEP)


def _check_counts(tree: Path, after: Mapping[str, int], told: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse to move what a tree has that does not tell subsets, by what its manifest counts in each.

    Args:
        tree: the tree.
        after: subset -> how many of the images of the tree would be in it.
        told: subset -> what the manifest counts: images, and those of them that are background.
    """
    images = {name: counts["images"] for name, counts in told.items()}
    shown = {name: counts["images"] - counts["background"] for name, counts in told.items()}
    # Without images only those with a label leave a trace.
    before = next((one for one in (images, shown) if sum(one.values()) == sum(after.values())), None)
    if before is None:
        return
    changed = sorted(name for name in {*before, *after} if before.get(name, 0) != after.get(name, 0))
    if changed:
        counts = ", ".join(f"{name} has {before.get(name, 0)} and would have {after.get(name, 0)}" for name in changed)
        raise ToolkitError(tree, f"has image(s) that would move to another subset: of these, {counts}", _KEEP)
