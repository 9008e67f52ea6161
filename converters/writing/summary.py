"""What a person is told of label trees that were written: a row for each, and what they should know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from converters.formats.registry import find_format
from converters.sources import Member
from toolkit.dataset.samples import ClassScheme, is_good_word

__all__ = ["MANIFEST_HEADER", "covered_note", "good_as_defects", "manifest_notes", "manifest_rows", "unmasked_note"]

MANIFEST_HEADER = ("format", "images", "instances", "background", "exact", "min IoU", "left out")
_NOTHING = "-"

Manifests = Mapping[str, Mapping[str, Any]]
Items = Iterable[tuple[Member, str]]
"""What is converted, and its subset."""


def manifest_rows(manifests: Manifests) -> list[list[object]]:
    """A row for every label tree: what is in it, and how exact it is; a dash where that means nothing.

    Args:
        manifests: format -> its manifest.
    """
    rows: list[list[object]] = []
    for name, manifest in manifests.items():
        sums = [_sum(manifest, part) for part in ("images", "instances", "background")]
        fidelity = manifest["fidelity"]
        pixels = find_format(name).holds == "pixels" and fidelity["images"] and fidelity["min_iou"] is not None
        least = f"{fidelity['min_iou']:.4f}" if pixels else _NOTHING
        rows.append([name, *sums, _exact(fidelity), least, len(manifest["components"]["skipped"])])
    return rows


def _exact(fidelity: Mapping[str, Any]) -> str:
    """Images that are exact of those that could be; rectangles that were made from boxes are called so."""
    drawn = fidelity.get("rectangles", 0)
    said = [f"{fidelity['exact']} of {fidelity['images']}"] if fidelity["images"] else []
    return ", ".join([*said, *([f"{drawn} rectangles"] if drawn else [])]) or _NOTHING


def manifest_notes(manifests: Manifests) -> tuple[str, ...]:
    """What to know of trees that show less than their reader may think."""
    drawn = {name: found for name, one in manifests.items() if (found := one["fidelity"].get("rectangles", 0))}
    notes = []
    if drawn:
        what = f"{max(drawn.values())} object(s) have a box alone: written as rectangles in {', '.join(drawn)}"
        notes.append(f"{what}, which are exact to nothing")
    notes += (f"{name}: {what}" for name, one in manifests.items() if (what := covered_note(one)))
    notes += _dropped_notes(manifests)
    told = next((one for name, one in manifests.items() if find_format(name).holds != "classes"), None)
    if told is not None and _sum(told, "images") and not _sum(told, "instances"):
        found, images = told["components"]["found"], _sum(told, "images")
        nothing = f"no image shows a defect: all {images}"
        dropped = f"all {found} components were left out: all {images} images"
        notes.append(f"{dropped if found else nothing} were written as background")
    return tuple(notes)


def _dropped_notes(manifests: Manifests) -> list[str]:
    """What to say of attributes of objects that formats do not keep."""
    formats: dict[tuple[str, int], list[str]] = {}
    for name, one in manifests.items():
        for attribute, count in one["fidelity"].get("dropped", {}).items():
            formats.setdefault((attribute, count), []).append(name)
    return [
        f"{attribute!r} of {count} object(s) is not kept by {', '.join(names)}"
        for (attribute, count), names in sorted(formats.items())
    ]


def covered_note(manifest: Mapping[str, Any]) -> str:
    """That objects cover others, in a map of one value a pixel; "" where none does."""
    covered = manifest["fidelity"].get("covered")
    if not covered:
        return ""
    what = f"covered by another object: {covered['pixels']} pixels in {covered['images']} image(s)"
    return f"{what}, which a map of one class a pixel cannot hold"


def _sum(manifest: Mapping[str, Any], part: str) -> int:
    return sum(int(subset[part]) for subset in manifest["subsets"].values())


def unmasked_note(items: Items) -> list[str]:
    """What to say of defect images whose masks are not there, and that are written: a class is all that is asked."""
    members = [member for member, _ in items]
    some = any(member.sample.kind == "masks" for member in members)  # else no mask was ever meant
    keys = [member.sample.key for member in members if some and member.missing is not None]
    shown = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return [f"{len(keys)} defect image(s) have no mask where the layout has one: {shown}"] if keys else []


def good_as_defects(items: Items, scheme: ClassScheme) -> list[str]:
    """What to say where objects of a class that is called good become defects."""
    if scheme != "binary":
        return []
    words = sorted({label for member, _ in items for label in member.sample.labels if is_good_word(label)})
    return [f"objects of the class {word!r} count as defects: --classes binary has no other class" for word in words]
