"""decisions.json, as the page exports it: read, checked, and turned into what becomes of each image.

An instance's own decision goes before that of its image. One that needs work makes its whole image need work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from converters.reviewed import Change, Outcome
from converters.reviewing.reviewed_gallery import ReviewedGallery
from toolkit.aliases import JsonObject
from toolkit.dataset.samples import GOOD, class_of_image
from toolkit.errors import ToolkitError
from toolkit.files.typed import Record, checked, parse_json
from toolkit.geometry.labels import LabelledImage

__all__ = ["SCHEMA", "Decision", "Decisions", "Rejected", "change_of", "read_decisions"]

SCHEMA = 1
"""Of decisions.json."""

Rejected = Literal["drop", "good"]
"""What an image is of which every label was rejected."""

_EXPORT = "export it again from the page"


class Decision(Record):
    """What a reviewer said of an image or of one of its labels.

    Attributes:
        key: of the image.
        level: whether the whole image is meant, or one instance.
        instance: its number among those of the image, from 0; None for the whole image.
        decision: what was said.
        label: the class that it should have; None unless the class is to change.
        note, time: what else was written, and when (ISO 8601).
    """

    key: str
    level: Literal["image", "instance"]
    instance: Annotated[int, Field(ge=0)] | None = None
    decision: Literal["accept", "reject", "class", "needs-work"]
    label: str | None = Field(default=None, alias="class")
    note: str = ""
    time: str = ""

    def described(self) -> JsonObject:
        """As it stands in a manifest."""
        told = self.model_dump(by_alias=True, include=set(type(self).model_fields))
        return {name: value for name, value in told.items() if value not in (None, "")}


class Decisions(Record):
    """A file of decisions.

    Attributes:
        gallery: the one that they are on.
        reviewer: who made them; "" where nobody said.
        decisions: one for each image or instance that was decided on.
    """

    gallery: str
    reviewer: str = ""
    decisions: list[Decision]


def read_decisions(path: Path, gallery: ReviewedGallery) -> Decisions:
    """Decisions on a gallery, sorted.

    Raises:
        ToolkitError: it is no such file, of another gallery, or speaks of an image or a class that is not there.
    """
    value = parse_json(path, _EXPORT)
    if not isinstance(value, dict) or value.get("format") != "decisions":
        raise ToolkitError(path, "holds no decisions of a review", _EXPORT)
    schema = value.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        raise ToolkitError(path, f"has schema {schema!r:.40}, this version reads {SCHEMA}", _EXPORT)
    told = checked(Decisions, value, path, _EXPORT)
    if told.gallery != gallery.mark:
        raise ToolkitError(path, f"is of another gallery than {gallery.root}", "name the one it was exported from")
    seen: set[tuple[str, int | None]] = set()
    for number, one in enumerate(told.decisions):
        _check(one, f"{path}: decision {number} on {one.key!r}", gallery)
        if (one.key, one.instance) in seen:
            raise ToolkitError(path, f"decides twice on {one.key!r}", _EXPORT)
        seen.add((one.key, one.instance))
    ordered = sorted(told.decisions, key=lambda one: (one.key, -1 if one.instance is None else one.instance))
    return told.model_copy(update={"decisions": ordered})


def _check(one: Decision, place: str, gallery: ReviewedGallery) -> None:
    """Refuse a decision that means nothing.

    Raises:
        ToolkitError: it does.
    """
    if one.key not in gallery.places:
        raise ToolkitError(place, "is of an image that the gallery does not show", "remove it")
    if (one.instance is not None) != (one.level == "instance"):
        raise ToolkitError(place, f"is of level {one.level!r} with instance {one.instance}", _EXPORT)
    if (one.decision == "class") != (one.label is not None):
        raise ToolkitError(place, "changes the class and names none, or the reverse", _EXPORT)
    if one.label is not None and one.label not in gallery.classes and (one.label != GOOD or one.instance is not None):
        known = ", ".join(gallery.classes)
        raise ToolkitError(place, f"names the class {one.label!r}, which there is not", f"use one of {known}")


def by_image(decisions: Sequence[Decision]) -> dict[str, dict[int | None, Decision]]:
    """Key -> number of the instance, None for the whole image -> decision."""
    found: dict[str, dict[int | None, Decision]] = defaultdict(dict)
    for one in decisions:
        found[one.key][one.instance] = one
    return dict(found)


def change_of(
    image: LabelledImage, own: Mapping[int | None, Decision], rejected: Rejected, place: str
) -> Change | None:
    """What decisions make of an image; None where it stays as it is.

    Args:
        image: its labels, which are those that were reviewed.
        own: decisions on it: by the instance, and None for the whole.
        rejected: what it is if each of its labels was rejected.
        place: the file that the decisions are from.

    Raises:
        ToolkitError: a decision is on an instance that there is not, or gives a class to an image without labels.
    """
    was = [one.label for one in image.instances]
    beyond = next((number for number in own if number is not None and number >= len(was)), None)
    if beyond is not None:
        raise ToolkitError(place, f"decides on instance {beyond} of {image.key!r}, which has {len(was)}", "remove it")
    whole = own.get(None)
    labels = [_label(label, own.get(number) or whole) for number, label in enumerate(was)]
    is_class = not was and image.kind == "class"
    label, outcome = _of_image(image, was, labels, whole, rejected, place)
    if any(one.decision == "needs-work" for one in own.values()):
        outcome = "needs work"
    if outcome == "corrected" and labels == was and (not is_class or label == image.image_label):
        return None
    return Change(key=image.key, outcome=outcome, was=was, labels=labels, image_class=label)


def _label(label: str, decision: Decision | None) -> str | None:
    """The class of an instance after a decision; None for no label."""
    if decision is None or decision.decision in ("accept", "needs-work"):
        return label
    if decision.decision == "reject" or (decision.label == GOOD and decision.instance is None):
        return None
    return decision.label


def _of_image(
    image: LabelledImage,
    was: Sequence[str],
    labels: Sequence[str | None],
    whole: Decision | None,
    rejected: Rejected,
    place: str,
) -> tuple[str, Outcome]:
    """The class of an image, and what becomes of it."""
    kept = [label for label in labels if label is not None]
    said = whole.decision if whole is not None else "accept"
    named = whole.label if whole is not None else None
    none_left: Outcome = "good" if named == GOOD or rejected == "good" else "dropped"
    if was:
        if not kept:
            return GOOD, none_left
        return (image.image_label if list(labels) == list(was) else class_of_image(kept)), "corrected"
    is_class = image.kind == "class"
    if said == "class" and named is not None:
        if not is_class and named != GOOD:
            raise ToolkitError(
                place, f"gives {image.key!r} the class {named!r}, and it shows no object", "say needs-work"
            )
        return named, "good" if named == GOOD else "corrected"
    if said == "reject":  # of a good image it was that word that is wrong
        return GOOD, none_left if is_class and image.image_label != GOOD else "dropped"
    return image.image_label, "corrected"
