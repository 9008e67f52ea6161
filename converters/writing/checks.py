"""What a source cannot give to a format: refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.formats.base import Holds, Settings, check_defect_folder
from converters.formats.registry import FORMATS, find_format
from converters.merging import parts_of
from converters.sources import Member, Source
from converters.writing.items import Item
from toolkit.dataset.samples import LabelKind, image_class, is_good_word
from toolkit.errors import BadInputError, Problem

__all__ = ["check_class_folders", "check_kind", "check_kinds"]


_TOLD: Mapping[Holds, tuple[LabelKind, str]] = {
    "classes": ("class", "its labels are classes of whole images and say nothing of where defects are"),
    "boxes": ("boxes", "its labels are boxes, and none of its objects has a mask"),
    "oriented boxes": ("boxes", "its labels are oriented boxes, and none of its objects has a mask"),
}


def check_kinds(formats: Sequence[str], source: Source) -> None:
    """Refuse formats that say more than the source knows, with what else is wrong with it: that may be the reason.

    Boxes of one root beside the masks of another are boxes among masks, which are drawn as rectangles and called so.

    Raises:
        BadInputError: one of them does.
    """
    problems = []
    for part in parts_of(source):
        if part.holds == "pixels" or (part.holds == "boxes" and source.holds == "pixels"):
            continue
        kind, told = _TOLD[part.holds]
        within = [name for name in FORMATS if find_format(name).can_show(kind) or name == part.layout]
        beyond = [name for name in formats if name not in within]
        if beyond:
            problems.append(Problem(str(part.root), f"{told}: no {', '.join(beyond)}", f"use --to {','.join(within)}"))
    if problems:
        raise BadInputError([*source.layout_problems, *problems])


def check_class_folders(formats: Sequence[str], settings: Settings, items: Sequence[Item]) -> None:
    """Refuse classes whose folders would be read as good, before anything is written.

    Raises:
        ToolkitError: an image of defects is of such a class.
    """
    if settings.scheme == "category" or not any(find_format(name).class_folders for name in formats):
        return
    asked = settings.selection
    for member, _ in items:
        label = asked.name_of(image_class(member.sample, settings.scheme))
        if member.sample.labels and is_good_word(label) and asked.keeps(label):
            check_defect_folder(label, member.sample.key)


def check_kind(member: Member, formats: Sequence[str]) -> None:
    """Refuse an image that lacks what a format is to show.

    Raises:
        BadInputError: it has no mask, or is of a kind that a format cannot show.
    """
    kind = member.sample.kind or "masks"
    if kind == "boxes" or all(find_format(name).can_show(kind) for name in formats):
        return  # a box among masks becomes a rectangle, and is called so
    remedy = "give it a mask, or move it to the good images"
    missing = Problem(str(member.sample.image), "a defect image without a mask", remedy)
    raise BadInputError([member.missing or missing])
