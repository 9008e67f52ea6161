"""What a conversion was asked for: classes under other names, some of them, images that show something.

Nothing is lost in silence: an image that shows objects, none of which is asked for, is not a good one; nor is one whose
annotations mark none of its pixels. It is left out, and the manifest names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from converters.formats.base import Labelled, Selection, Settings
from converters.sources import Member
from toolkit.dataset.samples import COMBINED, GOOD, ClassScheme, class_of_image, is_good_word
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

__all__ = [
    "MARKS_NOTHING",
    "NOT_ASKED_FOR",
    "WITHOUT_OBJECTS",
    "Selected",
    "make_selection",
    "nothing_left",
    "read_selected",
    "selected_classes",
    "selection_notes",
    "selection_of",
    "selection_words",
    "unmarked_note",
]

WITHOUT_OBJECTS = "shows no object"
NOT_ASKED_FOR = "none of its objects is asked for"
MARKS_NOTHING = "its annotations mark none of its pixels"
_TOO_LARGE = "larger than --max-area"
_SHOWN, _FEW = 20, 3


def make_selection(
    known: Sequence[str],
    scheme: ClassScheme,
    rename: Mapping[str, str] | None,
    only: Iterable[str],
    drop_empty: bool,
    areas: tuple[int, int | None],
) -> Selection:
    """A selection that fits the classes of a source.

    Args:
        known: its classes.
        scheme: how they were named.
        rename: class -> its new name; of several with one new name one class is made.
        only: classes, by their new names, whose objects are kept; none for all.
        drop_empty: whether images that show no object are left out.
        areas: the least and the most pixels of a component that is kept.

    Raises:
        ToolkitError: a class is not known, a new name cannot be one, or no area lies between the two.
    """
    renamed, (min_area, max_area) = dict(rename or {}), areas
    for old, new in renamed.items():
        _check_known("--rename", old, known)
        if not new.strip():
            told = f"gives {old!r} the name {new!r}, which nobody can read"
            raise ToolkitError("--rename", told, "give another name")
        if is_good_word(new):
            told = f"gives {old!r} the name {new!r}, which means images without a defect"
            raise ToolkitError("--rename", told, "give another name, or name with --only the classes to keep")
    kept = (only,) if isinstance(only, str) else tuple(dict.fromkeys(only))
    selection = Selection(tuple(renamed.items()), kept, drop_empty, max_area, scheme)
    for name in kept:
        _check_known("--only", name, list(dict.fromkeys(map(selection.name_of, known))))
    if max_area is not None and max_area < max(1, min_area):
        least = f", and less than the {min_area} of --min-area" if 0 < max_area < min_area else ""
        raise ToolkitError("--max-area", f"{max_area} keeps nothing{least}", "give more pixels")
    return selection


def _check_known(flag: str, name: str, known: Sequence[str]) -> None:
    """Refuse a class that is not there.

    Raises:
        ToolkitError: it is not.
    """
    if name not in known:
        shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        raise ToolkitError(flag, f"no class is called {name!r}", f"there are: {shown}" if known else "leave it out")


def selection_of(options: Mapping[str, Any]) -> Selection:
    """The selection that a manifest tells of."""
    return Selection(
        tuple(options.get("rename", {}).items()),
        tuple(options.get("only", ())),
        options.get("drop_empty", False),
        options.get("max_area"),
        options["classes"],
    )


def selected_classes(known: Iterable[str], selection: Selection) -> list[str]:
    """The names of the classes that are left, each once, in the order of the source."""
    names = dict.fromkeys(map(selection.name_of, known))
    return [name for name in names if selection.keeps(name)]


@dataclass(frozen=True, eq=False)
class Selected:
    """What was asked for of an image.

    Attributes:
        labelled: the image with the objects that are kept, under their new names.
        left_out: reason and area in pixels of components that are not asked for.
        excluded: why the image itself is left out; "" if it is not.
    """

    labelled: Labelled
    left_out: tuple[tuple[str, int], ...] = ()
    excluded: str = ""


def read_selected(member: Member, settings: Settings, subset: str = "") -> Selected:
    """Read an image, and keep what is asked for.

    Args:
        member: the image.
        settings: what to keep; classes are named as the selection says.
        subset: of the image; "" for its own.

    Raises:
        ToolkitError: its files are at fault.
    """
    asked = settings.selection
    if not asked:
        labelled = member.read(settings, subset)
        return Selected(labelled, excluded=MARKS_NOTHING if _marks_nothing(labelled.image) else "")
    labelled = member.read(replace(settings, scheme=asked.scheme), subset)
    every = [(one, asked.name_of(one.label)) for one in labelled.image.instances]
    kept = tuple(_named(one, name) for one, name in every if asked.keeps(name))
    others = [(_of_other(name), one.area) for one, name in every if not asked.keeps(name)]
    image = replace(labelled.image, instances=kept, image_label=_class_of(labelled.image, kept, asked))
    large = ((_TOO_LARGE, area) for area in labelled.too_large)
    excluded = _why_excluded(labelled, image, asked, others=bool(others))
    return Selected(replace(labelled, image=image), (*others, *large), excluded)


def _of_other(name: str) -> str:
    return f"of the class {name}, which --only does not name"


def _named(instance: Instance, name: str) -> Instance:
    return instance if instance.label == name else replace(instance, label=name)


def _class_of(image: LabelledImage, kept: Sequence[Instance], asked: Selection) -> str:
    """Class of an image with what is kept of it."""
    label, left = asked.name_of(image.image_label), {one.label for one in kept}
    if not left or label in left:
        return label
    if label == COMBINED or label.endswith(f"-{COMBINED}"):
        return next(iter(left)) if len(left) == 1 else label
    return class_of_image(left) if image.image_label in {one.label for one in image.instances} else label


def _why_excluded(labelled: Labelled, image: LabelledImage, asked: Selection, *, others: bool) -> str:
    """Why an image is left out; "" if it is not."""
    if image.instances:
        return ""
    # Good images are of a class where classes are products; else they are of none, and stay.
    is_class = image.image_label != GOOD and (image.kind != "good" or asked.scheme == "category")
    if others or labelled.too_large or (is_class and not asked.keeps(image.image_label)):
        return NOT_ASKED_FOR
    if _marks_nothing(image):
        return MARKS_NOTHING
    shows = image.kind == "class" and image.image_label != GOOD
    return WITHOUT_OBJECTS if asked.drop_empty and not shows else ""


def nothing_left(selection: Selection, images: int) -> ToolkitError:
    """That none of the images is left: by the flags that were given, and ways out by these."""
    ways = {
        "--only": (bool(selection.only), "name other classes"),
        "--max-area": (selection.max_area is not None, "give --max-area more pixels"),
        "--drop-empty": (selection.drop_empty, "leave out --drop-empty"),
    }
    given = {flag: way for flag, (said, way) in ways.items() if said}
    what = f"nothing is asked for of any of its {images} images"
    return ToolkitError(next(iter(given), "--only"), what, " or ".join(given.values()) or "name other classes")


def _marks_nothing(image: LabelledImage) -> bool:
    """Whether an image is said to show something, and nothing tells where: it is no background."""
    return not image.instances and bool(image.left_out) and image.kind in ("masks", "boxes")


def selection_words(selection: Selection) -> str:
    """A selection as flags."""
    told = [f"--rename {old}={new}" for old, new in selection.rename]
    told += [f"--only {name}" for name in selection.only]
    told += ["--drop-empty"] if selection.drop_empty else []
    told += [f"--max-area {selection.max_area}"] if selection.max_area else []
    return " ".join(told)


def selection_notes(
    known: Iterable[str], selection: Selection, manifests: Mapping[str, Mapping[str, Any]], things: str
) -> Iterator[str]:
    """What to know of a selection: classes that became one, objects and images that are left out.

    Args:
        known: the classes of the source.
        selection: what was asked for.
        manifests: of the trees, by their formats.
        things: what areas are those of: "component" of masks, or "object" of labels.
    """
    sources: dict[str, list[str]] = {}
    for name in known:
        sources.setdefault(selection.name_of(name), []).append(name)
    for name, olds in sources.items():
        if len(olds) > 1 and selection.keeps(name):
            yield f"{' and '.join(map(repr, olds))} are one class now: {name!r}"
    manifest = next(iter(manifests.values()), None)
    if not selection or manifest is None:
        return
    reasons = Counter(one["reason"] for one in manifest["components"]["skipped"])
    if reasons[_TOO_LARGE]:
        yield f"{reasons[_TOO_LARGE]} {things}(s) larger than --max-area {selection.max_area} are left out"
    others = {name: reasons[_of_other(name)] for name in sources if reasons[_of_other(name)]}
    if others:
        shown = ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
        yield f"{sum(others.values())} object(s) of classes that --only does not name are left out: {shown}"
    for reason, count in sorted(Counter(one["reason"] for one in manifest.get("left_out", ())).items()):
        if reason != MARKS_NOTHING:
            yield f"{count} image(s) are left out: {reason}"


def unmarked_note(manifests: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What to know of images whose annotations mark nothing."""
    left_out = next((one.get("left_out", ()) for one in manifests.values()), ())
    keys = [one["key"] for one in left_out if one["reason"] == MARKS_NOTHING]
    shown = ", ".join(keys[:_FEW]) + (", ..." if len(keys) > _FEW else "")
    return (f"{len(keys)} image(s) are left out, and no background: {MARKS_NOTHING}: {shown}",) if keys else ()
