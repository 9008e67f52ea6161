"""What each image of a tree is: masks, boxes, a class, good, or unlabelled; which all of them decide together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from converters.formats.base import Reading
from converters.formats.label_studio.notes import Seen
from converters.formats.label_studio.regions import Said, is_box
from converters.formats.label_tree import FoundImage
from toolkit.dataset.samples import LabelKind, is_good_word
from toolkit.errors import ToolkitError

__all__ = ["decide"]

Read = tuple[FoundImage, Said | None]


def decide(root: Path, images: Sequence[Read], reading: Reading, seen: Seen) -> list[FoundImage]:
    """The images of a tree with their kinds and classes.

    Where images have regions, a choice says of one without any that it is good, or nothing; where none has, choices are
    the classes of images.

    Args:
        root: the tree, for messages.
        images: with what is said of each; None where nobody annotated it.
        reading: what an image is that nothing is said of.
        seen: takes what there is to say.

    Raises:
        ToolkitError: choices answer several questions, and no image has a region.
    """
    drawn = any(said is not None and said.regions for _, said in images)
    questions = sorted({name for _, said in images if said is not None for name in said.choices})
    if not drawn and len(questions) > 1:
        asked = f"{len(questions)} questions, {' and '.join(map(repr, questions[:3]))}"
        problem = f"its choices answer {asked}, and one can be the class of an image"
        raise ToolkitError(root, problem, "leave it the answers to one of them")
    seen.question = questions[0] if questions and not drawn else ""
    return [_decided(image, said, reading, seen, drawn=drawn) for image, said in images]


def _decided(image: FoundImage, said: Said | None, reading: Reading, seen: Seen, *, drawn: bool) -> FoundImage:
    nothing: LabelKind = "good" if reading.without_label == "good" else "unlabelled"
    if said is None:
        return replace(image, kind=nothing)
    seen.others.update(said.others)
    chosen = [text for texts in said.choices.values() for text in texts]
    if said.regions:
        seen.beside += bool(chosen)
        classes = tuple(dict.fromkeys(region.label for region in said.regions))
        return replace(image, classes=classes, kind="boxes" if all(map(is_box, said.regions)) else "masks")
    if chosen and all(map(is_good_word, chosen)):
        return replace(image, kind="good")
    if chosen and not drawn:
        return replace(image, classes=tuple(chosen), kind="class")
    if chosen or said.others:
        seen.unread.append(image.image.name)
        return replace(image, kind=nothing)
    return replace(image, kind="good")
